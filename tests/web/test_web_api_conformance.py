"""The API keeps to its own OpenAPI document: whatever is sent, each answer is one that the document declares."""

from __future__ import annotations

from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings, strategies as st
from schemathesis.checks import CHECKS, load_all_checks
from schemathesis.core.failures import FailureGroup
from web_client import Browser
from web_person import NOW

from router.dossier.circle import add_member
from router.dossier.dossiers import open_dossier
from router.dossier.keeping import By
from router.web.guard import LARGEST_UPLOAD
from schemas.actors import Organization, Professional
from schemas.circle import Member, RoleFamily
from schemas.coding import Identifier
from schemas.consent import Consent, ConsentChannel, ConsentKind

load_all_checks()
KEPT = [
    CHECKS.get_one(name)
    for name in (
        "not_a_server_error",
        "status_code_conformance",
        "content_type_conformance",
        "response_schema_conformance",
    )
]
EXAMPLES = 10
"""Requests an operation: all operations within half a minute."""


@pytest.mark.slow
def test_every_answer_of_every_operation_is_declared(site: Any) -> None:
    _open_a_dossier(site)
    schema = schemathesis.openapi.from_asgi("/api/v1/openapi.json", site.app)
    wrong: dict[str, str] = {}

    def check(operation: Any) -> None:
        @settings(
            max_examples=EXAMPLES,
            deadline=None,
            derandomize=True,
            database=None,
            phases=(Phase.explicit, Phase.generate),
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy(), near=st.booleans())
        def ask(case: Any, near: bool) -> None:
            if near:
                # Numbers that are there: what is answered about nothing at all says little.
                case.path_parameters = {
                    name: value % 9 + 1 if isinstance(value, int) else value
                    for name, value in (case.path_parameters or {}).items()
                }
            try:
                case.call_and_validate(headers={"Authorization": f"Bearer {site.journal.key}"}, checks=KEPT)
            except FailureGroup as failures:
                for one in failures.exceptions:
                    wrong.setdefault(f"{operation.label}: {one.title}: {one.message[:200]}", case.as_curl_command())

        ask()

    operations = [one.ok() for one in schema.get_all_operations()]
    for one in operations:
        check(one)
    assert len(operations) > 50
    assert not wrong, "\n".join(f"{what}\n    {how[:300]}" for what, how in sorted(wrong.items()))


def _open_a_dossier(site: Any) -> None:
    by = By("claire", NOW, "essai")
    owner = Organization(name="DAC FICTIF", identifiers=(Identifier(value="670000001", type="FINEG"),))
    informed = Consent(kind=ConsentKind.OPENING, at="2026-01-10", collected_by="claire", channel=ConsentChannel.ORAL)
    rpps = Identifier(system="https://rpps.esante.gouv.fr", value="89900000001", type="RPPS")
    doctor = Professional(identifiers=(rpps,), family_name="TESTMEDECIN")
    member = Member(family=RoleFamily.PHYSICIAN, professional=doctor, start="2026-01-10", in_care_team=True)
    assert site.journal.apply(open_dossier(1, owner, by=by, consent=informed)).refusal is None
    assert site.journal.apply(add_member(1, member, by=by)).refusal is None


async def test_a_number_that_no_row_can_have_is_of_nothing(site: Any) -> None:
    api = Browser(site.app, headers={"Authorization": f"Bearer {site.journal.key}"})
    answer = await api.get(f"/api/v1/messages/{2**70}")
    assert (answer.status, answer.headers["content-type"]) == (404, "application/problem+json")
    page = await (await site.signed_in()).get(f"/messages/{2**70}")
    assert page.status == 404
    assert site.value("SELECT count(*) FROM notice WHERE code = 'web.defect'") == 0


async def test_what_is_too_large_is_a_problem_like_any_other(site: Any) -> None:
    api = Browser(site.app, headers={"Authorization": f"Bearer {site.journal.key}"})
    answer = await api.send("/api/v1/patients", b" " * (LARGEST_UPLOAD + 1))
    assert (answer.status, answer.headers["content-type"]) == (413, "application/problem+json")


async def test_the_document_says_how_callers_prove_who_they_are(site: Any) -> None:
    document = (await Browser(site.app).get("/api/v1/openapi.json")).json()
    assert set(document["components"]["securitySchemes"]) == {"key", "session"}
    refused = document["paths"]["/api/v1/messages/{number}"]["get"]["responses"]["401"]["content"]
    assert list(refused) == ["application/problem+json"]
    assert "HTTPValidationError" not in document["components"]["schemas"]
