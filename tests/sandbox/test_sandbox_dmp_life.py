"""The life of a document in the sandbox DMP: rights, masking, versions, replacement, what others deposited."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from dmp_foreign_client import DIRECT, Foreign, Reply, Vihf
from dmp_foreign_requests import (
    APPROVED,
    ARCHIVED,
    DELETED,
    DOCTOR,
    MEMBER,
    ORIGINAL,
    ROSE_CX,
    STATUS,
    Document,
    Lot,
    association,
    changes,
    query,
    retrieve,
    slot,
)

from connectors.sandbox.dmp import DmpSandbox
from connectors.sandbox.dmp.others import deposit
from connectors.sandbox.dmp.population import TREATING, idnat, key_of
from connectors.sandbox.dmp.queries import FIND_DOCUMENTS, GET_DOCUMENTS
from connectors.sandbox.dmp.refusals import RegistryRefused
from connectors.sandbox.dmp.store import Authorisation
from connectors.sandbox.people import ROSE

OTHER = "899990000020"
TREATS = replace(DIRECT, person=idnat(TREATING))
ROSES = {"$XDSDocumentEntryPatientId": f"'{ROSE_CX}'", "$XDSDocumentEntryStatus": f"('{APPROVED}')"}


@pytest.fixture
async def dmp(dmp_folder: Path) -> AsyncIterator[DmpSandbox]:
    async with DmpSandbox(dmp_folder, tls=False) as sandbox:
        sandbox.store.authorise(key_of(ROSE), Authorisation(OTHER, "VALIDE", treating=False))
        yield sandbox


@pytest.fixture
def client(dmp: DmpSandbox) -> Foreign:
    return Foreign(dmp.url, dmp.certificates.signer)


async def submitted(client: Foreign, document: Document, vihf: Vihf = DIRECT) -> Document:
    reply = await client.iti41(Lot([document]), vihf)
    assert reply.outcome == "Success", reply.contexts or reply.fault
    return document


async def found(client: Foreign, vihf: Vihf, **changed: str) -> Reply:
    asked = ROSES | {f"$XDSDocumentEntry{name}": value for name, value in changed.items()}
    return await client.iti18(query(FIND_DOCUMENTS, asked), vihf)


async def uuid_of(client: Foreign, document: Document, vihf: Vihf = DIRECT) -> str:
    asked = query(GET_DOCUMENTS, {"$XDSDocumentEntryUniqueId": f"('{document.unique_id}')"}, "ObjectRef")
    reply = await client.iti18(asked, vihf)
    assert len(reply.references) == 1, reply.contexts or reply.fault
    return reply.references[0]


async def test_a_structure_submits_and_looks_up_its_own_reference_and_nothing_else(client: Foreign) -> None:
    structure = Vihf()
    document = await submitted(client, Document(), structure)
    assert (await uuid_of(client, document, structure)).startswith("urn:uuid:")
    metadata = await client.iti18(query(FIND_DOCUMENTS, ROSES), structure)
    assert "DMPAccessDenied" in metadata.fault
    reply = await client.iti43(retrieve(document.unique_id), structure)
    assert "DMPAccessDenied" in reply.fault
    assert reply.content_type.startswith("multipart/related")
    rights = '<setAuthorization xmlns="urn:si-dmp-habilitations"><action>AJOUT</action></setAuthorization>'
    action = "urn:si-dmp-habilitations:HabilitationsEndPoint:setAuthorization"
    assert "DMPAccessDenied" in (await client.soap("habilitations", action, rights, structure)).fault


async def test_consultation_needs_an_authorisation_unless_it_is_an_emergency(dmp: DmpSandbox, client: Foreign) -> None:
    unique_id = deposit(dmp.store)
    stranger = replace(DIRECT, person="899990000046")
    assert "no authorisation" in (await found(client, stranger)).fault
    assert unique_id in (await found(client, replace(stranger, purpose="brisDeGlace"))).unique_ids()
    rights = '<setAuthorization xmlns="urn:si-dmp-habilitations"><action>{}</action></setAuthorization>'
    action = "urn:si-dmp-habilitations:HabilitationsEndPoint:setAuthorization"
    for word, said in (("AJOUT", "ajoutée"), ("AJOUT", "déjà présente")):
        reply = await client.soap("habilitations", action, rights.format(word), stranger)
        assert said in (reply.envelope.findtext(".//{*}context") or ""), reply.fault
    assert unique_id in (await found(client, stranger)).unique_ids()
    await client.soap("habilitations", action, rights.format("SUPPRESSION"), stranger)
    assert "no authorisation" in (await found(client, stranger)).fault


async def test_masked_documents_are_for_the_author_the_treating_doctor_and_emergencies(client: Foreign) -> None:
    masked = await submitted(client, Document(confidentiality=("N", "MASQUE_PS")))
    other = replace(DIRECT, person=OTHER)
    seen = {
        "author": DIRECT,
        "treating": TREATS,
        "break-glass": replace(other, purpose="brisDeGlace"),
        "other": other,
        "occupational": replace(other, specialty="SM25"),
    }
    for who, vihf in seen.items():
        shown = masked.unique_id in (await found(client, vihf)).unique_ids()
        given = masked.unique_id in (await client.iti43(retrieve(masked.unique_id), vihf)).documents
        assert (shown, given) == ((True, True) if who in ("author", "treating", "break-glass") else (False, False)), who


async def test_invisible_documents_are_shown_to_professionals(client: Foreign) -> None:
    hidden = await submitted(client, Document(confidentiality=("N", "INVISIBLE_PATIENT")))
    assert hidden.unique_id in (await found(client, replace(DIRECT, person=OTHER))).unique_ids()


async def test_a_document_is_archived_taken_back_and_deleted(client: Foreign) -> None:
    document = await submitted(client, Document())
    uuid = await uuid_of(client, document)

    def to(old: str, new: str) -> str:
        return changes(association(STATUS, "Lot", uuid, slot("OriginalStatus", old), slot("NewStatus", new)))

    assert "DMPAccessDenied" in (await client.iti57(to(APPROVED, ARCHIVED), replace(DIRECT, person=OTHER))).contexts
    assert (await client.iti57(to(APPROVED, ARCHIVED), DIRECT)).outcome == "Success"
    assert document.unique_id not in (await found(client, DIRECT)).unique_ids()
    assert document.unique_id in (await found(client, DIRECT, Status=f"('{ARCHIVED}')")).unique_ids()
    assert (await client.iti57(to(APPROVED, DELETED), DIRECT)).errors == ["XDSMetadataUpdateError"]
    assert (await client.iti57(to(ARCHIVED, APPROVED), DIRECT)).outcome == "Success"
    strange = changes(association(STATUS, "Lot", uuid, slot("OriginalStatus", APPROVED), slot("NewStatus", "urn:x")))
    assert (await client.iti57(strange, DIRECT)).errors == ["XDSMetadataUpdateOperationError"]
    assert (await client.iti57(to(APPROVED, DELETED), Vihf())).outcome == "Success"
    assert "XDSDocumentUniqueIdError" in (await client.iti43(retrieve(document.unique_id), DIRECT)).fault
    again = await client.iti41(Lot([document]), DIRECT)
    assert "XDSDuplicateUniqueIdInRegistry" in again.errors


def version_of(reply: Reply, document: Document, previous: str, bend: tuple[str, str] = ("", "")) -> str:
    """Write the new version of an entry from what a search gave: masked to professionals."""
    from lxml import etree

    entry = next(one for one in reply.entries if document.unique_id in etree.tostring(one, encoding="unicode"))
    text = etree.tostring(entry, encoding="unicode", with_tail=False)
    uuid = entry.get("id", "")
    text = text.replace(f'id="{uuid}"', 'id="New"', 1).replace(f'Object="{uuid}"', 'Object="New"')
    masked = (
        '<Classification xmlns="urn:oasis:names:tc:ebxml-regrep:xsd:rim:3.0" id="mask" classifiedObject="New" '
        'classificationScheme="urn:uuid:f4f85eac-e6cb-4883-b524-f2705394840f" nodeRepresentation="MASQUE_PS">'
        + slot("codingScheme", "1.2.250.1.213.1.1.4.13")
        + '<Name><LocalizedString value="Masqué aux professionnels de santé"/></Name></Classification>'
    )
    text = re.sub(r"(<\w+:ExternalIdentifier)", masked + r"\1", text, count=1)
    link = association(MEMBER, "Lot", "New", ORIGINAL, slot("PreviousVersion", previous))
    return changes(link, entries=text.replace(*bend) if bend[0] else text)


async def test_masking_makes_a_version_with_the_same_lid_and_another_uuid(client: Foreign) -> None:
    document = await submitted(client, Document())
    before = await found(client, DIRECT)
    uuid = await uuid_of(client, document)
    assert (await client.iti57(version_of(before, document, "2"), DIRECT)).errors == ["XDSMetadataVersionError"]
    renamed = version_of(before, document, "1", ("Compte rendu fictif", "Autre titre"))
    assert (await client.iti57(renamed, DIRECT)).errors == ["UnmodifiableMetadataError"]
    reply = await client.iti57(version_of(before, document, "1"), DIRECT)
    assert reply.outcome == "Success", reply.contexts

    after = await found(client, DIRECT)
    entry = next(one for one in after.entries if one.get("lid") == uuid)
    assert entry.get("id") != uuid
    assert next(entry.iter("{*}VersionInfo")).get("versionName") == "2"
    assert "MASQUE_PS" in [one.get("nodeRepresentation") for one in entry.iter("{*}Classification")]
    assert len([one for one in after.entries if one.get("lid") == uuid]) == 1
    assert document.unique_id not in (await found(client, replace(DIRECT, person=OTHER))).unique_ids()
    assert (await client.iti57(version_of(before, document, "1"), DIRECT)).errors == ["XDSMetadataVersionError"]


def cda(unique_id: str, version: int, replaces: str = "", set_id: str = "1.2.9") -> bytes:
    related = (
        f'<relatedDocument typeCode="RPLC"><parentDocument><id root="{replaces}"/></parentDocument></relatedDocument>'
        if replaces
        else ""
    )
    return (
        f'<ClinicalDocument xmlns="urn:hl7-org:v3"><id root="{unique_id}"/><setId root="{set_id}"/>'
        f'<versionNumber value="{version}"/>{related}</ClinicalDocument>'
    ).encode()


async def test_a_replacement_follows_the_versions_of_the_cda(client: Foreign) -> None:
    first = Document()
    first.content = cda(first.unique_id, 1)
    await submitted(client, first)
    uuid = await uuid_of(client, first)
    for wrong in ((2, "1.2.8", "1.2.9"), (3, first.unique_id, "1.2.9"), (2, first.unique_id, "1.2.10")):
        second = Document()
        second.content = cda(second.unique_id, wrong[0], wrong[1], wrong[2])
        assert (await client.iti41(Lot([second], replaces=uuid), DIRECT)).errors == ["XDSReplaceFailed"], wrong
    second = Document()
    second.content = cda(second.unique_id, 2, first.unique_id)
    assert (await client.iti41(Lot([second], replaces=uuid), DIRECT)).outcome == "Success"
    assert (await found(client, DIRECT)).unique_ids().count(first.unique_id) == 0
    third = Document()
    third.content = cda(third.unique_id, 2, first.unique_id)
    assert (await client.iti41(Lot([third], replaces=uuid), DIRECT)).errors == ["XDSRegistryDeprecatedDocumentError"]


async def test_several_documents_are_retrieved_as_far_as_they_are_known(client: Foreign) -> None:
    one = await submitted(client, Document(content=b"\r\n--no boundary\r\n\r\n"))
    two = await submitted(client, Document(content=b"two"))
    reply = await client.iti43(retrieve(one.unique_id, two.unique_id, "1.2.3"), DIRECT)
    assert (reply.outcome, reply.errors) == ("PartialSuccess", ["XDSDocumentUniqueIdError"])
    assert reply.documents == {one.unique_id: one.content, two.unique_id: two.content}
    nowhere = await client.iti43(retrieve(one.unique_id, repository="1.2.3"), DIRECT)
    assert (nowhere.outcome, nowhere.errors) == ("Failure", ["XDSUnknownRepositoryId"])
    by_uuid = await client.iti43(retrieve(await uuid_of(client, one)), DIRECT)
    assert "XDSDocumentUniqueIdError" in by_uuid.fault


async def test_the_documents_of_another_patient_are_not_given(dmp: DmpSandbox, client: Foreign) -> None:
    unique_id = deposit(dmp.store)
    other = next(one for one in dmp.store.patients() if one.key != key_of(ROSE) and one.state == "active")
    dmp.store.authorise(other.key, Authorisation(DOCTOR, "VALIDE", treating=True))
    vihf = replace(DIRECT, patient=f"{other.key.number}^^^&{other.key.oid}&ISO^NH")
    assert (await client.iti18(query(FIND_DOCUMENTS, ROSES), vihf)).errors == ["XDSPatientIdDoesNotMatch"]
    by_id = query(GET_DOCUMENTS, {"$XDSDocumentEntryUniqueId": f"('{unique_id}')"})
    assert (await client.iti18(by_id, vihf)).errors == ["XDSPatientIdDoesNotMatch"]
    assert "XDSDocumentUniqueIdError" in (await client.iti43(retrieve(unique_id), vihf)).fault


async def test_others_deposit_versions_and_are_held_to_the_rules(dmp: DmpSandbox, client: Foreign) -> None:
    first = deposit(dmp.store, number="visite")
    second = deposit(dmp.store, number="visite/2", version=2, replaces="visite")
    statuses = {one.unique_id: one.status.rpartition(":")[2] for one in dmp.store.entries() if one.version == 1}
    assert (statuses[first], statuses[second]) == ("Deprecated", "Approved")
    got = await client.iti43(retrieve(second), DIRECT)
    assert b"relatedDocument" in got.documents[second]
    with pytest.raises(RegistryRefused, match=r"XDSNonIdenticalHash|XDSDuplicate"):
        deposit(dmp.store, number="visite")
    with pytest.raises(RegistryRefused, match="UnresolvedReference"):
        deposit(dmp.store, number="autre/2", version=2, replaces="autre")
