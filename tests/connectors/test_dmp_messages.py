"""The pieces of a message, each held to something that is not ours: signxml, the standard library, the samples."""

from __future__ import annotations

import base64
import hashlib
import io
import xml.etree.ElementTree as Plain
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from dmp_peer import INS, OID, call_of, pair
from hypothesis import given, settings, strategies as st
from lxml import etree
from signxml import DigestAlgorithm, SignatureConfiguration, SignatureMethod, XMLVerifier
from signxml.exceptions import InvalidInput, InvalidSignature
from xdm_archives import cda

from connectors.dmp.answers import Existence, Listed, Refusal, Registered
from connectors.dmp.changes import with_visibility
from connectors.dmp.errors import Kind, meaning_of, meanings
from connectors.dmp.existence import read_existence
from connectors.dmp.mtom import (
    PARTS,
    Malformed,
    MultipartReader,
    Part,
    PartBegins,
    PartData,
    cid_of,
    related,
    write_multipart,
)
from connectors.dmp.queries import any_of, text
from connectors.dmp.replies import read_list, read_registry
from connectors.dmp.rights import Access, Profile, Right, Transaction, denial, right
from connectors.dmp.signing import Signer, signer_of
from connectors.dmp.soap import NotAnAnswer, read_envelope, write_envelope
from connectors.dmp.vihf import Actor, Coded, signed, write_vihf
from connectors.dmp.xades import C14N, DS, XADES, sign_submission
from connectors.http.simulator import Received
from mappings.xds.model import Code, DocumentEntry
from schemas.identity import Ins

AT = datetime(2026, 3, 5, 9, 0, tzinfo=UTC)


@pytest.fixture(scope="module")
def signer(tmp_path_factory: pytest.TempPathFactory) -> Signer:
    return signer_of(pair(tmp_path_factory.mktemp("keys")), None, None)


ACTOR = Actor(
    user_id="899700000017",
    user_name="TESTEUR HELENE",
    profession=Coded("10", "1.2.250.1.71.1.2.7", "Médecin"),
    speciality=Coded("SM26", "1.2.250.1.71.4.2.5", "Qualifié en Médecine Générale (SM)"),
    structure="10B0000000",
    sector="SA01",
    mode="INDIRECTE",
    authentication_class="urn:oasis:names:tc:SAML:2.0:ac:classes:Password",
    version="3.0",
    purpose=Coded("normal", "1.2.250.1.213.1.1.4.248", "Accès normal"),
    software_name="Passerelle",
    software_version="0.1",
    software_id=None,
    authenticated_at=AT,
    homologation="SECRET-NUMBER",
)


def envelope_with(signer: Signer, algorithm: str) -> bytes:
    assertion = write_vihf(ACTOR, f"{INS}^^^&{OID}&ISO^NH", "_a1", AT, signer.subject)
    return write_envelope("urn:a", "urn:uuid:1", "", signed(assertion, signer, algorithm), etree.Element("b"))


@pytest.mark.parametrize("algorithm", ["sha256", "sha1"])
def test_the_assertion_verifies_on_the_wire(algorithm: str, signer: Signer) -> None:
    root = etree.fromstring(envelope_with(signer, algorithm))
    (assertion,) = root.iter("{urn:oasis:names:tc:SAML:2.0:assertion}Assertion")
    expected = SignatureConfiguration(
        signature_methods=frozenset({SignatureMethod[f"RSA_{algorithm.upper()}"]}),
        digest_algorithms=frozenset({DigestAlgorithm[algorithm.upper()]}),
    )
    alone = etree.fromstring(etree.tostring(assertion))

    def verify(element: etree._Element) -> etree._Element:
        found = XMLVerifier().verify(element, x509_cert=signer.certificate, expect_config=expected, id_attribute="ID")
        assert not isinstance(found, list)
        assert found.signed_xml is not None
        return found.signed_xml

    said = verify(alone)
    assert said.get("ID") == "_a1"
    assert [etree.QName(one).localname for one in alone][:3] == ["Issuer", "Signature", "Subject"]
    assert alone[0].text == signer.subject == "CN=ORG_SIGN,OU=10B0000000,O=STRUCTURE FICTIVE,C=FR"
    changed = etree.fromstring(etree.tostring(assertion).replace(INS.encode(), b"1" + INS[1:].encode()))
    with pytest.raises((InvalidSignature, InvalidInput)):
        verify(changed)
    other = etree.fromstring(etree.tostring(assertion))
    assert not (set(other.nsmap) - {"saml2", "xsi", "xs", "soap", "wsa", "wsse"})


def test_the_assertion_says_who_about_whom_and_why(signer: Signer) -> None:
    root = etree.fromstring(envelope_with(signer, "sha256"))
    saml = "{urn:oasis:names:tc:SAML:2.0:assertion}"
    attributes = {one.get("Name"): list(one) for one in root.iter(f"{saml}Attribute")}
    texts = {name: values[0].text for name, values in attributes.items() if not len(values[0])}
    assert texts == {
        "VIHF_Version": "3.0",
        "Identifiant_Structure": "10B0000000",
        "Secteur_Activite": "SA01^1.2.250.1.71.4.2.4",
        "urn:oasis:names:tc:xspa:1.0:subject:subject-id": "TESTEUR HELENE",
        "Authentification_mode": "INDIRECTE",
        "urn:oasis:names:tc:xacml:2.0:resource:resource-id": f"{INS}^^^&{OID}&ISO^NH",
        "Ressource_URN": "urn:dmp",
        "LPS_Nom": "Passerelle",
        "LPS_Version": "0.1",
        "LPS_ID_HOMOLOGATION_DMP": "SECRET-NUMBER",
    }
    roles = attributes["urn:oasis:names:tc:xacml:2.0:subject:role"]
    assert [one[0].get("code") for one in roles] == ["10", "SM26"]
    assert "SECRET" not in repr(ACTOR)


@pytest.mark.parametrize("algorithm", ["sha256", "sha1"])
def test_the_signature_of_a_submission_is_recomputed_by_the_standard_library(algorithm: str, signer: Signer) -> None:
    document = cda(extra="<!-- a comment is signed too -->")
    documents = {"1.2.250.1.999.67.1": document, "1.2.250.1.999.67.2": b"\x00not xml"}
    content = sign_submission("2.25.7", documents, signer, AT, algorithm)
    assert content == sign_submission("2.25.7", documents, signer, AT, algorithm)
    tree = Plain.fromstring(content)  # noqa: S314 - our own bytes

    def digest(data: bytes) -> str:
        return base64.b64encode(hashlib.new(algorithm, data).digest()).decode()

    def canonical(path: str, space: str) -> bytes:
        """Cut a piece out of the canonical form of the whole, and give it the namespace that it stands in."""
        whole = Plain.canonicalize(content.decode(), with_comments=True).encode()
        name = path.rpartition("}")[2]
        start = whole.index(b"<" + name.encode())
        end = whole.index(b"</" + name.encode() + b">", start) + len(name) + 3
        piece = whole[start:end]
        head = f"<{name}".encode()
        return (
            piece if piece.startswith(head + b" xmlns=") else head + f' xmlns="{space}"'.encode() + piece[len(head) :]
        )

    values = [one.text for one in tree.findall(f"{{{DS}}}SignedInfo/{{{DS}}}Reference/{{{DS}}}DigestValue")]
    assert values == [
        digest(canonical(f"{{{DS}}}Manifest", DS)),
        digest(canonical(f"{{{XADES}}}SignedProperties", XADES)),
    ]
    references = tree.findall(f"{{{DS}}}Object/{{{DS}}}Manifest/{{{DS}}}Reference")
    assert [one.get("URI") for one in references] == [
        "urn:oid:2.25.7",
        "urn:oid:1.2.250.1.999.67.1",
        "urn:oid:1.2.250.1.999.67.2",
    ]
    output = io.BytesIO()
    etree.parse(io.BytesIO(document)).write_c14n(output, with_comments=True)
    assert [one.findtext(f"{{{DS}}}DigestValue") for one in references] == [
        "AA==",
        digest(output.getvalue()),
        digest(documents["1.2.250.1.999.67.2"]),
    ]
    assert references[1].find(f"{{{DS}}}Transforms/{{{DS}}}Transform").get("Algorithm") == C14N  # type: ignore[union-attr]
    assert references[2].find(f"{{{DS}}}Transforms") is None
    public = signer.certificate.public_key()
    assert isinstance(public, RSAPublicKey)
    value = base64.b64decode(tree.findtext(f"{{{DS}}}SignatureValue") or "")
    chosen = hashes.SHA256() if algorithm == "sha256" else hashes.SHA1()  # noqa: S303 - the older version of the DMP
    public.verify(value, canonical(f"{{{DS}}}SignedInfo", DS), padding.PKCS1v15(), chosen)


@pytest.mark.shared_data
def test_the_digests_of_the_official_signature_reproduce_with_our_canonical_form(shared_data: Path) -> None:
    from connectors.dmp.xades import canonical

    root = etree.fromstring((shared_data / "dmp" / "messages" / "TD2.1_signature_xades.xml").read_bytes())
    told = [one.text for one in root.iterfind(f"{{{DS}}}SignedInfo/{{{DS}}}Reference/{{{DS}}}DigestValue")]
    pieces = [next(root.iter(f"{{{DS}}}Manifest")), next(root.iter(f"{{{XADES}}}SignedProperties"))]
    made = [base64.b64encode(hashlib.sha1(canonical(one)).digest()).decode() for one in pieces]  # noqa: S324 - theirs
    assert made == told


# --- multipart


def collect(chunks: list[bytes], boundary: str) -> list[tuple[str, bytes]]:
    reader = MultipartReader(boundary)
    parts: list[tuple[str, bytearray]] = []
    for chunk in chunks:
        for event in reader.feed(chunk):
            if isinstance(event, PartBegins):
                parts.append((event.cid, bytearray()))
            else:
                assert isinstance(event, PartData)
                parts[-1][1].extend(event.data)
    reader.close()
    return [(cid, bytes(content)) for cid, content in parts]


TRICKY = st.lists(
    st.sampled_from([b"\r\n", b"--", b"b", b"--b", b"\r\n--b", b"\r\n--bx", b"-", b"\r", b"\n", b"x"])
).map(b"".join)


@settings(max_examples=200, deadline=None)
@given(st.lists(TRICKY, min_size=1, max_size=3), st.data())
def test_any_content_arrives_however_it_is_cut(contents: list[bytes], data: st.DataObject) -> None:
    boundary = "b0undary"
    body = b"preamble"
    for rank, content in enumerate(contents):
        body += f"\r\n--{boundary} \t\r\nContent-ID: <p{rank}>\r\n\r\n".encode() + content
    body += f"\r\n--{boundary}--".encode() + b"\r\nepilogue"
    cuts = sorted(data.draw(st.lists(st.integers(0, len(body)), max_size=8)))
    chunks = [body[start:end] for start, end in zip([0, *cuts], [*cuts, len(body)], strict=True)]
    assert collect(chunks, boundary) == [(f"p{rank}", content) for rank, content in enumerate(contents)]
    assert collect([bytes([one]) for one in body], boundary) == collect([body], boundary)


def test_what_we_write_is_read_by_the_standard_library_and_by_us() -> None:
    parts = [Part("1@x", "text/xml", b"\r\n--almost\x00\xff"), Part("2@x", "text/xml", b"")]
    request = write_multipart(b"<wsa:Action>a</wsa:Action><wsa:MessageID>m</wsa:MessageID>", parts, "bb", "urn:a")
    body = b"".join(request.pieces())
    assert len(body) == request.length
    found = call_of(Received("/", {"content-type": request.content_type}, body))
    assert found.parts == {"1@x": parts[0].content, "2@x": b""}
    layout = related(request.content_type)
    assert layout is not None
    assert [cid for cid, _ in collect([body], layout.boundary)] == [layout.start, "1@x", "2@x"]
    with pytest.raises(Malformed, match="boundary"):
        write_multipart(b"--bb", [], "bb", "urn:a")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"--b\r\n\r\nx", "cut"),
        (b"nothing", "cut"),
        (b"--b\r\nno colon\r\n\r\nx\r\n--b--", "headers"),
        (b"--b\r\nA: 1\r\nA: 2\r\n\r\nx\r\n--b--", "headers"),
        (b"--b\r\nA: " + b"x" * 20_000, "headers"),
        (b"--b\r\nContent-Transfer-Encoding: base64\r\n\r\nx\r\n--b--", "encoding"),
        (b"--b" + b" " * 400, "padding"),
        (b"\r\n--b\r\nA: 1\r\n\r\n" * (PARTS + 1), "too_many"),
    ],
)
def test_malformed_multipart_is_refused(body: bytes, code: str) -> None:
    with pytest.raises(Malformed) as refused:
        collect([body], "b")
    assert refused.value.code == f"dmp.multipart.{code}"


def test_memory_does_not_grow_with_a_part() -> None:
    reader = MultipartReader("b")
    reader.feed(b"--b\r\nContent-ID: <1>\r\n\r\n")
    for _ in range(200):
        reader.feed(b"x" * 10_000 + b"\r\n--")
        assert len(reader._buffer) < 64


@pytest.mark.parametrize("kind", ["text/xml", "application/soap+xml; boundary=b"])
def test_one_part_answers_are_none(kind: str) -> None:
    assert related(kind) is None


def test_content_ids_are_percent_decoded() -> None:
    assert cid_of("cid:1-2@urn%3Aihe%3Aiti%3Axds-b%3A2007") == "1-2@urn:ihe:iti:xds-b:2007"
    with pytest.raises(Malformed):
        cid_of("file:///etc/passwd")


# --- answers


ENVELOPE = b"<s:Envelope xmlns:s='http://www.w3.org/2003/05/soap-envelope'>"
END = b"</s:Envelope>"


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "not_xml"),
        (b"<!DOCTYPE a><a/>", "doctype"),
        (b"<a/>", "not_soap"),
        (b"<s:Envelope xmlns:s='http://schemas.xmlsoap.org/soap/envelope/'/>", "soap_11"),
        (ENVELOPE + END, "structure"),
        (ENVELOPE + b"<s:Body/>" + END, "structure"),
        (ENVELOPE + b"<s:Body><a/><b/></s:Body>" + END, "structure"),
        (ENVELOPE + b"<x><s:Body><a/></s:Body></x><s:Body><a/></s:Body>" + END, "structure"),
        (ENVELOPE + b"<s:Body><a/></s:Body>" + END, "relates_to"),
    ],
)
def test_envelopes_are_read_strictly(content: bytes, code: str) -> None:
    with pytest.raises(NotAnAnswer) as refused:
        read_envelope(content, "urn:uuid:1")
    assert refused.value.code == f"dmp.answer.{code}"


def official(shared_data: Path, name: str) -> etree._Element:
    content = (shared_data / "dmp" / "messages" / name).read_bytes()
    root = etree.fromstring(content)
    relates = root.findtext(".//{http://www.w3.org/2005/08/addressing}RelatesTo")
    found = read_envelope(content, relates or "")
    assert isinstance(found, etree._Element)
    return found


@pytest.mark.shared_data
def test_the_official_answers_are_read(shared_data: Path) -> None:
    assert read_registry(official(shared_data, "TD2.1_response.xml")) == Registered()
    assert read_registry(official(shared_data, "TD3.3c_response.xml")) == Registered()
    found = read_list(official(shared_data, "TD3.1_response_2entries.xml"))
    assert isinstance(found, Listed)
    assert [one.version for one in found.entries] == ["1", "1"]
    ins = Ins(matricule="207058575627097", oid=OID)
    assert read_existence(official(shared_data, "TD0.2_response.xml"), ins) == Existence(True, True, "VALIDE", True)
    failure = etree.fromstring((shared_data / "dmp" / "own-examples" / "rs_failure_duplicate.xml").read_bytes())
    refused = read_registry(failure)
    assert isinstance(refused, Refusal)
    assert refused.kind is Kind.DEPOSITED


def test_codes_have_their_sentence_in_two_languages() -> None:
    for meaning in meanings().values():
        assert meaning.en
        assert meaning.fr
        assert meaning.en != meaning.fr
    assert meaning_of("XDSSomethingBusy").kind is Kind.LATER
    assert meaning_of("new").kind is Kind.NEVER


def test_the_matrix_is_whole_and_says_what_the_note_says() -> None:
    for transaction in Transaction:
        for profile in Profile:
            for access in Access:
                right(transaction, profile, access)
    assert right(Transaction.DELETE, Profile.STRUCTURE, Access.NORMAL) is Right.OWN
    assert denial(Transaction.SUBMIT, Profile.STRUCTURE, Access.NORMAL) is None
    said = denial(Transaction.RETRIEVE, Profile.STRUCTURE, Access.NORMAL)
    assert said == "TD3.2: the profile ES (normal access) has no right to retrieve documents"
    assert denial(Transaction.SEARCH, Profile.DOCTOR, Access.BREAK_GLASS) is None


def test_literals_are_quoted() -> None:
    assert text("O'NEIL") == "'O''NEIL'"
    assert any_of(("a", "b")) == "('a','b')"


def test_visibility_codes_come_and_go() -> None:
    entry = DocumentEntry("D", confidentiality_codes=(Code("N", "2.16.840.1.113883.5.25"),))
    masked = with_visibility(entry, "MASQUE_PS", present=True)
    assert [one.code for one in masked] == ["N", "MASQUE_PS"]
    again = DocumentEntry("D", confidentiality_codes=masked)
    assert [one.code for one in with_visibility(again, "MASQUE_PS", present=False)] == ["N"]
    with pytest.raises(ValueError, match="N is not"):
        with_visibility(entry, "N", present=False)
