"""Certificates as files: whom they name, until when, and what is wrong with them before a peer says so."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path

from cryptography import x509
from cryptography.x509.oid import NameOID

WARN_DAYS = 30
"""Days before its end at which a certificate is worth a sentence: a new one takes weeks to obtain."""

LARGEST = 1024 * 1024


class CertificateTrouble(StrEnum):
    """What is wrong with a certificate."""

    MISSING = "missing"
    UNREADABLE = "unreadable"
    NOT_YET = "not_yet"
    EXPIRED = "expired"
    EXPIRING = "expiring"
    WRONG_NAME = "wrong_name"
    """It names somebody to whom the service gives no rights; only who knows the service can tell."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """The first certificate of a PEM file: common name, organisational units, and the dates between which it holds."""

    common_name: str
    units: tuple[str, ...]
    not_before: datetime
    not_after: datetime

    def trouble(self, now: datetime, days: int = WARN_DAYS) -> CertificateTrouble | None:
        """Say what is wrong with it at that moment, None when nothing is."""
        if now < self.not_before:
            return CertificateTrouble.NOT_YET
        if now >= self.not_after:
            return CertificateTrouble.EXPIRED
        return CertificateTrouble.EXPIRING if self.not_after - now <= timedelta(days=days) else None


def read_certificate(path: Path) -> Certificate | CertificateTrouble:
    """Read the first certificate of a PEM file, or say why there is none to read."""
    try:
        with path.open("rb") as handle:
            content = handle.read(LARGEST)
    except FileNotFoundError:
        return CertificateTrouble.MISSING
    except OSError:
        return CertificateTrouble.UNREADABLE
    try:
        certificate = x509.load_pem_x509_certificates(content)[0]
        subject = certificate.subject
        names = [str(one.value) for one in subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
        units = [str(one.value) for one in subject.get_attributes_for_oid(NameOID.ORGANIZATIONAL_UNIT_NAME)]
        return Certificate(
            names[0] if names else "",
            tuple(units),
            certificate.not_valid_before_utc.astimezone(UTC),
            certificate.not_valid_after_utc.astimezone(UTC),
        )
    except (ValueError, IndexError, x509.UnsupportedGeneralNameType, x509.DuplicateExtension):
        return CertificateTrouble.UNREADABLE
