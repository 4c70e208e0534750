"""Asking INSi from the identity desk: what it says is shown and kept nowhere until a person accepts it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from html_check import check
from web_journal import HOUR, report, rose

from connectors.ins.client import InsiClient
from connectors.ins.sandbox import InsiSandbox, Mood
from connectors.ins.settings import InsiSettings
from connectors.sandbox.people import ROSE
from router.identity.insi import Insi
from router.identity.patients import load_patients, register
from router.journal.tables import ItemState
from router.web.rights import Role
from schemas.identity import IdentityStatus, PatientIdentity


@pytest.fixture
async def sandbox(site: Any) -> AsyncIterator[InsiSandbox]:
    async with InsiSandbox((ROSE,)) as made:

        def now() -> datetime:
            return datetime.fromtimestamp(site.clock[0] / 1_000_000, UTC)

        settings = InsiSettings(
            url=made.url, authorisation="T", emitter="10B0000000", per_minute=6000, attempts=1, breaker_failures=3
        )
        insi = Insi(settings, site.journal.store, site.journal.submit, now=now, client=InsiClient(settings, now=now))
        site.desk.context = replace(site.desk.context, insi=insi)
        yield made
        await insi.close()


@pytest.fixture
def held(site: Any) -> int:
    """A report about Rose, whose dossier has no INS, under a number that nobody knows."""
    site.journal.apply(register(rose(), in_coordination=True, now=site.clock[0]))
    at = site.clock[0] - HOUR
    message = site.journal.message(at, control="ROSE")
    item = site.journal.item(
        report(rose("LAB-1"), "a1" * 16),
        line="CRP",
        patient_id=None,
        state=ItemState.HELD,
        reason="insi_to_call",
        to=(),
    )
    site.journal.read(message, at + 1, [item])
    return int(site.value("SELECT max(id) FROM item"))


def known(site: Any) -> PatientIdentity:
    store = site.journal.store
    number = int(site.value("SELECT max(id) FROM patient"))
    with store.reading() as connection:
        return load_patients(connection, store.sealer, [number])[number].identity


async def test_a_dossier_takes_the_identity_that_insi_gives(site: Any, sandbox: InsiSandbox, held: int) -> None:
    browser = await site.signed_in()
    page = await browser.get(f"/identities/{held}")
    assert 'data-key="i"' in page.text
    asked = await browser.post(f"/identities/{held}/insi", {"about": "dossier", "patient": "2", "candidate": "1"})
    shown = await browser.get(asked.location)
    assert ROSE.matricule not in asked.location
    assert "Une personne, et aucun trait ne diffère. 00" in shown.plain
    assert ROSE.matricule in shown.plain
    assert "Aucun patient du registre n’a cette INS." in shown.plain
    assert check(shown.text).wrong == []
    assert site.audited("query INSi") == [("admin", f"item {held}", "patient 2")]
    assert known(site).ins is None, "nothing is written before it is accepted"
    key = asked.location.split("insi=")[1]
    accepted = await browser.post(f"/identities/{held}/insi/accept", {"answer": key})
    assert accepted.location == f"/identities/{held}?accepted=done"
    assert "Le dossier porte maintenant l’identité d’INSi." in (await browser.get(accepted.location)).plain
    assert known(site).ins.matricule == ROSE.matricule
    assert known(site).status is IdentityStatus.QUALIFIED
    assert site.woken, "what waited for it is looked at again"


async def test_whoever_has_the_ins_stands_beside_what_was_received(site: Any, sandbox: InsiSandbox, held: int) -> None:
    from schemas.identity import Ins

    holder = rose("IPP-9", used_name="FICTIVAL", ins=Ins(matricule=ROSE.matricule, oid="1.2.250.1.213.1.4.10"))
    site.journal.apply(register(holder, in_coordination=True, now=site.clock[0]))
    browser = await site.signed_in()
    asked = await browser.post(f"/identities/{held}/insi", {"about": "received"})
    shown = await browser.get(asked.location)
    assert "1 patient du registre a cette INS." in shown.plain
    assert "Reprendre cette identité" not in shown.plain, "an INS never passes from a message into the register"
    assert '<input type="hidden" name="patient" value="3">' in shown.text, "its holder is the one to attach to"


@pytest.mark.parametrize(
    ("changes", "mood", "said"),
    [
        ({"birth_name": "NOBODYTEST"}, Mood.WELL, "Personne ne répond à ces traits. 01"),
        ({"birth_date": None}, Mood.WELL, "Des traits manquent, ou INSi ne les accepterait pas : Naissance"),
        ({}, Mood.HTML, "INSi n’a pas répondu"),
    ],
)
async def test_what_insi_does_not_know_is_said(
    site: Any, sandbox: InsiSandbox, held: int, changes: Any, mood: Mood, said: str
) -> None:
    site.journal.apply(register(rose(**changes), in_coordination=True, now=site.clock[0] + 1))
    sandbox.mood = mood
    browser = await site.signed_in()
    asked = await browser.post(f"/identities/{held}/insi", {"about": "dossier", "patient": "2"})
    shown = await browser.get(asked.location)
    assert said in shown.plain
    assert "Reprendre cette identité" not in shown.plain


async def test_an_answer_is_its_askers_alone(site: Any, sandbox: InsiSandbox, held: int) -> None:
    browser = await site.signed_in()
    asked = await browser.post(f"/identities/{held}/insi", {"about": "dossier", "patient": "2"})
    other = await site.signed_in_as(Role.IDENTITY_OFFICER)
    assert "Réponse d’INSi" not in (await other.get(asked.location)).plain
    key = asked.location.split("insi=")[1]
    assert (await other.post(f"/identities/{held}/insi/accept", {"answer": key})).status == 404
    assert (await other.post(f"/identities/{held}/insi", {"about": "dossier", "patient": "99"})).status == 404
    auditor = await site.signed_in_as(Role.AUDITOR)
    assert (await auditor.post(f"/identities/{held}/insi", {"about": "received"})).status == 403


async def test_without_insi_nothing_is_offered(site: Any, held: int) -> None:
    browser = await site.signed_in()
    assert 'data-key="i"' not in (await browser.get(f"/identities/{held}")).text
    assert (await browser.post(f"/identities/{held}/insi", {"about": "received"})).status == 404
