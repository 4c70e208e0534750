"""IHE_XDM.ZIP, read as senders make it and written strictly (IHE ITI TF-2 §3.32, MSSanté)."""

from __future__ import annotations

from mappings.xdm.format import FORMAT, XdmFormat
from mappings.xdm.packing import PackedFile, pack

__all__ = ["FORMAT", "PackedFile", "XdmFormat", "pack"]
