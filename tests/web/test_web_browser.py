"""The dashboard in a real browser: what people press, type and see; and that the browser has nothing to complain of."""

from __future__ import annotations

import asyncio
import contextlib
import re
import shutil
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import uvicorn
from web_journal import ADMIN, HOSTILE, MINUTE, PASSWORD, SECOND, Journal, flood

from router.journal.tables import DeliveryState
from router.web.app import create_app
from router.web.context import FlowStatus, RouteStatus, WebContext

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed on this machine"),
]

NOW = int(datetime(2026, 11, 22, 9, 30, tzinfo=UTC).timestamp() * 1_000_000)
PAGES = ("/", "/messages", "/messages/1/understood", "/messages/1/original", "/messages/1/sent", "/messages/1/why",
         "/messages/3", "/deliveries", "/identities", "/identities/decisions", "/identities/tasks", "/codes",
         "/notices", "/audit", "/api")  # fmt: skip


class Served:
    """The application on a real port, in a thread of its own."""

    def __init__(self, journal: Journal) -> None:
        self.journal = journal
        self.now = NOW
        self.flows = [
            FlowStatus("labo-sud", "source", "mllp", "listening", address="0.0.0.0:2575"),
            FlowStatus("hopital", "source", "mllp", "listening", address="0.0.0.0:2576"),
            FlowStatus("spico", "destination", "fhir", "unreachable", detail="connection refused"),
            FlowStatus("medecin", "destination", "directory", "ready", address="/srv/out"),
        ]
        self.app = create_app(
            WebContext(
                store=journal.store,
                submit=journal.submit,
                flows=lambda: self.flows,
                routes=lambda: (RouteStatus("résultats", "item.kind == 'lab_report'", ("spico",)),),
                now=lambda: datetime.fromtimestamp(self.now / 1_000_000, UTC),
                version="1.2.3",
                title="CH de Beaumont",
            )
        )
        config = uvicorn.Config(self.app, port=0, log_level="error", lifespan="off", timeout_graceful_shutdown=1)
        self.server = uvicorn.Server(config)
        self.started = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()
        assert self.started.wait(20)
        self.address = f"http://127.0.0.1:{self.port}"

    def _run(self) -> None:
        async def serve() -> None:
            self.server.config.load()
            self.server.lifespan = self.server.config.lifespan_class(self.server.config)
            await self.server.startup()
            self.port = self.server.servers[0].sockets[0].getsockname()[1]
            self.started.set()
            await self.server.main_loop()
            await self.server.shutdown()

        asyncio.run(serve())

    def stop(self) -> None:
        self.server.should_exit = True
        self.thread.join(20)
        self.app.state.desk.live.close()
        self.app.state.desk.close()


@pytest.fixture
def served(journal: Journal) -> Iterator[Served]:
    made = Served(journal)
    yield made
    made.stop()


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


class Person:
    """Somebody with a browser. What the browser complains of is kept, and fails the test at its end."""

    def __init__(self, chromium: Any, served: Served, **options: Any) -> None:
        defaults = {"viewport": {"width": 1280, "height": 900}, "timezone_id": "Europe/Paris", "locale": "fr-FR"}
        self.context = chromium.new_context(**{**defaults, **options})
        self.context.set_default_timeout(15_000)
        self.page = self.context.new_page()
        self.served = served
        self.complaints: list[str] = []
        self.page.on("console", self._note)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on(
            "dialog", lambda dialog: (self.complaints.append("a script ran: " + dialog.message), dialog.dismiss())
        )
        self.page.on("requestfailed", self._failed)

    def _note(self, message: Any) -> None:
        if message.type in {"error", "warning"} and "401" not in message.text:
            self.complaints.append(message.text)

    def _failed(self, request: Any) -> None:
        if "/events" not in request.url and "ERR_ABORTED" not in (request.failure or ""):
            self.complaints.append(f"{request.url}: {request.failure}")

    def go(self, path: str) -> Any:
        self.page.goto(self.served.address + path)
        return self.page

    def sign_in(self) -> Any:
        self.go("/login")
        self.page.get_by_label("Nom").fill(ADMIN)
        self.page.get_by_label("Mot de passe").fill(PASSWORD)
        self.page.get_by_role("button", name="Entrer").click()
        self.page.wait_for_url(self.served.address + "/")
        return self.page

    @property
    def path(self) -> str:
        return str(self.page.url).removeprefix(self.served.address)


@pytest.fixture
def person(chromium: Any, served: Served) -> Iterator[Person]:
    made = Person(chromium, served)
    yield made
    made.context.close()
    assert made.complaints == []


def expect(found: Any) -> Any:
    return playwright.expect(found)


def test_signing_in(person: Person) -> None:
    page = person.go("/messages?state=held")
    page.get_by_label("Nom").fill(ADMIN)
    page.get_by_label("Mot de passe").fill("not this one")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("Nom ou mot de passe incorrect")
    page.get_by_label("Nom").fill(ADMIN)
    page.get_by_label("Mot de passe").fill(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url("**/messages?state=held")
    page.get_by_role("button", name="Quitter").click()
    page.wait_for_url("**/login")


def test_the_overview_lives(person: Person) -> None:
    page = person.sign_in()
    expect(page.get_by_text("spico ne répond pas")).to_be_visible()
    expect(page.locator('[data-figure="received"]')).to_have_text("9")
    column = page.locator(".chart .hit").last
    column.hover(force=True)
    expect(page.locator(".legend .period")).to_have_text("10:30 – 10:45")
    page.mouse.move(0, 0)
    page.evaluate("window.kept = true")
    person.served.now += 2 * SECOND
    person.served.journal.message(person.served.now, control="LATER")
    expect(page.locator('[data-figure="received"]')).to_have_text("10")
    person.served.flows[2] = FlowStatus("spico", "destination", "fhir", "ready")
    expect(page.get_by_text("spico ne répond pas")).to_have_count(0)
    assert page.evaluate("window.kept"), "the page was not loaded anew"


def test_search_leaves_no_name_behind(person: Person) -> None:
    page = person.sign_in()
    page.keyboard.press("/")
    page.wait_for_url("**/messages#search")
    expect(page.get_by_label("Chercher un message")).to_be_focused()
    page.keyboard.type("testrose marie")
    page.keyboard.press("Enter")
    page.wait_for_url("**/messages?search=*")
    expect(page.locator("table.messages tbody tr")).to_have_count(5)
    assert "rose" not in page.url.lower()
    page.get_by_text("Constats", exact=True).click()
    page.get_by_role("link", name="avertissement ou pire").click()
    expect(page.locator("table.messages tbody tr")).to_have_count(1)
    expect(page.get_by_label("Chercher un message")).to_have_value("testrose marie")
    page.go_back()
    expect(page.locator("table.messages tbody tr")).to_have_count(5)


def test_new_rows_are_announced_and_typing_is_not_disturbed(person: Person) -> None:
    person.sign_in()
    page = person.go("/messages")
    field = page.get_by_label("Chercher un message")
    field.fill("half a na")
    person.served.journal.message(person.served.now, control="LATER")
    expect(page.get_by_role("link", name="1 nouveau message")).to_be_visible()
    expect(field).to_have_value("half a na")
    expect(field).to_be_focused()
    field.fill("")
    page.get_by_role("link", name="1 nouveau message").click()
    expect(page.locator("table.messages tbody tr")).to_have_count(10)


def test_a_message_from_tab_to_tab(person: Person) -> None:
    person.sign_in()
    page = person.go("/messages")
    page.get_by_role("link", name="NFS, 4 résultats").last.click()
    page.wait_for_url("**/messages/1")
    expect(page.locator("tr.critical")).to_contain_text("Hémoglobine")
    tabs = page.get_by_label("Vues du message")
    tabs.get_by_role("link", name="Original").click()
    expect(page.locator('[title="PID-5 · Patient name (XPN)"]')).to_contain_text("TESTROSE")
    page.locator("summary", has_text="PID").click()
    expect(page.get_by_role("cell", name="PID-5.1", exact=True)).to_be_visible()
    tabs.get_by_role("link", name="Envoyé").click()
    expect(page.locator("pre.json").first).to_contain_text('"resourceType": "Bundle"')
    tabs.get_by_role("link", name="Pourquoi").click()
    expect(page.get_by_text("item.kind == 'lab_report'")).to_be_visible()
    tabs.get_by_role("link", name="Constats").click()
    expect(page.get_by_text("hl7v2.charset")).to_be_visible()
    with page.expect_download() as waiting:
        page.get_by_role("link", name="Original").last.click()
    assert waiting.value.suggested_filename == "r.hpr"


def test_a_delivery_moves_while_one_looks(person: Person) -> None:
    person.sign_in()
    page = person.go("/messages/7")
    expect(page.get_by_role("heading", level=1)).to_contain_text("en nouvel essai vers spico")
    journal, now = person.served.journal, person.served.now
    journal.attempt(journal.ids["delivery AGAIN"], now, DeliveryState.ACKNOWLEDGED, number=2, detail="HTTP 200")
    expect(page.get_by_role("heading", level=1)).to_contain_text("livré à spico")
    expect(page.get_by_text("Acquitté par spico, essai 2")).to_be_visible()


def test_replay_asks_first(person: Person) -> None:
    person.sign_in()
    page = person.go("/messages/1")
    page.get_by_role("button", name="Rejouer…").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("Il sera relu avec les règles d’aujourd’hui")
    dialog.get_by_role("button", name="Annuler").click()
    expect(dialog).to_have_count(0)
    page.get_by_role("button", name="Rejouer…").click()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.get_by_role("button", name="Rejouer…").click()
    page.get_by_role("dialog").get_by_role("button", name="Rejouer").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("en attente de lecture")


def test_a_delivery_is_set_aside_then_sent_again(person: Person) -> None:
    person.sign_in()
    page = person.go("/messages/7/sent")
    page.get_by_role("button", name="Écarter…").click()
    page.get_by_role("dialog").get_by_role("button", name="Écarter").click()
    expect(page.locator("article .state").first).to_have_text("écarté")
    page.get_by_role("button", name="Renvoyer…").click()
    page.get_by_role("dialog").get_by_role("button", name="Renvoyer").click()
    expect(page.locator("article .state").first).to_have_text("en cours")


def test_many_are_chosen_previewed_and_done(person: Person) -> None:
    person.sign_in()
    page = person.go("/deliveries?state=dead")
    bar = page.locator(".bulk")
    expect(bar).to_be_hidden()
    boxes = page.locator("tbody input[type=checkbox]")
    boxes.nth(0).check()
    boxes.nth(1).check()
    expect(bar).to_contain_text("Choisis : 2")
    person.served.journal.message(person.served.now, control="MEANWHILE")
    page.wait_for_timeout(1500)
    expect(boxes.nth(1)).to_be_checked()
    bar.get_by_role("button", name="Renvoyer…").click()
    expect(page.get_by_text("2 livraisons seront renvoyées.")).to_be_visible()
    page.get_by_role("button", name="Renvoyer 2 livraisons").click()
    expect(page.get_by_text("Terminé.")).to_be_visible()
    page.get_by_role("link", name="Revenir à la liste").click()
    expect(page.locator("table.deliveries tbody tr")).to_have_count(1)


def test_a_cause_is_one_decision(person: Person) -> None:
    person.sign_in()
    page = person.go("/deliveries")
    row = page.locator("table.causes tbody tr").first
    expect(row).to_contain_text("HTTP 422: patient … unknown")
    row.get_by_role("button", name="Écarter…").click()
    page.get_by_role("button", name="Écarter 2 livraisons").click()
    expect(page.get_by_text("2 sur 2.")).to_be_visible()


def test_a_name_is_shown_on_request_and_stays(person: Person) -> None:
    person.sign_in()
    page = person.go("/messages")
    row = page.locator("#message-1")
    row.get_by_role("button", name="M••• T•••, 1930").click()
    expect(row).to_contain_text("TESTROSE MARIE, 05/03/1930")
    person.served.journal.message(person.served.now, control="LATER")
    expect(page.get_by_role("link", name="1 nouveau message")).to_be_visible()
    expect(row).to_contain_text("TESTROSE MARIE")
    page.reload()
    expect(page.locator("#message-1")).not_to_contain_text("TESTROSE")


def test_a_hostile_name_is_only_a_name(person: Person) -> None:
    person.sign_in()
    page = person.go("/messages")
    expect(page.get_by_role("link", name=HOSTILE)).to_be_visible()
    page.locator("#message-8").get_by_role("button").click()
    expect(page.locator("#message-8 .revealed")).to_contain_text(HOSTILE)
    person.go("/messages/8/understood")
    expect(page.get_by_text(HOSTILE).first).to_be_visible()
    person.go("/messages/8/sent")
    expect(page.locator("pre.json")).to_contain_text(HOSTILE)


def test_languages_and_colours(person: Person) -> None:
    page = person.sign_in()
    ground = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(ground)
    page.get_by_role("button", name="EN", exact=True).click()
    expect(page.get_by_role("heading", name="Today")).to_be_visible()
    expect(page.locator("html")).to_have_attribute("lang", "en")
    page.get_by_role("button", name="Dark").click()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    dark = page.evaluate(ground)
    assert dark != light
    page.get_by_role("button", name="Auto").click()
    assert page.evaluate(ground) == light
    page.emulate_media(color_scheme="dark")
    assert page.evaluate(ground) == dark
    page.get_by_role("button", name="FR", exact=True).click()
    expect(page.get_by_role("heading", name="Aujourd’hui")).to_be_visible()


def test_by_keyboard_alone(person: Person) -> None:
    page = person.sign_in()
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_contain_text("Au clavier")
    page.keyboard.press("Escape")
    for keys, path in (
        ("gm", "/messages"),
        ("gd", "/deliveries"),
        ("gi", "/identities"),
        ("gn", "/notices"),
        ("gc", "/codes"),
        ("ga", "/audit"),
        ("go", "/"),
    ):
        for key in keys:
            page.keyboard.press(key)
        page.wait_for_url(person.served.address + path)
    page.keyboard.press("g")
    page.keyboard.press("m")
    page.wait_for_url("**/messages")
    for _ in range(3):
        page.keyboard.press("j")
    page.keyboard.press("k")
    page.keyboard.press("Enter")
    page.wait_for_url("**/messages/8")
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") is not None


def test_a_session_that_ends_leads_to_the_login(person: Person) -> None:
    page = person.sign_in()
    expect(page.locator("#live")).to_be_visible()
    person.served.now += 31 * MINUTE
    person.served.journal.message(person.served.now, control="LATER")
    page.wait_for_url("**/login")


def test_a_router_that_is_gone_is_said(person: Person) -> None:
    page = person.sign_in()
    page.wait_for_timeout(300)
    person.served.server.should_exit = True
    with contextlib.suppress(Exception):
        person.served.thread.join(10)
    expect(page.get_by_text("Connexion au routeur perdue")).to_be_visible()
    person.complaints[:] = [said for said in person.complaints if "ERR_" not in said]


@pytest.mark.parametrize("width", [380, 820, 1280])
def test_pages_fit(chromium: Any, served: Served, width: int) -> None:
    flood(served.journal, NOW, 60)
    person = Person(chromium, served, viewport={"width": width, "height": 800})
    page = person.sign_in()
    for path in PAGES:
        person.go(path)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, f"{path} is wider than {width} px"
        small = page.evaluate(
            """[...document.querySelectorAll('main a.button, main button:not(.link)')]
               .filter(e => e.offsetParent && e.getBoundingClientRect().height < 22).map(e => e.textContent.trim())"""
        )
        assert small == [], f"{path}: too small to press"
    assert person.complaints == []
    person.context.close()


CONTRAST = """() => {
  const rgb = (text) => { const c = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
    c.fillStyle = text; c.fillRect(0, 0, 1, 1); return [...c.getImageData(0, 0, 1, 1).data]; };
  const light = ([r, g, b]) => {
    const f = (v) => { v /= 255; return v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; };
    return 0.2126 * f(r) + 0.7152 * f(g) + 0.0722 * f(b); };
  const ground = (element) => { for (let e = element; e; e = e.parentElement) {
    const c = rgb(getComputedStyle(e).backgroundColor); if (c[3] > 250) return c; } return [255, 255, 255, 255]; };
  const low = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.textContent.trim() || !element.checkVisibility()) continue;
    const [a, b] = [light(rgb(getComputedStyle(element).color)), light(ground(element))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    const said = walker.currentNode.textContent.trim().slice(0, 30);
    if (ratio < 4.5) low.push([element.className, said, ratio.toFixed(2)].join(' '));
  }
  return [...new Set(low)];
}"""


NAMELESS = """() => [...document.querySelectorAll('input:not([type=hidden]), button, summary, a')]
  .filter(e => e.checkVisibility() && !e.labels?.length && !e.getAttribute('aria-label') && !e.textContent.trim())
  .map(e => e.outerHTML)"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_can_be_read(chromium: Any, served: Served, scheme: str) -> None:
    """Contrast of every text, WCAG 2 level AA; fields have names; ids and headings are in order."""
    person = Person(chromium, served, color_scheme=scheme)
    page = person.sign_in()
    for path in PAGES:
        person.go(path)
        assert page.evaluate(CONTRAST) == [], path
        nameless = page.evaluate(NAMELESS)
        assert nameless == [], path
        assert page.evaluate("document.querySelectorAll('h1').length") == 1, path
    person.go("/login")
    assert page.evaluate(CONTRAST) == []
    assert person.complaints == []
    person.context.close()


def test_pages_are_light_and_ours_alone(person: Person) -> None:
    person.sign_in()
    page = person.go("/messages")
    loaded = page.evaluate("performance.getEntriesByType('resource').map(e => [e.name, e.decodedBodySize])")
    weight = sum(size for name, size in loaded if re.search(r"[.](js|css)", name))
    assert 0 < weight < 150_000
    assert all(re.match(r"http://127\.0\.0\.1:\d+/", name) for name, _ in loaded)
