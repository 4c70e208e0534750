"""What the sandbox DMP refuses, and with which code: one thing wrong at a time."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import pytest
from dmp_foreign_client import DIRECT, Foreign, Vihf
from dmp_foreign_requests import APPROVED, ROSE_CX, Document, Lot, association, query, retrieve, slot

from connectors.sandbox.dmp import DmpSandbox
from connectors.sandbox.dmp.pki import certificates_in
from connectors.sandbox.dmp.population import CLOSED, OPPOSED
from connectors.sandbox.dmp.queries import FIND_DOCUMENTS
from connectors.sandbox.people import Person

OTHER_CX = "155062901900072^^^&1.2.250.1.213.1.4.10&ISO^NH"


@dataclass
class Bench:
    """A sandbox and a client; what is refused leaves nothing behind, and each case proves it."""

    dmp: DmpSandbox
    client: Foreign


@pytest.fixture
async def bench(dmp_folder: Path) -> AsyncIterator[Bench]:
    async with DmpSandbox(dmp_folder, tls=False) as dmp:
        yield Bench(dmp, Foreign(dmp.url, dmp.certificates.signer))


def cx(person: Person) -> str:
    return f"{person.matricule}^^^&1.2.250.1.213.1.4.10&ISO^NH"


def without_slot(name: str) -> Callable[[str], str]:
    return lambda body: re.sub(rf'<Slot name="{name}">.*?</Slot>', "", body, count=1)


def swap(old: str, new: str, count: int = 1) -> Callable[[str], str]:
    def bend(body: str) -> str:
        assert old in body
        return body.replace(old, new, count)

    return bend


def without(pattern: str) -> Callable[[str], str]:
    def bend(body: str) -> str:
        bent = re.sub(pattern, "", body, count=1)
        assert bent != body
        return bent

    return bend


def other_hash(body: str) -> str:
    found = re.search(r'<Slot name="hash"><ValueList><Value>([0-9a-f])', body)
    assert found is not None
    return body[: found.start(1)] + ("0" if found[1] != "0" else "1") + body[found.end(1) :]


def classification(scheme: str) -> str:
    return rf'<Classification id="c\d+" classificationScheme="urn:uuid:{scheme}".*?</Classification>'


METADATA = "XDSRegistryMetadataError"
REPOSITORY = "XDSRepositoryMetadataError"
CLASS_CODE = "41a5887f-8865-4c09-adf7-e362475b143a"
ENTRY_SLOTS = ("creationTime", "languageCode", "legalAuthenticator", "serviceStartTime", "sourcePatientId")

MUTATIONS: dict[str, tuple[Callable[[str], str], str]] = {
    **{f"no {name}": (without_slot(name), METADATA) for name in (*ENTRY_SLOTS, "submissionTime")},
    "one digit of the hash": (other_hash, REPOSITORY),
    "another size": (swap('<Slot name="size"><ValueList><Value>', '<Slot name="size"><ValueList><Value>1'), REPOSITORY),
    "a hash of 39 digits": (
        lambda body: re.sub(r'(name="hash"><ValueList><Value>)[0-9a-f]', r"\1", body, count=1),
        REPOSITORY,
    ),
    "an entry of another patient": (
        lambda body: body.replace(ROSE_CX.replace("&", "&amp;"), OTHER_CX.replace("&", "&amp;"), 2).replace(
            OTHER_CX.replace("&", "&amp;"), ROSE_CX.replace("&", "&amp;"), 1
        ),
        "XDSPatientIdDoesNotMatch",
    ),
    "a slot twice": (
        swap('<Slot name="languageCode">', slot("languageCode", "fr-FR") + '<Slot name="languageCode">'),
        METADATA,
    ),
    "an unknown slot": (
        swap('<Slot name="languageCode">', slot("langue", "fr") + '<Slot name="languageCode">'),
        METADATA,
    ),
    "a value of 300 characters": (swap("IPP1^^^", "I" * 290 + "^^^"), METADATA),
    "no typeCode": (without(classification("f0306f51-975f-434e-a61c-c59651d33983")), METADATA),
    "no formatCode": (without(classification("a09d5840-386c-46f2-b5ad-9c3699a4309d")), METADATA),
    "no author": (without(classification("93606bcf-9494-43ec-9b4e-a7748d1a838d")), METADATA),
    "no contentTypeCode": (without(classification("aa543740-bdda-424e-8c96-df4873be8500")), METADATA),
    "the formatCode's scheme with one digit wrong": (
        swap("a09d5840-386c-46f2-b5ad-9c3699a4309d", "a09d5840-386c-46f2-b5ad-9fdf87b75cc4"),
        METADATA,
    ),
    "a code of no value set": (swap('nodeRepresentation="10"', 'nodeRepresentation="12"'), METADATA),
    "a code of another system": (swap(">1.2.250.1.213.1.1.4.1<", ">1.2.250.1.213.1.1.4.2<"), METADATA),
    "two coding schemes": (
        swap("<Value>1.2.250.1.213.1.1.4.1</Value>", "<Value>1.2.250.1.213.1.1.4.1</Value><Value>1.2.3</Value>"),
        METADATA,
    ),
    "a classifiedObject elsewhere": (swap('classifiedObject="Document01"', 'classifiedObject="Lot"'), METADATA),
    "a registryObject elsewhere": (swap('registryObject="Document01"', 'registryObject="Lot"'), METADATA),
    "a time with an offset": (swap("20300101101000<", "20300101101000+0100<"), METADATA),
    "the thirteenth month": (swap("20300101101000<", "20301301101000<"), METADATA),
    "a stop before the start": (
        swap('<Slot name="serviceStartTime">', slot("serviceStopTime", "2029") + '<Slot name="serviceStartTime">'),
        METADATA,
    ),
    "an author without a name": (swap("899990000012^TESTEUR^", "899990000012^^"), METADATA),
    "a structure without an id": (swap("IDNST^^^10B0000001", "IDNST^^^"), METADATA),
    "no lot": (without(r"<RegistryPackage.*?</RegistryPackage>"), REPOSITORY),
    "two lots": (lambda body: re.sub(r"(<RegistryPackage.*?</RegistryPackage>)", r"\1\1", body, count=1), REPOSITORY),
    "no submission set node": (without(r'<Classification [^>]*classificationNode="[^"]*"/>'), METADATA),
    "no signs association": (without(r'<Association [^>]*signs".*?</Association>'), METADATA),
    "signs the wrong way": (
        lambda body: re.sub(
            r'sourceObject="Signature01" targetObject="Lot"', 'sourceObject="Lot" targetObject="Signature01"', body
        ),
        METADATA,
    ),
    "no HasMember": (without(r'<Association [^>]*HasMember".*?</Association>'), METADATA),
    "a HasMember to nowhere": (
        swap(
            "</RegistryObjectList>",
            association(
                "urn:oasis:names:tc:ebxml-regrep:AssociationType:HasMember",
                "Lot",
                "Nowhere",
                slot("SubmissionSetStatus", "Original"),
            )
            + "</RegistryObjectList>",
        ),
        "UnresolvedReferenceException",
    ),
    "a member by reference": (swap("<Value>Original</Value>", "<Value>Reference</Value>"), METADATA),
    "an association of no use here": (swap("AssociationType:signs", "AssociationType:XFRM"), METADATA),
    "a document without an entry": (
        without(r'<ExtrinsicObject id="Document01".*?</ExtrinsicObject>'),
        "XDSMissingDocumentMetadata",
    ),
    "an entry without a document": (without(r'<xds:Document id="Document01">.*?</xds:Document>'), "XDSMissingDocument"),
    "a part that is not there": (swap("cid:Document01@", "cid:Document02@"), "XDSMissingDocument"),
    "an id in another case": (
        swap('<xds:Document id="Document01"', '<xds:Document id="document01"'),
        "XDSMissingDocument",
    ),
    "a replaced document that is not known": (
        swap(
            "</RegistryObjectList>",
            association("urn:ihe:iti:2007:AssociationType:RPLC", "Document01", "urn:uuid:0") + "</RegistryObjectList>",
        ),
        "UnresolvedReferenceException",
    ),
}


@pytest.mark.parametrize("name", MUTATIONS)
async def test_one_thing_wrong_refuses_the_lot(bench: Bench, name: str) -> None:
    bend, code = MUTATIONS[name]
    reply = await bench.client.iti41(Lot(bend=bend))
    assert reply.status == 200, reply.fault
    assert (reply.outcome, code in reply.errors) == ("Failure", True), reply.contexts
    assert ROSE_CX.partition("^")[0] not in reply.contexts
    assert bench.dmp.store.entries() == []
    assert bench.dmp.store.lots() == []


CLOSED_CX, OPPOSED_CX = cx(CLOSED), cx(OPPOSED)

LOTS: dict[str, tuple[Callable[[], Lot], Vihf | None, list[str]]] = {
    "a closed DMP": (
        lambda: Lot([Document(patient=CLOSED_CX)], patient=CLOSED_CX),
        Vihf(patient=CLOSED_CX),
        ["XDSUnknownPatientId"],
    ),
    "no DMP": (
        lambda: Lot([Document(patient=OPPOSED_CX)], patient=OPPOSED_CX),
        Vihf(patient=OPPOSED_CX),
        ["XDSUnknownPatientId"],
    ),
    "the VIHF of another patient": (lambda: Lot(), Vihf(patient=OTHER_CX), ["XDSPatientIdDoesNotMatch"]),
    "an empty document": (lambda: Lot([Document(content=b"", hashed=False)]), None, [REPOSITORY]),
    "a uniqueId twice": (
        lambda: Lot([Document(id="A", unique_id="1.2.3"), Document(id="B", unique_id="1.2.3")]),
        None,
        ["XDSRepositoryDuplicateUniqueIdInMessage"],
    ),
    "a signature of nothing": (
        lambda: Lot(signature=b'<Signature xmlns="http://www.w3.org/2000/09/xmldsig#"/>'),
        None,
        [REPOSITORY],
    ),
    "a CDA of another id": (
        lambda: Lot(
            [Document(content=b'<ClinicalDocument xmlns="urn:hl7-org:v3"><id root="1.2.3"/></ClinicalDocument>')]
        ),
        None,
        [REPOSITORY],
    ),
}


@pytest.mark.parametrize("name", LOTS)
async def test_a_lot_is_refused_with_its_code(bench: Bench, name: str) -> None:
    make, vihf, codes = LOTS[name]
    reply = await bench.client.iti41(make(), vihf)
    assert reply.errors == codes, reply.contexts or reply.fault
    assert bench.dmp.store.entries() == []


async def test_the_signature_covers_the_bytes_that_arrive(bench: Bench) -> None:
    signed = Lot([Document(content=b"<a>1</a>")])
    signature = bench.client.sign_lot(signed)
    signed.documents[0].content = b"<a>2</a>"
    signed.signature = signature
    reply = await bench.client.iti41(signed)
    assert "the Manifest has another digest" in reply.contexts


async def test_an_unused_part_is_refused(bench: Bench) -> None:
    reply = await bench.client.iti41(Lot(), parts=lambda given: [*given, ("Stray", b"?")])
    assert reply.errors == ["XDSMissingDocument"]


async def test_resending_is_recognised(bench: Bench) -> None:
    lot = Lot()
    assert (await bench.client.iti41(lot)).outcome == "Success"
    assert set((await bench.client.iti41(lot)).errors) == {"XDSDuplicateUniqueIdInRegistry"}
    other = Lot([replace(lot.documents[0], content=b"<other/>")])
    assert (await bench.client.iti41(other)).errors == ["XDSNonIdenticalHash"]
    assert len(bench.dmp.store.entries()) == 2


WRONG_VIHF: dict[str, tuple[Vihf, str]] = {
    "unsigned once signed": (
        Vihf(bend=lambda text: re.sub(r"<ds:Signature.*?</ds:Signature>", "", text, flags=re.DOTALL)),
        "not signed",
    ),
    "changed once signed": (Vihf(bend=lambda text: text.replace("Etranger", "Autre")), "does not verify"),
    "of nine hours ago": (Vihf(age=timedelta(hours=9)), "IssueInstant"),
    "of tomorrow": (Vihf(age=timedelta(hours=-24)), "IssueInstant"),
    "of another issuer": (Vihf(issuer="CN=autre,C=FR"), "Issuer"),
    "of another structure": (Vihf(structure="10B0000009"), "PS et Structure non liés"),
    "of a doctor without a speciality": (Vihf(specialty=""), "Aucune spécialité"),
    "for another resource": (Vihf(resource="urn:ror"), "Ressource_URN"),
    "of an unknown purpose": (Vihf(purpose="curiosite"), "purpose of use"),
    "of an unknown mode": (Vihf(mode="DEVINEE"), "Authentification_mode"),
    "without a patient": (Vihf(leave_out="urn:oasis:names:tc:xacml:2.0:resource:resource-id"), "names no patient"),
    **{
        f"without {name}": (Vihf(leave_out=name), f"{name} is missing")
        for name in ("VIHF_Version", "Secteur_Activite", "LPS_Nom", "LPS_ID_HOMOLOGATION_DMP", "Ressource_URN")
    },
    "without a name in indirect mode": (Vihf(leave_out="urn:oasis:names:tc:xspa:1.0:subject:subject-id"), "subject-id"),
}


@pytest.mark.parametrize("name", WRONG_VIHF)
async def test_a_wrong_vihf_is_a_fault(bench: Bench, name: str) -> None:
    vihf, said = WRONG_VIHF[name]
    reply = await bench.client.iti41(Lot(), vihf)
    assert reply.status == 500
    assert said in reply.fault
    assert bench.dmp.store.lots() == []


async def test_a_vihf_signed_with_the_connection_s_certificate_is_a_fault(bench: Bench) -> None:
    client = Foreign(bench.dmp.url, bench.dmp.certificates.client)
    reply = await client.iti41(Lot())
    assert "DMPInvalidCertificate Not a valid signature certificate" in reply.fault


async def test_a_vihf_of_another_authority_is_a_fault(bench: Bench, tmp_path: Path) -> None:
    client = Foreign(bench.dmp.url, certificates_in(tmp_path).signer)
    reply = await client.iti41(Lot())
    assert "DMPInvalidCertificate" in reply.fault


async def test_a_wrapped_signature_is_a_fault(bench: Bench) -> None:
    """The signed assertion hidden in another that bears its id: the reference would lead to the wrong one."""

    def wrap(text: str) -> str:
        opened = re.match(r"<saml2:Assertion[^>]*>", text)
        assert opened is not None
        return text.replace("Etranger", "Autre").replace(
            "</saml2:Assertion>", f"<Advice>{text}</Advice></saml2:Assertion>"
        )

    reply = await bench.client.iti41(Lot(), Vihf(bend=wrap))
    assert "the signature of the VIHF" in reply.fault


ENVELOPES: dict[str, tuple[bytes, bytes, str]] = {
    "no MessageID": (b"a:MessageID>", b"a:Other>", "MessageAddressingHeaderRequired"),
    "no To": (b"<a:To/>", b"", "MessageAddressingHeaderRequired"),
    "no ReplyTo": (b"a:ReplyTo>", b"a:Other>", "MessageAddressingHeaderRequired"),
    "another Action": (b"RegistryStoredQuery</a:Action>", b"Other</a:Action>", "ActionMismatch"),
    "a Security that must be understood": (b"<w:Security ", b'<w:Security s:mustUnderstand="1" ', "MustUnderstand"),
    "a reply elsewhere": (b"/anonymous<", b"/none<", "anonymous"),
    "a doctype": (b"<s:Envelope", b"<!DOCTYPE a><s:Envelope", "document type"),
}


@pytest.mark.parametrize("name", ENVELOPES)
async def test_a_wrong_envelope_is_a_fault(bench: Bench, name: str) -> None:
    old, new, said = ENVELOPES[name]
    asked = {"$XDSDocumentEntryPatientId": f"'{ROSE_CX}'", "$XDSDocumentEntryStatus": f"('{APPROVED}')"}
    envelope = bench.client.envelope(
        "urn:ihe:iti:2007:RegistryStoredQuery", query(FIND_DOCUMENTS, asked, "ObjectRef"), DIRECT
    )
    assert (await bench.client.post("registry", envelope, "application/soap+xml")).outcome == "Success"
    reply = await bench.client.post("registry", envelope.replace(old, new), "application/soap+xml")
    assert reply.status == 500
    assert said in reply.fault


async def test_a_service_takes_its_own_operations(bench: Bench) -> None:
    reply = await bench.client.soap("registry", "urn:ihe:iti:2007:RetrieveDocumentSet", retrieve("1.2.3"))
    assert "has no operation" in reply.fault


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [
        (b"{}", "application/json", 415),
        (b"--b\r\n\r\n\r\n--b--", 'multipart/related; boundary="b"', 415),
        (b"", 'multipart/related; type="application/xop+xml"', 400),
        (b"--b\r\n\r\ntext", 'multipart/related; type="application/xop+xml"; boundary=b', 400),
        (b"--b\r\n\r\n<a/>\r\n--b--", 'multipart/related; type="application/xop+xml"; boundary=b; start="<x>"', 400),
        (
            b"--b\r\nContent-Transfer-Encoding: base64\r\n\r\nQQ==\r\n--b--",
            'multipart/related; type="application/xop+xml"; boundary=b',
            415,
        ),
    ],
)
async def test_what_is_no_soap_has_its_http_status(bench: Bench, content: bytes, kind: str, status: int) -> None:
    reply = await bench.client.post("repository", content, kind)
    assert reply.status == status
    assert b"Traceback" not in reply.content
