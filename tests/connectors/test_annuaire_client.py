"""The client of the directory against its sandbox: pages, quota, ETag, the red list, and every trouble."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydantic import ValidationError

from connectors.annuaire.asked import Asked, Kept
from connectors.annuaire.client import AnnuaireClient, Answer, NoAnswer
from connectors.annuaire.entries import gathered
from connectors.annuaire.reading import read_page
from connectors.annuaire.settings import AnnuaireSettings
from connectors.sandbox.annuaire import KEY, AnnuaireSandbox, Mood, SandboxProfessional, professionals

NOW = datetime(2030, 1, 1, tzinfo=UTC)
TESTAUT = SandboxProfessional("99912345678", "TESTAUT", "ODILE", "odile.testaut@medecin.mssante.invalid")
SHY = SandboxProfessional("99912345679", "TESTAUT", "DISCRETE", "discrete@medecin.mssante.invalid", red=True)


class Time:
    def __init__(self) -> None:
        self.at = 0.0

    def __call__(self) -> float:
        return self.at

    async def sleep(self, seconds: float) -> None:
        self.at += seconds
        await asyncio.sleep(0)


@pytest.fixture
async def sandbox() -> AsyncIterator[AnnuaireSandbox]:
    async with AnnuaireSandbox([TESTAUT, SHY, *professionals(30)], page=10) as running:
        yield running


def client(sandbox: AnnuaireSandbox, **changes: object) -> tuple[AnnuaireClient, Time]:
    time = Time()
    settings = AnnuaireSettings.model_validate({"url": sandbox.url, "api_key": KEY, **changes})
    return AnnuaireClient(settings, now=lambda: NOW, clock=time, sleep=time.sleep), time


async def test_a_person_by_number_with_place_and_mailbox_of_the_red_list(sandbox: AnnuaireSandbox) -> None:
    asking, _ = client(sandbox)
    reply = await asking.person("8" + SHY.rpps)
    assert isinstance(reply, Answer)
    (found,) = gathered(list(reply.entries))
    assert (found.name, found.professions) == ("DR DISCRETE TESTAUT", ("Médecin",))
    assert [(box.address, box.kind, box.red) for box in found.mailboxes] == [(SHY.address, "PER", True)]
    assert found.listed().mailboxes == ()
    named = await asking.named("TESTAUT")
    assert isinstance(named, Answer)
    assert {entry.address for entry in named.entries} == {TESTAUT.address}
    await asking.close()


async def test_whose_an_address_is_and_a_structure(sandbox: AnnuaireSandbox) -> None:
    asking, _ = client(sandbox)
    at = await asking.at(TESTAUT.address.upper())
    assert isinstance(at, Answer)
    (found,) = gathered(list(at.entries))
    assert (found.rpps, found.places[0].name, found.places[0].city) == (TESTAUT.rpps, "CABINET FICTIF", "RENNES")
    structure = await asking.structure("990000001")
    assert isinstance(structure, Answer)
    # The ordinary e-mail of a structure is no mailbox of MSSanté.
    assert {(one.structure, one.address) for one in structure.entries} == {("990000001", "")}
    await asking.close()


async def test_pages_are_followed_up_to_a_bound(sandbox: AnnuaireSandbox) -> None:
    sandbox.people = [replace(TESTAUT, rpps=f"999{number:08d}", address=f"t{number}@x.invalid") for number in range(35)]
    asking, _ = client(sandbox)
    reply = await asking.named("TESTAUT")
    assert isinstance(reply, Answer)
    assert (len(reply.entries), reply.whole, len(sandbox.calls)) == (35, True, 4)
    few, _ = client(sandbox, most_pages=2)
    cut = await few.named("TESTAUT")
    assert isinstance(cut, Answer)
    assert (len(cut.entries), cut.whole) == (20, False)
    for one in (asking, few):
        await one.close()


@pytest.mark.parametrize(
    ("mood", "code"), [(Mood.ELSEWHERE, "annuaire.page.elsewhere"), (Mood.CIRCLE, "annuaire.page.again")]
)
async def test_a_next_page_elsewhere_or_in_a_circle_is_refused(sandbox: AnnuaireSandbox, mood: Mood, code: str) -> None:
    sandbox.people = [replace(TESTAUT, rpps=f"999{number:08d}") for number in range(15)]
    sandbox.mood = mood
    asking, _ = client(sandbox)
    reply = await asking.named("TESTAUT")
    assert isinstance(reply, NoAnswer)
    assert (reply.code, reply.again) == (code, False)
    assert len(sandbox.calls) <= 2
    await asking.close()


async def test_an_answer_that_has_not_changed_is_not_sent_again(sandbox: AnnuaireSandbox, tmp_path: Path) -> None:
    asking, _ = client(sandbox)
    first = await asking.person(TESTAUT.rpps)
    assert isinstance(first, Answer)
    Asked(tmp_path).keep("rpps", TESTAUT.rpps, Kept(first.etag, first.entries), NOW)
    kept = Asked(tmp_path).recall("rpps", TESTAUT.rpps)
    assert kept is not None
    again = await asking.person(TESTAUT.rpps, kept)
    assert again == Answer(first.entries, first.etag, changed=False)
    sandbox.people = [replace(TESTAUT, city="BREST")]
    changed = await asking.person(TESTAUT.rpps, kept)
    assert isinstance(changed, Answer)
    await asking.close()


async def test_a_quota_that_is_used_up_leaves_the_api_alone(sandbox: AnnuaireSandbox) -> None:
    sandbox.quota = 3
    asking, time = client(sandbox)
    replies = await asyncio.gather(*(asking.person(TESTAUT.rpps) for _ in range(50)))
    refused = [reply for reply in replies if isinstance(reply, NoAnswer)]
    assert {reply.code for reply in refused} == {"annuaire.quota", "annuaire.left_alone"}
    asked = len(sandbox.calls)
    assert asked < 12  # those that were under way, and no storm of second tries
    assert (await asking.person(TESTAUT.rpps)) == NoAnswer(
        "annuaire.left_alone", "the directory had troubles and is left alone for now", after=asking.breaker.remaining
    )
    sandbox.quota = None
    time.at += 21
    assert isinstance(await asking.person(TESTAUT.rpps), Answer)
    assert len(sandbox.calls) == asked + 1
    await asking.close()


@pytest.mark.parametrize(
    ("mood", "code"), [(Mood.HTML, "annuaire.not_json"), (Mood.BUSY, "annuaire.quota"), (Mood.DOWN, "annuaire.broken")]
)
async def test_troubles_are_no_answer(sandbox: AnnuaireSandbox, mood: Mood, code: str) -> None:
    sandbox.mood = mood
    asking, _ = client(sandbox)
    reply = await asking.person(TESTAUT.rpps)
    assert isinstance(reply, NoAnswer)
    assert reply.code == code
    await asking.close()


async def test_a_key_that_is_refused_is_not_tried_again_and_again(sandbox: AnnuaireSandbox) -> None:
    asking, _ = client(sandbox, api_key="wrong")
    codes = [reply.code for _ in range(4) if isinstance(reply := await asking.person(TESTAUT.rpps), NoAnswer)]
    assert codes == ["annuaire.key", *["annuaire.left_alone"] * 3]
    assert len(sandbox.calls) == 1
    await asking.close()


async def test_a_number_that_was_withdrawn_is_nobody(sandbox: AnnuaireSandbox) -> None:
    sandbox.people = [replace(TESTAUT, active=False)]
    asking, _ = client(sandbox)
    assert (await asking.person(TESTAUT.rpps)) == Answer((), etag=(await asking.person(TESTAUT.rpps)).etag)  # type: ignore[union-attr]
    await asking.close()


async def test_nobody_listens() -> None:
    settings = AnnuaireSettings.model_validate({"url": "http://127.0.0.1:9/fhir/v2", "api_key": "x"})
    asking = AnnuaireClient(settings, now=lambda: NOW)
    reply = await asking.person(TESTAUT.rpps)
    assert isinstance(reply, NoAnswer)
    assert reply.code == "annuaire.unreachable"


def test_a_searchset_as_the_national_api_gives_it(shared_data: Path) -> None:
    page = read_page((shared_data / "ins" / "annuaire" / "searchset_practitionerrole_v2_fictif.json").read_bytes())
    (person, structure) = gathered(list(page.entries))
    assert (person.rpps, person.family, person.professions) == ("99900000001", "FACTICE", ("10",))
    assert person.mailboxes[0].address == "testa.factice@exemple.mssante.invalid"
    assert (structure.name, structure.places[0].structure) == ("CENTRE FICTIF", "999999999")
    assert page.following is not None


@pytest.mark.parametrize(
    "settings",
    [
        {"url": "http://gateway.exemple.invalid/fhir/v2", "api_key": "x"},
        {"url": "https://gateway.exemple.invalid/fhir/v2"},
        {"url": "https://key@gateway.exemple.invalid/fhir/v2", "api_key": "x"},
        {"files": ["http://exemple.invalid/extraction.zip"]},
        {"white_list": "ftp://exemple.invalid/liste.xml"},
    ],
)
def test_settings_that_would_give_the_key_or_the_list_away(settings: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        AnnuaireSettings.model_validate(settings)
