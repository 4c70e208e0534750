"""Messages bent at random: whatever arrives has an answer that is SOAP, and a lot is kept whole or not at all."""

from __future__ import annotations

import hashlib
import io
import random
from pathlib import Path

import pytest
from dmp_foreign_client import DIRECT, Foreign, Vihf
from dmp_foreign_requests import APPROVED, ARCHIVED, ROSE_CX, STATUS, Lot, association, changes, query, slot
from lxml import etree

from connectors.sandbox.dmp import queries
from connectors.sandbox.dmp.lots import Content
from connectors.sandbox.dmp.others import deposit
from connectors.sandbox.dmp.pki import certificates_in
from connectors.sandbox.dmp.population import seed
from connectors.sandbox.dmp.rules import Checks
from connectors.sandbox.dmp.service import Call, DmpService, Part
from connectors.sandbox.dmp.store import DmpStore

VALUES = ("", "('", "''", "²", "٣", "99999999999999", "()", "('a','b')", "a^b^c^d^e", "1" * 300, "Lot", "urn:uuid:0")


def bend(message: bytes, draw: random.Random) -> bytes:
    """Take out, double, rename or refill one to three elements or attributes."""
    root = etree.fromstring(message)
    for _ in range(draw.randint(1, 3)):
        one = draw.choice([found for found in root.iter() if isinstance(found.tag, str)])
        parent = one.getparent()
        action = draw.randrange(6)
        if action == 0 and parent is not None:
            parent.remove(one)
        elif action == 1 and parent is not None:
            parent.insert(0, etree.fromstring(etree.tostring(one, with_tail=False)))
        elif action == 2 and one.attrib:
            del one.attrib[draw.choice(list(one.attrib))]
        elif action == 3 and one.attrib:
            one.set(draw.choice(list(one.attrib)), draw.choice(VALUES))
        elif action == 4:
            one.text = draw.choice(VALUES)
        else:
            one.tag = f"{{{etree.QName(one).namespace or 'urn:x'}}}{draw.choice(('Slot', 'Document', 'Other'))}"
    return etree.tostring(root)


@pytest.mark.parametrize("start", range(3))
def test_whatever_arrives_is_answered(tmp_path: Path, made_certificates: Path, start: int) -> None:
    draw = random.Random(start)
    certificates = certificates_in(made_certificates)
    store = DmpStore(tmp_path / "dmp.sqlite")
    seed(store)
    deposit(store)
    service = DmpService(store, certificates.authority_certificate(), checks=Checks(vihf=False))
    signing, plain = Foreign("", certificates.signer), Foreign("")
    roses = {"$XDSDocumentEntryPatientId": f"'{ROSE_CX}'", "$XDSDocumentEntryStatus": f"('{APPROVED}')"}
    uuid = store.entries()[0].uuid
    archive = changes(association(STATUS, "Lot", uuid, *_slots()))
    others = [
        ("registry", "urn:ihe:iti:2007:RegistryStoredQuery", query(queries.FIND_DOCUMENTS, roses)),
        ("registry", "urn:ihe:iti:2010:UpdateDocumentSet", archive),
    ]
    for number in range(80):
        if number % 2:
            service_name, action, body = draw.choice(others)
            call = Call(service_name, bend(plain.envelope(action, body, DIRECT), draw))
        else:
            body, documents = Lot().whole(signing.sign_lot)
            whole = plain.envelope("urn:ihe:iti:2007:ProvideAndRegisterDocumentSet-b", body, Vihf())
            contents = [bend(one.content, draw) if draw.random() < 0.2 else one.content for one in documents]
            parts = [
                Part(f"{one.id}@test.example", _content(content))
                for one, content in zip(documents, contents, strict=True)
            ]
            call = Call("repository", bend(whole, draw), parts, multipart=True)
        answer = service.answer(call)
        assert answer.status in (200, 500)
        assert etree.fromstring(answer.content).tag == "{http://www.w3.org/2003/05/soap-envelope}Envelope"
    kept = {one.unique_id for one in store.entries()}
    members = [
        link for lot in store.lots() for link in store.associations_of([lot.uuid]) if link.type.endswith("HasMember")
    ]
    assert {link.target for link in members} == {one.uuid for one in store.entries() if one.version == 1}
    assert all(store.digest(one) for one in kept)
    store.close()


def _slots() -> tuple[str, str]:
    return slot("OriginalStatus", APPROVED), slot("NewStatus", ARCHIVED)


def _content(content: bytes) -> Content:
    return Content(io.BytesIO(content), len(content), hashlib.sha1(content, usedforsecurity=False).hexdigest())
