"""Documents in a real browser: a hostile one runs nothing, a PDF is asked for when it is opened, everything fits."""

from __future__ import annotations

import base64
import struct
import zlib
from typing import Any

import pytest
from web_papers import cda, document, file, full_document, lab_item, letter
from web_person import CHROMIUM, CONTRAST, NAMELESS, Person, Served

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed on this machine"),
]

PDF = (
    b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj\n"
    b"3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 200 100]>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n"
)


def png() -> bytes:
    """A picture of one red point."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    head = struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"IDAT", zlib.compress(b"\x00\xff\x00\x00"))
        + chunk(b"IEND", b"")
    )


ROWS = '<tr><td colspan="9999">x</td></tr>' * 300
HOSTILE = cda(
    "<component><section><title>&lt;img src=x onerror=alert(1)&gt;</title><text>"
    "<script>alert(1)</script>&lt;script&gt;alert(1)&lt;/script&gt;"
    '<content onload="alert(1)" onmouseover="alert(1)" style="position:fixed;inset:0">couvert</content>'
    '<linkHtml href="javascript:alert(1)">ici</linkHtml><linkHtml href="https://evil.example/">là</linkHtml>'
    '<img src="https://evil.example/x.png" onerror="alert(1)"/><iframe src="https://evil.example/"/>'
    f"<table>{ROWS}</table></text></section></component>"
)


def pictured() -> bytes:
    """The letter with a picture and a PDF that browsers can draw."""
    text = letter().decode()
    for old, new in (("iVBORw0KGgotdGVzdC0=", png()), ("JVBERi0xLjQKJXRlc3QK", PDF)):
        assert old in text
        text = text.replace(old, base64.b64encode(new).decode())
    return text.encode()


def put(served: Served, *items: Any) -> int:
    journal = served.journal
    number = journal.message(served.now, message_type="CDA")
    unique = [item.model_copy(update={"id": f"{number:031x}{rank}"}) for rank, item in enumerate(items)]
    journal.read(number, served.now, [journal.item(item, line=item.kind, to=()) for item in unique])
    return number


def looks(served: Served) -> int:
    with served.journal.store.reading() as connection:
        return int(connection.exec_driver_sql("SELECT count(*) FROM audit WHERE action = 'view file'").scalar() or 0)


def test_a_hostile_document_runs_nothing_and_calls_nobody(person: Person) -> None:
    page = person.sign_in()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    person.go(f"/messages/{put(person.served, document(file(HOSTILE)))}/understood")
    page.get_by_text("couvert").hover()
    page.get_by_text("couvert").click()
    page.wait_for_timeout(200)
    assert all(url.startswith(person.served.address) for url in asked)
    assert (
        page.evaluate("document.querySelectorAll('.narrative script, .narrative img, .narrative iframe').length") == 0
    )
    link = page.get_by_role("link", name="là", exact=True)
    playwright.expect(link).to_have_attribute("rel", "noopener noreferrer nofollow")


def test_a_pdf_is_asked_for_when_it_is_opened(person: Person) -> None:
    page = person.sign_in()
    person.go(f"/messages/{put(person.served, document(file(pictured())))}/understood")
    picture = page.get_by_role("img", name="Tracé")
    picture.scroll_into_view_if_needed()
    page.wait_for_function("document.querySelector('figure img').naturalWidth === 1")
    assert looks(person.served) == 1, "the picture, and not the PDF that nobody opened"
    with (
        page.expect_event("framenavigated", lambda frame: "/view/items/" in frame.url),  # its frame was not refused
        page.expect_response("**/view/items/**/media/1") as response,
    ):
        page.locator("details.sheet > summary").focus()
        page.keyboard.press("Enter")
    assert response.value.status == 200
    assert looks(person.served) == 2


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [380, 820, 1280])
def test_documents_and_reports_fit_and_can_be_read(chromium: Any, served: Served, scheme: str, width: int) -> None:
    person = Person(chromium, served, viewport={"width": width, "height": 800}, color_scheme=scheme)
    page = person.sign_in()
    item = document(file(pictured()))
    content = full_document().model_copy(update={"attachments": item.content.attachments})
    person.go(f"/messages/{put(served, lab_item(), item.model_copy(update={'content': content}))}/understood")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate(CONTRAST) == []
    assert page.evaluate(NAMELESS) == []
    assert page.evaluate("document.querySelectorAll('h1').length") == 1
    playwright.expect(page.locator("svg.trend")).to_have_count(1)
    playwright.expect(page.locator(".sir.r")).to_have_text("R")
    over = page.evaluate(
        """() => [...document.querySelectorAll('.results td')].filter(e => e.checkVisibility()
             && e.scrollWidth > e.clientWidth + 1 && getComputedStyle(e).display !== 'contents')
             .map(e => e.className + ': ' + e.textContent.trim().slice(0, 40))"""
    )
    assert over == []
    assert person.complaints == []
    person.context.close()
