"""What people and nodes give to the router itself: conditions, configuration, tables, lists, cards."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from fuzz import seeds
from fuzz.mutators import CANARY, json, raw, rows, words
from fuzz.registry import Target, register

from mappings.contracts import FormatError
from router.cluster.contracts import Bell, NodeFlow, NodeStatus, NotUnderstood
from router.config.load import ConfigurationFault, load_text
from router.dossier.matrix import MatrixFault, default_text, read_matrix
from router.dossier.notices import RulesFault, default_rules_text, read_rules
from router.engine.conditions import VARIABLES, ConditionFault, compile_condition, holds
from router.identity.importing import read_patients
from router.recipients.rules import RulesFault as RecipientsFault, read_rows, read_wishes, shipped
from schemas.ins_datamatrix import DatamatrixFault, read_datamatrix


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
