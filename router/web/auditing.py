"""The audit as the dashboard asks it: who saw which patient, when and why; is the record whole; a patient's copy."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from router.bulk.jobs import MAPPINGS
from router.dossier.accesses import AccessLine
from router.journal.auditing import Chain
from router.journal.queries_audit import AuditFilters
from router.journal.queries_overview import AuditLine
from router.web.filters import Query, row_number
from router.web.formatting import Formats
from router.web.peer_words import family_words
from router.web.rights import Role
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

_ROWS = re.compile(
    r"(?P<what>replay_messages|replay_deliveries|cancel_deliveries|reroute|undo), "
    r"(?:(?P<changed>\d+) of )?(?P<total>\d+) rows(?:, to (?P<target>.+))?"
)
"""What the audit keeps of an action on many rows."""

_UNDONE = re.compile(r"(?P<action>\w+), (?P<why>\w+), (?P<cancelled>\d+) cancelled, (?P<gone>\d+) had left")
_ROLES = re.compile(rf"({'|'.join(Role)}) → ({'|'.join(Role)})")
"""What it keeps of a decision that was taken back, and of an account's change of role."""

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
    if said := family_words("audit_target", target, texts):
        return said
    return str(texts.word("audit.target", target))


def detail_words(detail: str, texts: Texts) -> str:
    """Say why, or on which tab, in words; what has none stays as it is."""
    word, _, rest = detail.partition(" ")
    if word in {"whole", "altered"} and ":" in rest:
        return f"{texts.say(f'audit.chain.kept_{word}')} · {rest.rpartition(' ')[2]}"
    for family in ("reveal.why", "tab"):
        if texts.has(f"{family}.{detail}"):
            return texts.say(f"{family}.{detail}").unescape()
    if rows := _ROWS.fullmatch(detail):
        places: dict[str, object] = {name: found for name, found in rows.groupdict().items() if found is not None}
        places["what"] = texts.say(f"bulk_short.{rows['what']}")
        kind, _, name = (rows["target"] or "").partition(":")
        places["target"] = texts.say("audit_detail.mappings", number=name) if kind == MAPPINGS else name
        shown = "done" if rows["changed"] else "begun_to" if rows["target"] else "begun"
        return texts.say(f"audit_rows.{shown}", None, **places).unescape()
    if undone := _UNDONE.fullmatch(detail):
        places = {**undone.groupdict()}
        places |= {"action": texts.word("desk_done", undone["action"]), "why": texts.word("desk_why", undone["why"])}
        return texts.say("audit_rows.undone", None, **places).unescape()
    if roles := _ROLES.fullmatch(detail):
        return " → ".join(texts.word("role", one).unescape() for one in roles.groups())
    return family_words("audit_detail", detail, texts) or detail


@dataclass(frozen=True, slots=True)
class Told:
    """One line of a patient's copy, in words; `codes` are what is kept, for a program. `at` is microseconds."""

    at: int
    who: str
    what: str
    on: str
    why: str
    codes: Mapping[str, str | int]


def told_of_audit(rows: Iterable[AuditLine], texts: Texts) -> Iterator[Told]:
    """Tell rows of the audit."""
    for one in rows:
        action = texts.word("audit.action", one.action).unescape()
        codes: dict[str, str | int] = {
            "row": one.id,
            "action": one.action,
            "target": one.target,
            "detail": one.detail,
        }
        yield Told(one.at, one.actor, action, target_words(one.target, texts), detail_words(one.detail, texts), codes)


def told_of_dossier(rows: Iterable[AccessLine], texts: Texts) -> Iterator[Told]:
    """Tell what members of a circle and their tools asked a dossier for, and what was decided."""
    for one in rows:
        what = texts.say("audit.asked_allowed" if one.allowed else "audit.asked_denied").unescape()
        on = texts.word("data_category", one.category).unescape() if one.category else ""
        who = f"{one.reader} ({one.tool})" if one.tool else one.reader
        codes: dict[str, str | int] = {"access": one.id, "action": one.action.value, "rule": one.rule}
        yield Told(one.at, who, what, on, texts.word("dossier_rule", one.rule).unescape(), codes)


def as_csv(rows: Iterable[Told], formats: Formats) -> bytes:
    """Write lines as a CSV that a spreadsheet opens as it is: UTF-8 with its mark, semicolons, nothing to compute."""
    texts, out = formats.texts, io.StringIO()
    writer = csv.writer(out, delimiter=";")
    heads = ("audit.at", "audit.actor", "audit.action.title", "audit.target.title", "audit.why")
    writer.writerow([texts.say(key).unescape() for key in heads])
    for one in rows:
        writer.writerow([_plain(text) for text in (_moment(one.at, formats), one.who, one.what, one.on, one.why)])
    return b"\xef\xbb\xbf" + out.getvalue().encode()


def as_json(rows: Iterable[Told], formats: Formats, patient: int) -> bytes:
    """Write lines as JSON, each with its words and its codes."""
    entries = [
        {"at": _moment(one.at, formats), "who": one.who, "what": one.what, "on": one.on, "why": one.why, **one.codes}
        for one in rows
    ]
    return json.dumps({"patient": patient, "accesses": entries}, ensure_ascii=False, indent=2).encode()


def _moment(at: int, formats: Formats) -> str:
    return datetime.fromtimestamp(at / 1_000_000, formats.zone).strftime("%Y-%m-%d %H:%M:%S")


def _plain(text: str) -> str:
    return f"'{text}" if text.startswith(_FORMULA) else text
