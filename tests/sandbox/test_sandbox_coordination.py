"""The coordination tool takes transactions as a FHIR server does, once each, and fails in the ways that are asked."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import aiohttp
import pytest

from connectors.sandbox.coordination import Coordination, Mood, serving
from connectors.sandbox.fhir_store import BadTransaction, FhirStore, Json, Resource

PATIENT_URL = "urn:uuid:6f2f6f9e-0000-4000-8000-000000000001"


def bundle(*, report_id: str = "LAB1", status: str = "final") -> Resource:
    return {
        "resourceType": "Bundle",
        "type": "transaction",
        "entry": [
            {
                "fullUrl": PATIENT_URL,
                "resource": {"resourceType": "Patient", "identifier": [{"system": "urn:oid:1.2", "value": "IPP1"}]},
                "request": {"method": "PUT", "url": "Patient?identifier=urn:oid:1.2|IPP1"},
            },
            {
                "fullUrl": "urn:uuid:6f2f6f9e-0000-4000-8000-000000000002",
                "resource": {
                    "resourceType": "DiagnosticReport",
                    "status": status,
                    "identifier": [{"system": "urn:lab", "value": report_id}],
                    "subject": {"reference": PATIENT_URL},
                },
                "request": {"method": "PUT", "url": f"DiagnosticReport?identifier=urn:lab|{report_id}"},
            },
        ],
    }


@pytest.fixture
def tool() -> Coordination:
    return Coordination()


@pytest.fixture
async def base(tool: Coordination) -> AsyncIterator[str]:
    async with serving(tool) as url:
        yield url


@pytest.fixture
async def client() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


async def post(client: aiohttp.ClientSession, base: str, content: Json, key: str = "") -> tuple[int, Resource]:
    headers = {"Idempotency-Key": key} if key else {}
    async with client.post(base, data=json.dumps(content), headers=headers) as answer:
        return answer.status, await answer.json(content_type=None)


async def test_a_transaction_is_kept_by_identity_with_its_references(
    tool: Coordination, base: str, client: aiohttp.ClientSession
) -> None:
    status, answer = await post(client, base, bundle())
    assert (status, answer["type"]) == (200, "transaction-response")
    entries = answer["entry"]
    assert isinstance(entries, list)
    assert [entry["response"]["status"] for entry in entries] == ["201 Created", "201 Created"]  # type: ignore[index, call-overload]  # the JSON's shape is what is asserted
    async with client.get(f"{base}/DiagnosticReport", params={"patient": "Patient/1"}) as found:
        listed = await found.json(content_type=None)
    assert listed["total"] == 1
    assert listed["entry"][0]["resource"]["subject"]["reference"] == "Patient/1"
    async with client.get(f"{base}/Patient/1") as found:
        assert (await found.json(content_type=None))["meta"]["versionId"] == "1"
    async with client.get(f"{base}/Patient/9") as found:
        assert found.status == 404
    async with client.get(f"{base}/metadata") as found:
        assert (await found.json(content_type=None))["fhirVersion"] == "4.0.1"


async def test_a_correction_updates_the_same_report(base: str, client: aiohttp.ClientSession) -> None:
    await post(client, base, bundle(), key="a")
    await post(client, base, bundle(status="corrected"), key="b")
    async with client.get(f"{base}/DiagnosticReport", params={"identifier": "urn:lab|LAB1"}) as found:
        listed = await found.json(content_type=None)
    assert [entry["resource"]["status"] for entry in listed["entry"]] == ["corrected"]
    assert listed["entry"][0]["resource"]["meta"]["versionId"] == "2"
    identifier = listed["entry"][0]["resource"]["id"]
    async with client.get(f"{base}/DiagnosticReport/{identifier}/_history") as found:
        history = await found.json(content_type=None)
    assert [entry["resource"]["status"] for entry in history["entry"]] == ["corrected", "final"]


async def test_the_same_key_is_applied_once_and_answered_alike(
    tool: Coordination, base: str, client: aiohttp.ClientSession
) -> None:
    first = await post(client, base, bundle(), key="k1")
    assert await post(client, base, bundle(), key="k1") == first
    assert [arrival.known for arrival in tool.arrivals] == [False, True]
    assert tool.store.versions[("Patient", "1")] == 1
    status, outcome = await post(client, base, bundle(report_id="LAB2"), key="k1")
    assert (status, outcome["resourceType"]) == (422, "OperationOutcome")


@pytest.mark.parametrize(("mood", "status"), [(Mood.REFUSE, 422), (Mood.UNAVAILABLE, 503), (Mood.OK, 200)])
async def test_moods_that_answer(
    mood: Mood, status: int, tool: Coordination, base: str, client: aiohttp.ClientSession
) -> None:
    async with client.put(base.removesuffix("/fhir") + f"/mood/{mood}") as changed:
        assert changed.status == 200
    assert (await post(client, base, bundle()))[0] == status
    assert bool(tool.store.resources) is (mood is Mood.OK)


async def test_an_unknown_mood_is_refused(base: str, client: aiohttp.ClientSession) -> None:
    async with client.put(base.removesuffix("/fhir") + "/mood/cheerful") as changed:
        assert changed.status == 404


async def test_garbage_is_no_fhir(tool: Coordination, base: str, client: aiohttp.ClientSession) -> None:
    tool.mood = Mood.GARBAGE
    async with client.post(base, data=json.dumps(bundle())) as answer:
        assert (answer.status, answer.content_type) == (200, "text/html")


async def test_hanging_never_answers(tool: Coordination, base: str, client: aiohttp.ClientSession) -> None:
    tool.mood = Mood.HANG
    with pytest.raises(TimeoutError):
        await client.post(base, data=json.dumps(bundle()), timeout=aiohttp.ClientTimeout(total=0.1))


async def test_dropping_takes_the_bundle_and_cuts_before_the_answer(
    tool: Coordination, base: str, client: aiohttp.ClientSession
) -> None:
    tool.mood = Mood.DROP
    with pytest.raises(aiohttp.ClientError):
        await post(client, base, bundle(), key="k1")
    tool.mood = Mood.OK
    status, _ = await post(client, base, bundle(), key="k1")
    assert status == 200
    assert [arrival.known for arrival in tool.arrivals] == [False, True]


@pytest.mark.parametrize("content", [b"{", b"[]", b'{"resourceType": "Bundle", "type": "batch"}'])
async def test_what_is_no_transaction_is_an_outcome(content: bytes, base: str, client: aiohttp.ClientSession) -> None:
    async with client.post(base, data=content) as answer:
        assert answer.status == 400
        assert (await answer.json(content_type=None))["resourceType"] == "OperationOutcome"


async def test_an_unknown_search_is_refused_rather_than_ignored(base: str, client: aiohttp.ClientSession) -> None:
    async with client.get(f"{base}/Patient", params={"birthdate": "1938"}) as answer:
        assert answer.status == 400


def test_nothing_is_kept_of_a_transaction_that_fails() -> None:
    store = FhirStore()
    broken = bundle()
    entries = broken["entry"]
    assert isinstance(entries, list)
    entries.append(
        {
            "resource": {"resourceType": "Observation", "subject": {"reference": "urn:uuid:nobody"}},
            "request": {"method": "POST", "url": "Observation"},
        }
    )
    with pytest.raises(BadTransaction, match="no entry"):
        store.apply(broken)
    assert store.resources == {}


def test_conditional_create_keeps_what_exists_and_delete_removes() -> None:
    store = FhirStore()
    created: Resource = {
        "resourceType": "Bundle",
        "type": "transaction",
        "entry": [
            {
                "fullUrl": "urn:uuid:1",
                "resource": {
                    "resourceType": "Practitioner",
                    "identifier": [{"system": "urn:p", "value": "1"}],
                    "active": True,
                },
                "request": {"method": "POST", "url": "Practitioner", "ifNoneExist": "identifier=urn:p|1"},
            }
        ],
    }
    store.apply(created)
    store.apply(created)
    assert len(store.resources) == 1
    assert store.versions[("Practitioner", "1")] == 1
    referring: Resource = {
        "resourceType": "Bundle",
        "type": "transaction",
        "entry": [
            {
                "resource": {
                    "resourceType": "Observation",
                    "performer": [{"reference": "Practitioner?identifier=urn:p|1"}],
                },
                "request": {"method": "PUT", "url": "Observation/o1"},
            }
        ],
    }
    store.apply(referring)
    kept = store.read("Observation", "o1")
    assert kept is not None
    assert kept["performer"] == [{"reference": "Practitioner/1"}]
    store.apply(
        {
            "resourceType": "Bundle",
            "type": "transaction",
            "entry": [{"request": {"method": "DELETE", "url": "Practitioner?identifier=urn:p|1"}}],
        }
    )
    assert store.read("Practitioner", "1") is None
    with pytest.raises(BadTransaction, match="matches nothing"):
        store.apply(referring)


@pytest.mark.parametrize(
    "entry",
    [
        {"resource": {"resourceType": "Patient"}},
        {"resource": {"resourceType": "Patient"}, "request": {"method": "PATCH", "url": "Patient/1"}},
        {"resource": {"resourceType": "Patient"}, "request": {"method": "PUT", "url": "Observation/1"}},
        {"resource": {"resourceType": "Patient"}, "request": {"method": "PUT", "url": "Patient?name=x"}},
    ],
)
def test_entries_that_cannot_be_applied(entry: Resource) -> None:
    with pytest.raises(BadTransaction):
        FhirStore().apply({"resourceType": "Bundle", "type": "transaction", "entry": [entry]})


def test_criteria_are_decoded_and_unescaped() -> None:
    store = FhirStore()
    bundle_: Resource = {
        "resourceType": "Bundle",
        "type": "transaction",
        "entry": [
            {
                "resource": {"resourceType": "Location", "identifier": [{"system": "urn:x a", "value": "1|2$"}]},
                "request": {"method": "PUT", "url": "Location?identifier=urn:x%20a|1%5C%7C2%5C$"},
            }
        ],
    }
    store.apply(bundle_)
    store.apply(bundle_)
    assert [version["meta"] for version in store.known_by("Location", "1|2$")] == [
        {"versionId": "1"},
        {"versionId": "2"},
    ]
    assert len(store.search("Location", {"identifier": "1\\|2\\$"})) == 1
    assert store.search("Location", {"identifier": "urn:other|1\\|2\\$"}) == []
