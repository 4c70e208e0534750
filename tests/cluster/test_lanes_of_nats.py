from __future__ import annotations

from typing import TYPE_CHECKING

import nats
import pytest

if TYPE_CHECKING:
    from tests.cluster.conftest import Node, Nodes
else:
    Node = Nodes = object


def _complete(nodes: Nodes, *owners: Node) -> bool:
    owned = [lane for owner in owners for lane in owner.owned]
    return sorted(owned) == sorted(nodes.lanes)


def _count(node: Node, kind: str) -> int:
    return sum(1 for lane in node.owned if lane.startswith(kind))


async def test_lanes_are_shared_out_by_kind_and_each_has_one_owner(nodes: Nodes) -> None:
    first = nodes.make("first")
    await nodes.until(lambda: _complete(nodes, first))
    second = nodes.make("second")
    await nodes.until(lambda: _complete(nodes, first, second) and _count(second, "send.") == 3)
    third = nodes.make("third")
    await nodes.until(lambda: all(_count(node, "send.") == 2 for node in (first, second, third)))
    await nodes.until(lambda: _complete(nodes, first, second, third))
    assert max(_count(node, "read.") for node in (first, second, third)) == 1
    assert nodes.twice_owned() == []


async def test_a_node_that_leaves_gives_its_lanes_at_once_and_one_that_dies_loses_them(nodes: Nodes) -> None:
    first, second = nodes.make("first"), nodes.make("second")
    await nodes.until(lambda: _complete(nodes, first, second) and _count(first, "send.") == 3)
    third = nodes.make("third")
    await nodes.until(lambda: _complete(nodes, first, second, third) and _count(third, "send.") == 2)
    before = dict(first.member.cluster.lanes.owned()) | dict(second.member.cluster.lanes.owned())
    await third.leave()
    await nodes.until(lambda: _complete(nodes, first, second))
    nodes.log.clear()
    await second.crash()
    await nodes.until(lambda: _complete(nodes, first))
    for lane, fence in first.member.cluster.lanes.owned().items():
        if lane in before and before[lane].count != fence.count:
            assert fence.is_newer_than(before[lane])


async def test_a_node_cut_off_drops_its_lanes_before_another_has_them(nodes: Nodes) -> None:
    first, second = nodes.make("first"), nodes.make("second")
    await nodes.until(lambda: _complete(nodes, first, second) and _count(first, "send.") == 3)
    client = first.member.link.client
    assert client is not None
    lanes = first.owned

    async def nothing(*_: object, **__: object) -> None:
        raise nats.errors.TimeoutError

    client.request = client.publish = nothing  # type: ignore[method-assign] # a cable that carries nothing
    await nodes.until(lambda: lanes <= second.owned)
    assert first.owned.isdisjoint(second.owned)
    assert nodes.twice_owned() == []
    assert {lane for _, what, lane, name, _ in nodes.log if (what, name) == ("lost", "first")} >= lanes


async def test_a_lane_that_the_engine_does_not_take_is_offered_again(nodes: Nodes) -> None:
    first = nodes.make("first")
    first.refuses.add("jobs")
    await nodes.until(lambda: sum(1 for fence in first.fences if fence.lane == "jobs") >= 2)
    assert "jobs" not in first.owned
    counts = [fence.count for fence in first.fences if fence.lane == "jobs"]
    assert counts == sorted(set(counts))
    first.refuses.clear()
    await nodes.until(lambda: "jobs" in first.owned)


async def test_what_the_journal_says_is_anothers_is_dropped_and_comes_back_newer(nodes: Nodes) -> None:
    first = nodes.make("first")
    await nodes.until(lambda: _complete(nodes, first))
    former = first.member.cluster.lanes.owned()["read.labo"]
    first.member.cluster.lanes.give_up("read.labo")
    assert "read.labo" not in first.owned
    await nodes.until(lambda: "read.labo" in first.owned)
    assert first.member.cluster.lanes.owned()["read.labo"].is_newer_than(former)


async def test_a_node_in_trouble_is_given_nothing_and_gives_back_what_it_has(nodes: Nodes) -> None:
    first, second = nodes.make("first"), nodes.make("second")
    await nodes.until(lambda: _complete(nodes, first, second) and _count(first, "send.") == 3)
    first.trouble = "the journal does not answer"
    await nodes.until(lambda: _complete(nodes, second))
    first.trouble = ""
    await nodes.until(lambda: _complete(nodes, first, second) and _count(first, "send.") == 3)
    assert nodes.twice_owned() == []


async def test_servers_that_lost_everything_begin_an_epoch_that_the_journal_has_not_seen(nodes: Nodes) -> None:
    first = nodes.make("first")
    await nodes.until(lambda: _complete(nodes, first))
    former = first.member.cluster.lanes.owned()["jobs"]
    nodes.journal_epoch = former.epoch + 10**18
    client = await nats.connect(list(nodes.servers.urls))
    await client.jetstream().delete_stream("PASSERELLE_LANES")
    await client.close()
    await nodes.until(lambda: first.member.cluster.lanes.owned().get("jobs", former).epoch > nodes.journal_epoch)
    await nodes.until(lambda: _complete(nodes, first))


@pytest.mark.parametrize("nodes", [3], indirect=True)
async def test_lanes_outlive_the_server_that_leads_them(nodes: Nodes) -> None:
    first, second = nodes.make("first", ack_seconds=6.0), nodes.make("second", ack_seconds=6.0)
    await nodes.until(lambda: _complete(nodes, first, second) and _count(first, "send.") == 3)
    client = await nats.connect(list(nodes.servers.urls))
    info = await client.jetstream().stream_info("PASSERELLE_LANES")
    await client.close()
    assert info.config.num_replicas == 3
    assert info.cluster is not None
    nodes.servers.kill(int(str(info.cluster.leader).removeprefix("nats")))
    await second.crash()
    await nodes.until(lambda: _complete(nodes, first), 40)


async def test_bells_and_presence_reach_the_others_and_not_oneself(nodes: Nodes) -> None:
    from router.cluster.contracts import Bell

    first, second = nodes.make("first"), nodes.make("second", roles=frozenset({"web"}))
    heard: dict[str, list[Bell]] = {"first": [], "second": []}
    for node in (first, second):
        node.member.cluster.bells.listen(heard[node.name].append)
    for node in (first, second):
        await nodes.until(lambda node=node: len(node.member.cluster.presence.nodes()) == 2)
    first.member.cluster.bells.ring(Bell({"labo": 7}, send=True))
    await nodes.until(lambda: bool(heard["second"]))
    assert heard == {"first": [], "second": [Bell({"labo": 7}, send=True)]}
    names = [status.name for status in second.member.cluster.presence.nodes()]
    assert names == ["first", "second"]
    await first.crash()
    await nodes.until(lambda: [status.name for status in second.member.cluster.presence.nodes()] == ["second"])
