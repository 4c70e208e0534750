"""The page that compares before a replay."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import update
from web_client import Browser

from mappings.concept_map import MapEntry, Term, TermKind, target_of
from mappings.contracts import PARIS
from router.engine.plan import Plan
from router.engine.worker import Worker
from router.journal import tables
from router.journal.mapping_versions import EndMappings, MappingsKept, keep_mappings, pack, software_version
from router.journal.operations import Change
from router.journal.prepared import PreparedMessage
from router.journal.readers import ReaderChoice
from router.web.accounts import Role
from router.whatif.replaying import load_raws


@pytest.fixture
def again(site: Any) -> Any:
    store = site.journal.store
    plan = Plan(store.place, store.sealer.master, {}, {}, (), None, PARIS)

    async def read(numbers: Sequence[int], reader: ReaderChoice | None, mappings: int | None) -> list[PreparedMessage]:
        raws = load_raws(store, store.sealer.clone(), list(numbers))
        chosen = [replace(raw, reader=reader or raw.reader, mappings=mappings) for raw in raws]
        return Worker(plan, store).process(chosen, datetime(2026, 11, 22, tzinfo=UTC))

    site.desk.context = replace(site.desk.context, read_again=read)
    return site


async def test_what_a_replay_would_change_is_shown_before_it_is_done(again: Any) -> None:
    browser = await again.signed_in()
    said = (await browser.get("/messages/1/replay")).plain
    assert "ne partirait plus spico" in said
    assert "Gardé Serait" in said
    assert again.audited("compare reading") == [("admin", "message 1", "")]
    other = (await browser.get("/messages/1/replay?format=fhir&charset=utf-8")).text
    assert '<input type="hidden" name="format" value="fhir">' in other
    assert (await browser.get("/messages/999/replay")).status == 404
    done = await browser.post("/messages/1/replay", {"format": "fhir", "charset": ""})
    assert done.status == 303
    assert again.audited("replay message") == [("admin", "message 1", "fhir")]


async def test_only_who_may_replay_may_compare(again: Any) -> None:
    browser = await again.signed_in_as(Role.AUDITOR)
    assert (await browser.get("/messages/1/replay")).status == 403


MAP = MapEntry("labo", Term(TermKind.CODE, "local", "HB"), target_of(TermKind.CODE, "718-7"))


@pytest.fixture
def versions(again: Any) -> Any:
    """Two versions: one of another Passerelle, and today's, in which a code is mapped and an option is secret."""
    then = {"labo-sud": EndMappings("mllp", "hl7v2", "cp1252", {"api_token": "not for everybody", "profile": "old"})}
    now = {"labo-sud": EndMappings("mllp", "hl7v2", "", {"api_token": "nor this", "profile": "new"})}
    first = MappingsKept("0.0.1", "Europe/Paris", then, {}, ())
    second = MappingsKept(software_version(), "Europe/Paris", now, {}, (MAP,))
    for rank, kept in enumerate((first, second, first)):
        again.journal.apply(Change(lambda unit, one=kept, at=rank: keep_mappings(unit, [pack(one)], at + 1)))
    read = update(tables.message).where(tables.message.c.id == 1).values(mappings=1)
    again.journal.apply(Change(lambda unit: unit.connection.execute(read)))
    return again


async def test_versions_of_the_mappings_are_pages(versions: Any) -> None:
    browser = await versions.signed_in()
    listed = (await browser.get("/mappings")).plain
    assert "v2" in listed
    assert "0.0.1 autre logiciel" in listed
    shown = (await browser.get("/mappings/2")).plain
    assert "labo HB – 718-7" in shown
    assert (
        "source labo-sud hl7v2 · api_token = ••• · profile = new hl7v2 · cp1252 · api_token = ••• · profile = old"
        in shown
    )
    assert "ne peut pas être remise en marche" in (await browser.get("/mappings/1")).plain
    assert (await browser.get("/mappings/3")).status == 404
    assert "Lu avec les correspondances du" in (await browser.get("/messages/1")).plain


async def test_a_message_is_compared_and_replayed_with_a_version(versions: Any) -> None:
    browser = await versions.signed_in()
    page = await browser.get("/messages/1/replay?mappings=1")
    assert "Avec les correspondances de la version 1" in page.plain
    assert "ne peut pas être remise en marche" in page.plain
    assert '<input type="hidden" name="mappings" value="1">' in page.text
    assert (await browser.get("/messages/1/replay?mappings=9")).status == 404
    assert (await browser.post("/messages/1/replay", {"mappings": "9"})).status == 404
    assert (await browser.post("/messages/1/replay", {"mappings": "2"})).status == 303
    assert versions.value("SELECT mappings FROM message WHERE id = 1") == 2
    assert versions.audited("replay message") == [("admin", "message 1", "mappings 2")]
    assert "À lire avec les correspondances du" in (await browser.get("/messages/1")).plain


async def test_many_are_compared_then_replayed_with_a_version(versions: Any) -> None:
    browser = await versions.signed_in()
    planned = await browser.post("/messages/replay", {"id": ["1", "2"]})
    assert "celles d’aujourd’hui" in (await browser.get(planned.location)).plain
    chosen = await browser.post(planned.location + "/mappings", {"mappings": "2", "compare": "1"})
    compared = (await browser.get(chosen.location)).plain
    assert "Relus avec les correspondances de la version 2" in compared
    assert "ne partirait plus spico" in compared
    assert "avec les correspondances de la version 2" in (await browser.get(planned.location)).plain
    assert (await browser.post(planned.location + "/start", {"word": "rejouer"})).status == 303
    await versions.carry()
    assert versions.value("SELECT group_concat(mappings) FROM message WHERE state = 'received' AND id < 3") == "2,2"


async def test_programs_choose_a_version_as_people_do(versions: Any) -> None:
    browser = Browser(versions.app, headers={"Authorization": f"Bearer {versions.journal.key}"})
    api = "/api/v1"
    assert [one["of_this_software"] for one in (await browser.get(f"{api}/mappings")).json()] == [True, False]
    whole = (await browser.get(f"{api}/mappings/2")).json()
    assert whole["maps"][0]["target"] == "718-7"
    assert whole["sources"]["labo-sud"]["options"] == {"api_token": "•••", "profile": "new"}
    found = (await browser.get(f"{api}/messages/1/replay?mappings=1")).json()
    assert (found["same"], found["other_software"]) == (False, True)
    assert (await browser.get(f"{api}/messages/1/replay?mappings=7")).status == 422
    assert (await browser.send(f"{api}/messages/1/replay", {"mappings": 7})).status == 422
    assert (await browser.send(f"{api}/messages/1/replay", {"mappings": 1})).status == 202
    assert (await browser.get(f"{api}/messages/1")).json()["mappings"] == 1
    bulk = {"action": "replay_messages", "messages": [2], "mappings": 2}
    assert (await browser.send(f"{api}/bulk", bulk)).json()["target"] == "mappings:2"
    assert (await browser.send(f"{api}/bulk", {**bulk, "mappings": 7})).status == 422
    assert (await browser.send(f"{api}/bulk", {**bulk, "action": "reroute", "destination": "spico"})).status == 422
