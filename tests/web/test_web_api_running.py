"""The API of accounts, pauses and versions of the configuration: what the pages do, for programs, with their rights."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from web_client import Browser
from web_person import NOW

from router.config.load import load
from router.config.versions import digest_of, settle_at_start
from router.web.keys import make_api_key
from router.web.rights import Role

API = "/api/v1"
FILE = """[journal]
data = "data"
[sources.labo-sud]
connector = "mllp"
listen = "127.0.0.1:2575"
[destinations.spico]
connector = "directory"
folder = "out"
format = "fhir"
"""


@pytest.fixture
def api(site: Any) -> Browser:
    return Browser(site.app, headers={"Authorization": f"Bearer {site.journal.key}"})


async def call(api: Browser, method: str, path: str, body: bytes = b"{}") -> Any:
    return await api.call(method, API + path, body, {"Content-Type": "application/json"})


async def test_accounts(site: Any, api: Browser) -> None:
    made = await api.send(f"{API}/accounts", {"name": "claire", "role": "operator"})
    assert made.status == 201
    assert len(made.json()["password"]) == 20
    assert (await api.send(f"{API}/accounts", {"name": "claire", "role": "operator"})).status == 409
    assert (await api.send(f"{API}/accounts", {"name": "a b", "role": "operator"})).status == 422
    changed = await call(api, "PUT", "/accounts/claire/role", b'{"role": "auditor"}')
    assert (changed.status, changed.json()["role"]) == (200, "auditor")
    assert (await call(api, "POST", "/accounts/claire/lock")).json()["locked"]
    assert not (await call(api, "POST", "/accounts/claire/unlock")).json()["locked"]
    assert (await call(api, "POST", "/accounts/claire/sessions")).json()["sessions"] == 0
    assert (await call(api, "POST", "/accounts/claire/password")).json()["password"] != made.json()["password"]
    assert (await call(api, "POST", "/accounts/nobody/lock")).status == 404
    last = await call(api, "POST", "/accounts/admin/lock")
    assert (last.status, last.json()["detail"][-1]) == (409, ".")
    assert {one["name"] for one in (await api.get(f"{API}/accounts")).json()} == {"admin", "claire"}
    assert {actor for actor, _, _ in site.audited("lock account")} == {"key:outil"}


async def test_pauses(api: Browser) -> None:
    assert (await call(api, "PUT", "/pauses/destination/nowhere", b'{"reason": "x"}')).status == 404
    assert (await call(api, "PUT", "/pauses/destination/spico", b'{"reason": " "}')).status == 422
    paused = await call(api, "PUT", "/pauses/route/r%C3%A9sultats", '{"reason": "fermé pour la nuit"}'.encode())
    assert (paused.status, paused.json()["actor"]) == (200, "key:outil")
    assert [one["reason"] for one in (await api.get(f"{API}/pauses")).json()] == ["fermé pour la nuit"]
    assert (await call(api, "DELETE", "/pauses/route/r%C3%A9sultats")).json() == {"changed": 1}
    assert (await call(api, "DELETE", "/pauses/route/r%C3%A9sultats")).status == 404


async def test_versions_of_the_configuration(site: Any, api: Browser, tmp_path: Path) -> None:
    assert (await api.send(f"{API}/configuration/check", {"text": FILE})).status == 404, "no file configures this one"
    path = tmp_path / "passerelle.toml"
    path.write_text(FILE, encoding="utf-8")
    (tmp_path / "out").mkdir()
    loaded = load(path)
    site.journal.apply(settle_at_start(FILE, now=NOW))
    site.desk.context = replace(site.desk.context, configuration=path, loaded=lambda: loaded)
    without = FILE.partition("[destinations.spico]")[0]
    told = (await api.send(f"{API}/configuration/check", {"text": without})).json()
    assert (told["mistakes"], told["removed"], told["waiting"]) == ([], ["destination spico"], {"spico": 1})
    assert (await api.send(f"{API}/configuration/check", {"text": "[nonsense]"})).json()["mistakes"]
    wanted = {"text": without, "base": digest_of(FILE), "comment": "plus de spico"}
    assert (await api.send(f"{API}/configuration", {**wanted, "base": "0"})).status == 409
    assert (await api.send(f"{API}/configuration", {**wanted, "text": "[nonsense]"})).status == 422
    made = await api.send(f"{API}/configuration", wanted)
    assert (made.status, made.json()["state"], made.json()["runs"]) == (202, "wanted", False)
    listed = (await api.get(f"{API}/configuration/versions")).json()
    assert [(one["id"], one["runs"]) for one in listed] == [(made.json()["id"], False), (1, True)]
    assert (await api.get(f"{API}/configuration/versions/1")).json()["text"] == FILE
    assert (await api.get(f"{API}/configuration/versions/99")).status == 404


async def test_each_asks_for_the_right_of_its_page(site: Any) -> None:
    key, change = make_api_key("veilleuse", Role.OPERATOR, now=NOW)
    site.journal.apply(change)
    api = Browser(site.app, headers={"Authorization": f"Bearer {key}"})
    assert (await api.get(f"{API}/pauses")).status == 200
    for path in ("/accounts", "/configuration/versions"):
        assert (await api.get(API + path)).status == 403, path


async def test_a_key_that_ends_soon_is_listed_on_the_overview(site: Any) -> None:
    _, change = make_api_key("programme", Role.OPERATOR, now=NOW, days=12)
    site.journal.apply(change)
    said = (await (await site.signed_in()).get("/")).plain
    assert "12 jours Clé de l’API programme" in said.replace("dans ", "")


async def test_what_waits_for_a_destination_that_is_gone_is_an_anomaly_with_its_actions(site: Any) -> None:
    site.flows[:] = [one for one in site.flows if one.name != "spico"]
    page = await (await site.signed_in()).get("/")
    assert "La destination spico n’est plus configurée : personne n’enverra ce qui l’attend. 1 livraison" in page.plain
    assert "Tout écarter…" in page.plain
    assert "Voir et réacheminer" in page.plain
