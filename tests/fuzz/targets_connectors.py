"""What peers and national services send: frames, acknowledgements, headers, SOAP and FHIR answers, heads of mails."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from random import Random

import dmp_foreign_requests as foreign
import mails
import orjson
from fuzz import seeds
from fuzz.mutators import json, mime, raw, rows, words, xml
from fuzz.registry import Target, register
from lxml import etree

from connectors.annuaire.extracts import extract_of
from connectors.annuaire.opening import OpenText
from connectors.annuaire.reading import read_page
from connectors.annuaire.white_list import NAMESPACE, read_white_list
from connectors.contracts import Parcel
from connectors.directory.codec import mentioned, target_name
from connectors.dmp.mtom import Malformed, MultipartReader, related
from connectors.dmp.replies import read_document, read_list, read_registry, trouble_of_fault
from connectors.dmp.soap import NotAnAnswer, SoapFault, read_envelope
from connectors.fhir.codec import judge as judge_fhir
from connectors.http.codec import shown_key
from connectors.http.source import Turned, control_id_of
from connectors.ins.codec import read_assertion
from connectors.ins.replies import read_reply
from connectors.mllp.codec import Event, Frame, FrameDecoder, LargeFrame, Part, TooLarge, Truncated
from connectors.mssante.heads import read_head
from connectors.outbound_http import HttpAnswer
from connectors.pdsm.answers import NotFhir, read_page as read_pdsm_page
from connectors.pdsm.submission import NotASubmission, read_submission
from connectors.sandbox.dmp.envelope import read_request
from connectors.sandbox.dmp.refusals import Refused
from connectors.sandbox.dmp.vihf import read_caller
from connectors.sandbox.extracts import mailbox_lines
from mappings.contracts import FormatError
from mappings.hl7v2.ack import AckCode, build_ack, read_ack
from mappings.hl7v2.header import check_header

_FIELDS = rows(b"|^~&\\")
_MESSAGE_ID = "urn:uuid:00000000-0000-4000-8000-000000000001"


def _framed(content: bytes) -> None:
    """Feed a stream cut at random, and again whole: both must say the same, within the limits."""
    chance = Random(zlib.crc32(content))
    sizes = (4096, 512)
    whole, cut = FrameDecoder(*sizes), FrameDecoder(*sizes)
    one = [*whole.feed(content), *whole.finish()]
    other = []
    at = 0
    while at < len(content):
        step = chance.choice((1, 2, 7, 300))
        other += cut.feed(content[at : at + step])
        at += step
    other += cut.finish()

    assert _told(one) == _told(other), "the same bytes, cut otherwise, are other frames"


def _told(events: Sequence[Event]) -> list[object]:
    """Give the frames; how the parts of a large one, and noise, are cut is the decoder's own affair."""
    told: list[object] = []
    parts = b""
    for event in events:
        if isinstance(event, Part):
            parts += event.data
        elif isinstance(event, LargeFrame):
            told.append((parts, event.head[:64]))
            parts = b""
        elif isinstance(event, Frame):
            told.append(event.content)
        elif isinstance(event, Truncated | TooLarge):
            told.append(type(event).__name__)
            parts = b""
    return told


def _frames() -> Sequence[bytes]:
    framed = [b"\x0b" + one + b"\x1c\r" for one in seeds.hl7v2()]
    return (*framed, b"".join(framed[:2]), b"noise" + framed[0], b"\x0b" + b"x" * 5000 + b"\x1c\r\x0b\x1c\r")


register(Target("mllp", _framed, _frames, (words(b"\x0b", b"\x1c\r", b"\x1c", b"\r", b"\x0b\x0b"), raw)))


def _headed(content: bytes) -> None:
    header = check_header(content)
    for code in AckCode:
        answer = build_ack(header, code, now=seeds.NOW, control_id="1", finding=header.refusal)
        assert answer.startswith(b"MSH"), "an answer is no HL7 message"
    if header.control_id:
        read_ack(build_ack(header, AckCode.AA, now=seeds.NOW, control_id="1"))


register(Target("hl7v2-header", _headed, seeds.hl7v2, (_FIELDS, raw)))


def _acks() -> Sequence[bytes]:
    head = "MSH|^~\\&|LABO|L|PASSERELLE|CH|20260305||ACK^R01^ACK|9|P|2.5|||||FRA|UNICODE UTF-8\r"
    error = "ERR||PID^1^3|101^Required field missing^HL70357|E|||TESTROSE MARIE\r"
    return ((head + "MSA|AA|1\r").encode(), (head + "MSA|AE|1|faux\r" + error).encode())


register(Target("hl7v2-answer", read_ack, _acks, (_FIELDS, raw)))


def _posted(content: bytes) -> None:
    lines = content.decode("latin-1").split("\n")
    headers = {"X-Message-Id": lines[0], "Idempotency-Key": lines[-1]}
    shown_key(lines[0], None)
    control_id_of(headers)


register(Target("http-headers", _posted, lambda: (b"Bearer 0123456789abcdef\nid-1", b'"a"\nb'), (raw,), (Turned,)))


def _answers(content: bytes, status: int) -> HttpAnswer:
    return HttpAnswer(status, "application/fhir+json", content, None)


def _judged(content: bytes) -> None:
    for status in (200, 400, 412, 422, 500):
        judge_fhir(_answers(content, status))


def _outcomes() -> Sequence[bytes]:
    issue = {
        "severity": "error",
        "code": "invalid",
        "diagnostics": "TESTROSE",
        "details": {"text": "x"},
        "expression": ["a"],
    }
    outcome = {"resourceType": "OperationOutcome", "issue": [issue]}
    answer = {
        "resourceType": "Bundle",
        "type": "transaction-response",
        "entry": [{"response": {"status": "201", "location": "Patient/1/_history/1", "outcome": outcome}}],
    }
    return (orjson.dumps(outcome), orjson.dumps(answer))


register(Target("fhir-answer", _judged, _outcomes, (json, raw)))


def _pdsm_page(content: bytes) -> None:
    read_pdsm_page(_answers(content, 200))


def _searchset() -> Sequence[bytes]:
    entries = [{"resource": orjson.loads(one), "search": {"mode": "match"}} for one in seeds.fhir()[-4:]]
    page = {
        "resourceType": "Bundle",
        "type": "searchset",
        "link": [{"relation": "next", "url": "?a=1"}],
        "entry": entries,
    }
    return (orjson.dumps(page),)


register(Target("pdsm-page", _pdsm_page, _searchset, (json, raw), (NotFhir,)))


def _submitted(content: bytes) -> None:
    submission = read_submission(content)
    submission.references()
    _ = submission.simplified, submission.intent, submission.identifier, submission.former
    _ = submission.labels, submission.patient, submission.entries
    submission.body(None, None, supersede_inside=False)


register(Target("pdsm-submission", _submitted, seeds.pdsm, (json, raw), (NotASubmission,)))


def _dmp_answer(content: bytes) -> None:
    found = read_envelope(content, _MESSAGE_ID)
    if isinstance(found, SoapFault):
        trouble_of_fault(found)
        return
    refused = None
    for read in (read_registry, read_list, lambda element: read_document(element, {"a": b"x"}, "1.2.3")):
        try:
            read(found)
        except NotAnAnswer as fault:
            refused = fault
    if refused is not None:
        raise refused


_SOAP = "http://www.w3.org/2003/05/soap-envelope"


def _enveloped(body: str) -> bytes:
    relates = f'<RelatesTo xmlns="http://www.w3.org/2005/08/addressing">{_MESSAGE_ID}</RelatesTo>'
    return f'<s:Envelope xmlns:s="{_SOAP}"><s:Header>{relates}</s:Header><s:Body>{body}</s:Body></s:Envelope>'.encode()


def _dmp_answers() -> Sequence[bytes]:
    success = "urn:oasis:names:tc:ebxml-regrep:ResponseStatusType:"
    rs, query = "urn:oasis:names:tc:ebxml-regrep:xsd:rs:3.0", "urn:oasis:names:tc:ebxml-regrep:xsd:query:3.0"
    errors = (
        '<RegistryErrorList><RegistryError errorCode="XDSUnknownPatientId" codeContext="TESTROSE"/></RegistryErrorList>'
    )
    listed = etree.fromstring(seeds.xds()[0]).find(".//{urn:oasis:names:tc:ebxml-regrep:xsd:rim:3.0}ExtrinsicObject")
    entry = "" if listed is None else etree.tostring(listed, encoding="unicode")
    b = "urn:ihe:iti:xds-b:2007"
    retrieved = (
        f'<RetrieveDocumentSetResponse xmlns="{b}"><RegistryResponse xmlns="{rs}" status="{success}Success"/>'
        "<DocumentResponse><RepositoryUniqueId>1.2</RepositoryUniqueId><DocumentUniqueId>1.2.3</DocumentUniqueId>"
        "<mimeType>text/xml</mimeType><Document>PGE+PC9hPg==</Document></DocumentResponse></RetrieveDocumentSetResponse>"
    )
    return (
        _enveloped(f'<RegistryResponse xmlns="{rs}" status="{success}Failure">{errors}</RegistryResponse>'),
        _enveloped(
            f'<q:AdhocQueryResponse xmlns:q="{query}" status="{success}Success"><RegistryObjectList '
            f'xmlns="urn:oasis:names:tc:ebxml-regrep:xsd:rim:3.0">{entry}</RegistryObjectList></q:AdhocQueryResponse>'
        ),
        _enveloped(retrieved),
        _enveloped(
            "<s:Fault><s:Code><s:Value>s:Sender</s:Value></s:Code><s:Reason><s:Text>x</s:Text></s:Reason></s:Fault>"
        ),
    )


register(Target("dmp-answer", _dmp_answer, _dmp_answers, (xml, raw), (NotAnAnswer,)))


def _multipart(content: bytes) -> None:
    kind, _, body = content.partition(b"\n")
    found = related(kind.decode("latin-1"))
    if found is None:
        return
    reader = MultipartReader(found.boundary)
    for at in range(0, len(body), 97):
        reader.feed(body[at : at + 97])
    reader.close()


def _multiparts() -> Sequence[bytes]:
    kind = b'multipart/related; type="application/xop+xml"; start="<root>"; boundary="b"\n'
    part = b"\r\n--b\r\nContent-Type: application/xop+xml\r\nContent-ID: <root>\r\n\r\n<a/>"
    return (kind + part + part.replace(b"root", b"x%20y") + b"\r\n--b--\r\n",)


register(
    Target(
        "dmp-multipart",
        _multipart,
        _multiparts,
        (words(b"\r\n", b"--b", b"--", b"Content-ID: <", b":"), raw),
        (Malformed,),
    )
)


def _vihf(content: bytes) -> None:
    read_caller(read_request(content).security, None)


def _requests() -> Sequence[bytes]:
    saml = "urn:oasis:names:tc:SAML:2.0:assertion"
    attribute = f'<Attribute xmlns="{saml}" Name="{{}}"><AttributeValue>{{}}</AttributeValue></Attribute>'
    told = "".join(
        attribute.format(name, value)
        for name, value in (
            ("VIHF_Version", "3.0"),
            ("Authentification_Mode", "DIRECTE"),
            ("Identifiant_Structure", foreign.STRUCTURE),
            ("urn:oasis:names:tc:xacml:2.0:resource:resource-id", foreign.ROSE_CX),
            ("Secteur_Activite", "SA01^1.2.250.1.71.4.2.4"),
        )
    )
    assertion = (
        f'<Assertion xmlns="{saml}" ID="a" Version="2.0"><Issuer>CN=X</Issuer>'
        f"<Subject><NameID>{foreign.DOCTOR}</NameID></Subject>"
        '<AuthnStatement AuthnInstant="2026-01-01T00:00:00Z">'
        "<AuthnContext><AuthnContextClassRef>x</AuthnContextClassRef>"
        f"</AuthnContext></AuthnStatement><AttributeStatement>{told}</AttributeStatement></Assertion>"
    )
    wsse = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd"
    a = "http://www.w3.org/2005/08/addressing"
    head = (
        f'<a:MessageID xmlns:a="{a}">{_MESSAGE_ID}</a:MessageID><a:Action xmlns:a="{a}">urn:x</a:Action>'
        f'<a:To xmlns:a="{a}"/>'
        f'<a:ReplyTo xmlns:a="{a}"><a:Address>{a}/anonymous</a:Address></a:ReplyTo>'
        f'<w:Security xmlns:w="{wsse}">{assertion}</w:Security>'
    )
    return (f'<s:Envelope xmlns:s="{_SOAP}"><s:Header>{head}</s:Header><s:Body><x/></s:Body></s:Envelope>'.encode(),)


register(Target("vihf", _vihf, _requests, (xml, raw), (Refused,)))


def _insi(content: bytes) -> None:
    for status in (200, 500):
        read_reply(status, content)


def _insi_replies() -> Sequence[bytes]:
    person = (
        "<INDIVIDU><TIQ><DateNaissance>1979-03-05</DateNaissance><Sexe>F</Sexe><ListePrenom>MARIE</ListePrenom>"
        "<NomNaissance>TESTROSE</NomNaissance></TIQ><INSACTIF><OID>1.2.250.1.213.1.4.10</OID><IdIndividu><Cle>89</Cle>"
        "<NumIdentifiant>2790351215189</NumIdentifiant></IdIndividu></INSACTIF></INDIVIDU>"
    )
    result = f'<RESULTAT xmlns="http://www.cnamts.fr/INSiResultat"><CR><CodeCR>00</CodeCR></CR>{person}</RESULTAT>'
    return (_enveloped(result), _enveloped("<s:Fault><s:Code><s:Value>s:Sender</s:Value></s:Code></s:Fault>"))


register(Target("insi-answer", _insi, _insi_replies, (xml, raw)))
register(
    Target(
        "insi-assertion",
        read_assertion,
        lambda: (b'<a:Assertion xmlns:a="urn:oasis:names:tc:SAML:2.0:assertion" ID="a"/>',),
        (xml, raw),
        (FormatError,),
    )
)


def _directory_page() -> Sequence[bytes]:
    box = {
        "url": "x",
        "extension": [{"url": "type", "valueCodeableConcept": {"coding": [{"code": "MSSANTE"}]}}],
        "system": "email",
        "value": mails.DOCTOR,
    }
    person = {
        "resourceType": "Practitioner",
        "id": "1",
        "active": True,
        "telecom": [box],
        "identifier": [{"system": "https://rpps.esante.gouv.fr", "value": "89900000001"}],
        "name": [{"family": "TESTEUR", "given": ["HELENE"]}],
    }
    role = {
        "resourceType": "PractitionerRole",
        "id": "2",
        "practitioner": {"reference": "Practitioner/1"},
        "organization": {"reference": "Organization/3"},
        "code": [{"coding": [{"system": "x", "code": "10"}]}],
        "telecom": [box],
    }
    place = {
        "resourceType": "Organization",
        "id": "3",
        "name": "CABINET FICTIF",
        "address": [{"postalCode": "99999"}],
        "identifier": [{"system": "https://finess.esante.gouv.fr", "value": "990000001"}],
        "telecom": [box],
    }
    return (orjson.dumps({"resourceType": "Bundle", "entry": [{"resource": one} for one in (person, role, place)]}),)


register(Target("annuaire-page", read_page, _directory_page, (json, raw), (FormatError,)))


def _extract(content: bytes) -> None:
    found = extract_of(OpenText("fuzz.txt", len(content), iter([content[:100], content[100:]])))
    if found is not None:
        list(found.entries)


def _extracts() -> Sequence[bytes]:
    return ("\n".join(mailbox_lines(4)).encode(), ("\ufeff" + "\r\n".join(mailbox_lines(2))).encode())


register(Target("annuaire-extract", _extract, _extracts, (rows(b"|"), raw), (FormatError,)))


def _white_lists() -> Sequence[bytes]:
    domain = "<Domaine><Nom>labo.mssante.invalid</Nom><DNCertificatOperateur>CN=x</DNCertificatOperateur></Domaine>"
    return (
        f'<ListeBlancheMSSante xmlns="{NAMESPACE}"><DateDeGeneration>2026-01-01T00:00:00</DateDeGeneration>'
        f"<ListeDomaines>{domain}</ListeDomaines></ListeBlancheMSSante>".encode(),
    )


register(Target("white-list", read_white_list, _white_lists, (xml, raw), (FormatError,)))
register(Target("mail-head", read_head, seeds.mail, (mime, raw)))


def _files(content: bytes) -> None:
    mentioned(content, ("*.pdf", "*.PDF"))
    name = target_name("{filename}", Parcel(1, "id", content, "text/plain", content[:200].decode("latin-1"), 1))
    assert "/" not in name, "a name leads out of its folder"
    assert name not in {"", ".", ".."}, "a name is a folder's"


register(Target("file-names", _files, seeds.hprim_sante, (raw,)))
