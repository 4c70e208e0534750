"""The document-sharing server of the sandbox, asked by hand: what it takes, what it refuses, and with which words."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from hypothesis import given, settings, strategies as st

from connectors.sandbox.pdsm import DocumentServer, serving
from connectors.sandbox.pdsm_deposit import deposited
from connectors.sandbox.pdsm_rules import Refusal, check_bundle
from connectors.sandbox.pdsm_store import DocumentStore
from connectors.sandbox.people import INS_TEST_OID, ROSE

NOW = datetime(2026, 3, 5, 8, 0, tzinfo=UTC)
SYSTEM = f"urn:oid:{INS_TEST_OID}"
EXAMPLE = "dmp/fhir/Bundle-example-td2-iti65-lot-soumission.json"
SIMPLIFIED = "dmp/fhir/DocumentReference-example-td2-iti105-publication-simplifiee.json"
JSON_PATCH = "application/json-patch+json"


def store() -> DocumentStore:
    return DocumentStore(lambda: NOW)


def submission(content: bytes = b"%PDF-1.4", **more: str) -> dict[str, Any]:
    return json.loads(json.dumps(deposited(SYSTEM, ROSE.matricule, content, NOW, **more)))


def part(bundle: dict[str, Any], kind: str) -> dict[str, Any]:
    (found,) = (one["resource"] for one in bundle["entry"] if one["resource"]["resourceType"] == kind)
    return found


def refused(bundle: Any) -> Refusal:
    held = store()
    with pytest.raises(Refusal) as caught:
        held.transact(bundle)
    assert held.resources == {}
    return caught.value


@pytest.mark.shared_data
def test_the_example_of_the_guide_lacks_what_the_profile_wants_and_is_taken_with_it(shared_data: Path) -> None:
    bundle = json.loads((shared_data / EXAMPLE).read_bytes())
    assert refused(bundle).path == "Bundle.entry[1].resource.custodian"
    part(bundle, "DocumentReference")["custodian"] = {"reference": "#practitioner-author"}
    held = store()
    answer = held.transact(bundle)
    locations = [one["response"]["location"].split("/")[0] for one in answer["entry"]]
    assert locations == ["List", "DocumentReference", "Binary"]


@pytest.mark.shared_data
def test_the_simplified_example_of_the_guide(shared_data: Path) -> None:
    document = json.loads((shared_data / SIMPLIFIED).read_bytes())
    with pytest.raises(Refusal, match="required element"):
        store().publish(document, "")
    document["custodian"] = {"reference": "#practitioner-author"}
    held = store()
    made, new = held.publish(document, "")
    assert new
    assert made["content"][0]["attachment"]["url"].startswith("Binary/")
    assert "data" not in made["content"][0]["attachment"]


REQUIRED = [
    "contained", "masterIdentifier", "type", "category", "subject", "date", "author", "custodian", "securityLabel",
    "content", "context",
]  # fmt: skip


@pytest.mark.parametrize("name", REQUIRED)
def test_a_document_without_a_required_element_is_refused(name: str) -> None:
    bundle = submission()
    del part(bundle, "DocumentReference")[name]
    assert refused(bundle).status == 422


@pytest.mark.parametrize("name", ["size", "hash", "title", "contentType", "url"])
def test_a_file_without_a_required_element_is_refused(name: str) -> None:
    bundle = submission()
    del part(bundle, "DocumentReference")["content"][0]["attachment"][name]
    assert (refused(bundle).status, refused(bundle).code) == (422, "required")


@pytest.mark.parametrize("name", ["contained", "source", "date", "entry", "code", "extension", "mode", "subject"])
def test_a_set_without_a_required_element_is_refused(name: str) -> None:
    bundle = submission()
    del part(bundle, "List")[name]
    assert refused(bundle).status == 422


def spoil(bundle: dict[str, Any], how: str) -> None:
    document, binary = part(bundle, "DocumentReference"), part(bundle, "Binary")
    form = document["content"][0]["attachment"]
    match how:
        case "hash":
            form["hash"] = "AAAAAAAAAAAAAAAAAAAAAAAAAAA="
        case "size":
            form["size"] += 1
        case "bytes":
            binary["data"] = "JVBERi0="
        case "base64":
            binary["data"] = "%"
        case "status":
            document["status"] = "superseded"
        case "label":
            document["securityLabel"].append(document["securityLabel"][0])
        case "reference":
            document["author"] = [{"reference": "#nobody"}]
        case "file":
            form["url"] = "urn:uuid:00000000-0000-0000-0000-000000000000"
        case "method":
            bundle["entry"][0]["request"]["method"] = "DELETE"
        case "kind":
            binary["resourceType"] = "Observation"
        case "two sets":
            bundle["entry"].append({**bundle["entry"][0], "fullUrl": "urn:uuid:1"})
        case "same name":
            bundle["entry"][1]["fullUrl"] = bundle["entry"][0]["fullUrl"]
        case "collection":
            bundle["type"] = "collection"
        case "replaced":
            document["relatesTo"] = [{"code": "replaces", "target": {"reference": "DocumentReference/404"}}]


SPOILT = ["hash", "size", "bytes", "base64", "status", "label", "reference", "file", "method", "kind", "two sets",
          "same name", "collection", "replaced"]  # fmt: skip


@pytest.mark.parametrize("how", SPOILT)
def test_a_submission_that_does_not_hold_together_is_refused_and_leaves_nothing(how: str) -> None:
    bundle = submission()
    spoil(bundle, how)
    assert refused(bundle).status in {400, 422}


def test_an_identifier_is_taken_once() -> None:
    held = store()
    held.transact(submission())
    before = dict(held.resources)
    with pytest.raises(Refusal, match="taken"):
        held.transact(submission())
    assert held.resources == before
    again = submission()
    entry = next(one for one in again["entry"] if one["resource"]["resourceType"] == "DocumentReference")
    master = entry["resource"]["masterIdentifier"]
    entry["request"]["ifNoneExist"] = f"identifier={master['system']}|{master['value']}"
    answer = held.transact(again)
    assert [one["response"]["status"] for one in answer["entry"]] == ["201 Created", "200 OK", "201 Created"]
    assert len(held.of_kind("DocumentReference")) == 1


def test_patients_may_have_to_be_known() -> None:
    held = DocumentStore(lambda: NOW, any_patient=False)
    with pytest.raises(Refusal, match="patient is not known"):
        held.transact(submission())
    held.add_patient(SYSTEM, ROSE.matricule)
    held.transact(submission())


def stored() -> tuple[DocumentStore, str]:
    held = store()
    held.transact(submission())
    (document,) = held.of_kind("DocumentReference")
    return held, str(document["id"])


def step(op: str, path: str, value: Any = None) -> bytes:
    return json.dumps([{"op": op, "path": path, "value": value}]).encode()


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (step("replace", "/description", "x"), 405),
        (step("replace", "/subject", {"reference": "Patient/9"}), 405),
        (step("add", "/extension", [{"url": "urn:x", "valueBoolean": True}]), 405),
        (step("remove", "/content/0"), 405),
        (step("replace", "/extension[url:'x']", True), 422),
        (step("replace", "/securityLabel/7", {}), 422),
        (step("remove", "/securityLabel"), 422),
        (step("replace", "/status", "unheard-of"), 422),
        (step("test", "/status", "superseded"), 422),
        (step("move", "/status"), 422),
        (b"{", 400),
        (b"{}", 400),
    ],
)
def test_what_a_patch_may_not_do(body: bytes, status: int) -> None:
    held, name = stored()
    before = copy.deepcopy(held.visible(name))
    with pytest.raises(Refusal) as caught:
        held.update(name, JSON_PATCH, body, "")
    assert caught.value.status == status
    assert held.visible(name) == before


def test_a_patch_makes_a_version_and_wants_the_current_one() -> None:
    held, name = stored()
    changed = held.update(name, JSON_PATCH, step("replace", "/status", "superseded"), 'W/"1"')
    assert changed["meta"]["versionId"] == "2"
    with pytest.raises(Refusal) as caught:
        held.update(name, JSON_PATCH, step("replace", "/status", "current"), 'W/"1"')
    assert caught.value.status == 412
    with pytest.raises(Refusal) as caught:
        held.update(name, "text/plain", b"{}", "")
    assert caught.value.status == 415


async def asked(held: DocumentServer, ask: Callable[[aiohttp.ClientSession, str], Any]) -> Any:
    async with serving(held) as base, aiohttp.ClientSession() as session:
        return await ask(session, base)


async def test_a_foreign_client_finds_reads_and_pages() -> None:
    server = DocumentServer(now=lambda: NOW)
    for number in range(5):
        server.deposit(SYSTEM, ROSE.matricule, b"%PDF-1.4 " + str(number).encode())

    async def ask(session: aiohttp.ClientSession, base: str) -> list[str]:
        form = {"patient.identifier": f"{SYSTEM}|{ROSE.matricule}", "status": "current", "_count": "2"}
        answer = await session.post(f"{base}/DocumentReference/_search", data=form)
        names: list[str] = []
        while True:
            page = await answer.json(content_type=None)
            names += [one["resource"]["id"] for one in page["entry"]]
            url = page["entry"][0]["resource"]["content"][0]["attachment"]["url"]
            file = await session.get(f"{base}/{url}", headers={"Accept": "application/pdf"})
            assert (await file.read()).startswith(b"%PDF-1.4 ")
            following = [one["url"] for one in page.get("link", ()) if one["relation"] == "next"]
            if not following:
                return names
            answer = await session.get(following[0])

    assert len(set(await asked(server, ask))) == 5


@pytest.mark.parametrize(
    ("criteria", "status"),
    [
        ({"status": "current"}, 400),
        ({"patient": "1"}, 400),
        ({"patient": "1", "status": "current", "description": "x"}, 400),
        ({"patient": "1", "status": "current", "_count": "many"}, 400),
        ({"patient": "1", "status": "current"}, 200),
    ],
)
async def test_a_search_names_a_patient_and_a_status(criteria: dict[str, str], status: int) -> None:
    async def ask(session: aiohttp.ClientSession, base: str) -> int:
        return (await session.get(f"{base}/DocumentReference", params=criteria)).status

    assert await asked(DocumentServer(), ask) == status


async def test_a_token_and_a_mood() -> None:
    async def ask(session: aiohttp.ClientSession, base: str) -> list[int]:
        root = base.removesuffix("/fhir")
        statuses = [(await session.get(f"{base}/metadata")).status]
        headers = {"Authorization": "Bearer t0ken"}
        statuses.append((await session.get(f"{base}/metadata", headers=headers)).status)
        statuses.append((await session.put(f"{root}/mood/unavailable")).status)
        statuses.append((await session.get(f"{base}/metadata", headers=headers)).status)
        statuses.append((await session.put(f"{root}/mood/unheard-of")).status)
        return statuses

    assert await asked(DocumentServer(token="t0ken"), ask) == [401, 200, 200, 503, 404]


KEYS = st.sampled_from(["resourceType", "type", "entry", "resource", "request", "fullUrl", "content", "method"])
LEAVES = st.none() | st.booleans() | st.integers() | st.text(max_size=6)
JSON = st.recursive(
    LEAVES | st.sampled_from(["Bundle", "List", "transaction"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=150, deadline=None)
@given(JSON)
def test_nothing_but_a_refusal_comes_of_nonsense(body: Any) -> None:
    with pytest.raises(Refusal):
        check_bundle(body)
