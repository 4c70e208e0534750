"""The files of documents that the PDSm source pulls: from where they may come, whole, as they were said to be."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from aiohttp import web
from pdsm_bench import PDF, bench

from connectors.sandbox.pdsm import DocumentServer, Fault, serving
from connectors.testing import MemoryInbox, PlainServices

INSIDE = [
    "http://169.254.169.254/latest/meta-data",
    "http://127.0.0.1:22/",
    "http://localhost/Binary/1",
    "https://elsewhere.invalid/Binary/1",
    "file:///etc/passwd",
    "ftp://elsewhere.invalid/x",
    "//elsewhere.invalid/x",
    "urn:oid:2.999.1",
    "gopher://127.0.0.1:6379/_FLUSHALL",
    "http://user:pass@elsewhere.invalid/x",
    "http://[::1]/x",
    "../../admin",
    "Binary/%2e%2e/%2e%2e/admin",
    "http://[",
    "javascript:alert(1)",
]


@pytest.mark.parametrize("url", INSIDE)
async def test_an_address_that_is_not_the_servers_is_not_followed(
    inbox: MemoryInbox, services: PlainServices, url: str
) -> None:
    async with bench(inbox, services) as at:
        at.place(attachment={"url": url})
        await at.round()
        (code,) = at.refusals()
        assert code.startswith("pdsm.file.")
        assert [one for one in at.server.arrivals if one.method == "GET" and "admin" in one.path] == []
        await at.round()
        assert len(at.inbox.messages) == 1


async def test_a_host_that_is_allowed_is_asked(inbox: MemoryInbox, services: PlainServices) -> None:
    other = DocumentServer()
    async with serving(other) as elsewhere:
        other.store.put({"resourceType": "Binary", "id": "9", "contentType": "application/pdf", "data": "JVBERi0="})
        host = elsewhere.removeprefix("http://").removesuffix("/fhir")
        async with bench(inbox, services, allowed_hosts=(host,)) as at:
            at.place(attachment={"url": f"{elsewhere}/Binary/9"})
            await at.round()
            (read,) = at.items()
    assert read.content.attachments[0].data == "JVBERi0="


@pytest.mark.parametrize(
    ("attachment", "code"),
    [
        ({"url": "Binary/1", "hash": "AAAAAAAAAAAAAAAAAAAAAAAAAAA="}, "pdsm.document.hash"),
        ({"url": "Binary/1", "size": 3}, "pdsm.document.size"),
        ({"url": "Binary/404"}, "pdsm.file.refused"),
        ({}, "pdsm.file.none"),
        ({"data": "%%"}, "pdsm.document.base64"),
        ({"url": "Binary/empty"}, "pdsm.document.empty"),
        ({"url": "Binary/long"}, "pdsm.document.too_large"),
    ],
)
async def test_a_file_that_is_not_what_it_should_be_is_kept_and_shown(
    inbox: MemoryInbox, services: PlainServices, attachment: dict[str, Any], code: str
) -> None:
    async with bench(inbox, services, max_document=2048) as at:
        for name, data in (("1", PDF), ("empty", b""), ("long", b"x" * 2100)):
            at.server.store.put(
                {
                    "resourceType": "Binary",
                    "id": name,
                    "contentType": "application/pdf",
                    "data": base64.b64encode(data).decode(),
                }
            )
        at.place(attachment=attachment)
        for _ in range(2):
            await at.round()
        assert at.refusals() == [code]
        assert services.health.figures["refused"] == 1


async def test_a_fhir_document_is_taken_as_its_json(inbox: MemoryInbox, services: PlainServices) -> None:
    synthesis = {"resourceType": "Bundle", "id": "s1", "type": "document", "entry": []}
    async with bench(inbox, services) as at:
        at.server.store.put(synthesis)
        at.place(attachment={"url": "Bundle/s1", "contentType": "application/fhir+json"})
        await at.round()
        (read,) = at.items()
    (file,) = read.content.attachments
    assert file.media_type == "application/fhir+json"
    assert json.loads(base64.b64decode(file.data or "")) == synthesis


async def test_an_address_of_the_servers_own_is_followed_whole(inbox: MemoryInbox, services: PlainServices) -> None:
    async with bench(inbox, services) as at:
        at.server.store.put({"resourceType": "Binary", "id": "9", "contentType": "application/pdf", "data": "JVBERi0="})
        at.place(attachment={"url": f"{at.base}/Binary/9?version=1"})
        await at.round()
        (read,) = at.items()
    assert read.content.attachments[0].data == "JVBERi0="


STRANGE: list[dict[str, Any]] = [
    {"content": "TESTROSE"},
    {"content": [{"attachment": [1]}, None, 3]},
    {"content": [{"attachment": {"url": 3, "size": "x", "hash": 4, "contentType": {}}}]},
    {"content": [{"attachment": {"url": "Binary/1", "contentType": "a\r\nX-Evil: 1"}}]},
    {"masterIdentifier": [1], "identifier": "x"},
    {"relatesTo": {"code": "replaces"}},
    {"relatesTo": [{"code": "replaces", "target": {"reference": "DocumentReference/404"}}]},
    {"relatesTo": [{"code": "replaces", "target": {"reference": "http://169.254.169.254/DocumentReference/1"}}]},
    {"subject": [{"reference": "Patient/1"}], "context": "x"},
    {"subject": {"reference": "#p"}, "contained": [{"resourceType": "Patient", "id": "p"}], "context": [1]},
    {"extension": {"url": "x"}, "securityLabel": "N", "meta": "x", "date": 3},
    {"date": "0001-01-01T00:00:00+14:00"},
    {"date": "9999-99-99"},
]


@pytest.mark.parametrize("strange", STRANGE, ids=range(len(STRANGE)))
async def test_a_strange_document_has_an_end_and_stops_nobody(
    inbox: MemoryInbox, services: PlainServices, strange: dict[str, Any]
) -> None:
    async with bench(inbox, services) as at:
        at.server.store.put({"resourceType": "Binary", "id": "1", "contentType": "application/pdf", "data": "JVBERi0="})
        at.place(**{"attachment": {"url": "Binary/1"}, "id": "strange", **strange})
        at.deposit()
        for _ in range(2):
            await at.round()
        assert len(at.inbox.messages) == 2
        assert "TESTROSE" not in f"{services.health!r}{services.findings!r}"
        assert [one for one in at.server.arrivals if "x-evil" in one.headers] == []


async def test_a_document_nested_too_deep_is_named_and_refused(
    inbox: MemoryInbox, services: PlainServices, monkeypatch: pytest.MonkeyPatch
) -> None:
    deep: Any = {}
    for _ in range(400):
        deep = {"x": deep}

    def answered(resource: Any, status: int = 200) -> web.Response:
        return web.Response(status=status, body=json.dumps(resource).encode(), content_type="application/fhir+json")

    monkeypatch.setattr("connectors.sandbox.pdsm._json", answered)
    async with bench(inbox, services) as at:
        at.place(attachment={"url": "Binary/1"}, text=deep)
        at.deposit()
        await at.round()
        assert at.refusals() == ["pdsm.document.nested"]
        assert len(at.items()) == 1


async def test_bytes_that_changed_on_the_way_are_seen(inbox: MemoryInbox, services: PlainServices) -> None:
    async with bench(inbox, services) as at:
        at.deposit()
        at.server.mood = Fault.WRONG_BYTES
        await at.round()
        assert at.refusals() == ["pdsm.document.hash"]


async def test_a_file_that_is_late_is_fetched_at_the_next_round(inbox: MemoryInbox, services: PlainServices) -> None:
    async with bench(inbox, services) as at:
        at.deposit(b"%PDF-1.4 first")
        at.deposit(b"%PDF-1.4 second")
        at.server.once(Fault.OK, Fault.OK, Fault.UNAVAILABLE)
        await at.round()
        assert len(at.items()) == 1
        assert services.health.state == "degraded"
        await at.round()
        assert len(at.items()) == 2
