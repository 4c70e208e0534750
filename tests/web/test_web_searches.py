"""Searches kept by name, and exports of what a search finds."""

from __future__ import annotations

import csv
import io
import re
from typing import Any

import orjson

from mappings.archive import Archive
from router.web.accounts import Role
from router.web.exports import plain


def rows(text: str) -> list[int]:
    return [int(number) for number in re.findall(r'<tr id="message-(\d+)">', text)]


async def keep(browser: Any, name: str, **fields: str) -> Any:
    return await browser.post("/searches", {"name": name, **fields})


async def test_a_search_is_kept_pinned_counted_and_opened(site: Any) -> None:
    browser = await site.signed_in()
    answer = await keep(browser, "  Rejets   du jour ", state="rejected", pinned="1")
    assert answer.location == "/messages?state=rejected"
    page = await browser.get("/messages")
    assert "Rejets du jour" in page.plain
    assert 'hx-get="/searches/1/count"' in page.text
    assert (await browser.get("/searches/1/count")).text == "1"
    opened = await browser.get("/searches/1")
    assert opened.location == "/messages?state=rejected"
    await browser.post("/searches/1/pin")
    assert 'hx-get="/searches/1/count"' not in (await browser.get("/messages")).text
    await keep(browser, "Rejets du jour", state="held")
    assert site.value("SELECT count(*) FROM saved_search") == 1, "a name is used once"
    await browser.post("/searches/1/forget")
    assert site.value("SELECT count(*) FROM saved_search") == 0


async def test_whom_a_search_is_about_is_sealed_and_never_in_an_address(site: Any) -> None:
    browser = await site.signed_in()
    found = await browser.post("/messages/search", {"text": "TESTROSE", "worst": "warning"})
    key = found.location.partition("search=")[2].partition("&")[0]
    await keep(browser, "Mme Rose", search=key, worst="warning", shared="1")
    row = site.value("SELECT wishes || hex(sealed_text) FROM saved_search")
    assert "TESTROSE" not in row
    assert key not in row, "the word of one session is no part of what is kept"
    assert b"TESTROSE".hex().upper() not in row
    other = await site.signed_in_as(Role.AUDITOR)
    opened = await other.get("/searches/1")
    assert "TESTROSE" not in opened.location
    assert rows((await other.get(opened.location)).text) == [1]
    assert site.audited("search")[-1] == ("quelqu.un", "messages", "saved search 1")
    assert (await other.post("/searches/1/forget")).status == 404, "what is shared stays its owner's"


async def test_a_private_search_is_nobody_elses(site: Any) -> None:
    browser = await site.signed_in()
    await keep(browser, "Les miens", state="held")
    other = await site.signed_in_as(Role.ADMINISTRATOR)
    for path in ("/searches/1", "/searches/1/count"):
        assert (await other.get(path)).status == 404
    assert "Les miens" not in (await other.get("/messages")).plain
    assert (await browser.post("/searches/1/burn")).status == 404


async def test_a_table_is_masked_unless_names_are_asked_for(site: Any) -> None:
    browser = await site.signed_in()
    answer = await browser.post("/messages/export", {"all": "1", "kind": "lab_report", "shape": "csv"})
    assert answer.status == 200
    assert answer.headers["content-disposition"] == 'attachment; filename="messages.csv"'
    assert "TESTROSE" not in answer.text
    lines = list(csv.DictReader(io.StringIO(answer.body.decode("utf-8-sig")), delimiter=";"))
    assert [line["id"] for line in lines] == ["8", "7", "6", "5", "4", "1"]
    assert lines[-1]["patient"] == "M••• T•••"
    assert lines[-1]["deliveries"] == "acknowledged:1 delivered:1"
    shown = await browser.post("/messages/export", {"all": "1", "kind": "lab_report", "shape": "csv", "reveal": "1"})
    assert "TESTROSE MARIE" in shown.text
    assert site.audited("export") == [
        ("admin", "messages of a search", "csv, masked"),
        ("admin", "messages of a search", "csv, names shown"),
    ]


async def test_objects_one_a_line(site: Any) -> None:
    browser = await site.signed_in()
    answer = await browser.post("/messages/export", {"id": ["3", "1", "x"], "shape": "ndjson"})
    first, second = (orjson.loads(line) for line in answer.body.splitlines())
    assert (first["id"], first["findings"], first["items"]) == (3, "error", [])
    assert second["items"][0]["patient"] == "M••• T•••"


async def test_originals_leave_as_they_came_under_names_of_ours(site: Any) -> None:
    browser = await site.signed_in()
    answer = await browser.post("/messages/export", {"id": ["1", "3"], "shape": "zip"})
    archive = Archive(answer.body)
    files = {entry.name: archive.read(entry) for entry in archive.entries}
    assert sorted(files) == ["list.csv", "message-1.hl7", "message-1/1-a.txt", "message-3.bin"]
    assert files["message-3.bin"] == b"\x0bnot HL7 \x00 at all"
    assert files["list.csv"].decode("utf-8-sig").startswith("id;file;bytes;sha256\r\n1;message-1.hl7;")
    assert site.audited("export") == [("admin", "2 messages", "zip, originals")]


async def test_who_only_looks_gets_no_names_and_no_originals(site: Any) -> None:
    auditor = await site.signed_in_as(Role.AUDITOR)
    for fields in ({"shape": "zip", "id": ["1"]}, {"shape": "csv", "id": ["1"], "reveal": "1"}):
        assert (await auditor.post("/messages/export", fields)).status == 403
    assert (await auditor.post("/messages/export", {"shape": "csv", "id": ["1"]})).status == 200
    assert (await auditor.post("/messages/export", {"shape": "exe", "id": ["1"]})).status == 404
    assert (await auditor.post("/messages/export", {"shape": "csv"})).status == 303
    assert (await auditor.post("/messages/export", {"shape": "csv", "all": "1", "search": "gone"})).status == 303


def test_no_cell_is_a_formula() -> None:
    assert [plain(text) for text in ("=1+1", "+33", "-2", "@x", "\tx", "12", "")] == [
        "'=1+1",
        "'+33",
        "'-2",
        "'@x",
        "'\tx",
        "12",
        "",
    ]
