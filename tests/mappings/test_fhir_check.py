from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from filled_items import REPORT_ITEM

from mappings.contracts import WriteContext
from mappings.fhir import FORMAT
from mappings.fhir.check import check_with_fhirclient

CONTEXT = WriteContext(now=datetime(2026, 3, 5, 9, 0, tzinfo=UTC), identity="d")


def test_a_written_bundle_has_nothing_wrong() -> None:
    assert check_with_fhirclient(FORMAT.write(REPORT_ITEM, CONTEXT).content) == ()


@pytest.mark.parametrize(
    ("resource", "where", "said"),
    [
        ({"resourceType": "Observation", "code": {"text": "TESTROSE"}}, "Observation", "mandatory"),
        ({"resourceType": "Patient", "nom": "TESTROSE"}, "Patient", "does not exist"),
        ({"resourceType": "Patient", "birthDate": "TESTROSE"}, "Patient.birthDate", "does not allow"),
        ({"resourceType": "Patient", "name": "TESTROSE"}, "Patient.name", "wrong type"),
        ({"resourceType": "Rose"}, "Rose", "not a resource type"),
        ([], "content", "not a FHIR resource"),
    ],
)
def test_what_is_wrong_is_named_and_never_quoted(resource: object, where: str, said: str) -> None:
    findings = check_with_fhirclient(json.dumps(resource).encode())
    assert findings
    assert said in findings[0].message
    assert findings[0].where.startswith(where)
    assert "TESTROSE" not in repr(findings)


def test_every_entry_of_a_bundle_is_checked() -> None:
    bundle = {
        "resourceType": "Bundle",
        "type": "collection",
        "entry": [{"resource": {"resourceType": "Patient"}}, {"resource": {"resourceType": "Encounter"}}],
    }
    findings = check_with_fhirclient(json.dumps(bundle).encode())
    assert {finding.where for finding in findings} == {"Bundle.entry[1].resource"}
    assert check_with_fhirclient(b"{")[0].message == "this is not JSON"
