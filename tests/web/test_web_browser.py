"""The dashboard in a real browser: what people press, type and see; and that the browser has nothing to complain of."""

from __future__ import annotations

import contextlib
import re
from typing import Any

import pytest
from web_journal import ADMIN, HOSTILE, MINUTE, PASSWORD, SECOND
from web_person import CHROMIUM, CONTRAST, NAMELESS, NOW, Person, Served
from web_traffic import flood

from router.journal.tables import DeliveryState
from router.web.context import FlowStatus

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed on this machine"),
]

PAGES = ("/", "/messages", "/messages/1/understood", "/messages/1/original", "/messages/1/sent", "/messages/1/why",
         "/messages/3", "/deliveries", "/identities", "/identities/decisions", "/identities/tasks", "/codes", "/bulk",
         "/notices", "/audit", "/api", "/people", "/account")  # fmt: skip


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


def test_a_chart_looks_farther_back_and_the_place_is_kept(person: Person) -> None:
    page = person.sign_in()
    page.locator("#flows-table summary").click()
    page.evaluate("window.kept = true; scrollTo(0, document.body.scrollHeight)")
    place = page.evaluate("scrollY")
    assert place > 0
    page.get_by_role("link", name="7 jours").click()
    expect(page.locator(".chart .hit")).to_have_count(168)
    expect(page.locator(".chart [aria-current]")).to_have_text("7 jours")
    assert page.url.endswith("/?period=week")
    assert abs(page.evaluate("scrollY") - place) < 5
    person.served.journal.message(person.served.now, control="LATER")
    expect(page.locator('[data-figure="received"]')).to_have_text("10")
    expect(page.locator(".chart .hit")).to_have_count(168)
    expect(page.locator("#flows-table")).to_have_attribute("open", "")
    page.locator(".chart .hit").last.hover(force=True)
    expect(page.locator(".legend .period")).to_contain_text("dim. 22")
    assert page.evaluate("window.kept"), "the page was not loaded anew"
    page.reload()
    expect(page.locator(".chart [aria-current]")).to_have_text("7 jours")


def test_the_map_joins_its_ends_and_is_a_list_on_a_telephone(person: Person) -> None:
    page = person.sign_in()
    spico = page.locator("#map-destination-spico")
    expect(spico).to_contain_text("injoignable")
    expect(page.locator("svg.edges").first).to_be_visible()
    lines = page.evaluate("""() => [...document.querySelectorAll('.edges')].map((svg, side) => {
      const box = svg.getBoundingClientRect(), nodes = document.querySelectorAll('.nodes')[side].children;
      return [...svg.querySelectorAll('path')].map((path, rank) => {
        const end = path.getPointAtLength(side ? path.getTotalLength() : 0), node = nodes[rank].getBoundingClientRect();
        return Math.abs(box.top + end.y - (node.top + node.height / 2)); }); }).flat()""")
    assert len(lines) == 4
    assert max(lines) < 1.5, "each curve ends at the middle of its node"
    person.served.flows[2] = FlowStatus("spico", "destination", "fhir", "ready")
    expect(spico).to_contain_text("réessaie")
    page.set_viewport_size({"width": 380, "height": 800})
    expect(page.locator("svg.edges").first).to_be_hidden()
    expect(spico).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") == 380
    page.locator("#map-source-hopital a").first.focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**/flows/sources/hopital**")


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
    row = page.locator("table.causes tbody tr").filter(has_text="HTTP 422: patient … unknown")
    row.get_by_role("button", name="Écarter…").click()
    page.get_by_role("button", name="Écarter 2 livraisons").click()
    expect(page.get_by_text("2 sur 2 (100 %).")).to_be_visible()


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


def test_what_a_mended_destination_refused_goes_again_in_two_clicks(person: Any) -> None:
    """From the overview: «send all again», then the button of the preview, with nothing to type."""
    page = person.sign_in()
    page.get_by_role("button", name="Tout renvoyer vers spico…").click()
    assert "3 livraisons seront renvoyées." in page.inner_text("main")
    assert "Aucun destinataire ne recevra deux fois la même chose." in page.inner_text("main")
    page.get_by_role("button", name="Renvoyer 3 livraisons").click()
    page.get_by_role("status").get_by_text("Terminé.").wait_for()
    assert "3 sur 3 (100 %)." in page.inner_text("main").replace("\u202f", " ").replace("\xa0", " ")
    page.get_by_role("button", name="Annuler : 3 peuvent encore revenir en arrière").click()
    page.get_by_role("heading", name="Annuler l’action n° 1").wait_for()
