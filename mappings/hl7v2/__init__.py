"""HL7v2 as French hospitals and laboratories use it: ORU, ADT (IHE PAM France), MDM, acknowledgements."""

from __future__ import annotations

from mappings.hl7v2.format import FORMAT

__all__ = ["FORMAT"]
