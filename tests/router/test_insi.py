"""INSi seen from the router: queries, what is written down, verification after a while, certificates."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TypeVar

import pytest
from sqlalchemy import Table, func, select

from connectors.ins.client import InsiClient
from connectors.ins.sandbox import InsiSandbox, Insured, Mood
from connectors.ins.settings import InsiSettings
from connectors.ins.verifying import Verdict, Verification
from connectors.sandbox.people import INS_TEST_OID, ROSE, Person
from router.engine.clock import micros
from router.engine.housekeeping import purge_calls
from router.engine.reverification import Reverification
from router.identity.insi import Insi, InsiResult, UnknownPatient
from router.identity.insi_records import Accepted, Recorded, accept, record_verification
from router.identity.patients import ins_token, load_patients, look_up, register
from router.journal import tables
from router.journal.operations import Operation
from router.journal.store import Store
from router.journal.unit import Unit
from schemas.coding import Identifier
from schemas.identity import IdentityAttribute, IdentityStatus, Ins, PatientIdentity, Sex

R = TypeVar("R")
START = datetime(2030, 1, 1, tzinfo=UTC)
PERIOD = timedelta(days=1000)


def identity_of(person: Person, number: int = 1, **changes: object) -> PatientIdentity:
    return PatientIdentity(
        ins=Ins(matricule=person.matricule, oid=INS_TEST_OID),
        status=IdentityStatus.QUALIFIED,
        identifiers=(Identifier(system="urn:x-authority:FICTIVE", value=f"IPP-{number}", type="PI"),),
        birth_name=person.birth_name,
        birth_given_names=person.birth_given_names,
        first_given_name=person.given_name,
        birth_date=person.birth_date.isoformat(),
        sex=Sex(person.sex),
        birth_place=person.birth_place,
    ).model_copy(update=changes)


@dataclass
class Desk:
    """A journal, the sandbox, and the router's access to it on a clock of the test's."""

    store: Store
    sandbox: InsiSandbox
    at: datetime = START
    woken: list[None] = field(default_factory=list)
    insi: Insi = field(init=False)

    def __post_init__(self) -> None:
        self.insi = self.access()

    def access(self, environment: str | None = None) -> Insi:
        settings = InsiSettings(
            url=self.sandbox.url,
            authorisation="T",
            emitter="10B0000000",
            per_minute=6000,
            attempts=1,
            breaker_failures=3,
        )
        client = InsiClient(settings, now=self.now)
        return Insi(settings, self.store, self.submit, now=self.now, environment=environment, client=client)

    def now(self) -> datetime:
        return self.at

    async def submit(self, operation: Operation[R]) -> R:
        with self.store.writing() as connection:
            unit = Unit(connection, self.store.sealer)
            result = operation.apply(unit)
            unit.flush()
        return result

    async def know(self, identity: PatientIdentity) -> int:
        done = await self.submit(register(identity, in_coordination=True, now=micros(self.at)))
        return done.patient_id

    def identity(self, number: int) -> PatientIdentity:
        with self.store.reading() as connection:
            return load_patients(connection, self.store.sealer, [number])[number].identity

    def count(self, table: Table) -> int:
        with self.store.reading() as connection:
            return connection.execute(select(func.count()).select_from(table)).scalar_one()

    def verdicts(self) -> dict[int, str]:
        row = tables.insi_verification.c
        with self.store.reading() as connection:
            return dict([tuple(one) for one in connection.execute(select(row.patient_id, row.verdict))])

    def reverification(self, batch: int = 5) -> Reverification:
        return Reverification(
            self.insi,
            self.store,
            self.submit,
            period=PERIOD,
            batch=batch,
            now=self.now,
            wake=lambda: self.woken.append(None),
        )


@pytest.fixture
async def desk(store: Store) -> AsyncIterator[Desk]:
    async with InsiSandbox((ROSE,)) as sandbox:
        made = Desk(store, sandbox)
        yield made
        await made.insi.close()


PROVISIONAL = {"ins": None, "status": IdentityStatus.PROVISIONAL}


async def test_a_patient_is_found_and_every_call_is_kept(desk: Desk) -> None:
    number = await desk.know(identity_of(ROSE, **PROVISIONAL))
    answer = await desk.insi.query(number, actor="camille")
    assert answer.result is InsiResult.FOUND
    assert answer.found is not None
    assert answer.found.current.ins.matricule == ROSE.matricule
    with desk.store.reading() as connection:
        [call] = connection.execute(select(tables.insi_call)).all()
    assert (call.purpose, call.actor, call.patient_id, call.code, call.status) == (
        "query",
        "camille",
        number,
        "00",
        200,
    )
    assert len(call.message_id) == 36
    assert desk.identity(number).ins is None, "a query writes nothing but its trace"


async def test_a_person_found_is_accepted_byte_for_byte(desk: Desk) -> None:
    asked = identity_of(ROSE, **PROVISIONAL, birth_name="Testrose", birth_place=None, birth_given_names=("Rose",))
    number = await desk.know(asked)
    answer = await desk.insi.query(number, actor="camille")
    assert answer.found is not None
    done = await desk.submit(accept(number, answer.found, actor="camille", now=micros(desk.at) + 1))
    assert done is Accepted.DONE
    kept = desk.identity(number)
    assert kept.status is IdentityStatus.RETRIEVED
    assert kept.ins == Ins(matricule=ROSE.matricule, oid=INS_TEST_OID)
    assert (kept.birth_name, kept.birth_given_names) == ("TESTROSE", ("ROSE", "MARIE"))
    assert (kept.first_given_name, kept.birth_place) == ("ROSE", "35238")
    assert desk.verdicts() == {number: "ok"}
    with desk.store.reading() as connection:
        sealed = connection.execute(select(tables.insi_verification.c.sealed_reply)).scalar_one()
    assert sealed is not None
    assert b"TESTROSE" not in sealed


async def test_a_validated_identity_becomes_qualified(desk: Desk) -> None:
    number = await desk.know(identity_of(ROSE, ins=None, status=IdentityStatus.VALIDATED))
    answer = await desk.insi.query(number, actor="camille")
    assert answer.found is not None
    await desk.submit(accept(number, answer.found, actor="camille", now=micros(desk.at) + 1))
    assert desk.identity(number).status is IdentityStatus.QUALIFIED


async def test_a_different_person_is_never_accepted(desk: Desk) -> None:
    number = await desk.know(identity_of(ROSE, **PROVISIONAL))
    desk.sandbox.mood = Mood.STRANGER
    answer = await desk.insi.query(number, actor="camille")
    assert answer.result is InsiResult.DIFFERENT
    assert answer.comparison is not None
    assert "birth_name" in answer.comparison.different
    assert answer.found is not None
    assert await desk.submit(accept(number, answer.found, actor="camille", now=1)) is Accepted.CHANGED
    assert desk.identity(number) == identity_of(ROSE, **PROVISIONAL)


async def test_an_ins_that_another_patient_has_is_not_given_twice(desk: Desk) -> None:
    await desk.know(identity_of(ROSE))
    number = await desk.know(identity_of(ROSE, 2, **PROVISIONAL))
    answer = await desk.insi.query(number, actor="camille")
    assert answer.found is not None
    assert await desk.submit(accept(number, answer.found, actor="camille", now=1)) is Accepted.HELD_BY_ANOTHER
    assert desk.identity(number).ins is None


async def test_former_matricules_are_remembered(desk: Desk) -> None:
    person = PatientIdentity(
        birth_name="ECETINSI", birth_given_names=("PIERRE-ALAIN",), birth_date="2009-07-14", sex=Sex.MALE
    )
    number = await desk.know(person)
    answer = await desk.insi.query(number, actor="camille")
    assert answer.found is not None
    await desk.submit(accept(number, answer.found, actor="camille", now=micros(desk.at) + 1))
    assert desk.identity(number).birth_given_names == ("PIERRE-ALAIN", "MURIEL", "FLORIANT")
    with desk.store.reading() as connection:
        token = ins_token(desk.store.sealer, "209076322083439")
        assert look_up(connection, [token]).former == {token: {number}}


@pytest.mark.parametrize(
    ("changes", "mood", "result"),
    [
        ({"attributes": (IdentityAttribute.DOUBTFUL,)}, Mood.WELL, InsiResult.BLOCKED),
        ({"attributes": (IdentityAttribute.FICTITIOUS,)}, Mood.WELL, InsiResult.BLOCKED),
        ({"birth_name": None, "used_name": "TESTROSE"}, Mood.WELL, InsiResult.INSUFFICIENT),
        ({"birth_name": "TESTPERSONNE"}, Mood.WELL, InsiResult.NONE),
        ({}, Mood.SEVERAL, InsiResult.SEVERAL),
        ({}, Mood.TECHNICAL, InsiResult.UNAVAILABLE),
        ({}, Mood.HTML, InsiResult.UNAVAILABLE),
        ({}, Mood.DOWN, InsiResult.UNAVAILABLE),
        ({}, Mood.UNKNOWN_SOFTWARE, InsiResult.REFUSED),
    ],
)
async def test_results(desk: Desk, changes: dict[str, object], mood: Mood, result: InsiResult) -> None:
    desk.sandbox.mood = mood
    answer = await desk.insi.query(identity_of(ROSE, **changes), actor="camille")
    assert answer.result is result
    assert answer.found is None
    assert desk.count(tables.insi_call) == answer.calls == desk.sandbox.calls


async def test_an_ins_of_another_environment_is_said(desk: Desk) -> None:
    for environment, result in (("production", InsiResult.OTHER_ENVIRONMENT), ("test", InsiResult.FOUND)):
        insi = desk.access(environment)
        assert (await insi.query(identity_of(ROSE), actor="camille")).result is result
        await insi.close()


async def test_without_a_configuration_nothing_is_asked(desk: Desk) -> None:
    insi = Insi(None, desk.store, desk.submit, now=desk.now)
    assert (await insi.query(identity_of(ROSE), actor="x")).result is InsiResult.NOT_CONFIGURED
    with pytest.raises(UnknownPatient):
        await insi.query(404, actor="x")


# --- verification after a while ---------------------------------------------------------------------------------


async def test_an_ins_is_verified_once_and_again_after_the_period(desk: Desk) -> None:
    number = await desk.know(identity_of(ROSE))
    rounds = desk.reverification()
    assert [await rounds.run() for _ in range(3)] == [1, 0, 0]
    assert desk.verdicts() == {number: "ok"}
    desk.at += PERIOD - timedelta(minutes=1)
    assert await rounds.run() == 0
    desk.at += timedelta(minutes=1)
    assert await rounds.run() == 1
    assert desk.identity(number).status is IdentityStatus.QUALIFIED
    assert not desk.woken


async def test_only_confirmed_identities_are_verified(desk: Desk) -> None:
    for number, changes in enumerate(
        (
            {"ins": None},
            {"status": IdentityStatus.PROVISIONAL},
            {"status": IdentityStatus.VALIDATED},
            {"attributes": (IdentityAttribute.DOUBTFUL,)},
        )
    ):
        ins = Ins(matricule=f"{number}" * 15, oid=INS_TEST_OID)
        await desk.know(identity_of(ROSE, number, **{"ins": ins, **changes}))
    assert await desk.reverification().run() == 0
    assert desk.sandbox.calls == 0


@pytest.mark.parametrize(
    ("status", "after"),
    [
        (IdentityStatus.QUALIFIED, IdentityStatus.VALIDATED),
        (IdentityStatus.RETRIEVED, IdentityStatus.PROVISIONAL),
    ],
)
async def test_an_ins_that_insi_no_longer_confirms_is_taken_back(
    desk: Desk, status: IdentityStatus, after: IdentityStatus
) -> None:
    number = await desk.know(identity_of(ROSE, status=status))
    desk.sandbox.people = [one for one in desk.sandbox.people if one.matricule != ROSE.matricule]
    rounds = desk.reverification()
    assert await rounds.run() == 1
    assert desk.identity(number).status is after
    assert desk.verdicts() == {number: "ko"}
    with desk.store.reading() as connection:
        [notice] = connection.execute(select(tables.notice)).all()
        [task] = connection.execute(select(tables.identity_task)).all()
        audits = connection.execute(select(tables.audit.c.action, tables.audit.c.target)).all()
    assert (notice.code, notice.where_) == ("identity.ins.not_confirmed", f"patient {number}")
    assert "TESTROSE" not in notice.message
    assert (task.kind, task.patient_id) == ("ins_not_confirmed", number)
    assert ("verify INS", f"patient {number}") in [tuple(row) for row in audits]
    desk.at += timedelta(days=5000)
    assert await rounds.run() == 0, "a person has to look: it is not asked again"


async def test_another_matricule_is_a_negative_verification(desk: Desk) -> None:
    other = Ins(matricule="238053523800197", oid=INS_TEST_OID)
    number = await desk.know(identity_of(ROSE, ins=other))
    await desk.reverification().run()
    assert desk.verdicts() == {number: "ko"}
    assert desk.identity(number).status is IdentityStatus.VALIDATED
    assert desk.identity(number).ins == other, "the number stays, for the officer to see"


async def test_what_insi_does_not_say_changes_nothing_and_is_asked_again_after_a_day(desk: Desk) -> None:
    number = await desk.know(identity_of(ROSE))
    desk.sandbox.mood = Mood.SEVERAL
    rounds = desk.reverification()
    assert await rounds.run() == 1
    assert desk.verdicts() == {number: "unknown"}
    assert desk.identity(number) == identity_of(ROSE)
    assert await rounds.run() == 0
    desk.at += timedelta(days=1)
    desk.sandbox.mood = Mood.WELL
    assert await rounds.run() == 1
    assert desk.verdicts() == {number: "ok"}


def insured(number: int) -> tuple[Insured, PatientIdentity]:
    name = f"TEST{chr(65 + number)}"
    matricule = f"2380535{number:06d}00"
    ins = Insured(name, ("ROSE",), "F", "1938-05-12", "35238", matricule, INS_TEST_OID)
    identity = identity_of(ROSE, number, birth_name=name, birth_given_names=("ROSE",))
    return ins, identity.model_copy(update={"ins": Ins(matricule=matricule, oid=INS_TEST_OID)})


async def test_a_trouble_ends_the_round_and_the_next_begins_there(desk: Desk) -> None:
    people = [insured(number) for number in range(12)]
    desk.sandbox.people += [one for one, _ in people]
    for _, identity in people:
        await desk.know(identity)
    rounds = desk.reverification(batch=5)
    assert await rounds.run() == 5
    desk.sandbox.mood = Mood.TECHNICAL
    before = desk.sandbox.calls
    for _ in range(20):
        await rounds.run()
    assert desk.sandbox.calls - before == 3, "the breaker opens: no storm"
    assert len(desk.verdicts()) == 5
    desk.sandbox.mood = Mood.WELL
    await desk.insi.close()
    desk.insi = desk.access()
    again = desk.reverification(batch=5)
    assert [await again.run() for _ in range(3)] == [5, 2, 0]
    assert set(desk.verdicts().values()) == {"ok"}


async def test_a_verification_of_a_former_ins_is_not_recorded(desk: Desk) -> None:
    number = await desk.know(identity_of(ROSE))
    former = Ins(matricule="1" * 15, oid=INS_TEST_OID)
    done = await desk.submit(
        record_verification(number, former, Verification(Verdict.KO, "insi.nobody"), actor="x", now=1)
    )
    assert done == Recorded(current=False)
    assert desk.identity(number).status is IdentityStatus.QUALIFIED
    assert desk.verdicts() == {}


async def test_traces_are_forgotten_after_the_retention(desk: Desk) -> None:
    await desk.insi.query(identity_of(ROSE), actor="x")
    with desk.store.writing() as connection:
        unit = Unit(connection, desk.store.sealer)
        assert purge_calls(unit, micros(START)) == 0
        assert purge_calls(unit, micros(START) + 1) == 1
