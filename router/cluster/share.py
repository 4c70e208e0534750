"""How many lanes of a kind are a node's share: an even part of those wanted, among the nodes that can work on them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence

from router.cluster.contracts import NodeStatus
from router.cluster.tokens import kind_of

ROLE_OF_KIND = {"read": "work", "send": "work", "jobs": "work", "poll": "receive"}


def shares(wanted: Collection[str], nodes: Sequence[NodeStatus], own: str) -> dict[str, int]:
    """Give this node's share by kind. A node that says it is in trouble has none, unless it is alone.

    Shares are rounded up: together they are never less than there are lanes, so that none stays without a node.
    """
    counts = Counter(kind_of(lane) for lane in wanted)
    given: dict[str, int] = {}
    for kind, count in counts.items():
        able = {node.name for node in nodes if ROLE_OF_KIND.get(kind, "") in node.roles and not node.trouble}
        if own not in able and able:
            given[kind] = 0
            continue
        given[kind] = -(-count // max(1, len(able)))
    return given
