"""The certificates that a configuration names, and what is wrong with them.

Said at start-up, on the overview and by `passerelle check`, 30 days before the end.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from enum import StrEnum
from pathlib import Path
from zoneinfo import ZoneInfo

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


class CertificateUse(StrEnum):
    """What a certificate is for: our pages, a server, a client of connections, signatures, a service, mails."""

    WEB = "web"
    SERVER = "server"
    CLIENT = "client"
    SIGNATURE = "signature"
    SERVICE = "service"
    MAIL = "mail"


MAIL_CERTIFICATE = "smime_certificate"
"""How the names of a format's files begin that are certificates of ours for mails."""


@dataclass(frozen=True, slots=True)
class KnownEnd:
    """Something else that ends, as the configuration says it: whose, what (`password`, `api_key`…), when."""

    owner: str
    name: str
    until: datetime


@dataclass(frozen=True, slots=True)
class CertificateEnd:
    """A certificate that the configuration names: whose, for what, whom it names, until when, and what is wrong."""

    owner: str
    use: CertificateUse
    common_name: str = ""
    until: datetime | None = None
    trouble: CertificateTrouble | None = None

    def days(self, now: datetime) -> int | None:
        """Give the whole days that are left; negative once it has ended, None when nobody knows."""
        return (self.until - now) // timedelta(days=1) if self.until is not None else None


def certificate_ends(loaded: Loaded, now: datetime) -> list[CertificateEnd]:
    """List every certificate that the configuration names, those that end first before the others."""
    found = []
    for owner, use, path in _named(loaded):
        read = read_certificate(path)
        if isinstance(read, Certificate):
            found.append(CertificateEnd(owner, use, read.common_name, read.not_after, _trouble(owner, read, now)))
        else:
            found.append(CertificateEnd(owner, use, trouble=read))
    return sorted(found, key=lambda one: (one.until or now, one.owner))


def certificate_notes(loaded: Loaded, now: datetime) -> list[CertificateNote]:
    """Look at every certificate that the configuration names; the worst first."""
    found = [note for owner, path in certificates_of(loaded) if (note := _note(owner, path, now)) is not None]
    return sorted(found, key=lambda note: not note.stops)


def certificates_of(loaded: Loaded) -> Iterator[tuple[str, Path]]:
    """List the certificates that are ours to show, with whose they are."""
    yield from ((owner, path) for owner, _, path in _named(loaded))


def _named(loaded: Loaded) -> Iterator[tuple[str, CertificateUse, Path]]:
    web = loaded.configuration.web
    if web.certificate is not None:
        yield "web", CertificateUse.WEB, loaded.folder / web.certificate
    if loaded.insi is not None and loaded.insi.certificate is not None:
        yield INSI, CertificateUse.SERVICE, loaded.insi.certificate
    for source in loaded.sources:
        yield from ((f"source {source.name}", use, path) for use, path in _shown(source.settings))
        yield from ((f"source {source.name}", use, path) for use, path in _of_mails(loaded, source.section.keys))
    for destination in loaded.destinations:
        yield from ((f"destination {destination.name}", use, path) for use, path in _shown(destination.settings))
        of_mails = _of_mails(loaded, destination.section.keys)
        yield from ((f"destination {destination.name}", use, path) for use, path in of_mails)


def _of_mails(loaded: Loaded, keys: Mapping[str, str]) -> Iterator[tuple[CertificateUse, Path]]:
    for name, path in keys.items():
        if name.startswith(MAIL_CERTIFICATE):
            yield CertificateUse.MAIL, loaded.folder / path


def known_ends(loaded: Loaded) -> list[KnownEnd]:
    """List what the configuration says to end: a password or a key is good until the end of its day, there."""
    zone = ZoneInfo(loaded.configuration.web.timezone)
    sections = [(f"source {one.name}", one.section.ends) for one in loaded.sources]
    sections += [(f"destination {one.name}", one.section.ends) for one in loaded.destinations]
    return [
        KnownEnd(owner, name, datetime.combine(day, time.max, zone))
        for owner, ends in sections
        for name, day in ends.items()
    ]


_USES = {ServerTls: CertificateUse.SERVER, ClientTls: CertificateUse.CLIENT, SigningPair: CertificateUse.SIGNATURE}


def _shown(settings: BaseModel) -> Iterator[tuple[CertificateUse, Path]]:
    if isinstance(settings, ServerTls | ClientTls | SigningPair):
        if settings.cert is not None:
            yield next(use for kind, use in _USES.items() if isinstance(settings, kind)), settings.cert
        return
    for name in type(settings).model_fields:
        value = getattr(settings, name)
        if isinstance(value, BaseModel):
            yield from _shown(value)


def _note(owner: str, path: Path, now: datetime) -> CertificateNote | None:
    found = read_certificate(path)
    if not isinstance(found, Certificate):
        return CertificateNote(owner, found)
    trouble = _trouble(owner, found, now)
    return None if trouble is None else CertificateNote(owner, trouble, found.not_after)


def _trouble(owner: str, found: Certificate, now: datetime) -> CertificateTrouble | None:
    trouble = found.trouble(now)
    if trouble in (None, CertificateTrouble.EXPIRING) and owner == INSI and found.common_name not in CERTIFICATE_NAMES:
        return CertificateTrouble.WRONG_NAME
    return trouble
