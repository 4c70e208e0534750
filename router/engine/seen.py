"""How sources and destinations are doing on several nodes, shown as one router's."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from router.cluster.contracts import NodeFlow, NodeStatus
from router.engine.clock import micros, moment
from router.web.context import FlowStatus

ELSEWHERE = "standby"
"""State of a source that another node goes and gets from; a connector says it too of what it holds in reserve."""

NOBODY = "stopped"
"""State of what no node that was heard is doing."""

TROUBLED = ("failed", "refused", "degraded", "unreachable")
"""States that are shown before any other, the worst first."""


def flow_of(status: FlowStatus) -> NodeFlow:
    """Say of one source or destination what the others may know; what a partner answered stays here."""
    return NodeFlow(
        side=status.side,
        name=status.name,
        connector=status.connector,
        state=status.state,
        detail=status.detail,
        address=status.address,
        format=status.format,
        paused=status.paused,
        since=None if status.since is None else micros(status.since),
        in_flight=status.in_flight,
        last_failure_at=status.last_failure_at,
        figures=dict(status.figures),
    )


def together(known: Sequence[FlowStatus], own: Sequence[FlowStatus], others: Iterable[NodeStatus]) -> list[FlowStatus]:
    """Give what this node knows of its configuration, as it is doing on all nodes: `own` is what it does itself.

    Numbers are added up, and where they do not agree the state that is worst is shown, with the node that is in it.
    """
    told: dict[tuple[str, str], list[tuple[str, NodeFlow]]] = {}
    for one in own:
        told.setdefault((one.side, one.name), []).append(("", flow_of(one)))
    for node in others:
        for flow in node.flows:
            told.setdefault((flow.side, flow.name), []).append((node.name, flow))
    return [_shown(one, told.get((one.side, one.name), [])) for one in known]


def _shown(status: FlowStatus, told: list[tuple[str, NodeFlow]]) -> FlowStatus:
    here = [(node, flow) for node, flow in told if flow.state != ELSEWHERE]
    if not here:
        return status if status.paused else replace(status, state=NOBODY, detail="no node has it")
    node, worst = min(here, key=lambda one: _rank(one[1].state))
    detail = f"{node}: {worst.detail}" if node and worst.detail else worst.detail
    addresses = dict.fromkeys(flow.address for _, flow in here if flow.address)
    since = [flow.since for _, flow in here if flow.since is not None]
    failures = [flow.last_failure_at for _, flow in here if flow.last_failure_at is not None]
    return replace(
        status,
        state=worst.state,
        detail=detail,
        address=", ".join(addresses),
        since=moment(max(since)) if since else None,
        in_flight=sum(flow.in_flight for _, flow in here),
        last_failure_at=max(failures) if failures else None,
        figures=_added(flow.figures for _, flow in here),
    )


def _rank(state: str) -> int:
    return TROUBLED.index(state) if state in TROUBLED else len(TROUBLED)


def _added(figures: Iterable[Mapping[str, int | float | str]]) -> dict[str, int | float | str]:
    added: dict[str, int | float | str] = {}
    for one in figures:
        for name, value in one.items():
            former = added.get(name, 0)
            added[name] = value if isinstance(value, str) or isinstance(former, str) else former + value
    return added
