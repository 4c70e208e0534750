"""The page and the API of the directory: empty, searched, refreshed, with what moved; roles and languages."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest
from html_check import check

from connectors.annuaire.settings import AnnuaireSettings
from connectors.sandbox.extracts import mailbox_lines
from router.directory.service import DirectoryService
from router.web.rendering import Pages
from router.web.rights import Role


@pytest.fixture
def annuaire(site: Any, tmp_path: Path) -> Any:
    path = tmp_path / "bal.txt"
    path.write_text("".join(line + "\n" for line in mailbox_lines(60)), encoding="utf-8")
    settings = AnnuaireSettings(files=(str(path),))
    service = DirectoryService(settings, tmp_path / "data", now=lambda: datetime.now(UTC), apart=False)
    site.desk.context = replace(site.desk.context, directory=service)
    site.desk.pages = Pages(site.desk.context)
    return site


async def test_an_empty_directory_says_what_to_do(annuaire: Any) -> None:
    browser = await annuaire.signed_in()
    answer = await browser.get("/directory")
    assert check(answer.text).wrong == []
    assert "passerelle directory import" in answer.plain
    assert 'href="/directory" aria-current="page"' in answer.text


@pytest.mark.parametrize("language", ["fr", "en"])
async def test_a_search_shows_who_where_and_mailboxes(annuaire: Any, language: str) -> None:
    await annuaire.desk.context.directory.refresh()
    browser = await annuaire.signed_in()
    browser.cookies["passerelle_language"] = language
    person = annuaire.desk.context.directory.directory.person("99900000000")
    for path in (
        f"/directory?q={person.family}&place={person.places[0].postal_code[:2]}",
        "/directory?q=899900000000",
        f"/directory?q={person.places[0].structure}",
        f"/directory?q={person.mailboxes[0].address.upper()}",
    ):
        answer = await browser.get(path)
        assert check(answer.text).wrong == [], path
        assert person.mailboxes[0].address in answer.plain, path
    assert check((await browser.get("/directory?q=nobodyhasthisname")).text).wrong == []
    hostile = await browser.get("/directory?q=%3Cb%3E%22*%20OR&place=')")
    assert check(hostile.text).wrong == []


async def test_a_patients_mailbox_is_not_looked_for(annuaire: Any) -> None:
    browser = await annuaire.signed_in()
    answer = await browser.get("/directory?q=279035121518989@patient.mssante.fr")
    assert "INS" in answer.plain
    assert check(answer.text).wrong == []


async def test_who_may_refresh(annuaire: Any) -> None:
    browser = await annuaire.signed_in()
    answer = await browser.post("/directory/refresh", csrf=browser.csrf)
    assert answer.status == 303
    assert [target for _, target, _ in annuaire.audited("refresh directory")] == ["directory"]
    auditor = await annuaire.signed_in_as(Role.AUDITOR)
    assert "/directory/refresh" not in (await auditor.get("/directory")).text
    assert (await auditor.post("/directory/refresh", csrf=auditor.csrf)).status == 403


async def test_the_api(annuaire: Any) -> None:
    browser = annuaire.browser()
    key = {"Authorization": f"Bearer {annuaire.journal.key}"}
    assert (await browser.get("/api/v1/directory/status")).status == 401
    done = await browser.call("POST", "/api/v1/directory/refresh", headers=key)
    assert orjson.loads(done.text)["report"]["mailboxes"] == 57
    status = orjson.loads((await browser.get("/api/v1/directory/status", **key)).text)
    assert (status["report"]["mailboxes"], status["index"]["trouble"], status["domains"]) == (57, "", 0)
    found = orjson.loads((await browser.get("/api/v1/directory?rpps=99900000000", **key)).text)
    assert found["found"][0]["mailboxes"][0]["address"].endswith("@medecin.mssante.invalid")
    assert (await browser.get("/api/v1/directory", **key)).status == 422
    assert (await browser.get("/api/v1/directory/white-list?domain=x.invalid", **key)).status == 404
    assert (await browser.get("/api/v1/directory/moved", **key)).text == "[]"
