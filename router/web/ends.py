"""What ends soon: certificates, access of tools, keys of the API, passwords of known end; when the disk is full."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from markupsafe import Markup
from sqlalchemy import select

from connectors.certificates import CertificateTrouble
from router.certificates import CertificateEnd, KnownEnd
from router.journal import tables
from router.journal.view import View
from router.web.formatting import Formats

SOON_DAYS, SHOWN_DAYS = 30, 90
"""Days before its end from which something is amber, and from which it is listed."""

FULL_DAYS, FULL_NOW_DAYS = 30, 3
"""Days until the disk is full below which that is said, and below which it is grave."""


@dataclass(frozen=True, slots=True)
class EndLine:
    """Something that ends: what, whose, for what, the day, what is left (negative: it is over), how grave that is."""

    kind: str
    owner: str
    use: str
    until: datetime | None
    days: int | None
    tone: str
    trouble: CertificateTrouble | None = None

    def left(self, formats: Formats) -> Markup:
        """Say how long it still holds."""
        say = formats.texts.say
        if self.trouble not in (None, CertificateTrouble.EXPIRING, CertificateTrouble.EXPIRED):
            return Markup("{}").format(formats.texts.word("certificate_trouble", self.trouble.value))
        if self.days is None:
            return say("ends.unknown")
        if self.days < 0:
            return say("ends.over", count=-self.days, shown=formats.number(-self.days))
        return say("ends.left", count=self.days, shown=formats.number(self.days))


@dataclass(frozen=True, slots=True)
class Ends:
    """What ends within the days that are shown, the first before; how many end later, and the first of those."""

    lines: tuple[EndLine, ...]
    later: int
    next_at: datetime | None

    @property
    def are_none(self) -> bool:
        """Whether nothing is known to end at all."""
        return not self.lines and not self.later


def ends_of(view: View, certificates: Iterable[CertificateEnd], known: Iterable[KnownEnd], now: int) -> Ends:
    """Gather everything that is known to end."""
    at = datetime.fromtimestamp(now / 1_000_000, UTC)
    found = [_certificate(one, at) for one in certificates]
    found += [_line("secret", one.owner, one.name, one.until, at) for one in known]
    found += [_line("tool", name, "", until, at) for name, until in tool_ends(view)]
    found += [_line("key", name, "", until, at) for name, until in key_ends(view, at)]
    shown = [one for one in found if one.tone != "grey" or one.days is None or one.days <= SHOWN_DAYS]
    later = [one.until for one in found if one not in shown and one.until is not None]
    return Ends(
        tuple(sorted(shown, key=lambda one: (one.days is not None, one.days or 0, one.owner))),
        len(later),
        min(later, default=None),
    )


def tool_ends(view: View) -> Sequence[tuple[str, datetime]]:
    """Give the tools whose access to the dossier's API ends, with its end."""
    column = tables.tool.c
    wanted = select(column.name, column.expires_at).where(column.revoked_at.is_(None), column.expires_at.is_not(None))
    rows = view.connection.execute(wanted.order_by(column.expires_at))
    return [(row.name, datetime.fromtimestamp(row.expires_at / 1_000_000, UTC)) for row in rows]


def key_ends(view: View, at: datetime) -> Sequence[tuple[str, datetime]]:
    """Give the API keys that end, or ended within the last days: a program may still try one that did."""
    column = tables.api_key.c
    wanted = select(column.name, column.expires_at).where(
        column.revoked_at.is_(None), column.expires_at > _micros(at - timedelta(days=SOON_DAYS))
    )
    rows = view.connection.execute(wanted.order_by(column.expires_at))
    return [(row.name, datetime.fromtimestamp(row.expires_at / 1_000_000, UTC)) for row in rows]


def _micros(moment: datetime) -> int:
    return int(moment.timestamp() * 1_000_000)


def _certificate(end: CertificateEnd, at: datetime) -> EndLine:
    if end.trouble is not None and end.trouble is not CertificateTrouble.EXPIRING:
        return EndLine("certificate", end.owner, end.use.value, end.until, end.days(at), "red", end.trouble)
    return _line("certificate", end.owner, end.use.value, end.until, at)


def _line(kind: str, owner: str, use: str, until: datetime | None, at: datetime) -> EndLine:
    days = None if until is None else (until - at) // timedelta(days=1)
    tone = "grey" if days is None or days > SOON_DAYS else "amber" if days >= 0 else "red"
    return EndLine(kind, owner, use, until, days, tone)
