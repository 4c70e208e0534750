"""The map of the flows: sources, the router, destinations, and how much goes along each edge right now.

Everything is laid out in numbers; the template writes nodes as rows of text, so that they are links for a keyboard and
a list on a telephone, and edges as curves between the rows. A side with more ends than fit shows those that need a look
and the busiest, and puts the others into one row.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from router.watch.alarms import Alarm
from router.watch.signs import SignKind
from router.web.boards import Board, FlowLine
from router.web.flow_places import href_of
from router.web.states import DOWN, MARKS, Mark, mark

ROW = 56
"""Height of a node in units of the map (pixels)."""

MOST = 12
"""Rows of a side, that of the others included."""

LEAST_ROWS = 4
"""Rows that the router itself takes."""

WIDE = 100
"""Width of the box of the edges; it is stretched to the place that there is."""

THICKEST = 10.0
SPREAD = 90.0
"""How far apart edges reach the router, in all."""

_OF_SOURCES = (SignKind.SILENCE, SignKind.ERRORS, SignKind.DRIFT)
_SILENT = Mark("amber", "triangle")


@dataclass(frozen=True, slots=True)
class Node:
    """A source, a destination, or the rest of a side (`others` of them, no `name`).

    `word` is a state of `state.flow`, or `silent`; `per_minute` the mean of the last minutes; `waiting` Deliveries that
    wait, `more` when they were too many to count; `waiting_href` leads to them.
    """

    name: str
    href: str
    mark: Mark
    word: str
    per_minute: float
    last_at: int | None = None
    waiting: int = 0
    more: bool = False
    waiting_href: str = ""
    retrying: bool = False
    failures: int = 0
    others: int = 0


@dataclass(frozen=True, slots=True)
class Edge:
    """A curve between a node and the router: SVG path data, its width, the class of its colour; whether broken."""

    path: str
    width: float
    tone: str
    broken: bool


@dataclass(frozen=True, slots=True)
class Side:
    """One side of the map."""

    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    per_minute: float


@dataclass(frozen=True, slots=True)
class FlowMap:
    """Both sides and their height."""

    sources: Side
    destinations: Side
    height: int


def flow_map(board: Board, alarms: Sequence[Alarm] = (), *, most: int = MOST) -> FlowMap:
    """Lay the map out. What is no longer configured is left to the table."""
    told = {alarm.subject: alarm.kind for alarm in alarms if alarm.kind in _OF_SOURCES and alarm.side == "source"}
    sources = [_source(line, told.get(line.status.name)) for line in board.sources if _is_here(line)]
    busy = {("source", line.status.name): line.hour for line in board.sources}
    destinations = [_destination(line) for line in board.destinations if _is_here(line)]
    busy |= {("destination", line.status.name): line.hour for line in board.destinations}
    left = _fold(sources, "source", busy, most)
    right = _fold(destinations, "destination", busy, most)
    height = ROW * max(len(left), len(right), LEAST_ROWS)
    return FlowMap(
        Side(left, _edges(left, height, inward=True), sum(node.per_minute for node in sources)),
        Side(right, _edges(right, height, inward=False), sum(node.per_minute for node in destinations)),
        height,
    )


def thickness(per_minute: float) -> float:
    """Say how thick an edge is: two units at rest, two more for every power of ten a minute."""
    return round(min(THICKEST, 2 + 2 * math.log10(1 + max(0.0, per_minute))), 1)


def _is_here(line: FlowLine) -> bool:
    return line.status.state != "removed"


def _source(line: FlowLine, told: SignKind | None) -> Node:
    found, word = mark("flow", line.status.state), line.status.state
    if line.status.paused:
        found, word = MARKS["flow"]["paused"], "paused"
    elif line.status.state not in DOWN and told is not None:
        found, word = _SILENT, "silent" if told is SignKind.SILENCE else "alarmed"
    href = href_of("source", line.status.name)
    return Node(line.status.name, href, found, word, line.per_minute, line.last_at, failures=line.failures)


def _destination(line: FlowLine) -> Node:
    found, word = mark("flow", line.status.state), line.status.state
    if line.status.paused:
        found, word = MARKS["flow"]["paused"], "paused"
    elif line.backlog.retrying and line.status.state not in DOWN:
        found, word = MARKS["flow"]["retrying"], "retrying"
    name, waits = line.status.name, line.backlog.pending
    state = "retrying" if line.backlog.retrying else "pending"
    return Node(
        name,
        href_of("destination", name),
        found,
        word,
        line.per_minute,
        line.last_at,
        waits.count.count,
        waits.count.more,
        "/deliveries?" + urlencode({"destination": name, "state": state}),
        line.backlog.retrying > 0,
        line.failures,
    )


def _fold(nodes: Sequence[Node], side: str, busy: dict[tuple[str, str], int], most: int) -> tuple[Node, ...]:
    """Keep what fits: the worst, then the busiest; those kept stay in the configuration's order, the worst before."""
    if len(nodes) <= most:
        return tuple(sorted(nodes, key=_gravity))
    ranked = sorted(nodes, key=lambda node: (_gravity(node), -busy.get((side, node.name), 0)))
    kept = {node.name for node in ranked[: most - 1]}
    shown = sorted((node for node in nodes if node.name in kept), key=_gravity)
    return (*shown, _others([node for node in nodes if node.name not in kept]))


def _others(rest: Collection[Node]) -> Node:
    worst = min(rest, key=_gravity)
    return Node(
        "",
        "/flows",
        worst.mark,
        worst.word,
        sum(node.per_minute for node in rest),
        max((node.last_at for node in rest if node.last_at is not None), default=None),
        sum(node.waiting for node in rest),
        any(node.more for node in rest),
        "/deliveries?" + urlencode({"state": "pending"}),
        any(node.retrying for node in rest),
        sum(node.failures for node in rest),
        len(rest),
    )


_TONES = ("red", "amber", "violet", "grey")


def _gravity(node: Node) -> int:
    """Say how much a node needs a look; the least number is the worst."""
    if node.mark.tone in _TONES:
        return _TONES.index(node.mark.tone)
    return len(_TONES) if node.failures else len(_TONES) + 1


def _edges(nodes: Sequence[Node], height: int, *, inward: bool) -> tuple[Edge, ...]:
    top = (height - ROW * len(nodes)) / 2 + ROW / 2
    step = min(14.0, SPREAD / max(1, len(nodes)))
    found = []
    for rank, node in enumerate(nodes):
        there = top + ROW * rank
        here = height / 2 + (rank - (len(nodes) - 1) / 2) * step
        start, end = (there, here) if inward else (here, there)
        path = f"M0 {start:.1f} C{WIDE / 2:.0f} {start:.1f} {WIDE / 2:.0f} {end:.1f} {WIDE} {end:.1f}"
        tone = node.mark.tone
        if tone in {"green", "blue"}:
            tone = "on" if node.per_minute > 0 else "idle"
        found.append(
            Edge(path, thickness(node.per_minute), tone, broken=tone in {"red", "grey"} or node.word == "silent")
        )
    return tuple(found)
