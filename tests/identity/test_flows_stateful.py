"""Whatever comes in whatever order, through the real engine: no INS leaves for a patient who is not qualified.

Three dossiers of two fictitious people, every kind of identity event, closed doors, replays, a person at the desk.
After each step: what left carried an INS only where the register then held it qualified; nobody was created; a merge
and its undoing leave both patients as they were.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any
from unittest import mock

import orjson
from flows_rig import (
    DOUBTFUL,
    PAUL_INS,
    PROVISIONAL,
    QUALIFIED,
    ROSE_INS,
    VALIDATED,
    Rig,
    empty_journal,
    event,
    ins_in,
    ipp,
    qualified_rose,
    report,
    rose,
)
from hypothesis import HealthCheck, settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule
from sqlalchemy import select

from router.desk.doubts import declare_doubtful, lift_doubt
from router.identity.flows_merge import undo_merge
from router.identity.patients import Patient, register
from router.identity.standing import barred
from router.journal import tables
from router.journal.actions import replay_deliveries, replay_messages
from router.journal.operations import Change
from router.journal.store import JournalPlace, open_store
from schemas.identifiers import check_matricule
from schemas.identity import Ins, PatientIdentity
from schemas.item import IdentityItem, Item

NUMBERS = st.sampled_from(["IPP1", "IPP2", "IPP3"])
STATUSES = st.sampled_from([QUALIFIED, VALIDATED, PROVISIONAL, None])
CLAIMS = st.sampled_from([None, ROSE_INS, PAUL_INS])
_TEMPLATES: list[Path] = []


def _journal(folder: Path) -> JournalPlace:
    """Give a copy of an empty journal: its migrations run once."""
    if not _TEMPLATES:
        template = Path(tempfile.mkdtemp())
        open_store(empty_journal(template)).close()
        _TEMPLATES.append(template)
    shutil.copytree(_TEMPLATES[0], folder, dirs_exist_ok=True)
    return JournalPlace.at(folder)


def _about(number: str, status: Any = None, claim: Ins | None = None, **more: Any) -> PatientIdentity:
    """Give what a sender says under a number; its traits are those of whoever has it."""
    name = "TESTPAUL" if number == "IPP3" else "TESTROSE"
    return rose(number, birth_name=name, status=status, ins=claim, **more)


def _old(ins: Ins) -> Any:
    return ipp(ins.matricule, f"urn:oid:{ins.oid}").model_copy(update={"type": "INS"})


class Flows(RuleBasedStateMachine):
    """A router between memory connectors, and a register of three dossiers."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.folder = tempfile.TemporaryDirectory()
        self.rig = Rig(_journal(Path(self.folder.name)))
        found = {"memory": self.rig.connector()}
        self.patched = mock.patch("router.engine.engine.connectors", return_value=found)
        self.patched.start()
        self.run(self.rig.start())
        self.seen = 0
        self.count = 0
        self.remembered: dict[int, dict[str, Any]] = {}

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.loop.run_until_complete(work)

    def teardown(self) -> None:
        self.run(asyncio.sleep(0.02))
        self.run(self.rig.stop())
        self.run(self.loop.shutdown_default_executor())
        self.loop.close()
        self.patched.stop()
        self.folder.cleanup()

    @initialize(second=st.sampled_from([VALIDATED, PROVISIONAL]))
    def people(self, second: Any) -> None:
        self.run(self.rig.know(qualified_rose("IPP1")))
        self.run(self.rig.know(_about("IPP2", second), in_coordination=False))
        self.run(self.rig.know(_about("IPP3", QUALIFIED, PAUL_INS)))

    # --- what happens -----------------------------------------------------------------------------------------------

    def step(self, work: Callable[[], Coroutine[Any, Any, Any]]) -> None:
        before = self.dossiers()
        self.run(work())
        self.run(self.rig.settle())
        after = self.dossiers()
        assert set(after) == set(before), "a message creates nobody"
        for name, parcel in self.rig.sent[self.seen :]:
            for number, matricule in _ins_of(name, parcel.content):
                owners = [*_owners(before, number), *_owners(after, number)]
                assert any(
                    not barred(one.identity)
                    and one.identity.ins is not None
                    and one.identity.ins.matricule == matricule
                    for one in owners
                ), f"an INS left for {number}, who is not qualified with it"
        self.seen = len(self.rig.sent)

    def dossiers(self) -> dict[int, Patient]:
        return {row.id: self.rig.patient(row.id) for row in self.rig.rows(tables.patient)}

    def receive(self, *items: Item) -> None:
        self.step(lambda: self.rig.submit(*items))

    def next(self) -> int:
        self.count += 1
        return self.count

    @rule(number=NUMBERS, status=STATUSES, claim=CLAIMS, times=st.integers(1, 3))
    def report_arrives(self, number: str, status: Any, claim: Ins | None, times: int) -> None:
        self.receive(*(report(self.next(), _about(number, status, claim)) for _ in range(times)))

    @rule(number=NUMBERS, status=STATUSES, claim=CLAIMS, doubt=st.booleans(), removes=st.booleans(), also=NUMBERS)
    def update_arrives(
        self, number: str, status: Any, claim: Ins | None, doubt: bool, removes: bool, also: str
    ) -> None:
        more: dict[str, Any] = {"attributes": (DOUBTFUL,) if doubt else (), "deleted": ("ins",) if removes else ()}
        sent = _about(number, status, None if removes else claim, used_name=f"TEST{also}", **more)
        later = report(self.next(), _about(number))
        self.receive(event(self.next(), "updated", "A31", sent), later)

    @rule(number=NUMBERS, old=st.sampled_from([ROSE_INS, PAUL_INS]), new=st.booleans())
    def ins_changes(self, number: str, old: Ins, new: bool) -> None:
        body = f"27903512150{self.next() % 100:02d}"
        fresh = Ins(matricule=body + (check_matricule(body).key or ""), oid=old.oid) if new else None
        sent = _about(number, QUALIFIED if new else VALIDATED, fresh, deleted=() if new else ("ins",))
        name = "identifier_changed"
        changed = event(self.next(), name, "A47", sent, absorbed=(_old(old),), ins_removed=not new)
        self.receive(report(self.next(), _about(number)), changed, report(self.next(), _about(number)))

    def _merge(self, survivor: str, absorbed: str) -> IdentityItem:
        return event(self.next(), "merged", "A40", _about(survivor), absorbed=(ipp(absorbed),))

    @rule(survivor=NUMBERS, absorbed=NUMBERS)
    def merge_arrives(self, survivor: str, absorbed: str) -> None:
        self.receive(self._merge(survivor, absorbed), report(self.next(), _about(absorbed)))

    @rule(survivor=NUMBERS, absorbed=NUMBERS)
    def merge_is_undone_at_once(self, survivor: str, absorbed: str) -> None:
        before, merges = self.dossiers(), len(self.rig.rows(tables.patient_merge))
        self.receive(self._merge(survivor, absorbed))
        if len(self.rig.rows(tables.patient_merge)) == merges:
            return
        newest = self.rig.rows(tables.patient_merge)[-1].id
        self.step(lambda: self.rig.apply(undo_merge(newest, actor="claire", why="", now=1)))
        after = self.dossiers()
        assert {number: (one.identity, one.merged_into, one.in_coordination) for number, one in before.items()} == {
            number: (one.identity, one.merged_into, one.in_coordination) for number, one in after.items()
        }

    @rule()
    def last_merge_is_undone(self) -> None:
        standing = [row.id for row in self.rig.rows(tables.patient_merge) if row.undone_at is None]
        if standing:
            self.step(lambda: self.rig.apply(undo_merge(standing[-1], actor="claire", why="", now=1)))

    @rule(number=NUMBERS)
    def person_doubts_or_is_reassured(self, number: str) -> None:
        owners = _owners(self.dossiers(), number)
        if not owners:
            return
        known = owners[0].id

        def change(unit: Any) -> None:
            if known in self.remembered:
                lift_doubt(unit, known, self.remembered.pop(known), now=1)
            else:
                self.remembered[known] = declare_doubtful(unit, known, now=1)

        self.step(lambda: self.rig.apply(Change(change)))

    @rule(number=NUMBERS, status=st.sampled_from([QUALIFIED, VALIDATED]))
    def register_changes(self, number: str, status: Any) -> None:
        ins = None if status is VALIDATED or number == "IPP2" else PAUL_INS if number == "IPP3" else ROSE_INS
        identity = _about(number, VALIDATED if ins is None else QUALIFIED, ins)
        self.step(lambda: self.rig.apply(register(identity, in_coordination=True, now=1)))

    @rule(opened=st.booleans())
    def doors(self, opened: bool) -> None:
        async def turn() -> None:
            self.rig.open = opened

        self.step(turn)

    @rule(what=st.booleans())
    def everything_is_replayed(self, what: bool) -> None:
        with self.rig.engine.store.reading() as connection:
            table = tables.delivery if what else tables.message
            ids = list(connection.execute(select(table.c.id)).scalars())
        replay = replay_deliveries if what else replay_messages
        self.step(lambda: self.rig.apply(replay(ids, actor="claire", now=1)))


def _owners(dossiers: dict[int, Patient], number: str) -> list[Patient]:
    found = [one for one in dossiers.values() if ipp(number) in one.identity.identifiers]
    return [dossiers[one.merged_into] if one.merged_into is not None else one for one in found]


def _ins_of(destination: str, content: bytes) -> list[tuple[str, str]]:
    """Give (IPP, matricule) of each patient whom a parcel names with an INS of their own."""
    if destination == "tool":
        patients = [item["patient"] for item in orjson.loads(content)["items"]]
        return [
            (identifier["value"], patient["ins"]["matricule"])
            for patient in patients
            if patient["ins"] is not None
            for identifier in patient["identifiers"][:1]
        ]
    [known] = [line.split("|")[3] for line in content.decode().split("\r") if line.startswith("PID|")]
    number = next(value for one in known.split("~") if (value := one.split("^")[0]).startswith("IPP"))
    return [(number, matricule) for matricule in ins_in(destination, content)]


TestFlows = Flows.TestCase
TestFlows.settings = settings(
    max_examples=14,
    stateful_step_count=12,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
