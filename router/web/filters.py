"""Filters in the address: read from it, and offered as chips whose links change one wish and keep the others.

Nothing of a patient is ever in an address: a search is there as a random word (`router.web.remembered`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import TypeVar
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from markupsafe import Markup

from mappings.registry import formats
from router.engine.searchable import sender_token
from router.identity.patients import search_tokens
from router.journal.queries import MessageFilters
from router.journal.queries_mail import MailWish
from router.journal.queries_search import Search
from router.journal.receipts import reference_token
from router.journal.sealing import Sealer
from router.journal.tables import DeliveryState, MessageState
from router.web.formatting import MICROS, Formats
from router.web.states import Mark, mark
from schemas.item import ItemKind

E = TypeVar("E", bound=StrEnum)

PERIODS = ("hour", "today", "day", "week")
GRAVITIES = {"warning": 2, "error": 3}
MESSAGE_TYPES = ("ORU^R01", "ADT^A01", "ADT^A02", "ADT^A03", "ADT^A31", "ADT^A40", "MDM^T02")
MOST_WORDS = 6
"""Words of a search text that are tried together and apart."""


@dataclass(frozen=True, slots=True)
class Option:
    """One choice of a chip."""

    label: Markup | str
    href: str
    active: bool
    mark: Mark | None = None


@dataclass(frozen=True, slots=True)
class Field:
    """Something to type in a chip."""

    name: str
    label: Markup
    kind: str = "text"
    value: str = ""


@dataclass(frozen=True, slots=True)
class Chip:
    """One filter: its name, the choice that is active, and how to take it away."""

    name: str
    label: Markup
    chosen: Markup | str
    clear: str
    options: tuple[Option, ...]
    fields: tuple[Field, ...] = ()
    action: str = ""
    """Where its fields are posted, None of a person's name being for an address; empty: they go into the address."""


@dataclass(frozen=True, slots=True)
class Query:
    """The wishes of an address: only known names, each with one value."""

    path: str
    values: Mapping[str, str]

    def with_(self, **changes: str | None) -> str:
        """Give the address with some wishes changed; None takes one away."""
        merged = {**self.values, **changes}
        kept = {name: value for name, value in merged.items() if value}
        return self.path + ("?" + urlencode(kept) if kept else "")

    def get(self, name: str) -> str:
        """Give a wish, or an empty text."""
        return self.values.get(name, "")


def query_of(path: str, found: Mapping[str, str], names: Iterable[str]) -> Query:
    """Keep the known wishes of an address; anything else is ignored."""
    return Query(path, {name: found[name][:200] for name in names if found.get(name)})


MESSAGE_WISHES = (
    "search",
    "state",
    "source",
    "kind",
    "control",
    "sender",
    "format",
    "type",
    "worst",
    "period",
    "since",
    "until",
)


def message_filters(query: Query, *, now: int, zone: ZoneInfo, search: Search | None, sealer: Sealer) -> MessageFilters:
    """Read the filters of a list of messages; a value that is none is no wish."""
    sender = query.get("sender").strip()
    since, until = period(query, now=now, zone=zone)
    kind = enum_of(ItemKind, query.get("kind"))
    return MessageFilters(
        state=enum_of(MessageState, query.get("state")),
        source=query.get("source") or None,
        format=query.get("format") or None,
        message_type=query.get("type") or None,
        kind=kind.value if kind is not None else None,
        worst=GRAVITIES.get(query.get("worst")),
        since=since,
        until=until,
        search=search,
        control=query.get("control").strip() or None,
        sender=sender_token(sealer, sender) if sender else None,
    )


_DAY = re.compile(r"(?<![\w/-])(?:(\d{4})-(\d{2})-(\d{2})|(\d{1,2})[/.-](\d{1,2})[/.-](\d{4}))(?![\w/-])")


def born_in(text: str) -> tuple[str, str]:
    """Take a birth date out of a text: what is left, and the date (ISO 8601), empty where there is none."""
    found = _DAY.search(text)
    if found is None:
        return text, ""
    year, month, day = (found[1], found[2], found[3]) if found[1] else (found[6], found[5], found[4])
    try:
        born = date(int(year), int(month), int(day))
    except ValueError:
        return text, ""
    return " ".join((text[: found.start()] + " " + text[found.end() :]).split()), born.isoformat()


def search_of(sealer: Sealer, text: str) -> Search:
    """Give what a text may mean: its tokens whole, and of each run of its words («TESTROSE Marie» is found by name).

    A date in it is a birth date, where something else stands beside it: «TESTROSE Marie 05/03/1979».
    """
    said, born = born_in(text)
    if not said:
        said, born = text, ""
    words = said.split()[:MOST_WORDS]
    runs = {said}
    if len(words) > 1:
        runs |= {" ".join(words[a:b]) for a in range(len(words)) for b in range(a + 1, len(words) + 1)}
    tokens = {token for run in runs if len(run) > 1 for token in search_tokens(sealer, run)}
    references = () if born else (reference_token(sealer, text),)
    return Search(tuple(sorted(tokens)), text.strip(), born, references)


def period(query: Query, *, now: int, zone: ZoneInfo) -> tuple[int | None, int | None]:
    """Give the bounds in time, in microseconds: a named period, or two dates in the reader's zone."""
    named = query.get("period")
    today = datetime.fromtimestamp(now / MICROS, zone).replace(hour=0, minute=0, second=0, microsecond=0)
    spans = {"hour": 3_600, "day": 86_400, "week": 7 * 86_400}
    if named in spans:
        return now - spans[named] * MICROS, None
    if named == "today":
        return _micros(today), None
    since, until = day_of(query.get("since"), zone), day_of(query.get("until"), zone)
    return (
        _micros(since) if since is not None else None,
        _micros(until + timedelta(days=1)) if until is not None else None,
    )


def day_of(text: str, zone: ZoneInfo) -> datetime | None:
    """Give the beginning of a day as a field of dates writes it, in a zone; None for anything else."""
    try:
        return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=zone)
    except ValueError:
        return None


def _micros(moment: datetime) -> int:
    return int(moment.timestamp()) * MICROS


def row_number(text: str) -> int | None:
    """Read the number of a row as an address gives it; None for anything else, and for what no row can have."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 16 else None


def enum_of(kind: type[E], value: str) -> E | None:
    """Give the member of an enumeration, or None for what is none."""
    try:
        return kind(value)
    except ValueError:
        return None


def message_chips(query: Query, formats_: Formats, sources: Iterable[str], *, people: bool = True) -> list[Chip]:
    """Offer the filters of messages; those of `people` to whoever may see whose they are."""
    say = formats_.texts.say
    states = [
        (state.value, say(f"state.message.{state.value}"), mark("message", state.value)) for state in MessageState
    ]
    gravities = [(name, say(f"filter.worst_{name}"), mark("severity", name)) for name in GRAVITIES]
    periods = [(name, say(f"filter.period_{name}"), None) for name in PERIODS]
    kinds = [(kind.value, say(f"kind.{kind.value}"), None) for kind in ItemKind]
    types = [(name, name, None) for name in MESSAGE_TYPES]
    return [
        _chip(query, "state", say("filter.state"), states),
        _chip(query, "source", say("filter.source"), [(name, name, None) for name in sources]),
        _chip(query, "kind", say("filter.kind"), kinds),
        _chip(query, "type", say("filter.type"), types),
        _chip(query, "format", say("filter.format"), [(name, name, None) for name in formats()]),
        _chip(query, "worst", say("filter.worst"), gravities),
        _period_chip(query, formats_, periods),
        _typed(query, "control", say("filter.control"), Field("control", say("filter.control_field"))),
        _typed(query, "sender", say("filter.sender"), Field("sender", say("filter.sender_field"))),
        *([_patient_chip(query, formats_)] if people else []),
    ]


def _period_chip(query: Query, formats_: Formats, periods: _Choices) -> Chip:
    say = formats_.texts.say
    chip = _chip(query, "period", say("filter.period"), periods, drops=("since", "until"))
    fields = (
        Field("since", say("filter.since"), "date", query.get("since")),
        Field("until", say("filter.until"), "date", query.get("until")),
    )
    since, until = (formats_.partial(query.get(name)) for name in ("since", "until"))
    between = say("filter.between", since=since or "…", until=until or "…") if since or until else Markup("")
    clear = query.with_(period=None, since=None, until=None)
    return replace(chip, fields=fields, chosen=chip.chosen or between, clear=clear)


def _typed(query: Query, name: str, label: Markup, field: Field) -> Chip:
    given = query.get(name)
    return Chip(name, label, given, query.with_(**{name: None}), (), (replace(field, value=given),))


def _patient_chip(query: Query, formats_: Formats) -> Chip:
    """Offer a search by who a patient is: what is typed is posted, and never stands in an address."""
    say = formats_.texts.say
    fields = (
        Field("family", say("filter.family")),
        Field("born", say("filter.born"), "date"),
        Field("number", say("filter.number")),
    )
    return Chip("patient", say("filter.patient"), "", query.with_(), (), fields, "/messages/search")


def delivery_chips(query: Query, formats_: Formats, destinations: Iterable[str]) -> list[Chip]:
    """Offer the filters of Deliveries."""
    say = formats_.texts.say
    states = [
        (state.value, say(f"state.delivery.{state.value}"), mark("delivery", state.value)) for state in DeliveryState
    ]
    names = [(name, name, None) for name in destinations]
    return [
        _chip(query, "state", say("filter.state"), states, drops=("cause",)),
        _chip(query, "destination", say("filter.destination"), names, drops=("cause",)),
    ]


def mail_chips(query: Query, formats_: Formats, flows: Iterable[str]) -> list[Chip]:
    """Offer the filters of conversations."""
    say = formats_.texts.say
    marks = {"waiting": "sending", "sent": "taken"}
    wishes = [
        (one.value, say(f"mail_wish.{one.value}"), mark("mail", marks.get(one.value, one.value))) for one in MailWish
    ]
    names = [(name, name, None) for name in dict.fromkeys(flows)]
    return [
        _chip(query, "state", say("filter.state"), wishes),
        _chip(query, "box", say("mailboxes.box"), names),
    ]


_Choices = Iterable[tuple[str, Markup | str, Mark | None]]


def _chip(query: Query, name: str, label: Markup, choices: _Choices, drops: tuple[str, ...] = ()) -> Chip:
    dropped = dict.fromkeys(drops)
    found = list(choices)
    wanted = query.get(name)
    if wanted and wanted not in {value for value, _, _ in found}:
        found.append((wanted, wanted, None))
    options = tuple(
        Option(shown, query.with_(**{name: value, **dropped}), value == wanted, shape) for value, shown, shape in found
    )
    chosen = next((option.label for option in options if option.active), "")
    return Chip(name, label, chosen, query.with_(**{name: None, **dropped}), options)
