"""The sandbox DMP against what others wrote: official messages, IHE's metadata, our examples, the public schemas."""

from __future__ import annotations

import base64
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from dmp_foreign_client import DIRECT, Foreign, Vihf
from dmp_foreign_requests import APPROVED, ARCHIVED, Document, Lot
from lxml import etree

from connectors.sandbox.dmp import DmpSandbox
from connectors.sandbox.dmp.rules import Checks, Profile
from connectors.sandbox.dmp.store import Authorisation, Patient, State
from connectors.sandbox.dmp.syntax import PatientKey
from connectors.sandbox.dmp.value_sets import ValueSets

pytestmark = pytest.mark.shared_data

SAMPLE_PATIENT = PatientKey("207058575627097", "1.2.250.1.213.1.4.10")
OWN_PATIENT = PatientKey("299099999999999", "1.2.250.1.213.1.4.10")
SAMPLE_DOCTOR = "899900063480"


@pytest.fixture
async def dmp(dmp_folder: Path, shared_data: Path) -> AsyncIterator[DmpSandbox]:
    """As official messages need it: they are of 2019, unsigned, and their document is not the one that was signed."""
    checks = Checks(vihf=False, lot_signature=False, cda_identity=False)
    async with DmpSandbox(dmp_folder, tls=False, checks=checks, schemas=shared_data / "dmp" / "schema") as sandbox:
        for key in (SAMPLE_PATIENT, OWN_PATIENT):
            sandbox.store.keep_patient(Patient(key, State.ACTIVE, "TESTEXEMPLE", "FICTIF", "19070525", "F"))
            sandbox.store.authorise(key, Authorisation(SAMPLE_DOCTOR, "VALIDE", treating=False))
        yield sandbox
        assert sandbox.service.schemas is not None
        assert sandbox.service.schemas.violations == []


@pytest.fixture
def client(dmp: DmpSandbox) -> Foreign:
    return Foreign(dmp.url)


def sample(folder: Path) -> tuple[bytes, str]:
    """Give TD2.1 with its two defects mended: the SOAP 1.1 envelope, the case of an id; lines end as RFC 2046 says."""
    raw = (folder / "dmp" / "messages" / "TD2.1_request.mime.txt").read_bytes()
    boundary = raw.split(b"\n", 1)[0].removeprefix(b"--")
    raw = raw.replace(b"http://schemas.xmlsoap.org/soap/envelope/", b"http://www.w3.org/2003/05/soap-envelope")
    raw = raw.replace(b'Document id="documentME2"', b'Document id="DocumentME2"')
    parts = []
    for part in raw.split(b"--" + boundary)[1:-1]:
        headers, content = part.lstrip(b"\n").split(b"\n\n", 1)
        parts.append(headers.replace(b"\n", b"\r\n") + b"\r\n\r\n" + content.removesuffix(b"\n"))
    # Two words of the sample are not UTF-8: its header says Médecin in Latin-1.
    parts[0] = parts[0].decode("utf-8", "replace").encode()
    delimiter = b"\r\n--" + boundary
    whole = b"".join(delimiter + b"\r\n" + part for part in parts) + delimiter + b"--"
    kind = (
        'multipart/related; type="application/xop+xml"; start="<rootpart@soapui.org>"; '
        f'start-info="application/soap+xml"; boundary="{boundary.decode()}"'
    )
    return whole, kind


async def test_the_official_submission_is_accepted_and_answered_alike(
    dmp: DmpSandbox, client: Foreign, shared_data: Path
) -> None:
    content, kind = sample(shared_data)
    reply = await client.post("DocumentRepository_Service", content, kind)
    assert reply.outcome == "Success", reply.contexts or reply.content

    official = etree.parse(shared_data / "dmp" / "messages" / "TD2.1_response.xml").getroot()
    assert shape(reply.envelope) == shape(official)
    assert reply.envelope.findtext(".//{*}RelatesTo") == official.findtext(".//{*}RelatesTo")

    asked = (shared_data / "dmp" / "messages" / "TD3.1_request.xml").read_bytes()
    found = await client.post("DocumentRegistry_Service", asked, "application/soap+xml; charset=utf-8")
    assert found.outcome == "Success", found.content
    entry = next(one for one in found.entries if "commentaire" in etree.tostring(one, encoding="unicode"))
    published = next(
        etree.parse(shared_data / "dmp" / "messages" / "TD3.1_response_2entries.xml").iter("{*}ExtrinsicObject")
    )
    assert set(entry.attrib) == set(published.attrib) - {"isOpaque"}
    assert slots(entry) == slots(published)
    assert [order(one) for one in entry] == sorted(order(one) for one in entry)


def shape(element: etree._Element) -> object:
    """Give names and attribute names, and the status of the answer."""
    return (
        str(element.tag),
        sorted(str(name) for name in element.attrib),
        element.get("status"),
        [shape(one) for one in element],
    )


def slots(entry: etree._Element) -> list[str]:
    return [one.get("name", "") for one in entry.findall("{*}Slot")]


def order(one: etree._Element) -> int:
    names = ("Slot", "Name", "Description", "VersionInfo", "Classification", "ExternalIdentifier")
    return names.index(etree.QName(one).localname)


async def test_the_sample_is_refused_as_published(dmp: DmpSandbox, client: Foreign, shared_data: Path) -> None:
    content, kind = sample(shared_data)
    soap_11 = content.replace(b"http://www.w3.org/2003/05/soap-envelope", b"http://schemas.xmlsoap.org/soap/envelope/")
    reply = await client.post("repository", soap_11, kind)
    assert "VersionMismatch" in reply.fault
    wrong_case = content.replace(b'Document id="DocumentME2"', b'Document id="documentME2"')
    reply = await client.post("repository", wrong_case, kind)
    assert reply.errors == ["XDSMissingDocument", "XDSMissingDocumentMetadata"]
    assert dmp.store.entries() == []


def own(folder: Path, name: str) -> tuple[str, list[tuple[str, bytes]]]:
    """Give one of our examples; its documents stand in it as base64."""
    root = etree.parse(folder / "dmp" / "own-examples" / name).getroot()
    return etree.tostring(root, encoding="unicode"), [
        (one.get("id", ""), base64.b64decode(one.text or "")) for one in root.iter("{urn:ihe:iti:xds-b:2007}Document")
    ]


OWN_CX = f"{OWN_PATIENT.number}^^^&{OWN_PATIENT.oid}&ISO^NH"
OWN_VIHF = Vihf(patient=OWN_CX)
PLACEHOLDER = "urn:uuid:11111111-2222-4333-8444-555555555555"
PROVIDE = "urn:ihe:iti:2007:ProvideAndRegisterDocumentSet-b"


async def test_our_examples_live_a_whole_life(dmp: DmpSandbox, client: Foreign, shared_data: Path) -> None:
    body, documents = own(shared_data, "iti41_new_document.xml")
    reply = await client.soap("repository", PROVIDE, body, OWN_VIHF)
    assert reply.outcome == "Success", reply.contexts or reply.content
    first = next(one for one in dmp.store.entries() if one.unique_id == "1.2.250.1.999.1.1.1.1.1")
    assert b"".join(dmp.store.chunks(first.unique_id)) == documents[0][1]

    asked, _ = own(shared_data, "iti18_findSubmissionSets.xml")
    found = await client.iti18(asked, Vihf(mode="DIRECTE", patient=OWN_CX, person=SAMPLE_DOCTOR))
    assert [etree.QName(one).localname for one in next(found.envelope.iter("{*}RegistryObjectList"))] == [
        "RegistryPackage"
    ]

    again = await client.soap("repository", PROVIDE, body, OWN_VIHF)
    expected = etree.parse(shared_data / "dmp" / "own-examples" / "rs_failure_duplicate.xml").getroot()
    error = next(expected.iter("{*}RegistryError"))
    assert set(again.errors) == {error.get("errorCode")}
    assert str(error.get("codeContext")) in again.contexts

    replacing, _ = own(shared_data, "iti41_replace_document.xml")
    dangling = await client.soap("repository", PROVIDE, replacing, OWN_VIHF)
    assert dangling.errors == ["UnresolvedReferenceException"]
    replaced = await client.soap("repository", PROVIDE, replacing.replace(PLACEHOLDER, first.uuid), OWN_VIHF)
    assert replaced.outcome == "Success", replaced.contexts
    assert dmp.store.entries_by(uuids=[first.uuid])[0].status.endswith("Deprecated")

    second = next(one for one in dmp.store.entries() if one.unique_id == "1.2.250.1.999.1.1.1.1.2")
    author = Vihf(mode="DIRECTE", patient=OWN_CX)
    archive = own(shared_data, "iti57_archive.xml")[0].replace(PLACEHOLDER, second.uuid)
    refused = await client.iti57(archive, Vihf(mode="DIRECTE", patient=OWN_CX, person="8X"))
    assert "DMPAccessDenied" in refused.contexts
    archived = await client.iti57(archive, author)
    assert archived.outcome == "Success", archived.contexts
    # Both examples bear the same lot number.
    delete = own(shared_data, "iti57_delete.xml")[0].replace(PLACEHOLDER, second.uuid).replace(".3.31", ".3.32")
    stale = await client.iti57(delete, author)
    assert stale.errors == ["XDSMetadataUpdateError"]
    deleted = await client.iti57(delete.replace(APPROVED, ARCHIVED), author)
    assert deleted.outcome == "Success", deleted.contexts
    response = etree.parse(shared_data / "dmp" / "messages" / "TD3.3c_response.xml").getroot()
    assert shape(deleted.envelope) == shape(response)


@pytest.mark.parametrize("name", ["TD3.3c_request.xml"])
async def test_the_official_update_is_refused_for_what_it_leaves_out(
    client: Foreign, shared_data: Path, name: str
) -> None:
    asked = (shared_data / "dmp" / "messages" / name).read_bytes()
    reply = await client.post("registry", asked, "application/soap+xml")
    assert set(reply.errors) == {"XDSMetadataUpdateError"}
    assert "schema" in reply.contexts


async def test_existence_authorisation_and_list_are_answered_as_published(
    dmp: DmpSandbox, client: Foreign, shared_data: Path
) -> None:
    folder = shared_data / "dmp" / "messages"
    for service, name in (("Habilitation", "TD0.3"), ("patient", "TD0.2"), ("PatientSpecific", "TD0.4")):
        reply = await client.post(service, (folder / f"{name}_request.xml").read_bytes(), "application/soap+xml")
        official = etree.parse(folder / f"{name}_response.xml").getroot()
        assert reply.status == 200, reply.fault
        assert reply.envelope.findtext(".//{*}Action") == official.findtext(".//{*}Action")
        body, published = (next(one.iter("{*}Body"))[0] for one in (reply.envelope, official))
        assert body.tag == published.tag
        names = {str(one.tag) for one in body.iter()}
        assert names <= {str(one.tag) for one in published.iter()}, name
        for path in (".//{*}keyWordText", ".//{*}queryResponseCode", ".//{*}administrativeObservation/{*}code"):
            assert [one.get("code") for one in body.iterfind(path)] == [
                one.get("code") for one in published.iterfind(path)
            ]
    assert dmp.calls == ["TD0.3", "TD0.2", "TD0.4"]


async def test_ihe_metadata_is_refused_until_it_is_complete(dmp: DmpSandbox, tmp_path: Path, shared_data: Path) -> None:
    raw = (shared_data / "dmp" / "xds-ihe" / "SubmitObjectsRequest_ebrs30.xml").read_text()
    # The published file names a schema that is not beside it, and breaks some UUIDs with a blank.
    raw = re.sub(r'\s(xmlns:xsi|xsi:schemaLocation)="[^"]*"', "", raw)
    document = '<xds:Document id="Document01">Qm9uam91cg==</xds:Document>'
    provide = '<xds:ProvideAndRegisterDocumentSetRequest xmlns:xds="urn:ihe:iti:xds-b:2007">{}'
    provide += f"{document}</xds:ProvideAndRegisterDocumentSetRequest>"
    french = await Foreign(dmp.url).soap("repository", PROVIDE, provide.format(raw), Vihf())
    assert "XDSRegistryMetadataError" in french.errors
    assert "legalAuthenticator is missing" in french.contexts
    checks = Checks(vihf=False, profile=Profile.IHE, lot_signature=False, cda_identity=False)
    async with DmpSandbox(tmp_path / "ihe", tls=False, checks=checks) as ihe:
        broken = await Foreign(ihe.url).soap("repository", PROVIDE, provide.format(raw), Vihf())
        assert "XDSRegistryMetadataError" in broken.errors
        whole = await Foreign(ihe.url).soap(
            "repository", PROVIDE, provide.format(raw.replace("- ", "-"), document), Vihf()
        )
        assert whole.outcome == "Success", whole.contexts


@pytest.mark.parametrize("name", ["iti18request.xml"])
async def test_an_injection_is_no_literal(client: Foreign, shared_data: Path, name: str) -> None:
    asked = (shared_data / "dmp" / "xds-ihe" / name).read_text()
    reply = await client.iti18(asked, DIRECT)
    assert reply.errors == ["XDSStoredQueryParamNumber"]


async def test_todays_value_sets_refuse_the_type_code_of_2021(dmp_folder: Path, shared_data: Path) -> None:
    checks = Checks(vihf=False, lot_signature=False, values=ValueSets(shared_data / "dmp" / "valuesets"))
    async with DmpSandbox(dmp_folder, tls=False, checks=checks) as dmp:
        reply = await Foreign(dmp.url).post("repository", *sample(shared_data))
        assert set(reply.errors) == {"XDSRegistryMetadataError"}
        assert "f0306f51-975f-434e-a61c-c59651d33983 has a code that is not in its value set" in reply.contexts
        lot = Lot([Document(type_code=("11488-4", "2.16.840.1.113883.6.1"))])
        assert (await Foreign(dmp.url).iti41(lot)).outcome == "Success"
