"""Fences: the newest taking of a lane is the one that may write."""

from __future__ import annotations

import pytest

from router.cluster.contracts import Bell, NodeFlow, NodeStatus, NotUnderstood
from router.journal.fencing import Fence, TakeLane, fenced
from router.journal.operations import apply_at_once
from router.journal.store import Store
from router.journal.unit import Unit


def no_longer_ours(store: Store, *fences: Fence) -> frozenset[str]:
    with store.writing() as connection:
        return frozenset(one.lane for one in fenced(Unit(connection, store.sealer), fences))


def test_the_newest_taking_of_a_lane_counts(store: Store) -> None:
    first, second, anew = Fence("send.1", 10, 1), Fence("send.1", 10, 2), Fence("send.1", 11, 1)
    other = Fence("read.labo", 10, 7)

    assert apply_at_once(store, TakeLane(first, "nord", 1))
    assert apply_at_once(store, TakeLane(other, "sud", 1))
    assert no_longer_ours(store, first, other) == frozenset()

    assert apply_at_once(store, TakeLane(second, "sud", 2))
    assert no_longer_ours(store, first, other) == {"send.1"}
    assert not apply_at_once(store, TakeLane(first, "nord", 3)), "an old taking that comes late takes nothing"
    assert no_longer_ours(store, second) == frozenset()

    assert apply_at_once(store, TakeLane(second, "sud", 4)), "said twice by the same node, it is still its own"
    assert not apply_at_once(store, TakeLane(second, "nord", 4))
    assert apply_at_once(store, TakeLane(anew, "nord", 5)), "a counter that began anew is newer, at whatever number"
    assert no_longer_ours(store, second) == {"send.1"}


def test_a_lane_that_the_journal_does_not_know_is_nobodys(store: Store) -> None:
    assert no_longer_ours(store, Fence("send.3", 1, 1)) == {"send.3"}


def test_bells_and_statuses_survive_their_json() -> None:
    bell = Bell({"labo": 12}, send=True)
    assert Bell.from_json(bell.to_json()) == bell
    assert Bell.from_json(b'{"later": 1}') == Bell()
    assert not Bell()
    flow = NodeFlow("source", "labo", "mllp", "listening", figures={"received": 3})
    status = NodeStatus("nord", ("work", "web"), "1.0", 1, 2, ("jobs", "read.labo"), (flow,), configuration=4)
    assert NodeStatus.from_json(status.to_json()) == status
    newer = status.to_json()[:-1] + b',"mood":"good"}'
    assert NodeStatus.from_json(newer) == status


@pytest.mark.parametrize("data", [b"", b"[]", b'{"read": 3}', b'{"read": {"labo": "x"}}'])
def test_what_is_no_bell_is_said_to_be_none(data: bytes) -> None:
    with pytest.raises(NotUnderstood):
        Bell.from_json(data)


@pytest.mark.parametrize(
    "data",
    [
        b"{}",
        b"3",
        b'{"name": "nord"}',
        b'{"name": "nord", "roles": ["all"], "flows": [3]}',
        b'{"name": "nord", "roles": ["all"], "version": "1", "started_at": "soon", "at": 2}',
    ],
)
def test_what_is_no_status_is_said_to_be_none(data: bytes) -> None:
    with pytest.raises(NotUnderstood):
        NodeStatus.from_json(data)
