"""Patches of a document's state: what they make of it is what was wanted, whoever applies them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from connectors.pdsm.resources import ARCHIVED, DELETED, flagged
from connectors.pdsm.updates import Change, PatchForm, patch
from connectors.sandbox.pdsm_patch import patched

LEVEL = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "N"}]}


def label(code: str) -> dict[str, Any]:
    return {"coding": [{"system": "urn:x", "code": code}]}


LABELS = st.lists(st.sampled_from("ABCD"), max_size=3, unique=True).map(lambda codes: [LEVEL, *map(label, codes)])
FLAG = st.none() | st.booleans()
EXTENSIONS = st.lists(
    st.sampled_from([{"url": "urn:other", "valueString": "x"}, {"url": ARCHIVED, "valueBoolean": True}]),
    max_size=2,
    unique_by=lambda one: one["url"],
)


def document(labels: list[Any], extensions: list[Any], version: str = "1") -> dict[str, Any]:
    made = {"resourceType": "DocumentReference", "status": "current", "description": "x", "securityLabel": labels}
    if extensions:
        made["extension"] = extensions
    return made | ({"meta": {"versionId": version}} if version else {})


def codes(resource: Any) -> set[str]:
    return {one["coding"][0]["code"] for one in resource["securityLabel"]}


@settings(max_examples=150, deadline=None)
@given(
    form=st.sampled_from(PatchForm),
    before=LABELS,
    after=LABELS,
    extensions=EXTENSIONS,
    archived=FLAG,
    deleted=st.sampled_from([None, True]),
    version=st.sampled_from(["1", ""]),
)
def test_a_patch_makes_what_was_wanted_and_touches_nothing_else(
    form: PatchForm,
    before: list[Any],
    after: list[Any],
    extensions: list[Any],
    archived: bool | None,
    deleted: bool | None,
    version: str,
) -> None:
    given = document(before, extensions, version)
    kept = json.loads(json.dumps(given))
    change = Change(status="superseded", labels=after, archived=archived, deleted=deleted)
    body = patch(given, change, form)
    assert given == kept
    assert body is not None
    made: Any = patched(given, form.media_type, body)
    assert made["status"] == "superseded"
    assert codes(made) == codes({"securityLabel": after})
    assert made["description"] == "x"
    if archived is not None:
        assert flagged(made, ARCHIVED) is archived
    assert flagged(made, DELETED) is (deleted is True)
    assert patch(made, change, form) is None


def test_places_are_indices_and_never_conditions() -> None:
    given = document([LEVEL, label("A"), label("B")], [{"url": "urn:other"}, {"url": ARCHIVED, "valueBoolean": True}])
    body = patch(given, Change(labels=[LEVEL, label("C")], archived=False), PatchForm.JSON)
    assert json.loads(body or b"") == [
        {"op": "remove", "path": "/securityLabel/2"},
        {"op": "remove", "path": "/securityLabel/1"},
        {"op": "add", "path": "/securityLabel/-", "value": label("C")},
        {"op": "add", "path": "/extension/1/valueBoolean", "value": False},
    ]


def test_without_a_version_the_places_are_tested_first() -> None:
    body = patch(document([LEVEL], [], version=""), Change(status="superseded"), PatchForm.JSON)
    assert [one["op"] for one in json.loads(body or b"")] == ["test", "test", "replace"]


def test_a_label_is_the_same_whatever_its_system_is_called() -> None:
    given = document([LEVEL, {"coding": [{"system": "urn:oid:1.2.250.1.213.1.1.4.13", "code": "MASQUE_PS"}]}], [])
    masked = {"coding": [{"system": "https://mos.example/TRE_A07", "code": "MASQUE_PS"}]}
    assert patch(given, Change(labels=[LEVEL, masked]), PatchForm.JSON) is None
    assert json.loads(patch(given, Change(labels=[LEVEL]), PatchForm.JSON) or b"")[0]["op"] == "remove"


@pytest.mark.parametrize("form", list(PatchForm))
def test_nothing_to_change_is_no_patch(form: PatchForm) -> None:
    given = document([LEVEL], [])
    assert patch(given, Change(status="current", labels=[LEVEL], archived=False), form) is None
