"""Merges at the identity desk: listed masked, what undoing would do said first, undone once with a reason."""

from __future__ import annotations

from typing import Any

import pytest
from html_check import check
from web_journal import rose
from web_merges import unite, wrongly_merged

from router.identity.patients import register
from router.web.rights import Role

PAGE = "/identities/merges"


@pytest.fixture
def merged(site: Any) -> tuple[int, int]:
    """A merge of somebody else into the registered patient, with a report about them that came since."""
    return wrongly_merged(site.journal, site.clock[0])


async def test_a_merge_is_listed_masked_looked_at_and_undone(site: Any, merged: tuple[int, int]) -> None:
    number, absorbed = merged
    browser = await site.signed_in()
    listed = await browser.get(PAGE)
    assert "L••• T•••" in listed.plain
    assert "TESTAUTRE" not in listed.text
    assert f'href="{PAGE}/{number}"' in listed.text
    assert "TESTAUTRE" in (await browser.post(f"/patients/{absorbed}/reveal")).text
    before = await browser.get(f"{PAGE}/{number}")
    assert "1 élément sera décidé et préparé à nouveau." in before.plain
    assert "1 livraison en attente sera arrêtée et préparée à nouveau." in before.plain
    assert (await browser.post(f"{PAGE}/{number}/undo", {"why": "  "})).location == f"{PAGE}/{number}?refused=no_why"
    done = await browser.post(f"{PAGE}/{number}/undo", {"why": "deux personnes"})
    assert done.location == f"{PAGE}/{number}?done=1-1-0"
    after = await browser.get(done.location)
    assert "Fusion défaite : 1 élément préparé à nouveau, 1 livraison arrêtée, rien n’était parti" in after.plain
    assert "« deux personnes »" in after.plain
    assert 'href="/identities/tasks?patient=1"' in after.text
    tasks = await browser.get("/identities/tasks?patient=1")
    assert "Une fusion a été défaite" in tasks.plain
    assert f'href="{PAGE}?patient=1"' in tasks.text
    assert site.audited("undo merge") == [("admin", f"merge {number}", f"patients 1, {absorbed}")]
    assert "a défait la fusion" in (await browser.get("/audit")).plain
    assert b"deux personnes" not in site.value("SELECT sealed_why FROM patient_merge")


async def test_the_second_is_told_and_a_later_merge_comes_first(site: Any, merged: tuple[int, int]) -> None:
    number, _ = merged
    browser = await site.signed_in()
    other = merged_again(site)
    refused = await browser.post(f"{PAGE}/{number}/undo", {"why": "x"})
    assert refused.location == f"{PAGE}/{number}?refused=later_merge"
    page = await browser.get(refused.location)
    assert "défaites d’abord cette fusion-là." in page.plain
    assert f'href="{PAGE}/{other}"' in page.text
    assert "/undo" not in page.text
    await browser.post(f"{PAGE}/{other}/undo", {"why": "x"})
    again = await browser.post(f"{PAGE}/{other}/undo", {"why": "y"})
    assert again.location == f"{PAGE}/{other}?refused=undone_already"
    assert "Cette fusion a déjà été défaite" in (await browser.get(again.location)).plain
    assert (await browser.post(f"{PAGE}/99/undo", {"why": "x"})).status == 404
    undone, standing = await browser.get(f"{PAGE}?state=undone"), await browser.get(f"{PAGE}?state=standing")
    assert (f"merge-{other}" in undone.text, f"merge-{number}" in undone.text) == (True, False)
    assert (f"merge-{other}" in standing.text, f"merge-{number}" in standing.text) == (False, True)
    assert "merge-" not in (await browser.get(f"{PAGE}?patient=98")).text


def merged_again(site: Any) -> int:
    """Merge a third person into the same survivor."""
    third = rose("IPP-TROIS", birth_name="TESTTROIS")
    number = site.journal.apply(register(third, in_coordination=True, now=site.clock[0])).patient_id
    return unite(site.journal, 1, number, site.clock[0] + 5)


async def test_an_auditor_looks_and_undoes_nothing(site: Any, merged: tuple[int, int]) -> None:
    browser = await site.signed_in_as(Role.AUDITOR)
    page = await browser.get(f"{PAGE}/{merged[0]}")
    assert "Ce que défaire fera" in page.plain
    assert "/undo" not in page.text
    assert (await browser.post(f"{PAGE}/{merged[0]}/undo", {"why": "x"})).status == 403


async def test_pages_are_whole_in_both_languages(site: Any, merged: tuple[int, int]) -> None:
    browser = await site.signed_in()
    for language in ("fr", "en"):
        browser.cookies["passerelle_language"] = language
        for path in (PAGE, f"{PAGE}/{merged[0]}", f"{PAGE}/{merged[0]}?refused=past_retention"):
            found = check((await browser.get(path)).text)
            assert (found.wrong, found.open) == ([], [])


async def test_the_api_lists_foresees_and_undoes_once(site: Any, merged: tuple[int, int]) -> None:
    number, absorbed = merged
    browser = site.browser()
    browser.headers = {"Authorization": f"Bearer {site.journal.key}"}
    api = f"/api/v1{PAGE}"
    listed = (await browser.get(f"{api}?state=standing")).json()
    assert [(one["id"], one["absorbed_id"], one["refusal"]) for one in listed["merges"]] == [(number, absorbed, None)]
    foreseen = (await browser.get(f"{api}/{number}")).json()["foreseen"]
    assert (await browser.send(f"{api}/{number}/undo", {"why": " "})).status == 422
    undone = await browser.send(f"{api}/{number}/undo", {"why": "deux personnes"})
    assert undone.status == 201
    assert undone.json() == {**foreseen, "merge_id": number, "survivor_id": 1, "absorbed_id": absorbed}
    again = await browser.send(f"{api}/{number}/undo", {"why": "deux personnes"})
    assert (again.status, again.headers["content-type"]) == (409, "application/problem+json")
    assert again.json()["detail"].startswith("This merge was undone already")
    assert (await browser.send(f"{api}/99/undo", {"why": "x"})).status == 404
    assert (await browser.get(f"{api}/99")).status == 404
    [kept] = (await browser.get(f"{api}?state=undone")).json()["merges"]
    assert (kept["undone_by"], kept["why"], kept["refusal"]) == ("key:outil", "deux personnes", "undone_already")
