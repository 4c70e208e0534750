"""The audit as the dashboard asks it: who saw which patient, when and why; is the record whole; a patient's copy."""

from __future__ import annotations

import asyncio
import csv
import io
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from router.journal.auditing import Chain
from router.journal.queries_audit import AuditFilters
from router.journal.queries_overview import AuditLine
from router.web.filters import Query, row_number
from router.web.formatting import Formats
from router.web.texts import Texts

VERIFIED = "verify audit"
"""What a verification is called in the audit itself; its detail is `whole` or `altered`, rows, and the head."""

VERIFIED_TARGET = "audit"

WISHES = ("actor", "patient", "from", "until", "kind")
LOOKS = (
    "read message",
    "read dossier",
    "read dossier agenda",
    "read dossier history",
    "read dossier accesses",
    "reveal patient",
    "reveal title",
    "reveal values",
    "reveal subject",
    "view file",
    "download",
    "compare identities",
    "compare reading",
    "export accesses",
)
"""What is a look at health data, and no action."""

_FORMULA = ("=", "+", "-", "@", "\t", "\r")


@dataclass(slots=True)
class Verification:
    """One run over the chain: rows done of how many, then what it came to."""

    done: int = 0
    total: int = 0
    chain: Chain | None = None
    problem: str = ""
    task: asyncio.Task[None] | None = field(default=None, repr=False)

    @property
    def running(self) -> bool:
        """Whether it is under way."""
        return self.chain is None and not self.problem


@dataclass(frozen=True, slots=True)
class LastVerification:
    """The last verification that the audit itself tells of."""

    at: int
    actor: str
    whole: bool
    head: str


def last_verification(lines: Sequence[AuditLine]) -> LastVerification | None:
    """Read the newest of these rows as a verification."""
    if not lines:
        return None
    word, _, rest = lines[0].detail.partition(" ")
    return LastVerification(lines[0].at, lines[0].actor, word == "whole", rest.rpartition(" ")[2])


def verdict(chain: Chain) -> str:
    """Say what a verification came to, as it is kept: `whole 1042 1042:9f…`."""
    return f"{'whole' if chain.whole else 'altered'} {chain.rows} {chain.head}"


def filters_of(query: Query, zone: ZoneInfo) -> AuditFilters:
    """Read the wishes of an address; days are those of the reader's zone, the last one counts as a whole."""
    until = _day(query.get("until"), zone)
    return AuditFilters(
        actor=query.get("actor") or None,
        patient=row_number(query.get("patient")),
        since=_micros(_day(query.get("from"), zone)),
        until=_micros(until + timedelta(days=1) if until is not None else None),
        actions=LOOKS if query.get("kind") == "looks" else None,
    )


def _day(text: str, zone: ZoneInfo) -> datetime | None:
    try:
        return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=zone)
    except ValueError:
        return None


def _micros(moment: datetime | None) -> int | None:
    return None if moment is None else int(moment.timestamp() * 1_000_000)


def target_words(target: str, texts: Texts) -> str:
    """Say what a row is about in words: `message 12`, `12 Patienten`."""
    first, _, second = target.partition(" ")
    if second.isdigit():
        return f"{texts.word('audit.target', first)} {second}"
    if first.isdigit():
        return f"{first} {texts.word('audit.target', second)}"
    return str(texts.word("audit.target", target))


def detail_words(detail: str, texts: Texts) -> str:
    """Say why, or on which tab, in words; what has none stays as it is."""
    for family in ("reveal.why", "tab"):
        if texts.has(f"{family}.{detail}"):
            return texts.say(f"{family}.{detail}").unescape()
    return detail


def as_csv(rows: Iterable[AuditLine], formats: Formats) -> bytes:
    """Write rows as a CSV that a spreadsheet opens as it is: UTF-8 with its mark, semicolons, nothing that computes."""
    texts, out = formats.texts, io.StringIO()
    writer = csv.writer(out, delimiter=";")
    writer.writerow([texts.say(f"audit.{name}").unescape() for name in ("at", "actor")] + _heads(texts))
    for one in rows:
        writer.writerow([_plain(text) for text in _cells(one, formats)])
    return b"\xef\xbb\xbf" + out.getvalue().encode()


def as_json(rows: Iterable[AuditLine], formats: Formats, patient: int) -> bytes:
    """Write rows as JSON, each with its words and its codes."""
    entries = [
        {
            "at": at,
            "who": actor,
            "what": action,
            "on": target,
            "why": why,
            "row": one.id,
            "action": one.action,
            "target": one.target,
            "detail": one.detail,
        }
        for one in rows
        for at, actor, action, target, why in [_cells(one, formats)]
    ]
    return json.dumps({"patient": patient, "accesses": entries}, ensure_ascii=False, indent=2).encode()


def _heads(texts: Texts) -> list[str]:
    return [texts.say(key).unescape() for key in ("audit.action.title", "audit.target.title", "audit.why")]


def _cells(one: AuditLine, formats: Formats) -> tuple[str, str, str, str, str]:
    texts = formats.texts
    at = datetime.fromtimestamp(one.at / 1_000_000, formats.zone).strftime("%Y-%m-%d %H:%M:%S")
    action = texts.word("audit.action", one.action).unescape()
    return at, one.actor, action, target_words(one.target, texts), detail_words(one.detail, texts)


def _plain(text: str) -> str:
    return f"'{text}" if text.startswith(_FORMULA) else text
