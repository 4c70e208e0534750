"""CDA R2 documents of the French CI-SIS: read at levels 1 and 3, written at level 1 and as CR-BIO 2024.01."""

from __future__ import annotations

from mappings.cda.format import FORMAT, CdaFormat
from mappings.cda.reading.reader import HeaderReading, read_header
from mappings.cda.recognition import is_cda

__all__ = ["FORMAT", "CdaFormat", "HeaderReading", "is_cda", "read_header"]
