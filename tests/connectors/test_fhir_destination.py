from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from conformance import Attempt, NetworkDestinationConformance, Peer
from hypothesis import given, settings, strategies as st

from connectors.contracts import Delivered, Outcome, Parcel, Refused, Retry
from connectors.fhir import CONNECTOR
from connectors.fhir.codec import judge
from connectors.fhir.destination import FhirDestination
from connectors.fhir.settings import FhirDestinationSettings
from connectors.http.simulator import Reply, WebReceiver
from connectors.outbound_http import HttpAnswer
from connectors.testing import PlainServices

FHIR = "application/fhir+json"


def outcome_of(*issues: tuple[str, str] | dict[str, Any]) -> bytes:
    """Make an OperationOutcome of (severity, code) pairs, each with a diagnostic that quotes a patient."""
    made = [
        {"severity": issue[0], "code": issue[1], "diagnostics": "TESTROSE is wrong"}
        if isinstance(issue, tuple)
        else issue
        for issue in issues
    ]
    return json.dumps({"resourceType": "OperationOutcome", "issue": made}).encode()


def response_of(*statuses: str, outcome: dict[str, Any] | None = None) -> bytes:
    entries = [{"response": {"status": status, **({"outcome": outcome} if outcome else {})}} for status in statuses]
    return json.dumps({"resourceType": "Bundle", "type": "transaction-response", "entry": entries}).encode()


def answered(status: int, body: bytes = b"", *, retry_after: float | None = None) -> HttpAnswer:
    return HttpAnswer(status, FHIR, body, retry_after)


class FhirPeer:
    BEHAVIOUR = {  # noqa: RUF012 - read only
        "accept": Reply(200, response_of("201 Created", "200 OK"), FHIR),
        "refuse": Reply(422, outcome_of(("error", "required")), FHIR),
        "later": Reply(503, outcome_of(("error", "transient")), FHIR),
        "hang": Reply(hang=True),
        "garbage": Reply(200, b"<html>TESTROSE, please log in</html>", "text/html"),
        "hang_up": Reply(hang_up=True),
    }

    def __init__(self, receiver: WebReceiver) -> None:
        self.receiver = receiver
        self.settings: dict[str, Any] = {"url": receiver.url + "/fhir"}

    @property
    def received(self) -> list[Attempt]:
        return [Attempt(request.body, request.headers["idempotency-key"]) for request in self.receiver.received]

    def behave(self, how: str) -> None:
        self.receiver.reply = self.BEHAVIOUR[how]


class TestConformance(NetworkDestinationConformance):
    connector = CONNECTOR
    impatient = {"timeout": 0.1}  # noqa: RUF012 - read only

    def content(self, number: int) -> bytes:
        return json.dumps({"resourceType": "Bundle", "id": f"b{number}", "name": "TESTROSE"}).encode()

    def peer(self, folder: Path) -> AbstractAsyncContextManager[Peer]:
        @asynccontextmanager
        async def opened() -> AsyncIterator[Peer]:
            async with WebReceiver(FhirPeer.BEHAVIOUR["accept"]) as receiver:
                yield FhirPeer(receiver)

        return opened()

    def absent(self, folder: Path) -> dict[str, Any]:
        return {"url": "http://127.0.0.1:1/fhir"}

    def connections(self, peer: Peer) -> int:
        assert isinstance(peer, FhirPeer)
        return peer.receiver.connections


async def test_what_is_sent(services: PlainServices) -> None:
    async with WebReceiver() as receiver:
        destination = FhirDestination(
            "spico",
            FhirDestinationSettings(url=receiver.url + "/fhir", token="t0ken"),
            services,
        )
        parcel = Parcel(1, "D000001", b"{}", "application/fhir+json", "b.json", 1)
        assert isinstance(await destination.send(parcel), Delivered)
        await destination.close()
        (request,) = receiver.received
    assert request.path == "/fhir"
    assert request.body == b"{}"
    assert request.headers["content-type"] == "application/fhir+json"
    assert request.headers["accept"] == "application/fhir+json"
    assert request.headers["prefer"] == "return=minimal"
    assert request.headers["idempotency-key"] == "D000001"
    assert request.headers["authorization"] == "Bearer t0ken"


SURE = ["transient", "lock-error", "throttled", "timeout", "no-store", "exception", "incomplete"]
LASTING = [
    "invalid", "structure", "required", "value", "invariant", "not-supported", "business-rule", "conflict",
    "duplicate", "multiple-matches", "not-found", "deleted", "too-long", "code-invalid", "extension", "too-costly",
]  # fmt: skip


@pytest.mark.parametrize("code", SURE)
@pytest.mark.parametrize("status", [400, 409, 422, 500, 503])
def test_transient_issues_are_tried_again(status: int, code: str) -> None:
    outcome = judge(answered(status, outcome_of(("error", code))))
    assert isinstance(outcome, Retry)
    assert outcome.reached
    assert code in outcome.detail


@pytest.mark.parametrize("code", LASTING)
@pytest.mark.parametrize("status", [400, 404, 409, 412, 422, 500])
def test_lasting_issues_are_refused(status: int, code: str) -> None:
    assert isinstance(judge(answered(status, outcome_of(("error", code)))), Refused)


@pytest.mark.parametrize(
    ("status", "issues", "expected"),
    [
        (500, [("error", "processing")], Retry),
        (400, [("error", "processing")], Refused),
        (409, [("error", "processing")], Retry),
        (429, [("error", "business-rule")], Retry),
        (503, [("fatal", "invalid")], Retry),
        (422, [("warning", "transient"), ("error", "value")], Refused),
        (422, [("error", "transient"), ("error", "value")], Refused),
        (400, [("information", "required")], Refused),
        (500, [("warning", "required")], Retry),
        (501, [("error", "not-supported")], Refused),
        (403, [("error", "forbidden")], Refused),
    ],
)
def test_status_and_issues_together(status: int, issues: list[tuple[str, str]], expected: type[Outcome]) -> None:
    assert isinstance(judge(answered(status, outcome_of(*issues))), expected)


@pytest.mark.parametrize("body", [b"", b"<html>", outcome_of(("error", "login")), outcome_of(("error", "invalid"))])
def test_refused_credentials_are_the_destinations_trouble(body: bytes) -> None:
    outcome = judge(answered(401, body))
    assert isinstance(outcome, Retry)
    assert outcome.reached is False


def test_an_expired_session_answered_403_too() -> None:
    outcome = judge(answered(403, outcome_of(("error", "expired"))))
    assert isinstance(outcome, Retry)
    assert outcome.reached is False


@pytest.mark.parametrize("status", [200, 201, 204])
@pytest.mark.parametrize(
    "body", [b"", b"\r\n", response_of("201 Created", "304 Not Modified"), outcome_of(("warning", "value"))]
)
def test_success(status: int, body: bytes) -> None:
    outcome = judge(answered(status, body))
    assert isinstance(outcome, Delivered)
    assert outcome.acknowledged


@pytest.mark.parametrize("body", [b"<html>log in</html>", b"OK", b"{}", b"[]", b'{"resourceType": 3}', b"\xff\x00"])
def test_a_success_that_is_not_fhir_is_not_believed(body: bytes) -> None:
    assert isinstance(judge(answered(200, body)), Retry)


@pytest.mark.parametrize("body", [b"<html>TESTROSE</html>", b"{", b"null", b'{"resourceType": "Bundle"}'])
def test_a_failure_that_is_not_fhir_is_judged_by_its_status(body: bytes) -> None:
    assert isinstance(judge(answered(502, body)), Retry)
    assert isinstance(judge(answered(422, body)), Refused)


def test_a_success_with_an_error_outcome_is_a_failure() -> None:
    assert isinstance(judge(answered(200, outcome_of(("error", "value")))), Refused)
    assert isinstance(judge(answered(200, outcome_of(("error", "lock-error")))), Retry)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (response_of("201 Created", "422 Unprocessable"), Refused),
        (response_of("201 Created", "503 Busy", "429"), Retry),
        (response_of("503", "404"), Refused),
        (response_of("400", outcome=json.loads(outcome_of(("error", "timeout")))), Retry),
        (response_of("500", outcome=json.loads(outcome_of(("error", "invariant")))), Refused),
    ],
)
def test_entries_that_failed_are_seen(body: bytes, expected: type[Outcome]) -> None:
    outcome = judge(answered(200, body))
    assert isinstance(outcome, expected)
    assert "entries failed" in outcome.detail


def test_details_name_codes_and_elements_and_quote_nothing() -> None:
    body = outcome_of(
        {"severity": "error", "code": "required", "expression": ["Bundle.entry[2].resource.birthDate"]},
        {"severity": "error", "code": "required", "diagnostics": "TESTROSE"},
        {"severity": "error", "code": "TESTROSE code", "expression": ["Patient.name = 'TESTROSE'"]},
    )
    outcome = judge(answered(422, body))
    assert outcome.detail == "HTTP 422: required ×2, without code at Bundle.entry[2].resource.birthDate"
    assert outcome.answer == body


def test_retry_after_goes_through() -> None:
    outcome = judge(answered(503, outcome_of(("error", "throttled")), retry_after=12.0))
    assert isinstance(outcome, Retry)
    assert outcome.after == 12.0


def test_a_success_too_long_to_be_read_is_a_success() -> None:
    assert isinstance(judge(HttpAnswer(200, FHIR, b'{"resourceType": "Bun', None, whole=False)), Delivered)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=8)
    | st.sampled_from(["error", "OperationOutcome", "Bundle"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["resourceType", "issue", "severity", "code", "expression", "entry", "response", "status", "outcome"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@settings(max_examples=200, deadline=None)
@given(status=st.integers(200, 599), body=st.binary(max_size=30) | JSON.map(lambda value: json.dumps(value).encode()))
def test_no_answer_makes_it_raise(status: int, body: bytes) -> None:
    outcome = judge(answered(status, body))
    assert isinstance(outcome, Delivered | Retry | Refused)
    if status >= 300:
        assert not isinstance(outcome, Delivered)
