"""The certificates that a configuration names, and what is wrong with them.

Said at start-up, on the overview and by `passerelle check`, 30 days before the end.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from pydantic import BaseModel

from connectors.certificates import Certificate, CertificateTrouble, read_certificate
from connectors.dmp.settings import SigningPair
from connectors.ins.settings import CERTIFICATE_NAMES
from connectors.tls import ClientTls, ServerTls
from router.config.load import Loaded

INSI = "insi"


@dataclass(frozen=True, slots=True)
class CertificateNote:
    """What is wrong with a certificate, whose it is (`web`, `insi`, `source labo`…), and until when it holds."""

    owner: str
    trouble: CertificateTrouble
    until: datetime | None = None

    @property
    def stops(self) -> bool:
        """Whether it cannot be used, now."""
        return self.trouble is not CertificateTrouble.EXPIRING

    @property
    def sentence(self) -> str:
        """Say it in English, for the terminal and the notices."""
        day = f"{self.until:%Y-%m-%d}" if self.until is not None else ""
        return {
            CertificateTrouble.MISSING: f"{self.owner}: the certificate's file does not exist",
            CertificateTrouble.UNREADABLE: f"{self.owner}: the certificate's file cannot be read",
            CertificateTrouble.NOT_YET: f"{self.owner}: the certificate is not valid yet",
            CertificateTrouble.EXPIRED: f"{self.owner}: the certificate expired on {day}",
            CertificateTrouble.EXPIRING: f"{self.owner}: the certificate expires on {day}",
            CertificateTrouble.WRONG_NAME: f"{self.owner}: the certificate's common name gives no right to the service",
        }[self.trouble]


def certificate_notes(loaded: Loaded, now: datetime) -> list[CertificateNote]:
    """Look at every certificate that the configuration names; the worst first."""
    found = [note for owner, path in certificates_of(loaded) if (note := _note(owner, path, now)) is not None]
    return sorted(found, key=lambda note: not note.stops)


def certificates_of(loaded: Loaded) -> Iterator[tuple[str, Path]]:
    """List the certificates that are ours to show, with whose they are."""
    web = loaded.configuration.web
    if web.certificate is not None:
        yield "web", loaded.folder / web.certificate
    if loaded.insi is not None and loaded.insi.certificate is not None:
        yield INSI, loaded.insi.certificate
    for source in loaded.sources:
        yield from ((f"source {source.name}", path) for path in _shown(source.settings))
    for destination in loaded.destinations:
        yield from ((f"destination {destination.name}", path) for path in _shown(destination.settings))


def _shown(settings: BaseModel) -> Iterator[Path]:
    if isinstance(settings, ServerTls | ClientTls | SigningPair):
        if settings.cert is not None:
            yield settings.cert
        return
    for name in type(settings).model_fields:
        value = getattr(settings, name)
        if isinstance(value, BaseModel):
            yield from _shown(value)


def _note(owner: str, path: Path, now: datetime) -> CertificateNote | None:
    found = read_certificate(path)
    if not isinstance(found, Certificate):
        return CertificateNote(owner, found)
    trouble = found.trouble(now)
    if trouble in (None, CertificateTrouble.EXPIRING) and owner == INSI and found.common_name not in CERTIFICATE_NAMES:
        trouble = CertificateTrouble.WRONG_NAME
    return None if trouble is None else CertificateNote(owner, trouble, found.not_after)
