"""What people, tools and providers send to the router itself: conditions, configuration, tokens, requests, tables."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from urllib.parse import parse_qsl

import fhir_samples
import orjson
from fuzz import seeds
from fuzz.mutators import CANARY, json, raw, rows, words
from fuzz.registry import Target, register
from joserfc import jws
from joserfc.jwk import ECKey, KeySet
from starlette.requests import Request

from mappings.contracts import FormatError
from router.cluster.contracts import Bell, NodeFlow, NodeStatus, NotUnderstood
from router.config.load import ConfigurationFault, load_text
from router.dossier.api.calls import Call, parameters_of
from router.dossier.api.cursors import PLACE as CURSOR_PLACE, read as read_cursor
from router.dossier.api.outcomes import Refused
from router.dossier.api.patches import patched
from router.dossier.api.queries import understood
from router.dossier.api.steps import create_step, patch_step, transaction_steps, update_step
from router.dossier.matrix import MatrixFault, default_text, read_matrix
from router.dossier.notices import RulesFault, default_rules_text, read_rules
from router.dossier.subscriptions.addresses import AddressPolicy
from router.dossier.subscriptions.wanted import wanted
from router.dossier.tools.assertions import WrongAssertion, check_assertion, claimed_tool
from router.dossier.tools.tokens import Pass, WrongUser, users_of
from router.engine.conditions import VARIABLES, ConditionFault, compile_condition, holds
from router.identity.importing import read_patients
from router.journal.sealing import KeyFault, Sealer
from router.recipients.rules import RulesFault as RecipientsFault, read_rows, read_wishes, shipped
from router.web.oidc.faults import OidcFault
from router.web.oidc.tokens import (
    Expected,
    KeyNotFound,
    check_id_token,
    check_logout_token,
    check_userinfo,
    header_of,
    verified,
)
from schemas.ins_datamatrix import DatamatrixFault, read_datamatrix

NOW = 1_772_700_000
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


def _condition(content: bytes) -> None:
    source = content.decode("utf-8", "replace")
    compile_condition(source)
    item = {"kind": "lab_report", "replaces": None, "content": {"status": "final", "chapters": [{"title": "TESTROSE"}]}}
    assert {"item", "patient", "source", "message"} == VARIABLES
    holds(
        source,
        {"item": item, "patient": {"known": True, "name": "TESTROSE"}, "source": "labo", "message": {"type": "ORU"}},
    )


_CEL = (
    b"item.kind",
    b"patient.",
    b"message.type",
    b"source",
    b"==",
    b"!=",
    b"&&",
    b"||",
    b"!",
    b"(",
    b")",
    b"[",
    b"]",
    b"{",
    b"}",
    b"'x'",
    b'"',
    b"r'\\",
    b"in",
    b"?",
    b":",
    b"size(",
    b".matches('(a+)+$')",
    b".exists(x, ",
    b".map(x, ",
    b"timestamp('",
    b"duration('1h')",
    b"1/0",
    b"9223372036854775807+1",
    b"-",
    b"1e400",
    b"b'\\xff'",
    b"null",
    b"has(",
    b"\0",
    b"/*",
    b"//",
    b"int('a')",
    b"[1,2,3].all(c, c > 0)",
    b"item.content.chapters[99]",
    b"'a' + 1",
    "é".encode(),
)
register(
    Target(
        "cel",
        _condition,
        lambda: (b"item.kind == 'lab_report' && patient.known", b"item.content.chapters.exists(c, c.title == 'X')"),
        (words(*_CEL), words(*_CEL), raw),
        (ConditionFault,),
        largest=4096,
        may_quote=(CANARY,),
    )
)


def _configured(content: bytes) -> None:
    load_text(content.decode("utf-8", "replace"), Path("/nowhere/passerelle.toml"), {"SECRET": "x"})


def _configurations() -> Sequence[bytes]:
    text = (
        b'[journal]\nfolder = "data"\n[engine]\nworkers = 0\n'
        b'[web]\nlisten = "127.0.0.1:0"\nrequire_totp = ["operator"]\n'
        b'[sources.labo]\nconnector = "mllp"\nlisten = "0.0.0.0:2575"\nformat = "hl7v2"\nmax_frame = "2MiB"\n'
        b'[sources.depot]\nconnector = "directory"\nfolder = "in"\n'
        b'[destinations.out]\nconnector = "http"\nurl = "https://a.example/x"\nformat = "fhir"\n'
        b'signature_secret = "${SECRET}"\n'
        b'[[routes]]\nname = "all"\nwhen = "item.kind == \'stay\'"\nto = ["out"]\nunattached = true\n'
    )
    return (text,)


_TOML = (
    b"=",
    b"[",
    b"]",
    b"[[routes]]\n",
    b'"',
    b"'''",
    b"\n",
    b"#",
    b"${SECRET}",
    b"${NO}",
    b"{",
    b"}",
    b"1e9999",
    b"-1",
    b"true",
    b"[]",
    b'"0.0.0.0:99999"',
    b"2026-13-01",
    b"name",
    b"connector",
    b'"mllp"',
    b"99999999999999999999",
)
register(
    Target(
        "configuration",
        _configured,
        _configurations,
        (rows(b'="'), words(*_TOML), raw),
        (ConfigurationFault,),
        share=0.5,
        may_quote=(CANARY,),
    )
)


@cache
def _key() -> ECKey:
    return ECKey.generate_key("P-256", {"kid": "1"}, auto_kid=False)


def _sign(claims: bytes) -> str:
    return jws.serialize_compact({"alg": "ES256", "kid": "1"}, claims, _key())


def _oidc_claims(content: bytes) -> None:
    """Sign whatever claims: a provider that is honest about its key, and odd about all else."""
    keys = KeySet([_key()])
    claims = verified(_sign(content), keys, ["ES256"])
    expected = Expected(
        "https://sso.example", "passerelle", ["ES256"], NOW, acr=("eidas2",), max_age=60, acr_optional=True
    )
    refused = None
    for check in (
        lambda: check_id_token(claims, expected, nonce="n", access_token="a", algorithm="ES256"),
        lambda: check_userinfo(claims, "s", signed=True, expected=expected),
        lambda: check_logout_token(claims, expected),
    ):
        try:
            check()
        except OidcFault as fault:
            refused = fault
    if refused is not None:
        raise refused


def _claims() -> Sequence[bytes]:
    common = {"iss": "https://sso.example", "aud": "passerelle", "iat": NOW, "exp": NOW + 60, "sub": "s", "nonce": "n"}
    event = {"http://schemas.openid.net/event/backchannel-logout": {}}
    return (
        orjson.dumps({**common, "acr": "eidas2", "auth_time": NOW, "at_hash": "x"}),
        orjson.dumps({**{k: v for k, v in common.items() if k != "nonce"}, "events": event, "jti": "1", "sid": "1"}),
    )


register(Target("oidc-claims", _oidc_claims, _claims, (json, raw), (OidcFault, KeyNotFound)))


def _oidc_token(content: bytes) -> None:
    token = content.decode("utf-8", "replace")
    header_of(token)
    verified(token, KeySet([_key()]), ["ES256", "RS256", "none"])


def _tokens() -> Sequence[bytes]:
    unsigned = base64.urlsafe_b64encode(b'{"alg":"none"}').rstrip(b"=") + b"." + base64.urlsafe_b64encode(b"{}") + b"."
    deep = base64.urlsafe_b64encode(b"[" * 20_000).rstrip(b"=") + b".e30.x"
    return (*(_sign(one).encode() for one in _claims()), unsigned, deep)


register(
    Target(
        "oidc-token",
        _oidc_token,
        _tokens,
        (words(b".", b"=", b"e30", b"ey", b"\xc3\xa9"), raw),
        (OidcFault, KeyNotFound),
    )
)


def _assertion_claims(content: bytes) -> None:
    """A tool of ours that signs rightly, and says anything."""
    token = _sign(content)
    public = orjson.dumps({"keys": [_key().as_dict(private=False), {"kid": "1", "kty": "RSA", "n": "AQ", "e": "é"}, 3]})
    check_assertion(token, claimed_tool(token), public.decode(), ("https://a/oauth/token",), NOW)


def _assertions() -> Sequence[bytes]:
    return (
        orjson.dumps({"iss": "spico", "sub": "spico", "aud": "https://a/oauth/token", "exp": NOW + 60, "jti": "1"}),
    )


register(Target("tool-assertion", _assertion_claims, _assertions, (json, raw), (WrongAssertion,)))


def _assertion_token(content: bytes) -> None:
    token = content.decode("utf-8", "replace")
    key_set = orjson.dumps({"keys": [_key().as_dict(private=False)]}).decode()
    check_assertion(token, claimed_tool(token), key_set, ("https://a/oauth/token",), NOW)


register(Target("tool-token", _assertion_token, _tokens, (words(b".", b"=", b"e30"), raw), (WrongAssertion,)))
register(
    Target(
        "users",
        lambda content: users_of(content.decode("utf-8", "replace")),
        lambda: (b"https://rpps.esante.gouv.fr|89900000001", b"899700000017"),
        (words(b"|", b",", b"urn:oid:", b"\0"), raw),
        (WrongUser,),
    )
)


@cache
def _sealer() -> Sealer:
    return Sealer(b"k" * 32)


def _cursor(content: bytes) -> None:
    read_cursor(_sealer(), content.decode("utf-8", "replace"), "Patient", "r", NOW)


register(
    Target(
        "cursors", _cursor, lambda: (base64.urlsafe_b64encode(_sealer().seal(b"[]", CURSOR_PLACE)),), (raw,), (Refused,)
    )
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
register(
    Target(
        "matrix",
        lambda content: read_matrix(content.decode("utf-8", "replace")),
        lambda: (default_text().encode(),),
        (rows(b";,"), raw),
        (MatrixFault,),
        may_quote=(CANARY,),
    )
)
register(
    Target(
        "notice-rules",
        lambda content: read_rules(content.decode("utf-8", "replace")),
        lambda: (default_rules_text().encode(),),
        (rows(b'="'), words(*_TOML), raw),
        (RulesFault,),
        share=0.5,
        may_quote=(CANARY,),
    )
)
register(
    Target(
        "patients",
        read_patients,
        lambda: (b"ipp;nom;prenom;naissance;sexe\r\n1;TESTROSE;MARIE;1979-03-05;F\r\n", *seeds.canonical()[:1]),
        (rows(b";,"), raw),
        (FormatError,),
    )
)


def _datamatrix(content: bytes) -> None:
    read_datamatrix(content.decode("latin-1"))


register(
    Target(
        "datamatrix",
        _datamatrix,
        lambda: (
            b"IS010000000000000000000000S1279035121518989\x1dS21.2.250.1.213.1.4.8\x1dS3MARIE\x1dS4TESTROSE\x1dS5F\x1dS605-03-1979\x1dS735238",
        ),
        (raw,),
        (DatamatrixFault,),
    )
)


def _wishes(content: bytes) -> None:
    text = content.decode("utf-8", "replace")
    refused = None
    for read in (read_rows, read_wishes):
        try:
            read(text)
        except RecipientsFault as fault:
            refused = fault
    if refused is not None:
        raise refused


def _recipients() -> Sequence[bytes]:
    return (shipped("who_gets_what.csv").encode(), shipped("legal_wishes.csv").encode())


register(Target("recipient-rules", _wishes, _recipients, (rows(b',;"'), raw), (RecipientsFault,), may_quote=(CANARY,)))


def _opened(content: bytes) -> None:
    _sealer().open(content, CURSOR_PLACE)


register(Target("sealed", _opened, lambda: (_sealer().seal(b"TESTROSE" * 9, CURSOR_PLACE),), (raw,), (KeyFault,)))


def _heard(content: bytes) -> None:
    """Hear it as a bell and as a node's status: what is understood can be shown, and said again."""
    refused = None
    for kind in (Bell, NodeStatus):
        try:
            heard = kind.from_json(content)
        except NotUnderstood as fault:
            refused = fault
            continue
        assert kind.from_json(heard.to_json()) == heard, "what was heard is not what is said again"
    if refused is not None:
        raise refused


def _said_by_nodes() -> Sequence[bytes]:
    flow = NodeFlow("source", "labo", "mllp", "listening", figures={"received": 3})
    status = NodeStatus("nord", ("work", "web"), "1.0", 1, 2, ("jobs", "read.labo"), (flow,), configuration=4)
    return (Bell({"labo": 12}, send=True).to_json(), status.to_json())


register(Target("nodes", _heard, _said_by_nodes, (json, raw), (NotUnderstood,)))
