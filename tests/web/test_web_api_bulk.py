"""Actions on many rows by the API: planned with figures, started with a word where it matters, stopped, undone."""

from __future__ import annotations

from typing import Any

import pytest
from web_client import Browser

API = "/api/v1/bulk"


@pytest.fixture
def api(site: Any) -> Browser:
    """A program with a key."""
    return Browser(site.app, headers={"Authorization": f"Bearer {site.journal.key}"})


async def test_cancelled_and_taken_back(site: Any, api: Browser) -> None:
    planned = await api.send(API, {"action": "cancel_deliveries", "deliveries": [1, 3, 6, 77]})
    assert planned.status == 201
    said = planned.json()
    assert said["preview"]["will"] == 2
    assert said["preview"]["left"] == {"gone": 1, "absent": 1}
    assert said["preview"]["destinations"] == {"spico": 2}
    assert not said["needs_confirmation"]
    number = said["id"]
    assert (await api.send(f"{API}/{number}/start", {})).status == 202
    assert (await api.send(f"{API}/{number}/start", {})).status == 409
    await site.carry()
    assert (await api.get(f"{API}/{number}")).json()["changed"] == 2
    assert site.value("SELECT state FROM delivery WHERE id = 3") == "cancelled"
    undo = (await api.send(f"{API}/{number}/undo", {})).json()
    await site.carry()
    assert (await api.get(f"{API}/{undo['id']}")).json()["changed"] == 2
    assert site.value("SELECT state FROM delivery WHERE id = 3") == "dead"
    assert site.value("SELECT detail FROM delivery WHERE id = 3") == "HTTP 422: patient 800000 unknown"
    assert site.value("SELECT state FROM delivery WHERE id = 6") == "retrying"
    assert (await api.send(f"{API}/{number}/undo", {})).status == 409
    assert [one["id"] for one in (await api.get(API)).json()] == [undo["id"], number]


async def test_what_cannot_be_taken_back_is_confirmed(site: Any, api: Browser) -> None:
    number = (await api.send(API, {"action": "replay_deliveries", "deliveries": [1]})).json()["id"]
    assert (await api.send(f"{API}/{number}/start", {})).status == 409
    assert (await api.send(f"{API}/{number}/start", {"confirm": True})).status == 202
    assert (await api.send(f"{API}/{number}/stop", {})).status == 202
    assert (await api.send(f"{API}/{number}/stop", {})).status == 409
    await site.carry()
    assert site.value("SELECT count(*) FROM delivery WHERE replay_of = 1") == 0


@pytest.mark.parametrize(
    "wanted",
    [
        {"action": "replay_messages", "deliveries": [1]},
        {"action": "cancel_deliveries", "messages": [1]},
        {"action": "cancel_deliveries"},
        {"action": "reroute", "messages": [1]},
        {"action": "reroute", "messages": [1], "destination": "nowhere"},
        {"action": "reroute", "messages": [1], "deliveries": [1], "destination": "spico"},
        {"action": "undo", "messages": [1]},
    ],
)
async def test_what_makes_no_sense_is_refused_in_a_sentence(api: Browser, wanted: dict[str, Any]) -> None:
    answer = await api.send(API, wanted)
    assert answer.status == 422
    assert answer.json()["detail"].endswith(".")


async def test_rerouting_leaves_alone_who_has_it(site: Any, api: Browser) -> None:
    said = (await api.send(API, {"action": "reroute", "messages": [1, 2, 4], "destination": "medecin"})).json()
    assert said["preview"]["will"] == 1
    assert said["preview"]["left"] == {"has_it": 1, "undecided": 1}
    by_route = (await api.send(API, {"action": "reroute", "deliveries": [3, 4], "route": "résultats"})).json()
    assert by_route["target"] == "route:résultats"
    assert by_route["preview"]["destinations"] == {"medecin": 2}
    assert (await api.get(f"{API}/999")).status == 404
    assert site.value("SELECT count(*) FROM bulk_row") == 5
