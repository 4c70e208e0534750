"""What tools ask of the FHIR API: searches, bodies, patches, subscriptions, parameters."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from urllib.parse import parse_qsl

import fhir_samples
import orjson
from fuzz import seeds
from fuzz.mutators import CANARY, json, raw, words
from fuzz.registry import Target, register
from fuzz.targets_tokens import NOW
from starlette.requests import Request

from router.dossier.api.calls import Call, parameters_of
from router.dossier.api.outcomes import Refused
from router.dossier.api.patches import patched
from router.dossier.api.queries import understood
from router.dossier.api.steps import create_step, patch_step, transaction_steps, update_step
from router.dossier.subscriptions.addresses import AddressPolicy
from router.dossier.subscriptions.wanted import wanted
from router.dossier.tools.tokens import Pass

_KINDS = (
    "Patient",
    "DocumentReference",
    "Observation",
    "Communication",
    "Task",
    "Appointment",
    "CareTeam",
    "Encounter",
)


def _searched(content: bytes) -> None:
    kind = _KINDS[len(content) % len(_KINDS)]
    pairs = parse_qsl(content.decode("utf-8", "replace"), keep_blank_values=True)
    understood(kind, pairs, "https://a/fhir")


def _searches() -> Sequence[bytes]:
    return (
        b"patient=Patient/1&date=ge2026-01-01&_sort=-date&_count=5&_include=DocumentReference:subject",
        b"subject:Patient.identifier=urn:oid:1.2.250.1.213.1.4.10%7C279035121518989&status:not=current&_total=accurate",
        b"patient:identifier=a%7Cb&_has:Observation:patient:code=x&_lastUpdated=gt2026&_elements=id,status&_summary=count",
        b"family:exact=TESTROSE&birthdate=1979-03-05&code=http://loinc.org%7C718-7&value-quantity=gt5.4%7C%7Cmg&_id=1,2",
    )


_QUERY = (
    b"&",
    b"=",
    b":",
    b"|",
    b"%7C",
    b",",
    b"\\,",
    b"$",
    b"_include=",
    b"_revinclude=",
    b"_has:",
    b"_sort=",
    b"_count=",
    b"ge",
    b"ap",
    b":missing",
    b":not",
    b":exact",
    b":of-type",
    b"Patient.",
    b"2026-02-31",
    b"T24:00",
    b"%00",
    b"-1",
    b"1e999",
)
register(
    Target(
        "fhir-search",
        _searched,
        _searches,
        (words(*_QUERY), words(*_QUERY), raw),
        (Refused,),
        largest=4096,
        may_quote=(CANARY, "TESTROSE"),
    )
)


@cache
def _pass() -> Pass:
    return Pass(reader=None, scopes=("read", "write", "subscribe"))  # type: ignore[arg-type]  # not looked at here


def _call(method: str, path: tuple[str, ...], body: bytes, kind: str = "application/fhir+json") -> Call:
    headers = {"content-type": kind, "if-none-exist": "", "if-match": 'W/"1"'}
    return Call(method, path, (), headers, body, "https://a/fhir", NOW * 1_000_000, _pass())


def _written(content: bytes) -> None:
    """Take a body as a transaction, as each type, and as a patch."""
    refused = None
    for understand in (
        lambda: transaction_steps(_call("POST", (), content)),
        lambda: create_step(_call("POST", (), content), _KINDS[len(content) % len(_KINDS)]),
        lambda: update_step(_call("PUT", (), content), "DocumentReference", "1"),
        lambda: patch_step(_call("PATCH", (), content, "application/json-patch+json"), "DocumentReference", "1"),
    ):
        try:
            understand()
        except Refused as fault:
            refused = fault
    if refused is not None:
        raise refused


register(Target("fhir-bodies", _written, lambda: seeds.fhir()[-5:], (json, json, raw), (Refused,)))


def _patch(content: bytes) -> None:
    try:
        patch = orjson.loads(content)
    except ValueError:
        return
    patched(fhir_samples.letter("Patient/1"), patch)


def _patches() -> Sequence[bytes]:
    operations = [
        {"op": "replace", "path": "/status", "value": "superseded"},
        {"op": "add", "path": "/securityLabel/-", "value": {}},
        {"op": "move", "from": "/a", "path": "/b~1c"},
        {"op": "test", "path": "/content/0", "value": 1},
        {"op": "remove", "path": "/x"},
    ]
    return (
        orjson.dumps(operations),
        orjson.dumps({"resourceType": "Parameters", "parameter": [{"name": "operation"}]}),
    )


register(Target("fhir-patch", _patch, _patches, (json, raw), (Refused,)))


def _subscribed(content: bytes) -> None:
    try:
        resource = orjson.loads(content)
    except ValueError:
        return
    if isinstance(resource, dict):
        wanted(resource, AddressPolicy.of((), http=False))


def _subscriptions() -> Sequence[bytes]:
    channel = {
        "type": "rest-hook",
        "endpoint": "https://tool.example/x",
        "payload": "application/fhir+json",
        "header": ["A: b"],
    }
    return (
        orjson.dumps(
            {
                "resourceType": "Subscription",
                "status": "requested",
                "criteria": "DocumentReference?patient=1",
                "reason": "x",
                "end": "2027-01-01T00:00:00Z",
                "channel": channel,
            }
        ),
    )


register(
    Target("fhir-subscription", _subscribed, _subscriptions, (json, raw), (Refused,), may_quote=(CANARY, "TESTROSE"))
)


def _parameters(content: bytes) -> None:
    line, _, body = content.partition(b"\n")
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/fhir/Patient/_search",
        "query_string": line,
        "scheme": "https",
        "headers": [(b"content-type", b"application/x-www-form-urlencoded")],
    }
    parameters_of(Request(scope), body)


register(
    Target(
        "fhir-parameters",
        _parameters,
        lambda: (b"a=b&c=d\nname=TESTROSE", b"\n"),
        (words(b"&", b"=", b"%", b"\xff", b"\n"), raw),
        (Refused,),
    )
)
