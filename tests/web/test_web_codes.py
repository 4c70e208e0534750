"""The page of local codes: worklist with proposals, mapping there, preview and replay; the same through the API."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from html_check import check
from web_journal import MINUTE, person, report

from mappings.concept_map import Term, TermKind
from router.codes.reading import code_token
from router.journal.operations import CommitReadings, PreparedMessage
from router.journal.tables import MessageState
from router.journal.unmapped import UnmappedCode
from schemas.coding import LOCAL

SENDER = "LABO SUD <été>"
GLY = Term(TermKind.CODE, LOCAL, "GLY")
RESULT = {"sender": SENDER, "kind": "code", "system": LOCAL, "code": "GLY"}


@pytest.fixture
def local(site: Any) -> Any:
    """Two messages with `GLY`, one of them with a unit that nobody knows."""
    journal = site.journal
    token = code_token(journal.store.sealer, SENDER, GLY)
    for rank in range(2):
        number = journal.message(site.clock[0] - (5 - rank) * MINUTE, control=f"LOCAL{rank}")
        item = journal.item(report(person(0), f"{rank}c" * 16), line="Glycémie", to=())
        codes = [UnmappedCode(SENDER, "code", LOCAL, "GLY", "Glycémie à jeun", "g/L", 1)]
        if rank:
            codes.append(UnmappedCode(SENDER, "unit", "", "mUI par L", "TSH", "", 1))
        prepared = PreparedMessage(
            number,
            MessageState.PROCESSED,
            "hl7v2",
            0,
            0,
            None,
            (item.__class__(**{**_fields(item), "tokens": (*item.tokens, token)}),),
            unmapped=tuple(codes),
        )
        journal.apply(CommitReadings([prepared], site.clock[0]))
    return site


def _fields(item: Any) -> dict[str, Any]:
    return {name: getattr(item, name) for name in item.__slots__}


async def test_the_worklist_shows_examples_proposals_and_no_value(local: Any) -> None:
    browser = await local.signed_in()
    answer = await browser.get("/codes")
    assert answer.status == 200
    assert check(answer.text).wrong == []
    assert "GLY Glycémie à jeun g/L" in answer.plain
    assert "53049-3 Glucose à jeun (masse/volume) sérum/plasma g/L" in answer.plain
    assert "LABO SUD <été>" in answer.plain
    assert "<été>" not in answer.text
    assert 'href="/messages/' in answer.text
    assert "m[IU]/L" in answer.plain, "the unit has its proposal"
    english = await browser.get("/codes?sender=nobody", Cookie="")
    assert english.status in {200, 303}


@pytest.mark.parametrize(
    "path", ["/codes", "/codes?view=mapped", "/codes?sender=LABO&start=50", "/codes?wrong=x&done=9"]
)
async def test_the_page_is_whole_in_both_languages(local: Any, path: str) -> None:
    browser = await local.signed_in()
    for language in ("fr", "en"):
        browser.cookies["passerelle_language"] = language
        answer = await browser.get(path)
        assert answer.status == 200
        found = check(answer.text)
        assert (found.wrong, found.open) == ([], [])
        assert len(set(found.ids)) == len(found.ids)


async def test_the_page_is_for_those_signed_in_and_its_forms_for_our_own(local: Any) -> None:
    assert (await local.browser().get("/codes")).status == 303
    assert (await local.browser().get("/codes/maps.csv")).status == 303
    browser = await local.signed_in()
    for path in ("/codes/map", "/codes/unmap", "/codes/replay"):
        assert (await browser.post(path, {**RESULT, "target": "53049-3", "number": "1"}, csrf="x")).status == 403
    assert local.value("SELECT count(*) FROM concept_map") == 0


async def test_a_code_is_mapped_there_and_its_messages_replayed_after_a_preview(local: Any) -> None:
    browser = await local.signed_in()
    answer = await browser.post("/codes/map", {**RESULT, "choice": "53049-3", "target": ""})
    assert re.fullmatch(r"/codes\?done=\d+", answer.location)
    shown = await browser.get(answer.location)
    assert f"GLY de {SENDER} correspond désormais à 53049-3" in shown.plain
    assert "2 messages déjà lus l’emploient sans ce code." in shown.plain
    assert "Glycémie à jeun" not in shown.plain, "it is no longer on the worklist"
    assert local.audited("map code") == [("admin", f"code GLY of {SENDER}", "is 53049-3")]
    number = answer.location.partition("=")[2]
    preview = await browser.post("/codes/replay", {"number": number})
    assert "2 messages seront rejoués." in (await browser.get(preview.location)).plain
    assert local.value("SELECT count(*) FROM message WHERE replays > 0") == 0, "nothing happens before it is confirmed"
    await browser.post(f"{preview.location}/start", {"word": "rejouer"})
    await local.carry()
    assert local.value("SELECT count(*) FROM message WHERE replays > 0") == 2
    assert local.woken


async def test_what_cannot_be_a_target_changes_nothing_and_says_so(local: Any) -> None:
    browser = await local.signed_in()
    answer = await browser.post("/codes/map", {**RESULT, "target": "53049-4", "only": SENDER})
    shown = await browser.get(answer.location)
    assert "son chiffre de contrôle ne convient pas" in shown.plain
    unit = {**RESULT, "kind": "unit", "system": "", "code": "mUI par L", "target": "mUI par L"}
    shown = await browser.get((await browser.post("/codes/map", unit)).location)
    assert "Ce n’est pas un code UCUM" in shown.plain
    assert local.value("SELECT count(*) FROM concept_map") == 0
    for odd in ({**RESULT, "kind": "x"}, {**RESULT, "code": ""}, {**RESULT, "sender": "x" * 121}):
        assert (await browser.post("/codes/map", {**odd, "target": "53049-3"})).status == 404
    for path in ("/codes/unmap", "/codes/replay"):
        assert (await browser.post(path, {"number": "77"})).status == 404


async def test_a_mapping_is_listed_downloaded_and_taken_back(local: Any) -> None:
    browser = await local.signed_in()
    await browser.post("/codes/map", {**RESULT, "target": "53049-3"})
    listed = await browser.get("/codes?view=mapped")
    assert "GLY 53049-3 Glucose à jeun (masse/volume) sérum/plasma" in listed.plain
    file = await browser.get("/codes/maps.csv")
    assert file.headers["content-disposition"].startswith("attachment")
    assert f"{SENDER},code,local,GLY,53049-3,http://loinc.org" in file.text
    number = str(local.value("SELECT id FROM concept_map"))
    assert (await browser.post("/codes/unmap", {"number": number})).location == "/codes?view=mapped"
    assert "Glycémie à jeun" in (await browser.get("/codes")).plain


async def test_files_with_wrong_lines_are_told_on_the_page(local: Any, tmp_path: Path) -> None:
    from router.codes.maps import CodeMaps

    file = tmp_path / "labo-sud.csv"
    file.write_text(f"sender,code,target\n{SENDER},GLY,53049-3\n{SENDER},HB,718-8\n", encoding="utf-8")
    local.desk.codes = CodeMaps((file,))
    browser = await local.signed_in()
    shown = await browser.get("/codes")
    assert "labo-sud.csv, line 3: the target is not a LOINC code" in shown.plain
    assert "Glycémie à jeun" not in shown.plain, "what a file maps is no work"


# --- the API ------------------------------------------------------------------------------------------------------


@pytest.fixture
def api(local: Any) -> Any:
    browser = local.browser()
    browser.headers = {"Authorization": f"Bearer {local.journal.key}"}
    return browser


async def test_the_api_lists_maps_and_replays(local: Any, api: Any) -> None:
    listed = (await api.get("/api/v1/codes")).json()
    assert {one["code"] for one in listed} == {"GLY", "mUI par L"}
    first = next(one for one in listed if one["code"] == "GLY")
    assert (first["seen"], first["label"], first["proposals"][0]["code"]) == (2, "Glycémie à jeun", "53049-3")
    answer = await api.send("/api/v1/codes/maps", {"sender": SENDER, "code": "GLY", "target": "53049-3"})
    assert (answer.status, answer.json()) == (201, {"changed": True, "before": 2, "before_capped": False})
    (made,) = (await api.get("/api/v1/codes/maps")).json()["maps"]
    assert (made["author"], made["display"]) == ("key:outil", "Glucose à jeun (masse/volume) sérum/plasma")
    replayed = await api.send(f"/api/v1/codes/maps/{made['id']}/replay", {})
    assert (replayed.status, replayed.json()) == (202, {"changed": 2})
    assert (await api.call("DELETE", f"/api/v1/codes/maps/{made['id']}")).json() == {"changed": 1}
    assert (await api.call("DELETE", f"/api/v1/codes/maps/{made['id']}")).status == 404
    assert (await api.send(f"/api/v1/codes/maps/{made['id']}/replay", {})).status == 404


async def test_the_api_brings_and_gives_csv(local: Any, api: Any) -> None:
    content = f"sender,code,target\n{SENDER},GLY,53049-3\n{SENDER},HB,718-8\n".encode()
    answer = await api.send("/api/v1/codes/maps/import", content, "text/csv")
    assert answer.json()["changed"] == 1
    assert answer.json()["problems"][0].startswith("line 3: ")
    again = await api.send("/api/v1/codes/maps/import", content, "text/csv")
    assert (again.json()["changed"], again.json()["same"]) == (0, 1)
    assert "GLY,53049-3" in (await api.get("/api/v1/codes/maps.csv")).text


async def test_the_api_refuses_without_a_key_and_what_is_no_target(local: Any, api: Any) -> None:
    assert (await local.browser().get("/api/v1/codes")).status == 401
    wrong = await api.send("/api/v1/codes/maps", {"sender": SENDER, "code": "GLY", "target": "1-1"})
    assert wrong.status == 422
    assert "check digit" in wrong.json()["detail"]
    assert (await api.send("/api/v1/codes/maps", {"sender": " ", "code": "GLY", "target": "718-7"})).status == 422
