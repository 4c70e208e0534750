"""Identification over the real engine: what it keeps of a decision, its policy, and registrations at the same time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import func, select

from router.config.load import Loaded
from router.config.model import IdentitySection
from router.dossier.dossiers import open_dossier
from router.dossier.keeping import By
from router.identity.patients import Registration, register
from router.identity.reindexing import VERSION
from router.journal import tables
from router.journal.store import Store, open_store
from router.journal.unit import Unit
from schemas.actors import Organization
from schemas.coding import Identifier
from schemas.identity import PatientIdentity, Sex
from schemas.item import ItemSet, LabReportItem, Provenance
from schemas.lab import LabReport


def rose(number: str, **changes: object) -> PatientIdentity:
    identity = PatientIdentity(
        identifiers=(Identifier(system="urn:x-authority:FICTIVE", value=number, type="PI"),),
        birth_name="TESTROSE",
        first_given_name="MARIE",
        birth_date="1979-03-05",
        sex=Sex.FEMALE,
        birth_place="35238",
    )
    return identity.model_copy(update=changes)


async def send(rig: Any, number: int, patient: PatientIdentity) -> None:
    source = Provenance(format="canonical", where="test")
    item = LabReportItem(id=f"item{number}", patient=patient, source=source, content=LabReport(report_id=f"R{number}"))
    await rig.submit_bytes(ItemSet(items=(item,)).model_dump_json().encode(), f"C{number}")


def items(store: Store) -> list[tuple[str, str | None, str | None, str | None, int | None]]:
    column = tables.item.c
    wanted = select(column.state, column.reason, column.decision, column.candidates, column.patient_id)
    with store.reading() as connection:
        return [tuple(row) for row in connection.execute(wanted.order_by(column.id))]


def patients(store: Store) -> int:
    with store.reading() as connection:
        count: int = connection.execute(select(func.count()).select_from(tables.patient)).scalar_one()
    return count


async def test_an_item_keeps_the_row_that_decided_and_whom_it_may_be_about(rig: Any) -> None:
    await rig.engine.submit(register(rose("IPP-1"), in_coordination=True, now=1))
    await send(rig, 1, rose("IPP-1"))
    await send(rig, 2, rose("IPP-OF-ANOTHER-HOSPITAL"))
    await send(rig, 3, rose("IPP-3", birth_name="TESTINCONNUE"))
    await rig.until(lambda: len(items(rig.engine.store)) == 3)
    assert items(rig.engine.store) == [
        ("routed", None, "R9", None, 1),
        ("held", "traits_only", "R16", "1", None),
        ("held", "no_match", "R17", None, None),
    ]
    await rig.engine.submit(register(rose("IPP-3", birth_name="TESTINCONNUE"), in_coordination=True, now=2))
    await rig.until(lambda: items(rig.engine.store)[2] == ("routed", None, "R9", None, 2))


@pytest.fixture
async def national(make_rig: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Any]:
    """A rig whose configuration says `[identity] policy = "rniv"`."""
    rig = make_rig()
    usual = rig.loaded

    def loaded() -> Loaded:
        made: Loaded = usual()
        identity = IdentitySection(policy="rniv")
        return replace(made, configuration=made.configuration.model_copy(update={"identity": identity}))

    monkeypatch.setattr(rig, "loaded", loaded)
    await rig.start()
    yield rig
    await rig.stop()


async def test_the_national_policy_wants_every_strict_trait(national: Any) -> None:
    await national.engine.submit(register(rose("IPP-1"), in_coordination=True, now=1))
    await send(national, 1, rose("IPP-1", birth_place=None))
    await send(national, 2, rose("IPP-1", first_given_name=None))
    await national.until(lambda: len(items(national.engine.store)) == 2)
    assert items(national.engine.store) == [
        ("routed", None, "15", None, 1),
        ("held", "trait_missing", "16a", "1", None),
    ]


async def test_messages_and_registrations_of_one_person_at_once_never_make_two(rig: Any) -> None:
    """Through the engine's writer and, as other processes do, beside it."""

    def beside(now: int) -> Registration:
        with rig.engine.store.writing() as connection:
            unit = Unit(connection, rig.engine.store.sealer.clone())
            done = register(rose("IPP-1"), in_coordination=True, now=now).apply(unit)
            unit.flush()
        return done

    done = await asyncio.gather(
        *(send(rig, number, rose("IPP-1")) for number in range(20)),
        *(rig.engine.submit(register(rose("IPP-1"), in_coordination=True, now=now)) for now in range(100, 110)),
        *(asyncio.to_thread(beside, now) for now in range(200, 205)),
        *(send(rig, number, rose("IPP-1")) for number in range(20, 40)),
    )
    registrations = [one for one in done if isinstance(one, Registration)]
    assert len(registrations) == 15
    assert sum(one.created for one in registrations) == 1
    assert {(one.patient_id, one.conflict) for one in registrations} == {(1, False)}
    await rig.until(lambda: [one[4] for one in items(rig.engine.store)] == [1] * 40)
    assert patients(rig.engine.store) == 1


async def test_patients_of_an_earlier_version_are_found_by_their_traits_too(make_rig: Callable[..., Any]) -> None:
    rig = make_rig()
    row = tables.patient_token.c
    people = [rose(f"IPP-{number}", birth_date=f"1979-03-{number % 28 + 1:02d}") for number in range(205)]
    store = open_store(rig.place)
    with store.writing() as connection:
        unit = Unit(connection, store.sealer)
        for one in people:
            register(one, in_coordination=True, now=1).apply(unit)
        whole = connection.execute(select(func.count()).select_from(tables.patient_token)).scalar()
        connection.execute(tables.patient_token.delete().where(row.kind.in_(("traits", "near"))))
        connection.execute(tables.setting.delete().where(tables.setting.c.name == "patient_index"))
    store.close()
    await rig.start()
    store = rig.engine.store
    try:
        await rig.until(lambda: setting(store, "patient_index") == VERSION)
        with store.reading() as connection:
            assert connection.execute(select(func.count()).select_from(tables.patient_token)).scalar() == whole
        await send(rig, 1, rose("IPP-ELSEWHERE", birth_date="1979-03-08"))
        await rig.until(lambda: len(items(store)) == 1)
        assert items(store)[0][1] == "homonyms"
    finally:
        await rig.stop()


def setting(store: Store, name: str) -> str | None:
    with store.reading() as connection:
        return connection.execute(select(tables.setting.c.value).where(tables.setting.c.name == name)).scalar()


async def test_a_dossier_that_is_opened_while_the_router_runs_is_told_of_what_comes_next(rig: Any) -> None:
    """Workers work nothing out for dossiers while nobody has one; opening one looks at what came before."""
    known = await rig.engine.submit(register(rose("IPP-1"), in_coordination=True, now=1))
    await send(rig, 1, rose("IPP-1"))
    await rig.until(lambda: len(items(rig.engine.store)) == 1)
    await rig.engine.submit(open_dossier(known.patient_id, Organization(name="DAC FICTIF"), by=By("claire", 2)))
    await send(rig, 2, rose("IPP-1"))
    await rig.until(lambda: len(items(rig.engine.store)) == 2)
    with rig.engine.store.reading() as connection:
        entries = list(connection.execute(select(tables.dossier_entry.c.item_id)).scalars())
        numbers = list(connection.execute(select(tables.item.c.id)).scalars())
    assert sorted(entries) == sorted(numbers)
