"""The sandbox DMP from outside, over HTTP: what is submitted is found and given back."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from dmp_foreign_client import DIRECT, Foreign
from dmp_foreign_requests import APPROVED, ROSE_CX, Document, Lot, query, retrieve

from connectors.sandbox.dmp import DmpSandbox
from connectors.sandbox.dmp.queries import FIND_DOCUMENTS

ROSES = {"$XDSDocumentEntryPatientId": f"'{ROSE_CX}'", "$XDSDocumentEntryStatus": f"('{APPROVED}')"}


@pytest.fixture
async def dmp(dmp_folder: Path) -> AsyncIterator[DmpSandbox]:
    async with DmpSandbox(dmp_folder, tls=False) as sandbox:
        yield sandbox


@pytest.fixture
def client(dmp: DmpSandbox) -> Foreign:
    return Foreign(dmp.url, dmp.certificates.signer)


async def test_what_is_submitted_is_found_and_given_back(dmp: DmpSandbox, client: Foreign) -> None:
    document = Document(content=bytes(range(256)) * 1200)
    reply = await client.iti41(Lot([document]))
    assert (reply.status, reply.outcome, reply.errors) == (200, "Success", []), reply.content

    found = await client.iti18(query(FIND_DOCUMENTS, ROSES), DIRECT)
    assert document.unique_id in found.unique_ids()
    assert len(found.entries) == 2
    entry = found.entries[0]
    assert entry.get("lid") == entry.get("id")
    got = await client.iti43(retrieve(document.unique_id), DIRECT)
    assert got.documents == {document.unique_id: document.content}
    assert got.content_type.startswith("multipart/related")
