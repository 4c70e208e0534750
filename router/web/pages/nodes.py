"""The nodes of a cluster: who is there, in which roles, and who works on what."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from fastapi import APIRouter
from fastapi.responses import Response

from router.cluster.contracts import JOBS, POLL, READ, SEND, NodeStatus
from router.journal.view import View
from router.watch.nodes import known_nodes
from router.web.access import Looking, Office
from router.web.answers import Values, page
from router.web.context import FlowStatus
from router.web.faults import NotThere

router = APIRouter()

NAMED = 8
"""Lanes without an owner that are named; of the others it is said how many there are."""


@dataclass(frozen=True, slots=True)
class NodeLine:
    """A node and its lanes: sources that it reads and picks up, how many send lanes it has, whether it has the jobs."""

    status: NodeStatus
    reads: tuple[str, ...]
    polls: tuple[str, ...]
    sends: int
    has_jobs: bool
    in_flight: int
    is_older: bool


@router.get("/nodes")
async def nodes(desk: Office, visit: Looking) -> Response:
    """Show them."""
    heard = desk.context.nodes
    if heard is None:
        raise NotThere

    def ask(view: View) -> Values:
        found = heard()
        loaded = desk.context.loaded() if desk.context.loaded is not None else None
        section = loaded.configuration.cluster if loaded is not None else None
        lanes = section.lanes if section is not None else 0
        left = unowned(found, desk.context.flows(), lanes)
        return {
            "nodes": [_line(one, found) for one in found],
            "here": section.node if section is not None else "",
            "lanes": lanes,
            "missing": _missing(view, found),
            "unowned": left[:NAMED],
            "more": max(0, len(left) - NAMED),
            "refresh": "/nodes",
        }

    return await page(desk, visit, "nodes.html", ask)


def _missing(view: View, nodes: Sequence[NodeStatus]) -> list[tuple[str, int]]:
    """Give those who were there, are not heard any more and have not said that they stop, with when they last were."""
    names = {node.name for node in nodes}
    known = known_nodes(view.connection)
    return [(name, one.heard_at) for name, one in sorted(known.items()) if not one.left and name not in names]


def _line(node: NodeStatus, nodes: Sequence[NodeStatus]) -> NodeLine:
    newest = max((one.configuration or 0 for one in nodes), default=0)
    return NodeLine(
        node,
        _after(READ, node.lanes),
        _after(POLL, node.lanes),
        len(_after(SEND, node.lanes)),
        JOBS in node.lanes,
        sum(flow.in_flight for flow in node.flows),
        (node.configuration or newest) < newest,
    )


def _after(prefix: str, lanes: Iterable[str]) -> tuple[str, ...]:
    return tuple(lane.removeprefix(prefix) for lane in lanes if lane.startswith(prefix))


def unowned(nodes: Iterable[NodeStatus], flows: Iterable[FlowStatus], lanes: int) -> list[str]:
    """Give the lanes on which nobody works that was heard: of reading, of sending, and the jobs."""
    wanted = [f"{READ}{flow.name}" for flow in flows if flow.side == "source"]
    wanted += [f"{SEND}{number}" for number in range(lanes)]
    owned = {lane for node in nodes for lane in node.lanes}
    return [lane for lane in (*wanted, JOBS) if lane not in owned]
