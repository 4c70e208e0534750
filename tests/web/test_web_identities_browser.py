"""From hold to delivery: a message is held, a person compares and presses two keys, and it arrives where it should."""

from __future__ import annotations

import shutil
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import pytest

from router.trial.folder import make_folder
from router.trial.process import Listening, RouterProcess, run_command

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed on this machine"),
]

PASSWORD = "un mot de passe long"
CONFIGURATION = """\
[web]
listen = "127.0.0.1:0"

[engine]
workers = 0

[sources.labo]
connector = "mllp"
listen = "127.0.0.1:0"
format = "hl7v2"

[destinations.out]
connector = "directory"
folder = "out"
format = "canonical"

[[routes]]
name = "results of followed patients"
when = "patient.in_coordination"
to = ["out"]
"""
PATIENTS = """\
ipp_authority,ipp,birth_name,birth_given_names,used_name,birth_date,sex,birth_place
CH-FICTIF,IPP-1,TESTROSE,MARIE JEANNE,FICTIVAL,1931-03-05,F,35238
CH-FICTIF,IPP-2,DUPONTEST,LUCIE,,1940-07-12,F,29019
"""
ORU = (
    "MSH|^~\\&|LABO|LABFIC|PASSERELLE|CH|20260305093000||ORU^R01^ORU_R01|{id}|T|2.5|||||FRA|UNICODE UTF-8\r"
    "PID|1||{ipp}^^^CH-FICTIF^PI||{name}^^^^^L||{born}|F\r"
    "OBR|1||R{id}|NFS^Numération^L\r"
    "OBX|1|NM|718-7^Hémoglobine^LN||{value}|g/dL|12.0-16.0|N|||F\r"
)


@dataclass
class Running:
    """A router with two patients on record and an identity officer, and the folder that it delivers into."""

    folder: Path
    listening: Listening

    def send(self, control_id: str, value: str, name: str = "TESTROZE^MARIE", *, known: bool = True) -> None:
        host, port = self.listening.sources["labo"].rsplit(":", 1)
        ipp, born = ("IPP-1", "19310305") if known else ("IPP-77", "19560101")
        content = ORU.format(id=control_id, name=name, value=value, ipp=ipp, born=born).encode()
        with socket.create_connection((host, int(port)), timeout=20) as peer:
            peer.sendall(b"\x0b" + content + b"\x1c\r")
            assert b"MSA|AA|" in peer.recv(65536)

    def delivered(self) -> list[tuple[str, str]]:
        """Give the birth name and the value of every report that arrived, in order."""
        files = sorted((self.folder / "out").glob("*.json"), key=lambda path: path.stat().st_mtime_ns)
        items = [orjson.loads(path.read_bytes())["items"][0] for path in files]
        return [
            (item["patient"]["birth_name"], item["content"]["chapters"][0]["observations"][0]["value"]["number"])
            for item in items
        ]

    def until(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 30
        while not condition():
            assert time.monotonic() < deadline, (self.folder / "serve.log").read_text()
            time.sleep(0.05)


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    folder = tmp_path / "router"
    make_folder(folder, CONFIGURATION)
    (folder / "out").mkdir(exist_ok=True)
    (folder / "patients.csv").write_text(PATIENTS, encoding="utf-8")
    config = str(folder / "passerelle.toml")
    run_command("patients", "import", str(folder / "patients.csv"), "--config", config)
    run_command(
        "users", "add", "claire", "--role", "identity-officer", "--config", config,
        environment={"PASSERELLE_USER_PASSWORD": PASSWORD},
    )  # fmt: skip
    with RouterProcess(folder) as process:
        yield Running(folder, process.start())


@pytest.fixture
def page(running: Running) -> Iterator[Any]:
    """A browser in which the identity officer is signed in; what it complains of fails the test."""
    complaints: list[str] = []
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        context = browser.new_context(locale="fr-FR", timezone_id="Europe/Paris")
        context.set_default_timeout(15_000)
        opened = context.new_page()
        opened.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
        opened.on("pageerror", lambda error: complaints.append(str(error)))
        opened.goto(running.listening.web + "/login?next=/identities")
        opened.get_by_label("Nom").fill("claire")
        opened.get_by_label("Mot de passe").fill(PASSWORD)
        opened.keyboard.press("Enter")
        opened.wait_for_url("**/identities")
        yield opened
        browser.close()
    assert complaints == []


def expect(found: Any) -> Any:
    return playwright.expect(found)


def test_two_keys_from_hold_to_delivery_and_two_back(running: Running, page: Any) -> None:
    running.send("ONE", "7.1")
    running.send("OTHER", "9.9", "INCONNUTEST^ZOE", known=False)
    running.send("TWO", "7.2")
    expect(page.get_by_role("link", name="À décider 3")).to_be_visible()
    page.reload()
    expect(page.locator("tr.differs mark")).to_have_text(["Z", "S"])
    expect(page.get_by_role("row", name="Naissance 05/03/1931")).to_contain_text("05/03/1931")
    assert running.delivered() == []

    page.keyboard.press("a")
    expect(
        page.locator("details[open]").get_by_label("et 1 autre élément qui dit exactement la même identité")
    ).to_be_checked()
    expect(page.get_by_role("button", name="Rattacher à ce patient")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_text("(2 éléments)")).to_be_visible()
    running.until(lambda: len(running.delivered()) == 2)
    assert running.delivered() == [("TESTROZE", "7.1"), ("TESTROZE", "7.2")], "in the order of their messages"
    sent = next(iter((running.folder / "out").glob("*.json"))).read_text(encoding="utf-8")
    assert "IPP-1" in sent
    expect(page.get_by_text("INCONNUTEST").first).to_be_visible()
    expect(page.get_by_role("link", name="À décider 1")).to_be_visible()

    page.keyboard.press("u")
    expect(page.get_by_role("button", name="Annuler")).to_be_focused()
    page.keyboard.press("Enter")
    expect(
        page.get_by_text("2 livraisons étaient déjà parties : leurs destinataires doivent être prévenus.")
    ).to_be_visible()
    expect(page.get_by_role("link", name="À décider 3")).to_be_visible()
    page.get_by_role("link", name="Voir les incidents").click()
    expect(page.get_by_text("had left for out before its attachment was undone").first).to_be_visible()


def test_the_other_keys(running: Running, page: Any) -> None:
    running.send("ONE", "7.1")
    running.send("TWO", "9.9", "INCONNUTEST^ZOE", known=False)
    expect(page.get_by_role("link", name="À décider 2")).to_be_visible()
    page.reload()
    page.keyboard.press("n")
    page.wait_for_url("**/identities?after=*")
    expect(page.get_by_text("Personne de connu ne lui ressemble.")).to_be_visible()
    page.keyboard.press("/")
    page.keyboard.type("lucie dupontest")
    page.keyboard.press("Enter")
    page.wait_for_url("**?search=*")
    expect(page.get_by_role("link", name="DUPONTEST LUCIE recherché")).to_be_visible()
    assert "dupontest" not in page.url.lower()
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_contain_text("Rattacher au patient montré")
    page.keyboard.press("Escape")
    page.keyboard.press("r")
    expect(page.get_by_role("button", name="Refuser").last).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.locator("details[open]")).to_have_count(0)
    page.keyboard.press("t")
    page.locator("details[open]").get_by_label("Motif").select_option("autre (précisez)")
    page.locator("details[open]").get_by_label("Précision").fill("rappeler le labo (9 h)")
    page.keyboard.press("Enter")
    expect(page.get_by_role("link", name="Mis de côté 1")).to_be_visible()
    expect(page.get_by_text("« rappeler le labo (9 h) »")).to_be_visible()
    page.get_by_role("link", name="Décisions").click()
    expect(page.locator("table.decisions")).to_contain_text("Mis en tâche")
    for keys in ("gm", "gi"):
        for key in keys:
            page.keyboard.press(key)
        page.wait_for_url("**/messages" if keys == "gm" else "**/identities")


def test_without_scripts(running: Running, page: Any) -> None:
    running.send("ONE", "7.1")
    expect(page.get_by_role("link", name="À décider 1")).to_be_visible()
    context = page.context.browser.new_context(java_script_enabled=False, storage_state=page.context.storage_state())
    plain = context.new_page()
    plain.goto(running.listening.web + "/identities")
    plain.locator("summary", has_text="Rattacher").click()
    plain.get_by_role("button", name="Rattacher à ce patient").click()
    plain.get_by_text("Rien n’attend d’identité.").wait_for()
    running.until(lambda: running.delivered() == [("TESTROZE", "7.1")])
    context.close()
