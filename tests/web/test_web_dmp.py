"""The page of submissions: names, versions, refusals in words, what is held and what may be done, ends, retrievals."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from html import unescape
from typing import Any

import pytest
from html_check import check
from sqlalchemy import delete, insert, select
from web_journal import HOSTILE
from web_mails import DMP_FLOWS, submit
from web_person import NOW

from connectors.certificates import CertificateTrouble
from router.certificates import CertificateEnd, CertificateUse
from router.journal import tables
from router.web.rights import Role

NOW_AT = datetime.fromtimestamp(NOW / 1_000_000, UTC)
ENDS = (
    CertificateEnd("destination dmp", CertificateUse.CLIENT, "auth.test", NOW_AT + timedelta(days=12)),
    CertificateEnd("destination dmp", CertificateUse.SIGNATURE, "sign.test", NOW_AT + timedelta(days=300)),
    CertificateEnd("source bal", CertificateUse.CLIENT, trouble=CertificateTrouble.MISSING),
    CertificateEnd("web", CertificateUse.WEB, "w", NOW_AT - timedelta(days=1), CertificateTrouble.EXPIRED),
)


@pytest.fixture
def dmp(site: Any) -> Any:
    site.flows += DMP_FLOWS
    site.sent = submit(site.journal, NOW)
    object.__setattr__(site.desk.context, "certificate_ends", lambda: ENDS)
    return site


def entry(site: Any, text: str, name: str) -> str:
    mine = text.split(f'<li id="delivery-{site.sent[name]}">')[1]
    mine = mine.split('<li id="delivery-')[0].split("</section>")[0]
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", unescape(mine))).strip()


@pytest.mark.parametrize(
    "path", ["/dmp", "/dmp?state=held&destination=dmp", "/dmp?state=odd", "/dmp?state=acknowledged"]
)
async def test_the_page_is_whole_and_strict_and_masked(dmp: Any, path: str) -> None:
    browser = await dmp.signed_in()
    for language in ("fr", "en"):
        browser.cookies["passerelle_language"] = language
        found = await browser.get(path)
        assert found.status == 200
        checked = check(found.text)
        assert (checked.wrong, checked.open) == ([], [])
        assert len(set(checked.ids)) == len(checked.ids)
        assert not any(name in found.text for name in (HOSTILE, "TESTROSE", "MARIE"))
    assert 'id="live"' in (await browser.live(path)).text
    assert (await dmp.browser().get(path)).status == 303


async def test_a_submission_has_its_names_and_its_versions(dmp: Any) -> None:
    browser = await dmp.signed_in()
    text = (await browser.get("/dmp")).text
    middle = entry(dmp, text, "v2")
    for part in (
        "Lettre de liaison",
        "1.2.3.2",
        "urn:uuid:entry-1.2.3.2",
        "urn:uuid:lid-1",
        "remplacement",
        "M••• T•••",
    ):
        assert part in middle
    for name in ("v1", "v2", "v3"):
        assert re.search(r"Versions .*v1 .*→.*v2 .*→.*v3", entry(dmp, text, name)), name
    assert "Versions" not in entry(dmp, text, "refus")


def named_later(site: Any, name: str, **values: Any) -> None:
    row = {"delivery_id": site.sent[name], "destination": "dmp", "looks": 0, "detail": "", **values}
    with site.journal.store.writing() as connection:
        connection.execute(
            delete(tables.delivery_naming).where(tables.delivery_naming.c.delivery_id == site.sent[name])
        )
        connection.execute(insert(tables.delivery_naming).values(**row))


async def test_the_page_says_when_names_are_looked_up(dmp: Any) -> None:
    names = tables.delivery_reference.c
    with dmp.journal.store.writing() as connection:
        gone = names.kind == "xds.logical-id", names.delivery_id.in_([dmp.sent["v1"], dmp.sent["v3"]])
        connection.execute(delete(tables.delivery_reference).where(*gone))
    hour = 3_600_000_000
    browser = await dmp.signed_in()

    async def shown(name: str) -> str:
        return entry(dmp, (await browser.get("/dmp")).text, name)

    named_later(dmp, "v1", state="waiting", due_at=NOW + hour)
    waiting = await shown("v1")
    assert "pas encore recherchés" in waiting
    assert "Prochaine recherche :" in waiting
    assert "Dernière recherche" not in waiting
    named_later(dmp, "v1", state="learnt", due_at=None, looked_at=NOW - hour)
    assert "ne dit pas le logicalId dans ce mode" in await shown("v1")
    named_later(dmp, "v2", state="learnt", due_at=None, looked_at=NOW - hour)
    assert "recherche" not in await shown("v2"), "all three are known"
    named_later(dmp, "v3", state="denied", due_at=NOW + hour, looked_at=NOW, detail="TD3.1b: no right")
    assert "n’en a pas le droit" in await shown("v3")
    named_later(dmp, "v3", state="trouble", due_at=NOW + hour, looked_at=NOW, detail="nobody answers")
    assert "Pas de réponse du DMP. nobody answers." in await shown("v3")
    named_later(dmp, "v3", state="absent", due_at=None, looked_at=NOW)
    last = await shown("v3")
    assert "ne connaît pas ce document" in last
    assert "Prochaine" not in last
    browser.headers["authorization"] = f"Bearer {dmp.journal.key}"
    said = (await browser.get(f"/api/v1/submissions/{dmp.sent['v3']}")).json()["naming"]
    assert (said["state"], said["due_at"]) == ("absent", None)


async def test_refusals_and_guards_are_told_in_words(dmp: Any) -> None:
    browser = await dmp.signed_in()
    text = (await browser.get("/dmp")).text
    assert "XDSUnknownPatientId : le DMP ne connaît pas ce patient" in entry(dmp, text, "refus")
    opposed, size = entry(dmp, text, "opposition"), entry(dmp, text, "taille")
    assert "(opposition)" in opposed
    assert "Vérifier à nouveau" in opposed
    assert "ne permet pas de passer outre" in opposed
    assert "Envoyer quand même" in size
    assert "Écarter" in size or "Annuler" in size


async def test_a_held_one_is_sent_or_set_aside_by_who_may(dmp: Any) -> None:
    looking = await dmp.signed_in_as(Role.AUDITOR)
    assert "Envoyer quand même" not in (await looking.get("/dmp")).text
    browser = await dmp.signed_in()
    went = await browser.post(f"/deliveries/{dmp.sent['taille']}/replay", {"next": "/dmp?state=held"})
    assert went.location == "/dmp?state=held"
    column = tables.delivery.c
    with dmp.journal.store.reading() as connection:
        wanted = select(column.state).where(column.id == dmp.sent["taille"])
        assert connection.execute(wanted).scalar() == "pending"


async def test_a_title_is_shown_on_request_and_noted_first(dmp: Any) -> None:
    browser = await dmp.signed_in()
    shown = await browser.post(f"/dmp/{dmp.sent['v1']}/title")
    assert "CR de TESTROSE MARIE" in shown.plain
    assert dmp.audited("reveal title") == [("admin", f"delivery {dmp.sent['v1']}", "")]
    assert (await browser.post("/dmp/1/title")).status == 404, "no submission"
    assert (await browser.post(f"/dmp/{dmp.sent['v1']}/title", csrf="guessed")).status == 403


async def test_certificates_and_retrievals_stand_beside(dmp: Any) -> None:
    browser = await dmp.signed_in()
    answered = await browser.get("/dmp")
    text = answered.plain.replace("\u00a0", " ").replace("\u202f", " ")
    for part in ("auth.test", "12 jours", "300 jours", "fichier absent", "terminé", "signature (SIGN)", "dmp-lu"):
        assert part in text
    assert re.search(r'class="when amber">.*?12', answered.text, re.DOTALL)
    pulls = re.search(r"Récupération des documents d’autrui.*?Certificats", text)
    assert pulls is not None
    assert "en attente" in pulls[0]
    assert " 2 " in pulls[0], "two patients have a place that is remembered"


async def test_the_api_says_the_same(dmp: Any) -> None:
    browser = dmp.browser()
    browser.headers["authorization"] = f"Bearer {dmp.journal.key}"
    found = (await browser.get("/api/v1/submissions")).json()["submissions"]
    assert [one["delivery"]["id"] for one in found] == sorted(dmp.sent.values(), reverse=True)
    second = next(one for one in found if one["delivery"]["id"] == dmp.sent["v2"])
    assert [one["unique_id"] for one in second["versions"]] == ["1.2.3.1", "1.2.3.2", "1.2.3.3"]
    assert (second["entry_uuid"], second["logical_id"]) == ("urn:uuid:entry-1.2.3.2", "urn:uuid:lid-1")
    held = (await browser.get(f"/api/v1/submissions/{dmp.sent['opposition']}")).json()
    assert ([one["code"] for one in held["findings"]], held["insistable"]) == (["dmp.guard.opposed"], False)
    assert (await browser.get("/api/v1/submissions/1")).status == 404
    assert [one["days"] for one in (await browser.get("/api/v1/certificates")).json()] == [12, 300, None, -1]
    assert "TESTROSE" not in (await browser.get("/api/v1/submissions")).text
    page = (await browser.get("/api/v1/submissions?limit=2")).json()
    onward = (await browser.get(f"/api/v1/submissions?limit=2&before={page['next']}")).json()
    assert [one["unique_id"] for one in onward["submissions"]] == ["1.2.3.9", "1.2.3.3"]
