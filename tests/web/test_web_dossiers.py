"""Coordination dossiers by page and by API: shown with the deciding rules, changed by who may, every read noted."""

from __future__ import annotations

import json
from typing import Any

import pytest
from dossier_scene import DAC, INFORMED, Scene, daughter, doctor, document, home_help, stay

from router.dossier.queue import settle
from router.engine.clock import moment
from router.journal import tables
from router.web.rights import Role

API = "/api/v1"


@pytest.fixture
def dossier(site: Any) -> Scene:
    """The dossier of the filled journal's first patient, with a circle of three."""
    scene = Scene(site.journal, now=site.clock[0])
    assert scene.open().refusal is None
    scene.add(doctor())
    scene.add(home_help(in_care_team=False))
    scene.add(daughter())
    site.clock[0] = scene.now + 1
    return scene


def key(site: Any) -> dict[str, str]:
    return {"Authorization": f"Bearer {site.journal.key}"}


async def test_the_page_says_who_may_see_what_and_why(site: Any, dossier: Scene) -> None:
    browser = await site.signed_in_as(Role.AUDITOR)
    assert "Dossier 1" in (await browser.get("/dossiers")).plain
    page = await browser.get("/dossiers/1")
    for expected in (
        "Test TESTMEDECIN",
        "médecin traitant",
        "SAAD FICTIF",
        "hors équipe de soins, sans consentement",
        "information et ouverture du dossier",
        "a ajouté un membre",
    ):
        assert expected in page.plain, expected
    assert "T•••" in page.plain, "whose it is, is masked until asked"
    assert 'action="/dossiers/1' not in page.text
    assert site.audited("read dossier") == [("quelqu.un", "patient 1", "")]
    assert (await browser.get("/dossiers/99")).status == 404
    for path in ("state", "consents", "consents/1/withdraw", "members/1/end", "restrictions/1/lift"):
        assert (await browser.post(f"/dossiers/1/{path}", {"state": "closed"})).status == 403
    assert dossier.rows(tables.dossier)[0].state == "active"


async def test_a_referent_keeps_the_dossier_by_the_page(site: Any, dossier: Scene) -> None:
    browser = await site.signed_in_as(Role.REFERENT)
    record = {"kind": "opposition-member", "given": "yes", "channel": "oral", "collected_by": "", "member": "2"}
    assert (await browser.post("/dossiers/1/consents", record)).location == "/dossiers/1"
    assert "opposition à ce membre" in (await browser.get("/dossiers/1")).plain
    assert (await browser.post("/dossiers/1/consents/2/withdraw")).location == "/dossiers/1"
    wrong = await browser.post("/dossiers/1/consents", {**record, "member": ""})
    assert wrong.location == "/dossiers/1?refused=scope"
    assert "les nomme" in (await browser.get(wrong.location)).plain
    assert (await browser.post("/dossiers/1/consents", {**record, "kind": "x"})).status == 404
    assert (await browser.post("/dossiers/1/members/2/end", {"why": "partie"})).location == "/dossiers/1"
    assert "terminé" in (await browser.get("/dossiers/1")).plain
    assert (await browser.post("/dossiers/1/state", {"state": "suspended"})).location == "/dossiers/1"
    assert "dossier inactif" in (await browser.get("/dossiers/1")).plain
    assert (await browser.post("/messages/1/replay")).status == 403
    assert dossier.rows(tables.dossier)[0].state == "suspended"


async def test_hostile_names_stay_text(site: Any, dossier: Scene) -> None:
    hostile = home_help(
        organization=DAC.model_copy(
            update={
                "name": "<script>alert(1)</script>",
                "identifiers": (DAC.identifiers[0].model_copy(update={"value": "670000009"}),),
            }
        )
    )
    dossier.add(hostile)
    browser = await site.signed_in()
    assert "<script>alert" not in (await browser.get("/dossiers/1")).text


async def test_the_api_keeps_a_dossier_from_opening_to_close(site: Any) -> None:
    api = site.browser()
    api.headers.update(key(site))
    opened = {
        "patient_id": 1,
        "owner": DAC.model_dump(mode="json"),
        "consent": INFORMED.model_copy(update={"at": "2026-01-01"}).model_dump(mode="json"),
    }
    done = await api.send(f"{API}/dossiers", opened)
    assert (done.status, done.json()) == (201, {"number": 1, "version": 1})
    assert (await api.send(f"{API}/dossiers", opened)).status == 409
    assert (await api.send(f"{API}/dossiers", {**opened, "patient_id": 99})).status == 404
    gp = await api.send(f"{API}/dossiers/1/members", {"member": doctor().model_dump(mode="json")})
    assert (gp.status, gp.json()["version"]) == (201, 2)
    nobody = {**doctor().model_dump(mode="json"), "professional": None, "organization": None}
    assert (await api.send(f"{API}/dossiers/1/members", {"member": nobody})).status == 422
    guest = await api.send(
        f"{API}/dossiers/1/members", {"member": home_help(in_care_team=False).model_dump(mode="json")}
    )
    number = guest.json()["number"]
    changed = {"member": home_help(in_care_team=True).model_dump(mode="json"), "version": 2}
    path = f"{API}/dossiers/1/members/{number}"
    body = json.dumps(changed).encode()
    stale = await api.call("PUT", path, body, {"Content-Type": "application/json"})
    assert stale.status == 409
    body = json.dumps({**changed, "version": 3}).encode()
    assert (await api.call("PUT", path, body, {"Content-Type": "application/json"})).json()["version"] == 4
    scene = Scene(site.journal, now=site.clock[0])
    letter = scene.receive(document("b" * 32, occurred_at="2026-11-01"))
    said = (await api.get(f"{API}/dossiers/1/may?member={number}&item={letter}")).json()
    assert (said["allowed"], said["rule"], said["category"]) == (False, "matrix", "documents")
    hide = {"item_id": letter, "restriction": {"kind": "hidden", "members": [gp.json()["number"]]}}
    assert (await api.send(f"{API}/dossiers/1/restrictions", hide)).status == 201
    assert (await api.get(f"{API}/dossiers/1/may?member=1&item={letter}")).json()["rule"] == "restriction"
    assert (await api.send(f"{API}/dossiers/1/restrictions/1/lift", {})).status == 200
    assert (await api.get(f"{API}/dossiers/1/may?member=77&item={letter}")).status == 404
    refused = {"consent": {**INFORMED.model_dump(mode="json"), "kind": "opposition-category"}}
    assert (await api.send(f"{API}/dossiers/1/consents", refused)).status == 422
    urgent = {"rpps": "89900000009", "who": "Dr TESTGARDE", "why": "malaise"}
    assert (await api.send(f"{API}/dossiers/1/emergencies", urgent)).status == 201
    shown = (await api.get(f"{API}/dossiers/1")).json()
    assert [one["standing"] for one in shown["members"]] == [True, True]
    assert shown["members"][0]["accesses"][4] == {
        "category": "lab",
        "level": "R",
        "rule": "matrix",
        "reason": "the matrix decides for this role and category",
    }
    assert [one["event"] for one in shown["alerts"]] == ["EMERGENCY", "DOC"]
    assert (await api.send(f"{API}/dossiers/1/members/{number}/end", {"why": "parti"})).status == 200
    assert (await api.send(f"{API}/dossiers/1/state", {"state": "closed"})).status == 200
    history = (await api.get(f"{API}/dossiers/1/history?limit=2")).json()
    assert [one["action"] for one in history["changes"]] == ["close dossier", "end member"]
    assert history["next"] is not None
    assert (await api.get(f"{API}/dossiers/1/accesses")).json() == {"accesses": [], "next": None}
    assert (await api.get(f"{API}/dossiers")).json() == {"dossiers": [], "next": None}
    assert [one[1] for one in site.audited("read dossier")] == ["patient 1"]


async def test_the_api_brings_a_matrix_and_habilitations(site: Any) -> None:
    api = site.browser()
    api.headers.update(key(site))
    held = (await api.get(f"{API}/matrix")).json()["matrix"]
    wanted = {"matrix": held.replace("lab,R,R,-", "lab,R,R,R"), "why": "protocole"}
    assert [one["opens"] for one in (await api.send(f"{API}/matrix/check", wanted)).json()] == [True]
    body = json.dumps(wanted).encode()
    brought = await api.call("PUT", f"{API}/matrix", body, {"Content-Type": "application/json"})
    assert brought.json()["changes"][0]["after"] == "R"
    assert (await api.get(f"{API}/matrix/history")).json()[0]["why"] == "protocole"
    assert (await api.send(f"{API}/matrix/check", {"matrix": "x"})).status == 422
    tool = {"habilitation": {"holder": "tool", "name": "spico", "start": "2026-01-01"}}
    assert (await api.send(f"{API}/habilitations", tool)).status == 201
    assert (await api.send(f"{API}/habilitations/1/end", {})).status == 200
    assert (await api.send(f"{API}/habilitations/1/end", {})).status == 409
    assert [one["standing"] for one in (await api.get(f"{API}/habilitations")).json()] == [False]


@pytest.mark.parametrize("role", [Role.AUDITOR, Role.IDENTITY_OFFICER, Role.REFERENT])
async def test_roles_hold_by_the_api_too(site: Any, dossier: Scene, role: Role) -> None:
    browser = await site.signed_in_as(role)
    browser.headers["X-CSRF-Token"] = browser.csrf
    state = await browser.send(f"{API}/dossiers/1/state", {"state": "suspended"})
    assert state.status == (200 if role is Role.REFERENT else 403)
    matrix = await browser.call("PUT", f"{API}/matrix", b'{"matrix": "x"}', {"Content-Type": "application/json"})
    assert matrix.status == 403
    assert (await browser.get(f"{API}/dossiers/1")).status == 200


async def test_the_page_says_how_each_notice_ended(site: Any, dossier: Scene) -> None:
    dossier.receive(stay("a" * 32))
    dossier.journal.apply(settle(1, "failed", now=dossier.now, detail="no_tool"))
    page = await (await site.signed_in_as(Role.AUDITOR)).get("/dossiers/1")
    assert "Test TESTMEDECIN · outil · échec" in page.plain
    assert "aucun de ses outils n’y est abonné" in page.plain


async def test_the_agenda_is_a_calendar_for_who_has_a_session(site: Any, dossier: Scene) -> None:
    browser = await site.signed_in_as(Role.AUDITOR)
    assert 'href="/dossiers/1/agenda.ics"' in (await browser.get("/dossiers/1")).text
    found = await browser.get("/dossiers/1/agenda.ics")
    assert found.headers["content-type"].startswith("text/calendar")
    assert found.text.startswith("BEGIN:VCALENDAR\r\n")
    assert site.audited("read dossier agenda") == [("quelqu.un", "patient 1", "")]
    assert (await browser.get("/dossiers/99/agenda.ics")).status == 404
    assert (await site.browser().get("/dossiers/1/agenda.ics")).status in {303, 401}


async def test_indicators_by_page_and_as_files(site: Any, dossier: Scene) -> None:
    dossier.receive(stay("a" * 32))
    month = f"{moment(dossier.now):%Y-%m}"
    browser = await site.signed_in_as(Role.AUDITOR)
    page = await browser.get(f"/indicators?month={month}")
    assert "Alertes : Admission" in page.plain
    assert "< 5" in page.plain
    assert (await browser.get(f"/indicators/{month}.csv")).text.startswith("\ufeffmonth;structure")
    assert (await browser.get(f"/indicators/{month}.pdf")).body.startswith(b"%PDF-")
    assert "Un mois s’écrit" in (await browser.get("/indicators?month=x%3Cb%3E")).plain
    assert (await browser.get("/indicators/x.csv")).status == 404
    assert (await browser.get("/indicators")).status == 200
