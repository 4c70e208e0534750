"""One message side by side: pieces, values and sendings linked by what was observed; findings where they belong."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from web_journal import ORU as ORU_TEMPLATE

from mappings.contracts import ReadContext, WriteContext
from mappings.registry import format_named
from router.linking.links import Links, LinksAsked, find_links
from router.web.sides import link, place, values, wire
from schemas.finding import Finding, Severity
from schemas.item import dump_item

ORU = ORU_TEMPLATE.format(control="M1", number=1, family="TESTROSE", given="MARIE", year=30).encode()
AT = datetime(2026, 11, 22, 10, tzinfo=UTC)


@pytest.fixture(scope="module")
def asked() -> LinksAsked:
    reading = format_named("hl7v2").read(ORU, ReadContext())
    bodies = tuple(dump_item(item) for item in reading.items)
    return LinksAsked(ORU, "hl7v2", ReadContext(), bodies, (0, bodies[0]), "fhir", WriteContext(AT, "IDENTITY-1"))


@pytest.fixture(scope="module")
def links(asked: LinksAsked) -> Links:
    return find_links(asked, lambda _done, _of: True)


def test_a_value_is_linked_to_where_it_came_from_and_where_it_went(links: Links) -> None:
    name = next(path for path in links.back if path.endswith((".birth_name", ".family_name")))
    assert "PID[1]-5[1].1" in links.back[name]
    assert any(".name[0].family" in where for where in links.forward[name])
    number = next(path for path in links.back if path.endswith("observations[0].value.number"))
    assert "OBX[1]-5[1].1" in links.back[number]
    assert any("valueQuantity.value" in where for where in links.forward[number])
    assert links.complete
    assert not links.drifted


def test_what_is_kept_otherwise_than_it_would_be_read_today_is_said(asked: LinksAsked) -> None:
    other = asked.items[0].replace(b'"text":"', b'"text":"9', 1)
    assert other != asked.items[0]
    assert find_links(replace(asked, items=(other,), leaving=None), lambda _done, _of: True).drifted


def test_a_search_that_is_ended_gives_what_it_has(asked: LinksAsked) -> None:
    calls: list[int] = []

    def told(done: int, _of: int) -> bool:
        calls.append(done)
        return len(calls) < 12

    found = find_links(asked, told)
    assert not found.complete
    assert len(found.back) > 0


def test_what_cannot_be_read_or_written_today_is_told_by_its_code(asked: LinksAsked) -> None:
    assert find_links(replace(asked, content=b"nothing"), lambda _done, _of: True).unreadable
    assert find_links(replace(asked, target="icalendar"), lambda _done, _of: True).unwritable


@pytest.mark.parametrize(
    ("content", "name", "key", "said"),
    [
        (b'{"resourceType":"Bundle","entry":[{"resource":{"resourceType":"Patient","gender":"female"}}]}',
         "fhir", "entry[0].resource", "Patient"),
        (ORU, "hl7v2", "PID[1]", "Patient identification"),
    ],
)  # fmt: skip
def test_pieces_are_grouped_under_what_holds_them(content: bytes, name: str, key: str, said: str) -> None:
    groups = {group.key: group for group in wire(content, name).groups}
    assert groups[key].title == said
    assert groups[key].rows


def test_what_names_no_pieces_is_said_to_be_opaque() -> None:
    assert wire(b"\x0bnothing \x00", "hl7v2").opaque
    assert wire(b"x", "no-such-format").opaque


def test_findings_stand_on_the_row_that_they_are_about() -> None:
    def finding(where: str) -> Finding:
        return Finding(severity=Severity.WARNING, code="a.b", where=where, message="odd")

    column = wire(ORU, "hl7v2")
    place([finding("PID-5"), finding("OBX[1]-5"), finding("nowhere")], column)
    marked = [row.where for row in column.rows() if row.found]
    assert marked == ["PID[1]-5[1].1", "OBX[1]-5[1].1"]
    assert [one.where for one in column.loose] == ["nowhere"]


def test_rows_that_belong_together_share_a_number(links: Links, asked: LinksAsked) -> None:
    from mappings.contracts import Reading
    from mappings.leaves import leaves_of
    from schemas.item import ITEM

    item = ITEM.validate_json(asked.items[0])
    written = format_named("fhir").write(item, WriteContext(AT, "ANOTHER-2")).content
    original, canonical, sent = wire(ORU, "hl7v2"), values(leaves_of(Reading(items=(item,)))), wire(written, "fhir")
    link(links, original, canonical, sent)
    came = next(row for row in original.rows() if row.where == "PID[1]-5[1].1")
    said = [row for row in canonical.rows() if set(row.links) & set(came.links)]
    went = [row for row in sent.rows() if set(row.links) & set(came.links)]
    assert any(row.where.endswith((".birth_name", ".family_name")) for row in said)
    assert any(row.where.endswith(".name[0].family") for row in went)
    assert any(row.use == "silent" for row in original.rows())


async def test_the_page_shows_three_columns_then_links_them(site: Any) -> None:
    browser = await site.signed_in()
    answer = await browser.get("/messages/1/side")
    assert "PID[1]" in answer.text
    assert "Family name" in answer.text
    assert 'hx-get="/messages/1/side/links' in answer.text
    delivery = re.search(r"side/links\?delivery=(\d+)", answer.text)
    assert delivery is not None
    path = f"/messages/1/side/links?delivery={delivery[1]}"
    searching = await browser.get(path)
    assert "<progress" in searching.text
    assert "TESTROSE" not in searching.text, "how far it is says nothing of a patient"
    linking = next(iter(site.desk.linkings._found.values()))
    await linking.task
    found = await browser.get(path)
    assert 'data-l="' in found.text
    assert "vient de" in found.text
    assert "&lt;script" not in searching.text
    assert site.audited("read message") == [("admin", "message 1", "side")]


async def test_links_alone_are_noted_as_a_look(site: Any) -> None:
    browser = await site.signed_in()
    path = "/messages/1/side/links"
    await browser.get(path)
    await next(iter(site.desk.linkings._found.values())).task
    assert "vient de" in (await browser.get(path)).text
    assert site.audited("read message") == [("admin", "message 1", "side")]


async def test_there_is_no_side_of_what_is_not_there(site: Any) -> None:
    browser = await site.signed_in()
    assert (await browser.get("/messages/999/side")).status == 404
    assert (await browser.get("/messages/999/side/links")).status == 404
    assert (await browser.get("/messages/3/side")).status == 200, "an unreadable message has its bytes elsewhere"
