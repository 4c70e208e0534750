"""The faults of a campaign: what they are called, what they need, and when they come.

TrialFault
  NotAFault     a list of faults that cannot be read: one sentence
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from router.trial.process import TrialFault


class NotAFault(TrialFault):
    """The list names something that is no fault, or a time that is none."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of fault.

    `lasts` is seconds from its begin to its end. `outage` says that a part that exists once is away: the cluster is
    expected to go on from the end; else it must go on from the begin. `roles` are those of the nodes that it can hit,
    none where it hits something else. `needs` is what it takes: `links` (network
    namespaces), `disk` (a file system of PostgreSQL's own), `database` (a PostgreSQL that the harness runs).
    """

    name: str
    sentence: str
    lasts: float
    outage: bool = False
    needs: frozenset[str] = frozenset()
    roles: tuple[str, ...] = ()


NODES = ("work", "receive")
"""The roles of nodes that messages go through."""

KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind("kill", "a node is killed (SIGKILL), and started again", 10.0, roles=NODES),
        Kind("freeze", "a node stops (SIGSTOP), and goes on as though nothing had been", 15.0, roles=NODES),
        Kind(
            "freeze-writing",
            "a node stops (SIGSTOP) while it holds the journal's write lock, and goes on",
            15.0,
            needs=frozenset({"links", "database"}),
            roles=NODES,
        ),
        Kind("cut", "a node's link is cut, and mended", 15.0, needs=frozenset({"links"}), roles=NODES),
        Kind(
            "cut-writing",
            "a node's link is cut while it holds the journal's write lock, and mended",
            15.0,
            needs=frozenset({"links", "database"}),
            roles=NODES,
        ),
        Kind("cut-nats", "one NATS server's link is cut, and mended", 12.0, needs=frozenset({"links"})),
        Kind("kill-leader", "the NATS server that leads the lanes is killed, and started again", 10.0),
        Kind("pg-fast", "PostgreSQL restarts (fast)", 0.0, outage=True, needs=frozenset({"database"})),
        Kind("pg-immediate", "PostgreSQL restarts (immediate)", 0.0, outage=True, needs=frozenset({"database"})),
        Kind("disk-full", "PostgreSQL's disk is full, and has room again", 8.0, outage=True, needs=frozenset({"disk"})),
        Kind("skew", "a node comes back with its wall clock an hour ahead, then with the right one", 15.0, roles=NODES),
        Kind("slow", "a node's link is slow, and quick again", 15.0, needs=frozenset({"links"}), roles=NODES),
    )
}
"""Every kind of fault, in the order in which a campaign without a list makes them."""

SLOT = 30.0
"""Seconds that one fault takes with its end and the calm after it, when nothing is wrong."""


@dataclass(frozen=True, slots=True)
class Planned:
    """One fault to come: its kind, the host or role that it hits (empty: drawn), its second of the load or None."""

    kind: Kind
    target: str = ""
    at: float | None = None


def read_list(text: str) -> list[Planned]:
    """Read `KIND[:HOST or role][@SECOND],…`; raises NotAFault."""
    found = []
    for word in filter(None, (part.strip() for part in text.split(","))):
        what, marked, second = word.partition("@")
        name, _, target = what.partition(":")
        if name not in KINDS:
            raise NotAFault(f"there is no fault `{name}`; there are {', '.join(KINDS)}")
        try:
            at = float(second) if marked else None
        except ValueError:
            raise NotAFault(f"`{second}` in `{word}` is not a number of seconds") from None
        found.append(Planned(KINDS[name], target, at))
    if not found:
        raise NotAFault(f"name at least one fault: {', '.join(KINDS)}")
    return found


def draw_list(seconds: float, able: Iterable[str], draw: random.Random) -> list[Planned]:
    """Draw as many faults as fit into `seconds`: every kind that is possible, on a node of each role that it can hit.

    They come in a drawn order, and all of them once before any comes again.
    """
    possible = [kind for kind in KINDS.values() if kind.needs <= set(able)]
    each = [Planned(kind, role) for kind in possible for role in kind.roles or ("",)]
    count = max(1, int(seconds / SLOT))
    drawn: list[Planned] = []
    while len(drawn) < count:
        drawn += draw.sample(each, len(each))
    return drawn[:count]


def split(planned: Sequence[Planned], able: Iterable[str]) -> tuple[list[Planned], list[str]]:
    """Part what is possible here from what is not; of the latter, say why, one sentence each."""
    there = set(able)
    wants = {
        "links": "it needs network namespaces",
        "disk": "it needs root, for a disk of PostgreSQL's own",
        "database": "PostgreSQL is not run by the harness",
    }
    possible = [one for one in planned if one.kind.needs <= there]
    left = [
        f"{one.kind.name}: {', '.join(wants[need] for need in sorted(one.kind.needs - there))}"
        for one in planned
        if not one.kind.needs <= there
    ]
    return possible, left
