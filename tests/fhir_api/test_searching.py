"""Searches: what a plain filter in memory finds, SQL finds; pages hold all once; nothing is ignored or leaked."""

from __future__ import annotations

import asyncio
from datetime import date, timedelta
from typing import Any

import pytest
from dossier_scene import doctor, document
from fhir_samples import appointment, letter, note
from hypothesis import HealthCheck, given, settings, strategies as st

from router.dossier.circle_door import CircleDoor
from router.dossier.store.access import Access
from router.dossier.store.elements import span
from router.dossier.store.parameters import TYPES, is_hidden, parameters
from router.dossier.store.searching import Search
from router.journal.view import viewing

Rig = Any
DAYS = [date(2026, 3, 1) + timedelta(days=number) for number in range(6)]
CODES = ("11490-0", "34133-9", "18776-5")
STATUSES = ("current", "superseded")


@pytest.fixture
def filled(rig: Rig) -> tuple[Rig, list[dict[str, Any]]]:
    """Documents of every type, status and day, with what they are."""
    made = []

    async def fill() -> None:
        await rig.follow()
        tool = rig.tool()
        for number, day in enumerate(DAYS):
            code, status = CODES[number % 3], STATUSES[number % 2]
            sent = letter(rig.patient, f"2.999.5.{number}", date=f"{day}T09:00:00+01:00")
            sent["meta"] = {}
            sent["status"] = status
            sent["type"] = {"coding": [{"system": "http://loinc.org", "code": code}]}
            sent["context"] = {"period": {"start": f"{day}", "end": f"{day + timedelta(days=2)}"}}
            answer = await tool.call("POST", "DocumentReference", sent)
            assert answer.status == 201, answer.text
            made.append(answer.json())

    asyncio.run(fill())
    return rig, made


def _overlap(value: dict[str, Any], prefix: str, text: str, *, period: bool) -> bool:
    low, high = span(text) or (0, 0)
    if period:
        there = value["context"]["period"]
        start, end = (span(there["start"]) or (0, 0))[0], (span(there["end"]) or (0, 0))[1]
    else:
        start, end = span(value["date"]) or (0, 0)
    return {
        "eq": start >= low and end <= high,
        "ne": start < low or end > high,
        "gt": end > high,
        "lt": start < low,
        "ge": start >= low or end > high,
        "le": start < low or end <= high,
        "sa": start >= high,
        "eb": end <= low,
    }[prefix]


PREFIXES = ("eq", "ne", "gt", "lt", "ge", "le", "sa", "eb")


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    codes=st.sets(st.sampled_from(CODES)),
    statuses=st.sets(st.sampled_from(STATUSES)),
    negated=st.booleans(),
    when=st.none() | st.tuples(st.sampled_from(PREFIXES), st.sampled_from(DAYS), st.booleans()),
    count=st.integers(1, 7),
    order=st.sampled_from(("_lastUpdated", "-_lastUpdated", "date", "-date")),
)
def test_sql_finds_what_a_plain_filter_finds(
    filled: tuple[Rig, list[dict[str, Any]]],
    codes: set[str],
    statuses: set[str],
    negated: bool,
    when: tuple[str, date, bool] | None,
    count: int,
    order: str,
) -> None:
    rig, made = filled
    query = f"DocumentReference?patient={rig.patient}&_count={count}&_sort={order}"
    if codes:
        query += f"&type{':not' if negated else ''}={','.join(f'http://loinc.org|{code}' for code in sorted(codes))}"
    if statuses:
        query += f"&status={','.join(sorted(statuses))}"
    if when is not None:
        prefix, day, period = when
        query += f"&{'period' if period else 'date'}={prefix}{day}"

    def holds(one: dict[str, Any]) -> bool:
        code = one["type"]["coding"][0]["code"]
        if codes and (code in codes) == negated:
            return False
        if statuses and one["status"] not in statuses:
            return False
        return when is None or _overlap(one, when[0], str(when[1]), period=when[2])

    expected = [one["id"] for one in made if holds(one)]
    if order.startswith("-"):
        expected.reverse()
    found = asyncio.run(rig.tool().found(query))
    assert [one["id"] for one in found] == expected
    counted = asyncio.run(rig.tool().get(f"{query}&_summary=count")).json()
    assert counted["total"] == len(expected)


async def test_s20_pages_hold_everything_once_though_something_arrives_meanwhile(rig: Rig) -> None:
    for number in range(5):
        rig.scene.receive(document(f"l{number}"))
    await rig.follow()
    tool = rig.tool()
    path = (
        "DocumentReference?patient.identifier=urn:oid:1.2.250.1.999.35.1|IPP000001&status=current"
        "&_lastUpdated=gt2026-03-05T00:00:00Z&_count=2"
    )
    seen: list[str] = []
    while path:
        bundle = (await tool.get(path)).json()
        seen += [one["resource"]["masterIdentifier"]["value"] for one in bundle["entry"]]
        path = next((one["url"] for one in bundle["link"] if one["relation"] == "next"), "").partition("/fhir/")[2]
        if len(seen) == 2:
            rig.scene.receive(document("l5"))
            await rig.follow()
    assert sorted(seen) == [f"l{number}" for number in range(6)]


async def test_a_change_feed_misses_nothing_after_the_moment_that_was_last_seen(rig: Rig) -> None:
    rig.scene.receive(document("l1"))
    await rig.follow()
    tool = rig.tool()
    (first,) = await tool.found("DocumentReference?_sort=_lastUpdated")
    moment = first["meta"]["lastUpdated"].replace("+", "%2B")
    assert await tool.found(f"DocumentReference?_lastUpdated=gt{moment}&_sort=_lastUpdated") == []
    rig.scene.receive(document("l2"))
    await rig.follow()
    found = await tool.found(f"DocumentReference?_lastUpdated=gt{moment}&_sort=_lastUpdated")
    assert [one["masterIdentifier"]["value"] for one in found] == ["l2"]
    history = (await tool.get(f"DocumentReference/_history?_since={moment}")).json()
    assert len(history["entry"]) == 2  # _since is at or after


async def test_a_link_to_a_page_holds_no_trait_and_serves_its_own_reader_only(rig: Rig) -> None:
    for number in range(3):
        rig.scene.receive(document(f"l{number}"))
    await rig.follow()
    tool = rig.tool()
    form = b"patient.identifier=urn:oid:1.2.250.1.999.35.1|IPP000001&_count=1"
    answer = await tool.call("POST", "DocumentReference/_search", form, media_type="application/x-www-form-urlencoded")
    links = {one["relation"]: one["url"] for one in answer.json()["link"]}
    assert "IPP000001" not in str(links)
    path = links["next"].partition("/fhir/")[2]
    assert (await tool.get(path)).status == 200
    assert (await rig.tool("autre").get(path)).status == 400
    assert (await tool.get(path.replace("DocumentReference", "List"))).status == 400
    assert (await tool.get(path[:-3] + "AAA")).status == 400
    rig.scene.now += 3_700_000_000
    assert (await tool.get(path)).status == 410


async def test_ten_thousand_at_once_are_a_page(rig: Rig) -> None:
    await rig.follow()
    bundle = (await rig.tool().get(f"DocumentReference?patient={rig.patient}&_count=10000")).json()
    assert bundle["total"] == 0


async def test_names_and_birth_dates_find_a_patient_whom_the_reader_knows(rig: Rig) -> None:
    rig.scene.know(2)
    await rig.follow()
    tool = rig.tool()
    (mine,) = await tool.found("Patient?birthdate=1931-03-05")
    name = mine["name"][0]["family"]
    for query in (f"family={name[:4].lower()}", f"family:exact={name}", f"name={name}", "gender=female"):
        assert [one["id"] for one in await tool.found(f"Patient?{query}")] == [mine["id"]]
    assert await tool.found(f"Patient?family:exact={name.lower()}") == []


async def test_a_reply_is_found_by_the_note_that_it_answers(rig: Rig) -> None:
    await rig.follow()
    tool = rig.tool()
    first = (await tool.call("POST", "DocumentReference", note(rig.patient, "N1"))).json()
    reply = note(rig.patient, "N2")
    reply["relatesTo"] = [{"code": "appends", "target": {"reference": f"DocumentReference/{first['id']}"}}]
    await tool.call("POST", "DocumentReference", reply)
    (found,) = await tool.found(f"DocumentReference?relatesto=DocumentReference/{first['id']}&relation=appends")
    assert found["masterIdentifier"]["value"] == "N2"
    bundle = (await tool.get(f"DocumentReference?_id={first['id']}&_revinclude=DocumentReference:relatesto")).json()
    assert [one["search"]["mode"] for one in bundle["entry"]] == ["match", "include"]
    some = (await tool.get(f"DocumentReference/?_id={first['id']}&_elements=description")).json()
    assert some["entry"][0]["resource"]["meta"]["tag"][0]["code"] == "SUBSETTED"


async def test_an_appointment_is_found_by_its_patient_as_an_actor(rig: Rig) -> None:
    await rig.follow()
    tool = rig.tool()
    await tool.call("POST", "Appointment", appointment(rig.patient))
    for query in (f"patient={rig.patient}", f"actor={rig.patient}", "date=ge2026-11-20&date=lt2026-11-21"):
        assert len(await tool.found(f"Appointment?{query}")) == 1, query


@pytest.mark.parametrize(
    "query",
    [
        "Patient?surprise=1",
        "Patient?family:contains=test",
        "Patient?birthdate=gt1979-03-05",
        "DocumentReference?date=demain",
        "DocumentReference?_count=beaucoup",
        "DocumentReference?_sort=description",
        "DocumentReference?type=a|b|c",
        "DocumentReference?_include=DocumentReference:nothing",
        "DocumentReference?patient.nothing=1",
        "DocumentReference?type.code=1",
        "DocumentReference?_total=maybe",
        "DocumentReference?status=" + "x" * 2100,
        "Patient?family=t",
        "Appointment?actor:Chien.name=x",
    ],
)
async def test_what_is_not_understood_is_refused(rig: Rig, query: str) -> None:
    answer = await rig.tool().get(query)
    assert (answer.status, answer.json()["resourceType"]) == (400, "OperationOutcome")


async def test_every_parameter_that_is_declared_can_be_asked_for(rig: Rig) -> None:
    await rig.follow()
    tool = rig.tool()
    declared = (await tool.get("metadata")).json()["rest"][0]["resource"]
    assert {one["type"] for one in declared} == set(TYPES)
    values = {"token": "a|b", "string": "abc", "reference": "abc", "date": "2026-03", "birth": "1979"}
    for kind in TYPES:
        asked = [f"{one.name}={values[one.kind.value]}" for one in parameters(kind).values() if not is_hidden(one)]
        if asked:
            answer = await tool.get(f"{kind}?{'&'.join(asked)}")
            assert answer.status == 200, (kind, answer.text)


@pytest.mark.parametrize(
    ("method", "path", "status", "headers"),
    [
        ("GET", "", 405, {}),
        ("GET", "Nothing", 404, {}),
        ("GET", "Patient/a/b/c", 405, {}),
        ("PUT", "metadata", 405, {}),
        ("DELETE", "Observation/1", 405, {}),
        ("GET", "Patient", 406, {"Accept": "application/fhir+xml"}),
        ("GET", "Patient?_format=xml", 406, {}),
        ("GET", "metadata", 406, {"Accept": "application/fhir+xml"}),
        ("GET", "metadata?_format=application/fhir+xml", 406, {}),
        ("POST", "Patient/_search", 400, {}),
    ],
)
async def test_whatever_is_asked_the_answer_is_an_outcome(
    rig: Rig, method: str, path: str, status: int, headers: dict[str, str]
) -> None:
    body = b"\xff\xfe=1" if path.endswith("_search") else None
    answer = await rig.tool().call(method, path, body, media_type="application/x-www-form-urlencoded", **headers)
    assert (answer.status, answer.json()["resourceType"]) == (status, "OperationOutcome")


async def test_json_is_the_one_form_and_the_statement_says_so(rig: Rig) -> None:
    tool = rig.tool()
    for accept in ("application/fhir+json", "text/html, */*;q=0.8", "application/fhir+xml;q=0.9, application/json"):
        answer = await tool.call("GET", "metadata", Accept=accept)
        assert (answer.status, answer.json()["format"]) == (200, ["application/fhir+json"])
    assert "XML is refused" in answer.json()["rest"][0]["documentation"]
    sent = await tool.call("POST", "Patient/_search", b'{"identifier": "x"}', media_type="application/json")
    assert (sent.status, sent.json()["issue"][0]["code"]) == (415, "not-supported"), "what it asks is not ignored"


def test_what_is_fetched_by_reference_comes_in_the_order_of_the_references(
    filled: tuple[Rig, list[dict[str, Any]]],
) -> None:
    """Whichever order a database finds rows in: what is brought along and what is extracted go by it."""
    rig, made = filled
    keys = [f"DocumentReference/{made[number]['id']}" for number in (3, 0, 5, 1)]
    keys[2:2] = ["DocumentReference/nothing-here", rig.patient]
    with viewing(rig.scene.journal.store) as view:
        search = Search(Access(view, CircleDoor(), rig.scene.reader(doctor()), rig.scene.now))
        assert [one.key for one in search.by_keys(keys)] == [one for one in keys if "nothing" not in one]
