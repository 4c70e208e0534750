"""Pages of flows, the configuration as it is drafted and applied, a message that is tried: on a real configuration."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from html_check import check
from sqlalchemy import func, select
from web_journal import HOSTILE, Journal
from web_person import NOW

from router.config.load import load
from router.config.versions import (
    VersionOrigin,
    VersionState,
    digest_of,
    running_version,
    settle_at_start,
    want_version,
)
from router.engine.attempting import Attempted, attempt
from router.engine.plan import plan_of
from router.engine.worker import RawMessage
from router.journal import tables
from router.journal.pauses import FlowSide, load_pauses, pause_flow
from router.web.accounts import Role
from router.web.app import create_app
from router.web.context import AppliedFile, FlowStatus, RouteStatus

FILE = """
[journal]
data = "data"
[sources.labo-sud]
connector = "mllp"
listen = "127.0.0.1:2575"
format = "hl7v2"
[sources.web]
connector = "http"
api_keys = ["never-shown-to-anybody"]
paused = true
[destinations.spico]
connector = "fhir"
url = "https://tool.example/fhir"
token = "hidden-token-value"
headers = { X-Gate = "hidden-header-value" }
[destinations.out]
connector = "directory"
folder = "out"
format = "hl7v2"
[[routes]]
name = "résultats / tout"
when = "item.kind == 'lab_report'"
to = ["spico", "out"]
unattached = true
[[routes]]
name = "copies"
when = "patient.in_coordination"
sources = ["web"]
to = ["out"]
"""
Site = Any
ROUTE = "/flows/routes/" + quote("résultats / tout", safe="")
ORU = (
    "MSH|^~\\&|LABO|SUD|P|P|20260305081000||ORU^R01^ORU_R01|TRY1|P|2.5|||||FRA|8859/1\r\n"
    "PID|1||IPP9^^^FICTIVE^PI||TESTROSE^ÉLÉONORE^^^^^L||19790305|F\r\n"
    "OBR|1||R1|NFS^Numération^L\r\nOBX|1|NM|HB^Hémoglobine^L||7.1|g/dL|12-16|LL|||F\r\n"
)


@pytest.fixture
def configured(site: Site, journal: Journal, tmp_path: Path) -> Iterator[Site]:
    """The dashboard of a router that runs FILE."""
    path = tmp_path / "passerelle.toml"
    path.write_text(FILE)
    (tmp_path / "out").mkdir()
    loaded = load(path)
    journal.apply(settle_at_start(FILE, now=NOW - 1))

    async def try_it(raw: RawMessage, format_name: str | None, charset: str | None) -> Attempted:
        now = datetime.fromtimestamp(NOW / 1_000_000, UTC)
        return attempt(plan_of(loaded, journal.store.sealer.master), journal.store, raw, format_name, charset, now)

    def pauses() -> Any:
        with journal.store.reading() as connection:
            return load_pauses(connection)

    flows = [
        FlowStatus("labo-sud", "source", "mllp", "listening", address="127.0.0.1:2575", format="hl7v2"),
        FlowStatus("web", "source", "http", "paused", paused=True),
        FlowStatus(
            "spico", "destination", "fhir", "unreachable", last_failure="connection refused", last_failure_at=NOW
        ),
        FlowStatus("out", "destination", "directory", "ready"),
    ]

    def now_flows() -> list[FlowStatus]:
        held = pauses()
        found = [(one, held.get((FlowSide(one.side), one.name))) for one in flows]
        return [replace(one, pause=pause, paused=one.paused or pause is not None) for one, pause in found]

    def routes() -> list[RouteStatus]:
        held = pauses()
        return [
            RouteStatus(
                one.name, one.when, one.to, one.sources, one.unattached, "none", held.get((FlowSide.ROUTE, one.name))
            )
            for one in loaded.configuration.routes
        ]

    plain, context = (
        site.app,
        replace(
            site.desk.context,
            flows=now_flows,
            routes=routes,
            loaded=lambda: loaded,
            applied=lambda: AppliedFile(("web",), differs=True),
            attempt=try_it,
            configuration=path,
        ),
    )
    site.app = create_app(context)
    yield site
    site.desk.live.close()
    site.desk.close()
    site.app = plain


async def test_each_has_a_page_with_its_settings_and_no_secret(configured: Site) -> None:
    browser = await configured.signed_in_as(Role.AUDITOR)
    pages = {
        path: await browser.get(path)
        for path in ("/flows", "/flows/sources/labo-sud", "/flows/sources/web", "/flows/destinations/spico", ROUTE)
    }
    for path, answer in pages.items():
        assert answer.status == 200, path
        for secret in ("hidden-token", "hidden-header", "never-shown"):
            assert secret not in answer.text, path
        assert "/pause" not in answer.text, "an auditor looks"
    assert "127.0.0.1:2575" in pages["/flows/sources/labo-sud"].plain
    assert "secret, jamais montré" in pages["/flows/destinations/spico"].plain
    assert "https://tool.example/fhir" in pages["/flows/destinations/spico"].plain
    assert "connexion refusée" in pages["/flows/destinations/spico"].plain
    assert f'href="{ROUTE}"' in pages["/flows/sources/labo-sud"].text
    assert "paused = true" in pages["/flows/sources/web"].plain
    for path in ("/flows/sources/nobody", "/flows/things/labo-sud", "/flows/routes/none"):
        assert (await browser.get(path)).status == 404, path


async def test_pages_are_whole_and_strict_in_both_languages(configured: Site) -> None:
    browser = await configured.signed_in()
    await _draft(browser, FILE.replace(":2575", ":2576"))
    await browser.post(f"{ROUTE}/pause", {"reason": HOSTILE})
    paths = ("/flows", "/flows/sources/web", "/flows/destinations/spico", ROUTE, "/configuration", "/try")
    for path in (*paths, "/configuration/versions/1", "/"):
        for language in ("fr", "en"):
            browser.cookies["passerelle_language"] = language
            answer = await browser.get(path)
            assert answer.status == 200, path
            assert check(answer.text).wrong == [], path
            assert HOSTILE not in answer.text, path


async def test_pausing_wants_a_reason_and_is_shown_everywhere(configured: Site) -> None:
    browser = await configured.signed_in()
    refused = await browser.post(f"{ROUTE}/pause", {"reason": "  "})
    assert refused.status == 422
    assert "Dites pourquoi" in refused.plain
    for path in (ROUTE, "/flows/sources/labo-sud", "/flows/destinations/out"):
        assert (await browser.post(f"{path}/pause", {"reason": "déménagement"})).location == path
    assert len(configured.woken) == 3
    assert "déménagement" in (await browser.get(ROUTE)).plain
    overview = (await browser.get("/")).plain
    for name in ("route résultats / tout", "source labo-sud", "destination out"):
        assert f"{name} est en pause" in overview
    assert "n’est pas ce qui tourne" in overview
    assert "[web] de la configuration ne prendra effet" in overview
    assert (await browser.post(f"{ROUTE}/resume")).location == ROUTE
    assert [target for _, target, _ in configured.audited("resume flow")] == ["route résultats / tout"]
    assert (await browser.post("/flows/sources/nobody/pause", {"reason": "x"})).status == 404
    officer = await configured.signed_in_as(Role.IDENTITY_OFFICER)
    assert (await officer.post(f"{ROUTE}/pause", {"reason": "x"})).status == 403


async def test_what_is_paused_and_gone_can_be_resumed(configured: Site) -> None:
    configured.journal.apply(pause_flow(FlowSide.ROUTE, "gone", "why", actor="a", now=1))
    browser = await configured.signed_in()
    assert "plus dans la configuration" in (await browser.get("/flows")).plain
    assert (await browser.post("/flows/routes/gone/resume")).location == "/flows"
    assert "plus dans la configuration" not in (await browser.get("/flows")).plain


async def test_a_connection_is_tested_and_nothing_is_sent(configured: Site, tmp_path: Path) -> None:
    browser = await configured.signed_in()
    answer = await browser.post("/flows/destinations/out/test")
    assert f"Un fichier peut être créé dans {tmp_path / 'out'}" in answer.plain
    assert list((tmp_path / "out").iterdir()) == []
    (tmp_path / "out").rmdir()
    assert "Aucun fichier ne peut y être créé" in (await browser.post("/flows/destinations/out/test")).plain
    assert configured.audited("test connection")[0] == ("admin", "destination out", "writable")
    assert (await browser.post(f"{ROUTE}/test")).status == 404


async def _draft(browser: Any, text: str, base: str = digest_of(FILE)) -> Any:
    assert (await browser.post("/configuration", {"text": text.replace("\n", "\r\n"), "base": base})).status == 303
    return await browser.get("/configuration")


async def test_a_draft_is_checked_and_its_mistakes_stand_at_their_lines(configured: Site) -> None:
    browser = await configured.signed_in()
    answer = await _draft(browser, FILE.replace("listen =", "lisen =").replace('"out"]\nunatt', '"nowhere"]\nunatt'))
    assert "2 erreurs à corriger" in answer.plain
    assert "ligne 6 sources.labo-sud.lisen: there is no such key" in answer.plain
    assert "/configuration/apply" not in answer.text
    broken = await _draft(browser, "[sources\n")
    assert "ligne 1" in broken.plain


async def test_a_draft_is_compared_in_words_and_applied(configured: Site, tmp_path: Path) -> None:
    browser = await configured.signed_in()
    text = FILE.replace(":2575", ":2576").replace("hidden-token-value", "other-token-value")
    text = text.replace('[[routes]]\nname = "copies"', '[[routes]]\nname = "others"')
    answer = await _draft(browser, text)
    said = answer.plain
    assert "La source labo-sud est fermée puis rouverte" in said
    assert "listen 127.0.0.1:2575 → 127.0.0.1:2576" in said
    assert "token ••• → •••" in said
    assert "La route others est nouvelle" in said
    assert "La route copies disparaît" in said
    assert "other-token-value" not in answer.text.split("<textarea")[0].replace(_whatif_field(answer.text), "")
    number = re.search(r'name="draft" value="(\d+)"', answer.text)
    assert number is not None
    went = await browser.post("/configuration/apply", {"draft": number[1], "comment": "<b>port</b>"})
    version = await browser.get(went.location)
    assert "En cours d’application" in version.plain
    assert "<b>port" not in version.text
    newest = "SELECT state FROM configuration_version ORDER BY id DESC"
    assert configured.value(newest) == VersionState.WANTED.value
    assert (tmp_path / "passerelle.toml").read_text() == FILE, "the router applies, not the page"
    assert configured.audited("apply configuration")[0][0] == "admin"


def _whatif_field(text: str) -> str:
    found = re.search(r'<input type="hidden" name="draft" value="[^"]*\[[^"]*">', text)
    return found[0] if found is not None else ""


async def test_a_draft_of_a_file_that_changed_cannot_be_applied(configured: Site, tmp_path: Path) -> None:
    browser = await configured.signed_in()
    (tmp_path / "passerelle.toml").write_text(FILE + "# by hand\n")
    answer = await _draft(browser, FILE.replace(":2575", ":2576"))
    assert "modifié sur le disque depuis le début de ce projet" in answer.plain
    assert "/configuration/apply" not in answer.text
    assert (await browser.post("/configuration/discard")).status == 303
    assert "# by hand" in (await browser.get("/configuration")).text


async def test_the_way_back_is_a_draft_of_the_former_text(configured: Site) -> None:
    with configured.journal.store.reading() as connection:
        first = running_version(connection)
    assert first is not None
    other = FILE.replace(":2575", ":2576")
    configured.journal.apply(
        want_version(other, first.digest, origin=VersionOrigin.COMMAND, comment="c", actor="a", now=NOW)
    )
    configured.journal.apply(settle_at_start(other, now=NOW))
    browser = await configured.signed_in()
    page = await browser.get(f"/configuration/versions/{first.id}")
    assert "Revenir à cette version" in page.plain
    assert (await browser.post(f"/configuration/versions/{first.id}/draft")).status == 303
    assert "commencé" in (await browser.get("/configuration")).plain
    assert (await browser.get("/configuration/versions/99")).status == 404


@pytest.mark.parametrize("role", [Role.AUDITOR, Role.IDENTITY_OFFICER])
async def test_the_configuration_is_for_administrators(configured: Site, role: Role) -> None:
    browser = await configured.signed_in_as(role)
    for path in ("/configuration", "/configuration/versions/1", "/try"):
        assert (await browser.get(path)).status == 403, path
    for path in ("/configuration", "/configuration/apply", "/configuration/file", "/configuration/versions/1/draft"):
        assert (await browser.post(path, {"text": "x", "base": ""})).status == 403, path
    assert "/configuration" not in (await browser.get("/flows")).text


async def _try(browser: Any, *parts: tuple[str, str, bytes]) -> Any:
    """Send a form with files: name, file name (empty for a field), bytes."""
    body = b""
    for name, filename, content in (("csrf", "", browser.csrf.encode()), *parts):
        named = f'; filename="{filename}"' if filename else ""
        body += f'--line\r\nContent-Disposition: form-data; name="{name}"{named}\r\n\r\n'.encode() + content + b"\r\n"
    headers = {"Content-Type": "multipart/form-data; boundary=line"}
    return await browser.call("POST", "/try", body + b"--line--\r\n", headers)


def _kept(configured: Site, folder: Path) -> list[object]:
    names = (tables.message, tables.item, tables.delivery, tables.audit, tables.notice)
    with configured.journal.store.reading() as connection:
        counts: list[object] = [connection.execute(select(func.count()).select_from(one)).scalar() for one in names]
    return counts + sorted(path.name for path in folder.rglob("blobs/*/*"))


async def test_a_pasted_message_is_read_and_routed_and_nothing_is_kept(configured: Site, tmp_path: Path) -> None:
    browser = await configured.signed_in()
    before = _kept(configured, tmp_path)
    answer = await _try(browser, ("message", "", ORU.encode()), ("source", "", b"labo-sud"), ("format", "", b""))
    assert answer.status == 200
    said = answer.plain
    assert "Hémoglobine" in said
    assert "ÉLÉONORE" in said, "what is pasted is text, whatever charset the message names"
    assert "patient inconnu" in said
    assert "elle ne regarde pas cette source" in said
    assert "Rien n’a été gardé, rien n’a été envoyé" in said
    assert len(re.findall(r"<summary><b>(spico|out)</b>", answer.text)) == 2
    assert _kept(configured, tmp_path) == before


async def test_a_dropped_file_keeps_its_bytes_and_a_wrong_one_says_why(configured: Site) -> None:
    browser = await configured.signed_in()
    answer = await _try(browser, ("file", "r.hl7", ORU.replace("\r\n", "\r").encode("iso8859-1")))
    assert "ÉLÉONORE" in answer.plain
    assert "r.hl7" in answer.plain
    unreadable = await _try(browser, ("message", "", b"neither this nor that"))
    assert unreadable.status == 200
    assert "aucun format ne le reconnaît" in unreadable.plain
    assert (await _try(browser, ("message", "", b""))).status == 422
    browser.csrf = "wrong"
    assert (await _try(browser, ("message", "", ORU.encode()))).status == 403
