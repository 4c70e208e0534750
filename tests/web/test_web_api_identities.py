"""The identity desk by the API: counts, queue, one Item compared, decisions and their undoing."""

from __future__ import annotations

from typing import Any

import pytest
from web_journal import HOUR, person, report

from router.journal.tables import ItemState
from router.web.rights import Role

API = "/api/v1/identities"
TYPED = person(0).model_copy(update={"ins": None, "birth_name": "TESTROZE"})


@pytest.fixture
def held(site: Any) -> list[int]:
    """Three Items of one identity, which is nearly that of the registered patient."""
    numbers = []
    for rank in range(3):
        at = site.clock[0] - HOUR + rank
        message = site.journal.message(at, control=f"DESK{rank}")
        item = site.journal.item(
            report(TYPED, f"{rank:032x}"),
            line="CRP",
            patient_id=None,
            state=ItemState.HELD,
            reason="trait_mismatch",
            to=(),
        )
        site.journal.read(message, at + 1, [item])
        numbers.append(int(site.value("SELECT max(id) FROM item")))
    return numbers


@pytest.fixture
def api(site: Any) -> Any:
    browser = site.browser()
    browser.headers = {"Authorization": f"Bearer {site.journal.key}"}
    return browser


async def test_counts_and_the_alert(site: Any, held: Any, api: Any) -> None:
    found = (await api.get(f"{API}/summary")).json()
    assert (found["todo"]["count"], found["aside"]["count"], found["alert"], found["alert_hours"]) == (4, 0, False, 24)
    assert [(one["reason"], one["count"]) for one in found["reasons"]] == [("trait_mismatch", 3), ("no_match", 1)]
    site.clock[0] += 30 * HOUR
    assert (await api.get(f"{API}/summary")).json()["alert"] is True


async def test_the_queue_holds_no_names_and_goes_on(held: Any, api: Any) -> None:
    first = await api.get(f"{API}?reason=trait_mismatch&limit=2")
    assert "TESTRO" not in first.text
    assert [one["item_id"] for one in first.json()["items"]] == held[:2]
    rest = (await api.get(f"{API}?reason=trait_mismatch&limit=2&after={first.json()['next']}")).json()
    assert ([one["item_id"] for one in rest["items"]], rest["next"]) == (held[2:], None)
    assert (await api.get(f"{API}?pile=elsewhere")).status == 422


async def test_one_item_is_compared_and_the_look_is_noted(site: Any, held: Any, api: Any) -> None:
    found = (await api.get(f"{API}/{held[0]}")).json()
    assert found["identity"]["birth_name"] == "TESTROZE"
    (candidate,) = found["candidates"]
    assert (candidate["patient_id"], candidate["by"], candidate["traits"]["birth_name"]) == (1, "identifier", "D")
    assert candidate["traits"]["sex"] == "E"
    assert (found["alike"], found["to_decide"], found["reason"]) == (held[1:], True, "trait_mismatch")
    assert site.audited("compare identities") == [("key:outil", f"item {held[0]}", "patients 1")]
    assert (await api.get(f"{API}/999")).status == 404


async def test_a_decision_is_taken_and_undone(site: Any, held: Any, api: Any) -> None:
    body = {"action": "attach", "why": "confirmed_by_sender", "patient_id": 1, "also": held[1:], "note": "appelé"}
    taken = await api.send(f"{API}/{held[0]}/decisions", body)
    assert (taken.status, taken.json()["items"]) == (201, 3)
    assert site.woken
    again = await api.send(f"{API}/{held[0]}/decisions", body)
    assert (again.status, again.json()["detail"]) == (
        409,
        "Somebody has decided about this item already; undo that decision first.",
    )
    (kept,) = (await api.get(f"{API}/decisions")).json()["decisions"]
    assert (kept["actor"], kept["why"], kept["note"], kept["items"], kept["standing"]) == (
        "key:outil",
        "confirmed_by_sender",
        "appelé",
        3,
        True,
    )
    undone = await api.send(f"{API}/decisions/{kept['id']}/undo", {})
    assert (undone.status, undone.json()["items"], undone.json()["left"]) == (201, 3, 0)
    assert (await api.send(f"{API}/decisions/{kept['id']}/undo", {})).status == 409
    assert (await api.send(f"{API}/decisions/999/undo", {})).status == 404
    history = (await api.get(f"{API}/decisions?item={held[1]}")).json()["decisions"]
    assert [one["action"] for one in history] == ["undo", "attach"]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"action": "attach", "why": "traits_compared"}, 422),
        ({"action": "attach", "why": "test_message", "patient_id": 1}, 422),
        ({"action": "attach", "why": "other", "patient_id": 1, "note": " "}, 422),
        ({"action": "attach", "why": "traits_compared", "patient_id": 77}, 422),
        ({"action": "refuse", "why": "test_message", "patient_id": 1}, 422),
        ({"action": "undo", "why": "mistake"}, 422),
        ({"action": "burn", "why": "mistake"}, 422),
        ({"action": "refuse", "why": "test_message", "note": "x" * 401}, 422),
    ],
)
async def test_what_makes_no_sense_is_refused_in_a_sentence(
    site: Any, held: Any, api: Any, body: Any, status: int
) -> None:
    answer = await api.send(f"{API}/{held[0]}/decisions", body)
    assert answer.status == status
    assert answer.json()["detail"].endswith(".")
    assert site.value("SELECT count(*) FROM identity_decision") == 0


async def test_who_may(site: Any, held: Any) -> None:
    assert (await site.browser().get(API)).status == 401
    browser = await site.signed_in_as(Role.AUDITOR)
    browser.headers["X-CSRF-Token"] = browser.csrf
    assert (await browser.get(f"{API}/{held[0]}")).status == 200
    body = {"action": "refuse", "why": "test_message"}
    assert (await browser.send(f"{API}/{held[0]}/decisions", body)).status == 403
    assert (await browser.send(f"{API}/decisions/1/undo", {})).status == 403
