"""Subscriptions: handshake, numbers, order, retries, rights; nothing is told that may not be read."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pytest
from dossier_scene import doctor, nurse
from fhir_samples import note
from fhir_subscriber import ENDPOINT, Subscriber, event, part, subscription
from sqlalchemy import update
from web_journal import person, report

from router.dossier.circle import end_member
from router.dossier.circle_door import CircleDoor
from router.dossier.subscriptions.notifying import Notifier
from router.dossier.subscriptions.sending import Sent
from router.dossier.subscriptions.wanted import SECRET, TOPIC, Wanted
from router.journal import tables
from router.journal.operations import Change

Rig = Any
NURSE = "https://rpps.esante.gouv.fr|89900000002"
BACKPORT = "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/backport-"
HOUR = 3_600_000_000


@dataclass
class Told:
    """The rig with a notifier."""

    rig: Rig
    subscriber: Subscriber
    notifier: Notifier

    async def run(self) -> None:
        await self.rig.follow()
        for _ in range(10):
            if not await self.notifier.once():
                break

    async def subscribe(self, criteria: str, user: str = "", **more: Any) -> dict[str, Any]:
        tool = self.rig.tool("abonne", **({"user": user} if user else {}))
        answer = await tool.call("POST", "Subscription", subscription(criteria, **more))
        assert answer.status == 201, answer.text
        found: dict[str, Any] = answer.json()
        return found


@pytest.fixture
async def told(rig: Rig) -> Any:
    rig.scene.add(nurse())
    await rig.follow()
    subscriber = Subscriber()
    store = rig.scene.journal.store
    notifier = Notifier(
        store, rig.scene.journal, CircleDoor(), subscriber, rig.moment, lambda _: None, base="https://hub.example/fhir"
    )
    yield Told(rig, subscriber, notifier)
    await notifier.close()


async def test_a_report_is_told_after_the_handshake_by_its_id_alone(told: Told) -> None:
    made = await told.subscribe(
        TOPIC + "lab-report-available",
        _criteria={"extension": [{"url": BACKPORT + "filter-criteria", "valueString": f"patient={told.rig.patient}"}]},
    )
    assert made["status"] == "requested"
    assert len(made["extension"][0]["valueString"]) >= 32
    await told.run()
    tool = told.rig.tool("abonne")
    read = (await tool.get(f"Subscription/{made['id']}")).json()
    assert (read["status"], SECRET in str(read)) == ("active", False)
    told.rig.scene.lab("a" * 32)
    await told.run()
    assert told.subscriber.kinds == ["handshake", "event-notification"]
    _, bundle = told.subscriber.got[1]
    found = event(bundle)
    assert (found["event-number"], part(bundle, "topic")) == ("1", TOPIC + "lab-report-available")
    reference = found["focus"]["reference"].removeprefix("https://hub.example/fhir/")
    assert (await tool.get(reference)).json()["conclusion"] == "Anémie sévère."
    assert len(bundle["entry"]) == 1
    assert "TESTROSE" not in str(bundle)
    assert "FICTIVAL" not in str(bundle)


async def test_criteria_are_searches_with_the_patient_by_number(told: Told) -> None:
    await told.subscribe("DocumentReference?patient.identifier=urn:oid:1.2.250.1.999.35.1|IPP000001&type=OBS")
    await told.subscribe("DocumentReference?patient.identifier=urn:oid:1.2.250.1.999.35.1|IPP000002&type=OBS")
    await told.subscribe(f"DocumentReference?patient={told.rig.patient}&type=GEN")
    await told.run()
    await told.rig.tool().call("POST", "DocumentReference", note(told.rig.patient))
    await told.run()
    assert told.subscriber.kinds.count("event-notification") == 1


async def test_what_a_reader_may_not_see_is_never_told(told: Told) -> None:
    await told.subscribe(f"DocumentReference?patient={told.rig.patient}", user=NURSE)
    await told.run()
    label = {"coding": [{"code": "MASQUE_PS"}]}
    await told.rig.tool().call("POST", "DocumentReference", note(told.rig.patient, securityLabel=[label]))
    await told.run()
    assert told.subscriber.kinds == ["handshake"]
    assert told.rig.rows(tables.subscription_event) == []


async def test_s21_a_webhook_that_is_down_gets_each_notice_once_and_in_order(told: Told) -> None:
    await told.subscribe(f"DocumentReference?patient={told.rig.patient}")
    await told.run()
    told.subscriber.statuses = [500, 500, 500]
    tool = told.rig.tool()
    await tool.call("POST", "DocumentReference", note(told.rig.patient, "N1"))
    await tool.call("POST", "DocumentReference", note(told.rig.patient, "N2"))
    waited = []
    for _ in range(4):
        await told.run()
        (first, *_rest) = told.rig.rows(tables.subscription_event)
        waited.append(round((first.next_attempt_at - told.rig.scene.now) / 1_000_000))
        told.rig.scene.now += 130_000_000
    await told.run()
    assert waited[:3] == [1, 5, 30]
    notices = told.subscriber.got[1:]
    numbers = [event(bundle)["event-number"] for _, bundle in notices]
    assert numbers == ["1", "1", "1", "1", "2"]
    assert len({identity for identity, _ in notices[:4]}) == 1
    assert {row.state for row in told.rig.rows(tables.subscription_event)} == {"delivered"}


async def test_one_dossier_that_fails_does_not_hold_back_another(told: Told) -> None:
    scene = told.rig.scene
    other = scene.know(2)
    scene.patient = other
    scene.open()
    scene.add(doctor())
    scene.patient = 1
    await told.rig.follow()
    await told.subscribe("DiagnosticReport?status=final,corrected")
    await told.run()
    told.subscriber.statuses = [500]
    scene.lab("a" * 32)
    await told.run()
    told.subscriber.statuses = [200, 500]
    scene.receive(report(person(2), "b" * 32, number="LAB2"), patient=other)
    await told.run()
    assert [row.state for row in told.rig.rows(tables.subscription_event)] == ["pending", "delivered"]


async def test_gone_turns_a_subscription_off(told: Told) -> None:
    made = await told.subscribe(f"DocumentReference?patient={told.rig.patient}")
    await told.run()
    told.subscriber.statuses = [410]
    await told.rig.tool().call("POST", "DocumentReference", note(told.rig.patient))
    await told.run()
    read = (await told.rig.tool("abonne").get(f"Subscription/{made['id']}")).json()
    assert read["status"] == "off"
    await told.rig.tool().call("POST", "DocumentReference", note(told.rig.patient, "N2"))
    await told.run()
    assert len(told.subscriber.got) == 2


async def test_after_a_day_of_failures_it_is_in_error_and_what_was_missed_is_asked_for(told: Told) -> None:
    made = await told.subscribe(f"DocumentReference?patient={told.rig.patient}")
    await told.run()
    await told.rig.tool().call("POST", "DocumentReference", note(told.rig.patient))
    told.rig.scene.now += 25 * HOUR
    told.subscriber.statuses = [503]
    await told.run()
    tool = told.rig.tool("abonne")
    status = (await tool.get(f"Subscription/{made['id']}/$status")).json()
    assert part(status, "status") == "error"
    assert part(status, "events-since-subscription-start") == "1"
    missed = (await tool.get(f"Subscription/{made['id']}/$events?eventsSinceNumber=1")).json()
    assert event(missed)["event-number"] == "1"
    again = await tool.call("PUT", f"Subscription/{made['id']}", subscription(made["criteria"], id=made["id"]))
    assert again.status == 200
    await told.run()
    assert told.subscriber.kinds[-1] == "handshake"
    assert part((await tool.get(f"Subscription/{made['id']}/$status")).json(), "status") == "active"


async def test_s14_who_leaves_the_circle_is_told_nothing_more(told: Told) -> None:
    member = next(row.id for row in told.rig.rows(tables.dossier_member) if row.family == "health")
    made = await told.subscribe(f"DocumentReference?patient={told.rig.patient}", user=NURSE)
    await told.run()
    scene = told.rig.scene
    assert scene.journal.apply(end_member(scene.patient, member, by=scene.by())).refusal is None
    await told.rig.tool().call("POST", "DocumentReference", note(told.rig.patient))
    scene.now += 31_000_000
    await told.run()
    assert told.subscriber.kinds == ["handshake"]
    status = (await told.rig.tool("abonne", user=NURSE).get(f"Subscription/{made['id']}/$status")).json()
    assert part(status, "status") == "off"


async def test_what_is_hidden_before_it_is_sent_is_dropped(told: Told) -> None:
    await told.subscribe(f"DocumentReference?patient={told.rig.patient}", user=NURSE)
    await told.run()
    told.subscriber.statuses = [500]
    await told.rig.tool().call("POST", "DocumentReference", note(told.rig.patient))
    await told.run()
    masked = update(tables.resource).where(tables.resource.c.type == "DocumentReference").values(marks=4)
    told.rig.scene.journal.apply(Change(lambda unit: unit.connection.execute(masked).close()))
    told.rig.scene.now += 2_000_000
    await told.run()
    assert [row.state for row in told.rig.rows(tables.subscription_event)] == ["dropped"]
    assert len(told.subscriber.got) == 2


async def test_a_silent_subscription_has_a_heartbeat(told: Told) -> None:
    beat = {"url": BACKPORT + "heartbeat-period", "valueUnsignedInt": 60}
    channel = {"type": "rest-hook", "endpoint": ENDPOINT, "payload": "application/fhir+json", "extension": [beat]}
    await told.subscribe(f"DocumentReference?patient={told.rig.patient}", channel=channel)
    await told.run()
    told.rig.scene.now += 61_000_000
    await told.run()
    assert told.subscriber.kinds == ["handshake", "heartbeat"]


async def test_a_tool_sees_its_own_subscriptions_only(told: Told) -> None:
    made = await told.subscribe(f"DocumentReference?patient={told.rig.patient}")
    other = told.rig.tool("autre")
    for method, path in (
        ("GET", ""),
        ("GET", "/$status"),
        ("GET", "/$events"),
        ("GET", "/_history"),
        ("DELETE", ""),
    ):
        assert (await other.call(method, f"Subscription/{made['id']}{path}")).status == 404
    assert await other.found("Subscription?status=requested") == []
    own = told.rig.tool("abonne")
    assert len(await own.found("Subscription?status=requested")) == 1
    assert (await own.call("DELETE", f"Subscription/{made['id']}")).status == 200
    assert (await own.get(f"Subscription/{made['id']}")).status == 410
    await told.run()
    assert told.subscriber.got == []


@pytest.mark.parametrize(
    ("endpoint", "ok"),
    [
        ("https://outil.example.org/x", True),
        ("http://outil.example.org/x", False),
        ("https://127.0.0.1/x", False),
        ("https://10.1.2.3/x", False),
        ("https://169.254.169.254/latest", False),
        ("https://2130706433/x", False),
        ("https://0x7f.1/x", False),
        ("https://[::1]/x", False),
        ("https://[::ffff:10.0.0.1]/x", False),
        ("https://[64:ff9b::a00:1]/x", False),
        ("https://localhost/x", False),
        ("https://serveur.internal/x", False),
        ("https://user:secret@outil.example.org/x", False),
        ("ftp://outil.example.org/x", False),
        ("https://outil.example.org:99999/x", False),
        ("https://outil.example.org/x\r\nHost: y", False),
    ],
)
async def test_addresses_that_notices_may_not_go_to(told: Told, endpoint: str, ok: bool) -> None:
    sent = subscription(f"DocumentReference?patient={told.rig.patient}")
    sent["channel"]["endpoint"] = endpoint
    answer = await told.rig.tool("abonne").call("POST", "Subscription", sent)
    assert answer.status == (201 if ok else 422)


@pytest.mark.parametrize(
    "change",
    [
        {"criteria": "Observation?nothing=1"},
        {"criteria": "Practitioner?family=test"},
        {"criteria": "https://example.org/topic"},
        {"criteria": "Observation?_lastUpdated=gt2026"},
        {"channel": {"type": "email", "endpoint": "mailto:a@example.org"}},
        {"channel": {"type": "rest-hook", "endpoint": ENDPOINT, "header": ["Host: autre"]}},
        {"channel": {"type": "rest-hook", "endpoint": ENDPOINT, "header": ["X-A: b\r\nX-B: c"]}},
    ],
)
async def test_subscriptions_that_are_refused(told: Told, change: dict[str, Any]) -> None:
    answer = await told.rig.tool("abonne").call("POST", "Subscription", {**subscription("x"), **change})
    assert answer.status in {400, 422}


async def test_a_subscriber_that_hangs_keeps_nobody_else_waiting(told: Told) -> None:
    for place in ("pend", "suit"):
        channel = {"type": "rest-hook", "endpoint": f"{ENDPOINT}/{place}", "payload": "application/fhir+json"}
        await told.subscribe("DiagnosticReport?status=final", channel=channel)
    await told.run()
    answers, heard = asyncio.Event(), asyncio.Event()
    plainly = told.subscriber.send

    async def send(wanted: Wanted, body: bytes, name: str, now: datetime) -> Sent:
        if wanted.endpoint.endswith("pend"):
            await answers.wait()
        sent = await plainly(wanted, body, name, now)
        heard.set()
        return sent

    told.subscriber.send = send  # type: ignore[method-assign]
    told.subscriber.got.clear()
    running = asyncio.create_task(told.notifier.run())
    try:
        async with asyncio.timeout(30):
            for letter in "ab":
                told.rig.scene.lab(letter * 32, number=f"LAB-{letter}")
                await told.rig.follow()
                told.notifier.wake()
                await heard.wait()
                heard.clear()
            assert told.subscriber.kinds == ["event-notification"] * 2, "those of whoever answers"
            answers.set()
            while len(told.subscriber.got) < 4:
                heard.clear()
                await heard.wait()
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    assert len({name for name, _ in told.subscriber.got}) == 4, "nothing is told twice"
