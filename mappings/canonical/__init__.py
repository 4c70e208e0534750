"""The canonical JSON: what `convert --to canonical` prints and what the journal keeps."""

from __future__ import annotations

from mappings.canonical.format import FORMAT, dump_item_set

__all__ = ["FORMAT", "dump_item_set"]
