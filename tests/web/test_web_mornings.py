"""What an administrator is asked every morning, each answered from the overview in a few steps, on a real browser.

A step is a key combination, a line typed or a click; pictures are left in `build/screenshots/mornings`.
"""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Iterator
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from local_codes import GLUCOSE, HAEMOGLOBIN, LABORATORY, message
from screen_reader import violations
from sqlalchemy import insert
from web_journal import HOUR, PASSWORD
from web_person import CHROMIUM, NOW, Person
from web_traffic import flood

from router.journal import tables
from router.trial.folder import make_folder
from router.trial.process import RouterProcess, run_command

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed on this machine"),
]

PICTURES = Path(__file__).parents[2] / "build" / "screenshots" / "mornings"
MOST = 6
"""Steps to an answer: at a second and a half each, nobody needs ten."""

CONFIGURATION = """\
[web]
listen = "127.0.0.1:0"

[sources.labo-sud]
connector = "mllp"
listen = "127.0.0.1:0"
format = "hl7v2"

[destinations.spico]
connector = "http"
url = "{address}/ancien"
format = "fhir"
retry = {{ max_attempts = 2, first_delay = 0.1 }}

[[routes]]
name = "résultats"
when = "item.kind == 'lab_report'"
to = ["spico"]
unattached = true
"""


class Steps:
    """Somebody's hands: every step is counted."""

    def __init__(self, page: Any) -> None:
        self.page = page
        self.taken = 0

    def click(self, found: Any) -> None:
        self.taken += 1
        found.click()

    def press(self, *keys: str) -> None:
        self.taken += 1
        for key in keys:
            self.page.keyboard.press(key)

    def type(self, text: str) -> None:
        self.taken += 1
        self.page.keyboard.type(text)

    def picture(self, name: str) -> None:
        PICTURES.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=PICTURES / f"{name}.png")
        assert self.taken <= MOST, f"{self.taken} steps"


def expect(found: Any) -> Any:
    return playwright.expect(found)


def test_yesterdays_result_of_a_patient_and_its_proof_of_delivery(person: Person) -> None:
    flood(person.served.journal, NOW, 120, hours=40)
    hands = Steps(person.sign_in())
    page = hands.page
    hands.press("/")
    page.wait_for_url("**/messages#search")
    hands.type("essaimer paul")
    hands.press("Enter")
    page.wait_for_url("**/messages?search=*")
    row = page.locator("table.messages tbody tr", has_text="hier").filter(has_text="résultat").first
    hands.click(row.locator("td.what a, a").first)
    expect(page.get_by_role("heading", level=1)).to_contain_text("livré à")
    hands.click(page.get_by_label("Vues du message").get_by_role("link", name=re.compile("Envoyé")))
    expect(page.get_by_text("HTTP 200").first).to_be_visible()
    hands.picture("proof-of-delivery")


def test_which_source_went_silent(person: Person) -> None:
    flood(person.served.journal, NOW - 3 * HOUR, 700, hours=24 * 21)
    facts = json.dumps({"since": NOW - HOUR, "expected": 35})
    with person.served.journal.store.writing() as connection:
        values = {"kind": "silence", "subject": "labo-sud", "side": "source", "facts": facts}
        connection.execute(insert(tables.alarm).values(opened_at=NOW - HOUR, seen_at=NOW, **values))
    hands = Steps(person.sign_in())
    trouble = hands.page.locator(".troubles li", has_text="labo-sud se tait")
    expect(trouble).to_contain_text("35 messages seraient arrivés")
    hands.picture("silent-source")
    hands.click(trouble.get_by_role("link").first)
    expect(hands.page.get_by_role("heading", level=1)).to_contain_text("labo-sud")
    hands.picture("silent-source-week")


class Tool(BaseHTTPRequestHandler):
    """A tool that moved: what it was is gone, what it is takes everything."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", "0")))
        self.send_response(404 if self.path.startswith("/ancien") else 200)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
        """Say nothing."""


class Real:
    """A real router, its folder, and where its dashboard is: what `Person` needs of it."""

    def __init__(self, folder: Path, process: RouterProcess) -> None:
        self.folder = folder
        self.listening = process.start()
        self.address = str(self.listening.web).rstrip("/")

    def send(self, *contents: bytes) -> None:
        for rank, content in enumerate(contents):
            path = self.folder / f"{rank}.hl7"
            path.write_bytes(content)
            run_command("send", str(path), "--to", "mllp://" + self.listening.sources["labo-sud"])


@pytest.fixture
def real(tmp_path: Path) -> Iterator[Real]:
    """A router whose one destination has moved without a word."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Tool)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    configuration = CONFIGURATION.format(address=f"http://127.0.0.1:{server.server_address[1]}")
    make_folder(tmp_path / "router", configuration, password=PASSWORD)
    process = RouterProcess(tmp_path / "router")
    try:
        yield Real(tmp_path / "router", process)
    finally:
        process.stop()
        server.shutdown()
        server.server_close()


def _wait(page: Any, found: Any, seconds: float = 30.0) -> None:
    end = time.monotonic() + seconds
    while not found.count() and time.monotonic() < end:
        page.wait_for_timeout(200)
    expect(found.first).to_be_visible()


def test_why_a_delivery_is_dead_then_the_destination_is_mended_and_all_are_sent(chromium: Any, real: Real) -> None:
    real.send(message(1, HAEMOGLOBIN), message(2, GLUCOSE), message(3, HAEMOGLOBIN))
    person = Person(chromium, real)  # type: ignore[arg-type]  # a real router instead
    page = person.sign_in()
    trouble = page.locator(".troubles li", has_text=re.compile("spico.*en échec.*404"))
    _wait(page, trouble)
    hands = Steps(page)
    hands.click(page.get_by_role("link", name="Configuration"))
    text = page.locator("textarea[name=text]")
    mended = text.input_value().replace("/ancien", "/nouveau")
    hands.taken += 1  # the address is typed over
    text.fill(mended)
    hands.click(page.get_by_role("button", name=re.compile("Vérifier")))
    with page.expect_navigation():
        hands.click(page.get_by_role("button", name=re.compile("^Appliquer")))
    expect(page.get_by_text("En cours d’application")).to_have_count(0, timeout=30_000)
    assert "/nouveau" in (real.folder / "passerelle.toml").read_text()
    person.go("/")
    hands.click(trouble.get_by_role("button").or_(trouble.get_by_role("link")).first)
    hands.picture("dead-deliveries")
    page.locator("table.causes").get_by_role("button", name="Renvoyer…").click()
    page.get_by_role("button", name="Renvoyer 3 livraisons").click()
    expect(page.get_by_text("Terminé.")).to_be_visible(timeout=30_000)
    person.go("/")
    expect(trouble).to_have_count(0, timeout=30_000)
    person.context.close()


def test_what_a_changed_code_map_would_alter(chromium: Any, real: Real) -> None:
    real.send(message(1, HAEMOGLOBIN), message(2, GLUCOSE), message(3, HAEMOGLOBIN))
    codes = f"sender,code,target\n{LABORATORY},HB,718-7\n"
    (real.folder / "nouvelle.csv").write_text(codes, encoding="utf-8")
    person = Person(chromium, real)  # type: ignore[arg-type]  # a real router instead
    hands = Steps(person.sign_in())
    page = hands.page
    hands.click(page.get_by_role("link", name="Et si ?"))
    draft = page.locator("textarea[name=draft]")
    hands.taken += 1  # one line is added
    draft.fill(draft.input_value() + '\n[codes]\nmaps = ["nouvelle.csv"]\n')
    page.locator("input[name=since]").fill(datetime.now(ZoneInfo("Europe/Paris")).date().isoformat())
    hands.click(page.get_by_role("button", name="Comparer"))
    seen = page.get_by_role("link", name="Voir les différences")
    seen.wait_for(timeout=60_000)
    hands.click(seen)
    expect(page.get_by_role("heading", level=1)).to_contain_text("2 messages sur 3 sortiraient autrement")
    hands.picture("what-if")
    # Pages that only a router with a configuration has, as a screen reader meets them.
    broken = {
        path: violations(person.go(path)) for path in ("/whatif/1", "/configuration", "/try", "/messages/1/replay")
    }
    assert not any(broken.values()), broken
    person.context.close()
