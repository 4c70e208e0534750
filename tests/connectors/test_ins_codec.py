"""The request's XML and the reading of replies: no I/O."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st
from lxml import etree

from connectors.ins.answers import Found, NoAnswer, NotFound, Rejected, Reply, Several
from connectors.ins.codec import Caller, Stamp, TraitsQuery, read_assertion, write_search
from connectors.ins.replies import read_reply
from connectors.ins.sandbox_schemas import RequestSchemas
from mappings.contracts import FormatError

QUERY = TraitsQuery("D'EXEMPLE-MULLER", ("JEAN-FICTIF", "TEST"), "M", "1980-01-15", "75056")
CALLER = Caller("10B0000000", "AUTORISATION", "passerelle", "0.1", "00000000-0000-4000-8000-000000000003")
STAMP = Stamp("bam", "lps", "message", datetime(2030, 1, 1, 11, 0, tzinfo=UTC))
SOAP = "http://www.w3.org/2003/05/soap-envelope"
ASSERTION = (
    b'<saml:Assertion xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion" ID="a1" Version="2.0">'
    b"<saml:Issuer>CN=TESTEUR</saml:Issuer></saml:Assertion>"
)


def reply(
    individual: str = "", *, code: str = "00", namespace: str = ' xmlns="http://www.cnamts.fr/INSiResultat"'
) -> bytes:
    body = f"<RESULTAT{namespace}><CR><LibelleCR>x</LibelleCR><CodeCR>{code}</CodeCR></CR>{individual}</RESULTAT>"
    return f'<e:Envelope xmlns:e="{SOAP}"><b:Body xmlns:b="{SOAP}">{body}</b:Body></e:Envelope>'.encode()


ACTIVE = (
    "<INSACTIF><OID>1.2.250.1.213.1.4.8</OID>"
    "<IdIndividu><Cle>04</Cle><NumIdentifiant>1800175056000</NumIdentifiant></IdIndividu></INSACTIF>"
)
TIQ = (
    "<TIQ><DateNaissance>1980-01-15</DateNaissance><Sexe>M</Sexe><ListePrenom>JEAN-FICTIF TEST</ListePrenom>"
    "<NomNaissance>MULLER-EXEMPLE</NomNaissance></TIQ>"
)


def person(active: str = ACTIVE, history: str = "", traits: str = TIQ) -> str:
    return f"<INDIVIDU>{traits}{history}{active}</INDIVIDU>"


def code_of(content: bytes, status: int = 200) -> str:
    return read_reply(status, content).code


@pytest.mark.shared_data
@pytest.mark.parametrize("place", ["75056", None])
@pytest.mark.parametrize("given_names", [("ZOE",), ("JEAN-FICTIF", "TEST"), ("JEAN FICTIF",)])
def test_requests_satisfy_the_public_schemas(
    shared_data: Path, given_names: tuple[str, ...], place: str | None
) -> None:
    query = TraitsQuery("D'EXEMPLE", given_names, "F", "1958-20-15", place)
    content = write_search(query, CALLER, STAMP)
    schemas = RequestSchemas(shared_data / "ins" / "insi" / "wsdl")
    assert schemas.problems(etree.fromstring(content)) == []


@pytest.mark.shared_data
def test_the_schemas_refuse_what_is_wrong(shared_data: Path) -> None:
    schemas = RequestSchemas(shared_data / "ins" / "insi" / "wsdl")
    content = write_search(QUERY, CALLER, STAMP).replace(b"NomNaissance", b"Nom").replace(b"CTXLPS", b"OTHER")
    problems = schemas.problems(etree.fromstring(content))
    assert any("RECSANSVITALE" in one for one in problems)
    assert any("ContexteLPS" in one for one in problems)


@pytest.mark.shared_data
def test_our_request_says_what_the_example_says(shared_data: Path) -> None:
    example = etree.parse(shared_data / "ins/insi/own-examples/WS_INS2_request_tls_mutual.xml").getroot()
    ours = etree.fromstring(write_search(QUERY, CALLER, STAMP))

    def shape(root: etree._Element) -> list[str]:
        return [element.tag for element in root.iter() if "Prenom" not in element.tag]

    assert shape(ours) == shape(example)
    assert {name: value for one in ours.iter("{*}IDAM") for name, value in one.attrib.items()} == {"R": "4"}
    assert [one.text for one in ours.iter("{*}Temps")] == ["2030-01-01T11:00:00.000Z"] * 2


def test_an_assertion_travels_untouched() -> None:
    content = write_search(QUERY, CALLER, STAMP, read_assertion(ASSERTION))
    security = next(etree.fromstring(content).iter("{*}Security"))
    assert etree.tostring(security[0], method="c14n", exclusive=True) == etree.tostring(
        etree.fromstring(ASSERTION), method="c14n", exclusive=True
    )


@pytest.mark.parametrize("content", [b"", b"<a/>", b"<!DOCTYPE a><a/>", b"not xml"])
def test_what_is_no_assertion_is_refused(content: bytes) -> None:
    with pytest.raises(FormatError, match=r"."):
        read_assertion(content)


@pytest.mark.shared_data
@pytest.mark.parametrize(
    ("name", "matricule", "history", "warnings"),
    [
        ("responses/TEST_2.04_cas2.xml", "109076322083489", ["209076322083439", "209066322012355"], ()),
        ("responses/TEST_2.08_cas1.xml", "180032B02040123", [], ()),
        ("own-examples/response_00_with_history.xml", "180017505600004", ["280017505600051"], ()),
    ],
)
def test_public_replies_are_read(
    shared_data: Path, name: str, matricule: str, history: list[str], warnings: tuple[str, ...]
) -> None:
    content = (shared_data / "ins" / "insi" / name).read_bytes()
    found = read_reply(200, content)
    assert isinstance(found, Found)
    assert found.current.ins.matricule == matricule
    assert [one.ins.matricule for one in found.history] == history
    assert found.traits.given_names
    assert found.traits.birth_place
    assert found.warnings == warnings
    assert found.reply == content


@pytest.mark.shared_data
@pytest.mark.parametrize(
    ("name", "kind", "code"),
    [
        ("responses/REP_CR01.xml", NotFound, "01"),
        ("own-examples/response_02.xml", Several, "02"),
        ("own-examples/fault_siram_40_insi_102.xml", NoAnswer, "insi_102"),
        ("own-examples/fault_siram_100_desir_550.xml", Rejected, "desir_550"),
    ],
)
def test_other_codes_and_faults_are_told_apart(shared_data: Path, name: str, kind: type[Reply], code: str) -> None:
    status = 500 if "fault" in name else 200
    answered = read_reply(status, (shared_data / "ins" / "insi" / name).read_bytes())
    assert isinstance(answered, kind)
    assert answered.code == code


@pytest.mark.parametrize("namespace", ["", ' xmlns="urn:x-other"', ' xmlns="http://www.cnamts.fr/INSiResultat"'])
def test_order_and_namespaces_do_not_matter(namespace: str) -> None:
    found = read_reply(200, reply(person(), namespace=namespace))
    assert isinstance(found, Found)
    assert found.current.ins.matricule == "180017505600004"
    assert found.traits.birth_name == "MULLER-EXEMPLE"
    assert found.traits.birth_place is None


def test_a_key_that_does_not_verify_is_kept_with_a_warning() -> None:
    found = read_reply(200, reply(person(ACTIVE.replace("04</Cle>", "05</Cle>"))))
    assert isinstance(found, Found)
    assert found.current.ins.matricule == "180017505600005"
    assert found.warnings == ("insi.matricule.unverified",)


def test_a_key_left_out_is_computed() -> None:
    found = read_reply(200, reply(person(ACTIVE.replace("<Cle>04</Cle>", ""))))
    assert isinstance(found, Found)
    assert found.current.ins.matricule == "180017505600004"
    assert found.warnings == ()


def test_a_former_number_that_cannot_be_read_is_said() -> None:
    former = "<INSHISTO><IdIndividu><NumIdentifiant>12</NumIdentifiant></IdIndividu></INSHISTO>"
    found = read_reply(200, reply(person(history=former)))
    assert isinstance(found, Found)
    assert found.history == ()
    assert found.warnings == ("insi.history.number",)


@pytest.mark.parametrize(
    ("individual", "code", "wanted"),
    [
        ("", "00", "insi.reply.no_person"),
        (person() * 2, "00", "insi.reply.several_persons"),
        (person(ACTIVE * 2), "00", "insi.reply.repeated"),
        (person(traits=TIQ * 2), "00", "insi.reply.repeated"),
        (person(traits=""), "00", "insi.reply.incomplete"),
        (person(active=""), "00", "insi.reply.incomplete"),
        (person(ACTIVE.replace("1800175056000", "18001750560")), "00", "insi.reply.number"),
        (person(ACTIVE.replace("1.2.250.1.213.1.4.8", "1.2.250.1.213.1.4.2")), "00", "insi.reply.oid"),
        (person(), "01", "insi.reply.person_without_00"),
        (person(), "02", "insi.reply.person_without_00"),
        ("", "03", "insi.reply.unknown_code"),
        ("", "", "insi.reply.unknown_code"),
    ],
)
def test_what_cannot_be_used_is_no_answer(individual: str, code: str, wanted: str) -> None:
    answered = read_reply(200, reply(individual, code=code))
    assert isinstance(answered, NoAnswer)
    assert answered.code == wanted
    assert not answered.again


@pytest.mark.parametrize(
    ("status", "kind"), [(200, NoAnswer), (502, NoAnswer), (503, NoAnswer), (403, Rejected), (404, Rejected)]
)
@pytest.mark.parametrize("content", [b"", b"<html><body><br></body>", b"<html/>", b"\xff\xfe\x00", b"<a>" * 900])
def test_html_and_rubbish_are_judged_by_status(status: int, kind: type[Reply], content: bytes) -> None:
    assert isinstance(read_reply(status, content), kind)


def fault(values: str, error: str = "") -> bytes:
    body = f"<s:Fault><s:Code>{values}</s:Code><s:Detail>{error}</s:Detail></s:Fault>"
    return f'<s:Envelope xmlns:s="{SOAP}"><s:Body>{body}</s:Body></s:Envelope>'.encode()


@pytest.mark.parametrize(
    ("values", "error", "kind", "code"),
    [
        ("<s:Value>s:Receiver</s:Value>", "", NoAnswer, "insi.fault"),
        ("<s:Value>s:Sender</s:Value>", "", Rejected, "insi.fault"),
        ("<s:Value>s:Sender</s:Value>", '<e code="siram_110"/>', Rejected, "insi.fault"),
        ("<s:Value>s:Sender</s:Value>", '<Erreur code="siram_110"/>', Rejected, "siram_110"),
        ("<s:Value>s:Sender</s:Value>", '<Erreur code="DESIR_560"/>', Rejected, "desir_560"),
        ("", '<Erreur code="Un nom qui ne doit pas sortir"/>', NoAnswer, "insi.fault"),
        ("<s:Value>s:Receiver</s:Value><s:Subcode><s:Value>x:siram_40</s:Value></s:Subcode>", "", NoAnswer, "siram_40"),
    ],
)
def test_faults(values: str, error: str, kind: type[Reply], code: str) -> None:
    answered = read_reply(500, fault(values, error))
    assert isinstance(answered, kind)
    assert answered.code == code


def test_a_refusal_of_the_caller_concerns_everyone() -> None:
    refused = read_reply(500, fault("<s:Value>s:Sender</s:Value>", '<Erreur code="desir_550"/>'))
    one_request = read_reply(500, fault("<s:Value>s:Sender</s:Value>", '<Erreur code="desir_999"/>'))
    assert isinstance(refused, Rejected)
    assert refused.everyone
    assert isinstance(one_request, Rejected)
    assert not one_request.everyone


WHOLE = reply(person(history="<INSHISTO/>"))


@settings(max_examples=60)
@given(st.data())
def test_a_damaged_reply_never_raises(data: st.DataObject) -> None:
    content = bytearray(WHOLE)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(content) - 1))
        cut = data.draw(st.integers(0, 40))
        content[at : at + cut] = data.draw(
            st.binary(max_size=12) | st.sampled_from([b"<CR/>", b"</CR>", ACTIVE.encode()])
        )
    answered = read_reply(data.draw(st.sampled_from([200, 403, 500])), bytes(content))
    assert isinstance(answered, Found | NotFound | Several | NoAnswer | Rejected)
    if isinstance(answered, Found):
        assert len(answered.current.ins.matricule) == 15


@settings(max_examples=40)
@given(st.binary(max_size=300), st.integers(100, 599))
def test_no_bytes_raise(content: bytes, status: int) -> None:
    assert isinstance(read_reply(status, content), NoAnswer | Rejected)
