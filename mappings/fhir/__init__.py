"""FHIR R4: transaction Bundles aligned with FR Core, written and read back, and foreign bundles read with tolerance."""

from __future__ import annotations

from mappings.fhir.format import FORMAT, PDSM_FORMAT

__all__ = ["FORMAT", "PDSM_FORMAT"]
