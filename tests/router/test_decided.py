"""What a person attached flows on: in the order of reception, under the patient decided, also after a restart."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import orjson
import pytest
from sqlalchemy import select

from connectors.contracts import Delivered, Parcel, Retry
from router.desk.deciding import Decide
from router.desk.leaving import attached_by_person
from router.desk.reasons import Why
from router.desk.undoing import UNDONE, Undo
from router.journal import tables
from router.journal.decisions import DeskAction
from schemas.coding import Identifier
from schemas.finding import Finding, Severity
from schemas.identity import IdentityStatus, Ins, PatientIdentity
from schemas.item import LabReportItem, Provenance
from schemas.lab import LabReport

pytestmark = pytest.mark.timeout(60)


async def held(rig: Any, count: int) -> list[int]:
    await rig.until(lambda: rig.states(tables.item).get("held", 0) == count)
    with rig.engine.store.reading() as connection:
        found = select(tables.item.c.id).where(tables.item.c.state == "held").order_by(tables.item.c.id)
        return list(connection.execute(found).scalars())


async def attach(rig: Any, *items: int, patient: int = 1, now: int = 5) -> int:
    decided = await rig.engine.submit(Decide(DeskAction.ATTACH, items, "claire", Why.TRAITS, now, patient))
    rig.engine.wake()
    assert decided.refusal is None
    return int(decided.decision_id)


async def undo(rig: Any, decision: int, now: int) -> Any:
    undone = await rig.engine.submit(Undo(decision, "claire", Why.MISTAKE, now))
    rig.engine.wake()
    return undone


async def test_attached_items_leave_in_the_order_of_their_messages(
    rig: Any, rank_of: Callable[[Parcel], tuple[str, int]]
) -> None:
    await rig.know("KNOWN")
    for number in range(1, 8):
        await rig.submit(number, "STRANGER")
    items = await held(rig, 7)
    await attach(rig, items[3], items[6], items[0], *items)
    await rig.until(lambda: len(rig.sent) == 7)
    assert [rank_of(parcel)[1] for parcel in rig.sent] == list(range(1, 8))
    identifiers = orjson.loads(rig.sent[0].content)["items"][0]["patient"]["identifiers"]
    assert {one["value"] for one in identifiers} == {"IPP-STRANGER", "IPP-KNOWN"}
    assert rig.states(tables.item) == {"routed": 7}
    assert rig.states(tables.message) == {"processed": 7}


async def test_a_decision_taken_while_the_router_was_away_is_carried_out(make_rig: Callable[..., Any]) -> None:
    rig = make_rig()
    await rig.start()
    await rig.know("KNOWN")
    await rig.submit(1, "STRANGER")
    (item,) = await held(rig, 1)
    await rig.stop()

    from router.journal.store import open_store
    from router.journal.unit import Unit

    store = open_store(rig.place)
    with store.writing() as connection:
        unit = Unit(connection, store.sealer)
        Decide(DeskAction.ATTACH, (item,), "claire", Why.TRAITS, 5, 1).apply(unit)
        unit.flush()
    store.close()
    await rig.start()
    await rig.until(lambda: len(rig.sent) == 1)
    await rig.stop()


async def test_an_alarm_is_lifted_by_a_person_only(rig: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    finding = Finding(severity=Severity.ERROR, code="document.other_patient", where="x", message="somebody else")
    from mappings.canonical import FORMAT

    real = type(FORMAT).read

    def read(self: Any, content: bytes, context: Any) -> Any:
        from dataclasses import replace

        return replace(real(self, content, context), findings=(finding,))

    monkeypatch.setattr(type(FORMAT), "read", read)
    await rig.know("KNOWN")
    await rig.submit(1, "KNOWN")
    (item,) = await held(rig, 1)
    await rig.know("OTHER", now=9)
    await asyncio.sleep(1.2)
    assert rig.sent == []
    await attach(rig, item)
    await rig.until(lambda: len(rig.sent) == 1)


async def test_undoing_cancels_what_is_open_and_sends_anew_under_another_identity(make_rig: Callable[..., Any]) -> None:
    rig = make_rig()
    rig.retry = rig.retry.model_copy(update={"first_delay": 30.0, "max_delay": 30.0})
    await rig.start()
    await rig.know("KNOWN", "RIGHT")
    rig.answer = lambda _: Retry("not now")
    await rig.submit(1, "STRANGER")
    (item,) = await held(rig, 1)
    decision = await attach(rig, item, patient=1, now=5)
    await rig.until(lambda: len(rig.tried) == 1)
    await rig.until(lambda: rig.states(tables.delivery) == {"retrying": 1})
    assert (await undo(rig, decision, 6)).cancelled == 1
    assert rig.states(tables.item) == {"held": 1}
    rig.answer = lambda _: Delivered(acknowledged=True)
    await attach(rig, item, patient=2, now=7)
    await rig.until(lambda: len(rig.sent) == 1)
    await rig.until(lambda: rig.states(tables.delivery) == {"cancelled": 1, "acknowledged": 1})
    assert rig.tried[0].identity != rig.sent[0].identity, "the receiver must not take it for a retry"
    assert b"IPP-RIGHT" in rig.sent[0].content
    assert b"IPP-KNOWN" not in rig.sent[0].content
    await rig.stop()


async def test_what_was_on_its_way_when_it_was_undone_is_marked(rig: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    gate, started = asyncio.Event(), asyncio.Event()
    destination = rig.engine._destinations["tool"]._destination

    async def send(parcel: Parcel) -> Any:
        started.set()
        await gate.wait()
        rig.sent.append(parcel)
        return Delivered()

    monkeypatch.setattr(destination, "send", send)
    await rig.know("KNOWN")
    await rig.submit(1, "STRANGER")
    (item,) = await held(rig, 1)
    now = int(rig.engine._now().timestamp() * 1_000_000)
    decision = await attach(rig, item, now=now)
    await started.wait()
    undone = await undo(rig, decision, now + 1)
    assert (undone.cancelled, undone.left) == (1, 0)
    gate.set()

    def noticed() -> list[str]:
        with rig.engine.store.reading() as connection:
            return list(connection.execute(select(tables.notice.c.code)).scalars())

    await rig.until(lambda: UNDONE in noticed())
    assert rig.states(tables.delivery) == {"delivered": 1}
    assert rig.states(tables.item) == {"held": 1}


# --- what leaves ----------------------------------------------------------------------------------------------------

TEST_INS, OWN_INS = (Ins(matricule=one, oid="1.2.250.1.213.1.4.10") for one in ("238053523800024", "180017505600004"))
IPP = Identifier(system="urn:oid:1.2.3", value="IPP1", type="PI")


def leaving(sent: PatientIdentity, known: PatientIdentity) -> PatientIdentity:
    item = LabReportItem(
        id="a" * 32, patient=sent, source=Provenance(format="canonical", where="test"), content=LabReport()
    )
    return attached_by_person(item, known).patient


def test_the_ins_of_another_never_leaves_under_a_persons_decision() -> None:
    sent = PatientIdentity(ins=TEST_INS, status=IdentityStatus.QUALIFIED, birth_name="TESTROSE")
    known = PatientIdentity(identifiers=(IPP,), birth_name="TESTROSE")
    left = leaving(sent, known)
    assert (left.ins, left.status, left.birth_name, left.identifiers) == (None, None, "TESTROSE", (IPP,))


def test_the_registers_own_ins_takes_its_place_when_it_is_qualified() -> None:
    sent = PatientIdentity(ins=TEST_INS, status=IdentityStatus.QUALIFIED, birth_name="TESTROZE")
    known = PatientIdentity(ins=OWN_INS, status=IdentityStatus.QUALIFIED, birth_name="TESTROSE")
    left = leaving(sent, known)
    assert (left.ins, left.status, left.birth_name) == (OWN_INS, IdentityStatus.QUALIFIED, "TESTROSE")
    assert leaving(known, known) == known
