"""The accounts of a campaign see what is lost, reordered, not recognised, owned twice or held up for too long."""

from __future__ import annotations

import asyncio
import io
import random
from dataclasses import replace

import pytest
from prove_accounts import GOOD, body
from rich.console import Console

from router.cluster.contracts import NodeStatus
from router.prove.cluster.balancer import Backend, Balancer
from router.prove.cluster.faults import _MAKERS
from router.prove.cluster.flow import TimedLedger, held_up
from router.prove.cluster.schedule import KINDS, NotAFault, draw_list, read_list, split
from router.prove.cluster.verdict import ClusterVerdict, Ownership, Seen, judge_cluster, print_cluster_verdict
from router.prove.cluster.watch import LaneBook
from router.prove.ledger import Mark

KILLED = Seen(
    kind="kill",
    sentence="a node is killed",
    host="work1",
    began=4.0,
    ended=14.0,
    recovered=14.5,
    outage=False,
    words=["work1 killed", "work1 listens again"],
    held_up=6.5,
    acknowledged_after=0.2,
    messages=12,
    beyond=0,
    lanes_moved=4,
    largest_backlog=9,
)
HELD = ClusterVerdict(
    nodes=["work1 (work)"],
    network="network namespaces",
    limit=10.0,
    faults=[KILLED],
    left_out=["slow: it needs network namespaces"],
    ownership=Ownership(lanes=10, takings=14, samples=100, statements=60),
    accounts=GOOD,
)


class Clock:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def printed(verdict: ClusterVerdict) -> str:
    out = io.StringIO()
    print_cluster_verdict(verdict, Console(file=out, width=200))
    return out.getvalue()


def test_a_good_campaign_holds_and_says_what_was_seen() -> None:
    assert judge_cluster(HELD) == []
    said = printed(HELD)
    assert "It holds" in said
    assert "Left out: slow" in said
    assert "6.5 s" in said
    assert HELD.as_json()["holds"] is True


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"accounts": replace(GOOD, lost=["PROVE-0001-000001"])}, "never arrived"),
        ({"accounts": replace(GOOD, out_of_order=[3])}, "out of order"),
        ({"accounts": replace(GOOD, unrecognisable=2)}, "another identity"),
        ({"faults": []}, "no fault"),
        ({"faults": [replace(KILLED, recovered=None)]}, "did not come back"),
        ({"faults": [replace(KILLED, held_up=10.4)]}, "past 10 s"),
        ({"faults": [replace(KILLED, messages=0)]}, "proves nothing"),
        ({"ownership": replace(HELD.ownership, twice=["send.1"])}, "kept calling theirs send.1"),
        ({"ownership": replace(HELD.ownership, went_back=["jobs"])}, "went back of jobs"),
        ({"ownership": replace(HELD.ownership, nobodys=[f"send.{k}" for k in range(7)])}, "and 2 more"),
        ({"ownership": replace(HELD.ownership, doubled=["send.1"])}, "two nodes owned send.1"),
        ({"ownership": replace(HELD.ownership, samples=0)}, "no lane was ever seen"),
        ({"ownership": replace(HELD.ownership, statements=0)}, "no node was ever heard"),
    ],
)
def test_each_flaw_of_a_campaign_has_its_reason(changes: dict[str, object], reason: str) -> None:
    flawed = replace(HELD, **changes)  # type: ignore[arg-type]  # each case names fields of the dataclass
    reasons = judge_cluster(flawed)
    assert len(reasons) == 1
    assert reason in reasons[0]
    assert "It does not hold" in printed(replace(flawed, reasons=reasons))


def told(*marks: Mark, clock: Clock | None = None) -> TimedLedger:
    """A ledger in which each message was sent and acknowledged."""
    ledger = TimedLedger(clock=clock or Clock())
    for mark in marks:
        ledger.sending(mark)
        ledger.acknowledge(mark)
    return ledger


def test_a_loss_a_reordering_and_a_changed_repeat_reach_the_verdict_from_the_ledger() -> None:
    """What travels the whole way: seeded into the ledger, accounted with a journal that is content, judged."""
    ledger = told((1, 1), (1, 2), (2, 1))
    ledger.arrived("b", body((1, 2)))
    ledger.arrived("a", body((1, 1)))
    ledger.arrived("a", body((1, 1), note="changed"))
    assert ledger.backlog == len(ledger.lost) == 1
    accounts = replace(
        GOOD,
        sent=len(ledger.attempts),
        acknowledged=len(ledger.acknowledged),
        lost=[str(mark) for mark in ledger.lost],
        out_of_order=ledger.out_of_order,
        unrecognisable=ledger.unrecognisable,
    )
    reasons = " ".join(judge_cluster(replace(HELD, accounts=accounts)))
    for part in ("1 acknowledged messages never arrived", "1 patients' reports arrived out of order", "1 repeats came"):
        assert part in reasons


def test_a_message_is_held_up_from_its_sending_or_from_the_end_of_an_outage() -> None:
    clock = Clock()
    ledger = told((1, 1), clock=clock)
    ledger.arrived("a", body((1, 1)))  # before the fault: not counted
    clock.now = 110.0
    ledger.sending((2, 1))
    clock.now = 113.0
    ledger.acknowledge((2, 1))
    clock.now = 125.0
    ledger.arrived("b", body((2, 1)))
    during = held_up(ledger, 105.0, 130.0, since=105.0, limit=10.0)
    assert (during.longest, during.acknowledgement, during.messages, during.beyond) == (15.0, 3.0, 1, 1)
    after = held_up(ledger, 105.0, 130.0, since=120.0, limit=10.0)
    assert (after.longest, after.beyond) == (5.0, 0)
    ledger.sending((3, 1))
    clock.now = 140.0
    assert held_up(ledger, 105.0, 130.0, since=120.0, limit=10.0).longest == 15.0  # it never arrived


def node(name: str, *lanes: str) -> NodeStatus:
    return NodeStatus(name, ("work",), "1", started_at=0, at=0, lanes=lanes)


def test_a_lane_that_two_nodes_keep_calling_theirs_is_owned_twice() -> None:
    clock = Clock()
    book = LaneBook(clock=clock)
    book.fence("send.0", 1, 1, "a")
    for _ in range(5):
        for name in "ab":
            book.heard(node(name, "send.0"))
        clock.now += 1.0
    assert book.twice == {"send.0"}
    assert book.owners() == {"send.0": ["a", "b"]}


def test_a_lane_that_changes_hands_is_not_owned_twice() -> None:
    clock = Clock()
    book = LaneBook(clock=clock)
    book.fence("send.0", 1, 1, "a")
    book.heard(node("a", "send.0"))
    for _ in range(5):  # a was stopped in the middle of a word: its last statement is old
        clock.now += 1.0
        book.heard(node("b", "send.0"))
    book.fence("send.0", 1, 2, "b")
    book.heard(node("a"))
    assert book.twice == set()
    assert book.owners() == {"send.0": ["b"]}
    assert book.moved(100.0, 110.0) == 1


def test_a_fence_that_becomes_older_is_seen() -> None:
    book = LaneBook(clock=Clock())
    book.fence("send.0", 2, 1, "a")
    book.fence("send.0", 2, 1, "a")
    assert not book.went_back
    book.fence("send.0", 1, 9, "b")
    assert book.went_back == {"send.0"}
    book.fence("jobs", 1, 3, "a")
    book.fence("jobs", 1, 3, "b")
    assert "jobs" in book.went_back


def test_a_list_of_faults_is_read_and_what_is_not_possible_is_said() -> None:
    planned = read_list("kill:work2@12, pg-fast ,disk-full")
    assert [(one.kind.name, one.target, one.at) for one in planned] == [
        ("kill", "work2", 12.0),
        ("pg-fast", "", None),
        ("disk-full", "", None),
    ]
    possible, left = split(planned, {"database"})
    assert [one.kind.name for one in possible] == ["kill", "pg-fast"]
    assert left == ["disk-full: it needs root, for a disk of PostgreSQL's own"]
    for wrong in ("earthquake", "kill@soon", " , "):
        with pytest.raises(NotAFault):
            read_list(wrong)


def test_faults_are_drawn_alike_from_one_seed_and_each_kind_comes_before_any_comes_again() -> None:
    able = {"links", "disk", "database"}
    drawn = draw_list(600.0, able, random.Random(4))
    assert drawn == draw_list(600.0, able, random.Random(4))
    each = {(kind.name, role) for kind in KINDS.values() for role in kind.roles or ("",)}
    assert len(each) == 19
    assert {(one.kind.name, one.target) for one in drawn[:19]} == each
    assert len(drawn) == 20
    assert all(not one.kind.needs for one in draw_list(200.0, set(), random.Random(4)))
    assert _MAKERS.keys() == KINDS.keys()


class Receiver:
    """A receiver that answers its name, and whether it is ready."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.ready = True

    async def health(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n" if self.ready else b"HTTP/1.1 503 No\r\n\r\n")
        writer.close()

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.readline():
            writer.write(self.name.encode() + b"\n")
        writer.close()


async def test_the_balancer_leaves_a_receiver_that_is_not_ready_and_closes_what_it_had() -> None:
    receivers = [Receiver("one"), Receiver("two")]
    servers = [await asyncio.start_server(way, "127.0.0.1", 0) for one in receivers for way in (one.take, one.health)]
    ports = [server.sockets[0].getsockname()[1] for server in servers]
    backends = [
        Backend("one", ("127.0.0.1", ports[0]), ("127.0.0.1", ports[1]), up=True),
        Backend("two", ("127.0.0.1", ports[2]), ("127.0.0.1", ports[3]), up=True),
    ]
    async with Balancer(backends).serving("127.0.0.1") as address:
        host, _, port = address.rpartition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"?\n")
        first = (await reader.readline()).strip().decode()
        by_name = {receiver.name: receiver for receiver in receivers}
        by_name[first].ready = False
        writer.write(b"?\n")
        assert (await reader.readline()).strip().decode() == first
        assert await reader.read() == b""  # the balancer closed it, once the receiver was marked down
        writer.close()
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"?\n")
        assert (await reader.readline()).strip().decode() not in {"", first}
        writer.close()
    for server in servers:
        server.close()
