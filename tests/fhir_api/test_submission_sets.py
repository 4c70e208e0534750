"""Publications of PDSm (ITI-65): a submission set with its document and file, all or nothing, seen together."""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from dossier_scene import home_help, nurse
from filled_items import DOCUMENT_ITEM, PDF

from mappings.contracts import WriteContext
from mappings.fhir.format import PDSM_FORMAT
from router.journal import tables
from schemas.coding import Coding

Rig = Any
NURSE = "https://rpps.esante.gouv.fr|89900000002"


@pytest.fixture
async def ready(rig: Rig) -> Rig:
    """The dossier's patient is known to the API, and in the circle are a nurse and a home help service."""
    rig.scene.add(nurse())
    rig.scene.add(home_help())
    await rig.follow()
    return rig


def publication(patient: str, **document: Any) -> dict[str, Any]:
    """What a document server's client sends (written by our own destination), about the patient of the scene."""
    content = DOCUMENT_ITEM.content.model_copy(update={"replaces_id": None, "operation": "create", **document})
    item = DOCUMENT_ITEM.model_copy(update={"content": content, "replaces": None})
    context = WriteContext(now=datetime(2026, 3, 5, tzinfo=UTC), identity="delivery-1")
    bundle: dict[str, Any] = orjson.loads(PDSM_FORMAT.write(item, context).content)
    for entry in bundle["entry"]:
        if "subject" in entry["resource"]:
            entry["resource"]["subject"] = {"reference": patient}
    return bundle


async def test_a_submission_set_is_kept_with_its_document_and_file(ready: Rig) -> None:
    tool = ready.tool()
    done = await tool.call("POST", "", publication(ready.patient))
    assert done.status == 200, done.text
    listed, document, file = done.json()["entry"]
    assert [one["response"]["status"] for one in (listed, document, file)] == ["201 Created"] * 3
    assert "fullUrl" not in file
    (found,) = await tool.found(f"List?patient={ready.patient}&code=submissionset&status=current")
    (kept,) = await tool.found(f"DocumentReference?patient={ready.patient}")
    assert found["entry"][0]["item"]["reference"] == f"DocumentReference/{kept['id']}"
    binary = await tool.get(kept["content"][0]["attachment"]["url"])
    assert binary.body == base64.b64decode(PDF.data or "")
    # Sent again, it is what is there already.
    again = (await tool.call("POST", "", publication(ready.patient))).json()["entry"]
    assert again[0]["response"]["location"] == listed["response"]["location"]
    assert len([row for row in ready.rows() if row.type in {"List", "DocumentReference"}]) == 2


async def test_a_submission_set_is_seen_by_who_may_see_what_it_submits(ready: Rig) -> None:
    plan = {"type": Coding(system="http://loinc.org", code="18776-5"), "category": None}
    assert (await ready.tool().call("POST", "", publication(ready.patient, **plan, confidentiality=()))).status == 200
    other = ready.tool("autre", user=NURSE)
    assert len(await other.found(f"List?patient={ready.patient}")) == 1
    assert {row.category for row in ready.rows() if row.type in {"List", "DocumentReference"}} == {"plans"}


async def test_a_list_alone_or_of_nothing_is_refused(ready: Rig) -> None:
    tool = ready.tool()
    bundle = publication(ready.patient)
    alone = bundle["entry"][0]["resource"]
    assert (await tool.call("POST", "List", alone)).status == 405
    bundle["entry"] = bundle["entry"][:1]
    refused = await tool.call("POST", "", bundle)
    assert refused.status == 422
    assert refused.json()["issue"][0]["expression"] == ["Bundle.entry[0].resource.entry[0].item.reference"]
    metadata = (await tool.get("metadata")).json()["rest"][0]["resource"]
    (described,) = [one for one in metadata if one["type"] == "List"]
    assert {"code": "create"} in described["interaction"]
    assert {"code": "update"} not in described["interaction"]
    assert [row for row in ready.rows(tables.message) if row.source == "dossier"] == []
