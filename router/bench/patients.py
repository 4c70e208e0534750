"""What a look-up costs among many patients: a journal is filled with fictitious ones, then messages are identified."""

from __future__ import annotations

import random
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from functools import partial
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from sqlalchemy import insert

from connectors.sandbox.people import INS_TEST_OID, ins_key
from router.bench.figures import percentile
from router.identity.candidates import candidates_of
from router.identity.matching import Matcher
from router.identity.patients import Patient, patient_tokens
from router.journal import tables
from router.journal.operations import IDENTITY_PLACE
from router.journal.sealing import make_key_file
from router.journal.store import JournalPlace, Store, open_store
from schemas.coding import Identifier
from schemas.identity import IdentityStatus, Ins, PatientIdentity, Sex

GROUP = 20_000
"""Patients in one transaction of the filling."""

BATCH = 64
"""Messages that a worker identifies at once, as in the router."""

_HOSPITAL = "urn:oid:1.2.250.1.999.35.1"
_FAMILY_NAMES = 60_000
_GIVEN_NAMES = 800
_OLDEST = date(1925, 1, 1)
_DAYS = 95 * 365


@dataclass(frozen=True, slots=True)
class LookUp:
    """One kind of look-up: how many were measured, and milliseconds for each."""

    name: str
    count: int
    p50_ms: float
    p99_ms: float
    longest_ms: float


@dataclass(frozen=True, slots=True)
class IndexFigures:
    """The whole result; `fill_seconds` is of the fast path of this bench, which is no import."""

    patients: int
    fill_seconds: float
    journal_mb: float
    look_ups: tuple[LookUp, ...]

    def as_json(self) -> dict[str, object]:
        """Give it for JSON."""
        return asdict(self)


def measure_index(patients: int, *, samples: int = 2000, say: Callable[[str], None] = lambda _: None) -> IndexFigures:
    """Fill an embedded journal with `patients` people and measure look-ups among them, none of them remembered."""
    with tempfile.TemporaryDirectory(prefix="passerelle-index-") as folder:
        place = JournalPlace.at(Path(folder))
        make_key_file(place.key_file)
        store = open_store(place)
        try:
            began = time.perf_counter()
            fill(store, patients, say)
            seconds = time.perf_counter() - began
            say(f"measuring {samples:,} look-ups of each kind")
            look_ups = tuple(_look_ups(store, patients, samples))
        finally:
            store.close()
        size = sum(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file())
    return IndexFigures(patients, round(seconds, 1), round(size / 1e6, 1), look_ups)


def fill(store: Store, patients: int, say: Callable[[str], None] = lambda _: None) -> None:
    """Put people 1 to `patients` into an empty register, many in one transaction."""
    for start in range(1, patients + 1, GROUP):
        numbers = range(start, min(start + GROUP, patients + 1))
        say(f"filling: {start - 1:,} of {patients:,} patients")
        people, tokens = [], []
        for number in numbers:
            identity = person(number)
            sealed = store.sealer.seal(identity.model_dump_json().encode(), IDENTITY_PLACE)
            people.append(
                {
                    "id": number,
                    "created_at": number,
                    "updated_at": number,
                    "in_coordination": True,
                    "sealed_identity": sealed,
                }
            )
            found = patient_tokens(store.sealer, identity)
            tokens += [{"token": token, "patient_id": number, "kind": kind} for token, kind in found.items()]
        tokens.sort(key=lambda row: int(str(row["token"])))  # neighbours of the index are written together
        with store.writing() as connection:
            connection.execute(insert(tables.patient), people)
            connection.execute(insert(tables.patient_token), tokens)


def person(number: int) -> PatientIdentity:
    """Draw one person: always the same for a number, with a family name that is the likelier the shorter it is."""
    draw = random.Random(number)
    sex = draw.choice((Sex.FEMALE, Sex.MALE))
    born = _OLDEST + timedelta(days=draw.randrange(_DAYS))
    given = tuple(_word(int(_GIVEN_NAMES * draw.random() ** 2)) for _ in range(draw.choice((1, 2, 3))))
    place = f"{draw.randrange(1, 96):02d}{draw.randrange(1, 900):03d}"
    body = f"{1 if sex is Sex.MALE else 2}{born:%y%m}{place}{number % 1000:03d}"
    return PatientIdentity(
        ins=Ins(matricule=body + ins_key(body), oid=INS_TEST_OID),
        status=IdentityStatus.QUALIFIED,
        identifiers=(Identifier(system=_HOSPITAL, value=f"IPP{number:08d}", type="PI"),),
        birth_name=f"TEST{_word(int(_FAMILY_NAMES * draw.random() ** 3))}",
        birth_given_names=given,
        first_given_name=given[0],
        birth_date=born.isoformat(),
        sex=sex,
        birth_place=place,
    )


def _word(rank: int) -> str:
    letters = ""
    while rank or not letters:
        rank, letter = divmod(rank, 26)
        letters += chr(ord("A") + letter)
    return letters


def _look_ups(store: Store, patients: int, samples: int) -> Iterator[LookUp]:
    draw = random.Random(0)
    people = [person(draw.randrange(1, patients + 1)) for _ in range(samples)]
    strangers = [person(patients + 1 + number) for number in range(samples)]
    matcher = Matcher(store.sealer, remembered=_Forgetful())
    kinds: tuple[tuple[str, list[PatientIdentity]], ...] = (
        ("known by identifier and INS", people),
        ("known by INS alone", [one.model_copy(update={"identifiers": ()}) for one in people]),
        ("same traits, no number", [one.model_copy(update={"identifiers": (), "ins": None}) for one in people]),
        ("known to nobody", strangers),
    )
    with store.reading() as connection:
        for name, identities in kinds:
            yield _measured(name, [partial(matcher.decide, connection, [(one, "")]) for one in identities])
        groups = [people[start : start + BATCH] for start in range(0, samples - BATCH + 1, BATCH)]
        rounds = [partial(matcher.decide, connection, [(one, "") for one in group]) for group in groups]
        yield _measured(f"a batch of {BATCH}, each", rounds, share=BATCH)
        changes = {"ins": None, "identifiers": ()}
        mistyped = [one.model_copy(update=changes | {"birth_name": f"{one.birth_name}X"}) for one in people]
        shown = [partial(candidates_of, connection, store.sealer, one) for one in mistyped]
        yield _measured("candidates for the desk, name mistyped", shown)


class _Forgetful(dict[tuple[int, int], Patient]):
    """Remembers nobody: each look-up opens its patients."""

    def __setitem__(self, key: tuple[int, int], value: Patient) -> None:
        """Keep nothing."""


def _measured(name: str, work: Sequence[Callable[[], object]], *, share: int = 1) -> LookUp:
    for one in work[: len(work) // 20]:
        one()
    taken = []
    for one in work:
        began = time.perf_counter()
        one()
        taken.append((time.perf_counter() - began) * 1000 / share)
    taken.sort()
    p50, p99 = percentile(taken, 0.50), percentile(taken, 0.99)
    return LookUp(name, len(taken) * share, round(p50, 3), round(p99, 3), round(taken[-1] if taken else 0.0, 3))


def print_index(figures: IndexFigures, console: Console) -> None:
    """Print the look-ups as a table."""
    title = f"{figures.patients:,} patients, {figures.journal_mb:,.0f} MB, filled in {figures.fill_seconds:,.0f} s"
    table = Table("look-up", title=title, title_justify="left", box=SIMPLE_HEAD)
    for column in ("measured", "p50, ms", "p99, ms", "longest, ms"):
        table.add_column(column, justify="right")
    for one in figures.look_ups:
        table.add_row(one.name, f"{one.count:,}", f"{one.p50_ms:.3f}", f"{one.p99_ms:.3f}", f"{one.longest_ms:.3f}")
    console.print(table)
