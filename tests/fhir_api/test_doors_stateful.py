"""Whatever is changed in whatever order: through no door of the API, of notices or of an extraction is anything seen,
counted or told that `may` denies.

Each member of the circle has a tool, which asks at every door after each step; what it gets is compared with `may` over
all that the store holds.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

from dossier_machine import PEOPLE, Dossiers
from fhir_rig import Client, Rig
from fhir_samples import appointment
from fhir_subscriber import ADMISSIONS, alerted_over
from hypothesis import HealthCheck, Phase, settings, strategies as st
from hypothesis.stateful import initialize, invariant, rule

from router.dossier.agenda import AFTER, BEFORE
from router.dossier.circle_door import CircleDoor
from router.dossier.context import Context, Reader, Thing
from router.dossier.extracting import extract_of, reader_for as structure_reader
from router.dossier.may import may
from router.dossier.store.drafts import LIVE
from router.dossier.tools.registry import find_tool
from router.dossier.tools.tokens import reader_for, users_of
from router.engine.clock import moment
from router.journal import tables
from router.journal.view import viewing
from schemas.habilitation import Action, DataCategory
from schemas.visibility import Mark

SAAD = "http://finess.esante.gouv.fr|670000002"
USERS = {
    "gp": "https://rpps.esante.gouv.fr|89900000001",
    "nurse": "https://rpps.esante.gouv.fr|89900000002",
    "helper": "urn:oid:2.999.67.6|AVS-1",
    "daughter": "urn:oid:2.999.67.8|FILLE-1",
    "coordinator": "urn:oid:2.999.67.7|COORD-1",
}
LISTED = ("Patient", "DocumentReference", "DiagnosticReport", "Observation", "Encounter", "Appointment", "Consent")
DOCUMENTS = "DocumentReference?status=current"
NOTHING = "11111111-2222-4333-8444-555555555555"
"""An id that nothing has."""

PATCH = [{"op": "replace", "path": "/status", "value": "superseded"}]
READING = (
    ("GET", "{}"),
    ("GET", "{}/_history"),
    ("GET", "{}/_history/1"),
    ("GET", "{}/$read-by"),
    ("POST", "{}/$mark-read"),
)
WAYS = {
    "Binary": READING[:1],
    "DiagnosticReport": READING,
    "DocumentReference": (*READING, ("PATCH", "{}"), ("DELETE", "{}"), ("POST", "")),
    "Encounter": READING,
}
"""In which ways one thing is asked for; those that would change it are for what tools may change."""


class Doors(Dossiers):
    """The same dossier, looked at from outside."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.rig = Rig(self.scene)
        self.outside = alerted_over(self.rig)
        self.tools: dict[str, Client] = {}
        self.readers: dict[str, Reader] = {}
        self.subscriptions: dict[str, str] = {}
        self.heard = 0
        self.turns: Counter[str] = Counter()

    def teardown(self) -> None:
        self.runner.run(self.outside.notifier.close())
        self.rig.app.state.desk.close()
        self.runner.close()
        super().teardown()

    @initialize()
    def begin(self) -> None:
        super().begin()
        for who, user in USERS.items():
            more = {"structure": SAAD} if who == "helper" else {}
            self.tools[who] = self.rig.tool(f"outil-{who}", user=user, **more)
            with viewing(self.scene.journal.store) as view:
                tool = find_tool(view.connection, f"outil-{who}")
                assert tool is not None
                self.readers[who] = reader_for(tool, users_of(user), view.sealer)
            for criteria in (DOCUMENTS, ADMISSIONS):
                made = self.runner.run(self.outside.subscribe(f"outil-{who}", criteria, user, **more))
                self.subscriptions[made] = who
        assert set(self.tools) == set(PEOPLE)
        # Whatever happens then, there is something that some may see and others may not.
        self.arrive(labels=(), kind="lab", author=None, old=False, other=False)
        self.arrive(labels=("V",), kind="letter", author="gp", old=False, other=False)

    @rule(days=st.integers(-30, 200))
    def a_visit_is_agreed(self, days: int) -> None:
        start = moment(self.scene.now + days * 86_400_000_000).strftime("%Y-%m-%dT08:30:00+01:00")
        asked = self.tools["nurse"].call("POST", "Appointment", appointment(self.rig.patient, start))
        assert self.runner.run(asked).status in {201, 403, 422}

    # --- what each may see, by `may` itself ---------------------------------------------------------------------------

    def allowed(self, reader: Reader, context: Context, action: Action = Action.READ) -> dict[str, Any]:
        """Give what there is of her, and may be seen, by its reference."""
        found = {}
        for row in self.rig.rows(tables.resource):
            if row.state != LIVE or row.patient_id != 1:
                continue
            thing = Thing(DataCategory(row.category), Mark(row.marks), row.at, row.author, row.thing)
            if may(reader, action, thing, context).allowed:
                found[f"{row.type}/{row.logical_id}"] = row
        return found

    @invariant()
    def nobody_sees_what_they_may_not(self) -> None:
        if self.subscriptions:
            self.runner.run(self._ask_at_every_door())

    async def _ask_at_every_door(self) -> None:
        await self.outside.run()
        self._nothing_was_told_that_may_not_be()
        self._a_thing_is_the_same_for_both_stores()
        for who, tool in self.tools.items():
            seen = self.allowed(self.readers[who], self.scene.context())
            there = [one for one in self.rig.rows(tables.resource) if one.state == LIVE and one.patient_id == 1]
            await self._lists(tool, seen)
            await self._what_comes_along(tool, seen)
            await self._single_things(tool, seen, [one for one in there if one.type in WAYS][-5:])
            await self._the_calendar(tool, seen)
            await self._what_was_missed(who, tool)
        self._the_extraction()

    def _a_thing_is_the_same_for_both_stores(self) -> None:
        entries = {one.item_id: one for one in self.rig.rows(tables.dossier_entry)}
        for row in self.rig.rows(tables.resource):
            entry = entries.get(row.item_id)
            if entry is not None and row.state == LIVE and row.type in WAYS:
                assert (row.category, row.marks, row.thing) == (entry.category, entry.marks, entry.thing), row.type

    def _nothing_was_told_that_may_not_be(self) -> None:
        context = self.scene.context()
        told, self.heard = self.outside.told[self.heard :], len(self.outside.told)
        for subscription, reference in told:
            reader = self.readers[self.subscriptions[subscription]]
            action = Action.TELL if reference.startswith("CommunicationRequest/") else Action.READ
            assert reference in self.allowed(reader, context, action), (reader.name, reference)

    async def _lists(self, tool: Client, seen: dict[str, Any]) -> None:
        for kind in LISTED:
            name = "_id" if kind == "Patient" else "patient"
            asked = f"{kind}?{name}={self.rig.patient.partition('/')[2]}&_total=accurate&_count=200"
            bundle = (await tool.get(asked)).json()
            expected = {key for key in seen if key.startswith(f"{kind}/")}
            assert _keys(bundle) == expected, (tool.name, kind)
            assert bundle["total"] == len(expected)
            assert (await tool.get(f"{asked}&_summary=count")).json()["total"] == len(expected)
        changes = (await tool.get("DocumentReference/_history?_count=200")).json()
        known = {one.get("fullUrl", "").rpartition("/fhir/")[2] for one in changes.get("entry", [])}
        assert known <= set(seen) | self._withdrawn()

    def _withdrawn(self) -> set[str]:
        """Give what is there no more: that it was withdrawn is told."""
        rows = self.rig.rows(tables.resource)
        return {f"{one.type}/{one.logical_id}" for one in rows if one.state != LIVE}

    async def _what_comes_along(self, tool: Client, seen: dict[str, Any]) -> None:
        of_nobody = {f"{one.type}/{one.logical_id}" for one in self.rig.rows(tables.resource) if one.patient_id is None}
        number = self.rig.patient.partition("/")[2]
        reverse = "&_revinclude=".join(f"{kind}:patient" for kind in LISTED[1:])
        for asked in (
            f"Patient?_id={number}&_revinclude={reverse}",
            f"DiagnosticReport?patient={number}&_include=*&_include:iterate=*",
            f"DocumentReference?patient={number}&_include=DocumentReference:*",
        ):
            bundle = (await tool.get(asked)).json()
            assert _keys(bundle) <= set(seen) | of_nobody, (tool.name, asked)

    async def _single_things(self, tool: Client, seen: dict[str, Any], rows: list[Any]) -> None:
        versions = len(self.rig.rows(tables.resource_body))
        for row in rows:
            key = f"{row.type}/{row.logical_id}"
            if key not in seen:
                await self._as_if_it_were_not_there(tool, key)
                continue
            assert (await tool.get(key)).status == 200, (tool.name, key)
            if row.type != "Binary":
                for more in ("_history", "_history/1", "$read-by"):
                    assert (await tool.get(f"{key}/{more}")).status == 200, (tool.name, key, more)
        assert len(self.rig.rows(tables.resource_body)) == versions, "who may not see it changes nothing"

    async def _as_if_it_were_not_there(self, tool: Client, key: str) -> None:
        """Ask for what may not be seen, in each way in turn: the answer is that to an id that nothing has."""
        kind = key.partition("/")[0]
        method, path = WAYS[kind][self.turns[kind] % len(WAYS[kind])]
        self.turns[kind] += 1
        hidden = await _asked(tool, method, path, key)
        absent = await _asked(tool, method, path, f"{kind}/{NOTHING}")
        assert hidden == absent, (tool.name, method, path.format(key))
        assert hidden[0] == 403, (tool.name, method, path.format(key))

    async def _the_calendar(self, tool: Client, seen: dict[str, Any]) -> None:
        answer = await tool.get(f"{self.rig.patient}/$agenda")
        given = {line[4:].partition("@")[0] for line in answer.text.splitlines() if line.startswith("UID:")}
        now = moment(self.scene.now)
        shown = {key.partition("/")[2] for key, row in seen.items() if key.startswith("Appointment/")}
        assert given <= shown, tool.name
        soon = {
            key.partition("/")[2]
            for key, row in seen.items()
            if key.startswith("Appointment/") and now - BEFORE / 2 < moment(row.at) < now + AFTER / 2
        }
        if self.rig.patient in seen:
            assert soon <= given, tool.name
        else:
            absent = await tool.get(f"Patient/{NOTHING}/$agenda")
            assert (answer.status, answer.text, answer.headers) == (403, absent.text, absent.headers), tool.name

    async def _what_was_missed(self, who: str, tool: Client) -> None:
        context = self.scene.context()
        allowed = set(self.allowed(self.readers[who], context))
        for number in (one for one, whose in self.subscriptions.items() if whose == who):
            answer = await tool.get(f"Subscription/{number}/$events?content=full-resource")
            assert answer.status == 200
            given = {one.get("fullUrl", "").rpartition("/fhir/")[2] for one in answer.json()["entry"][1:]}
            assert given <= allowed, who
        for number in (one for one, whose in self.subscriptions.items() if whose != who):
            assert (await tool.get(f"Subscription/{number}/$events")).status == 404

    def _the_extraction(self) -> None:
        reader = structure_reader("670000002", "claire")
        allowed = set(self.allowed(reader, self.scene.context()))
        with viewing(self.scene.journal.store) as view:
            found = extract_of(view, CircleDoor(), reader, 1, now=self.scene.now)
        given = () if found is None else (*found.resources, *found.files)
        assert {one.key for one in given if one.patient is not None} <= allowed


async def _asked(tool: Client, method: str, path: str, key: str) -> tuple[int, dict[str, str], str]:
    """Give all that an answer tells."""
    match method, path:
        case "PATCH", _:
            answer = await tool.call(method, path.format(key), PATCH, media_type="application/json-patch+json")
        case "POST", "":
            entry = {"request": {"method": "DELETE", "url": key}}
            answer = await tool.call(method, "", {"resourceType": "Bundle", "type": "transaction", "entry": [entry]})
        case _:
            answer = await tool.call(method, path.format(key))
    return answer.status, dict(answer.headers), answer.text


def _keys(bundle: dict[str, Any]) -> set[str]:
    return {f"{one['resource']['resourceType']}/{one['resource']['id']}" for one in bundle.get("entry", [])}


def test_a_result_that_arrives_while_the_glass_is_broken_is_for_others_as_if_it_were_not_there() -> None:
    doors = Doors()
    try:
        doors.begin()
        doors.nobody_sees_what_they_may_not()
        doors.break_the_glass(who="gp")
        doors.break_the_glass(who="gp")
        doors.arrive(author="nurse", kind="lab", labels=("V",), old=False, other=False)
        doors.nobody_sees_what_they_may_not()
        reports = [one for one in doors.rig.rows(tables.resource) if one.type == "DiagnosticReport"]
        allowed = {who: doors.allowed(reader, doors.scene.context()) for who, reader in doors.readers.items()}
        seeing = {who for who, seen in allowed.items() for one in reports if f"{one.type}/{one.logical_id}" in seen}
        assert seeing == {"gp", "nurse"}
    finally:
        doors.teardown()


TestDoors = Doors.TestCase
TestDoors.settings = settings(
    max_examples=3,
    stateful_step_count=7,
    deadline=None,
    phases=(Phase.explicit, Phase.reuse, Phase.generate),  # to make a failure small takes longer than a test may
    suppress_health_check=list(HealthCheck),
)
