"""Signing in with a real browser through a real OpenID provider (Canaille, in a process of its own)."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from joserfc.jwk import RSAKey
from web_journal import Journal
from web_person import CHROMIUM, Served

from router.config.oidc import OidcSection

pytest.importorskip("canaille", reason="the real provider is not installed")

pytestmark = [pytest.mark.browser, pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")]

PASSWORD = "un mot de passe de fiction"
SERVER = Path(__file__).parent.parent / "canaille_server.py"


class House:
    """The dashboard, the provider, and what the configuration says of it."""

    def __init__(self, journal: Journal, folder: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.provider = f"http://127.0.0.1:{port}"
        key = RSAKey.generate_key(2048, {"kid": "nous", "use": "sig"})
        (folder / "client.pem").write_bytes(key.as_pem(private=True))
        common: dict[str, Any] = {
            "issuer": self.provider,
            "scope": ["openid", "profile", "groups"],
            "roles": {"passerelle-ops": "operator"},
            "algorithms": ["RS256"],
            "name_claim": "sub",
        }
        by_secret = {"title": "Canaille", "client_id": "par-secret", "client_secret": "a secret of a test", **common}
        by_key = {
            "title": "Canaille, par clé",
            "client_id": "par-cle",
            "authentication": "private_key_jwt",
            "client_key": str(folder / "client.pem"),
            "client_key_id": "nous",
            **common,
        }
        self.journal = journal
        self.sections = {"secret": by_secret, "key": by_key}
        self.served: Served | None = None
        self.port, self.folder, self.key = port, folder, key
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, which: str) -> str:
        """Start both, with the provider's client that proves itself by a secret or by a key; gives the address."""
        section = OidcSection.model_validate(self.sections[which])
        self.served = Served(self.journal, now=lambda: datetime.now(UTC), providers={"canaille": section})
        settings = {
            "port": self.port,
            "client": self.served.address,
            "key": self.key.as_dict(private=False),
        }
        (self.folder / "settings.json").write_text(json.dumps(settings), encoding="utf-8")
        with (self.folder / "canaille.log").open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, str(SERVER), str(self.folder / "settings.json")],
                stdout=log,
                stderr=log,
                cwd=self.folder,
            )
        deadline = time.monotonic() + 60
        while True:
            try:
                httpx.get(f"{self.provider}/.well-known/openid-configuration", timeout=5).raise_for_status()
                return self.served.address
            except httpx.HTTPError:
                said = (self.folder / "canaille.log").read_text(encoding="utf-8")[-2000:]
                assert self.process.poll() is None, said
                assert time.monotonic() < deadline, said
                time.sleep(0.1)

    def stop(self) -> None:
        """End both."""
        if self.process is not None:
            self.process.terminate()
            self.process.wait(20)
        if self.served is not None:
            self.served.stop()


@pytest.fixture
def house(journal: Journal, tmp_path: Path) -> Iterator[House]:
    made = House(journal, tmp_path)
    yield made
    made.stop()


def _pass_the_provider(page: Any, house: House, name: str) -> None:
    """Give a name and a password on the provider's own pages, and consent."""
    page.locator("input[name=login]").fill(name)
    page.get_by_role("button", name="Continue").click()
    page.locator("input[name=password]").fill(PASSWORD)
    page.locator("button[type=submit]:has-text('in')").first.click()
    page.wait_for_load_state()
    if page.url.startswith(house.provider):
        page.locator("button[name=answer][value=accept]").click()


@pytest.mark.parametrize("which", ["secret", "key"])
def test_somebody_signs_in_and_out_through_a_real_provider(chromium: Any, house: House, which: str) -> None:
    address = house.start(which)
    context = chromium.new_context(locale="fr-FR")
    context.set_default_timeout(20_000)
    page = context.new_page()
    complaints: list[str] = []
    page.on(
        "console",
        lambda said: complaints.append(said.text) if said.type == "error" and page.url.startswith(address) else None,
    )
    page.goto(f"{address}/messages")
    page.get_by_role("link", name="Entrer par Canaille").click()
    _pass_the_provider(page, house, "camille")
    page.wait_for_url(f"{address}/messages")
    assert page.locator(".signed").inner_text().startswith("camille@canaille")
    page.goto(f"{address}/account")
    assert "par un fournisseur OpenID" in page.locator("main").inner_text()
    assert page.locator("input[type=password]").count() == 0

    page.get_by_role("button", name="Quitter").click()
    # The browser is led on to the provider, and back once that has ended its own session.
    page.wait_for_url(lambda url: not url.endswith("/logout"))
    if page.url.startswith(house.provider):
        page.locator("button[name=answer][value=logout]").click()
    page.wait_for_url(f"{address}/login")
    page.get_by_role("link", name="Entrer par Canaille").click()
    page.locator("input[name=login]").wait_for()
    assert page.url.startswith(house.provider), "the provider asks again: its session ended too"
    assert not complaints
    context.close()
    with house.journal.store.reading() as connection:
        rows = connection.exec_driver_sql(
            "SELECT action, detail FROM audit WHERE actor = 'camille@canaille' ORDER BY id"
        ).fetchall()
    assert [tuple(row) for row in rows] == [
        ("add account", "operator"),
        ("login", "127.0.0.1 canaille"),
        ("logout", "127.0.0.1"),
    ]


def test_somebody_whom_no_group_lets_in_stays_out(chromium: Any, house: House) -> None:
    address = house.start("secret")
    context = chromium.new_context(locale="fr-FR")
    context.set_default_timeout(20_000)
    page = context.new_page()
    page.goto(f"{address}/login")
    page.get_by_role("link", name="Entrer par Canaille").click()
    _pass_the_provider(page, house, "sans-role")
    page.wait_for_url(f"{address}/login?refused=role")
    assert "n’ouvre aucun rôle" in page.get_by_role("alert").inner_text()
    context.close()
