"""Items into CI-SIS documents: any document as level 1 (N1), a laboratory report as CR-BIO 2024.01."""

from __future__ import annotations

from mappings.cda.writing.write import write_item

__all__ = ["write_item"]
