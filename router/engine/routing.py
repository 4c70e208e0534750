"""Which routes take an Item, and so which destinations: conditions put to what they may look at."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from router.engine.conditions import ConditionFault, holds
from router.engine.plan import RoutePlan
from schemas.item import ITEM, Item, ReceiptItem


def looks_into_content(routes: Iterable[RoutePlan]) -> bool:
    """Say whether any condition looks at more of an Item than its head."""
    return any("content" in route.when or "item.patient" in route.when for route in routes)


def item_view(item: Item, *, whole: bool) -> dict[str, Any]:
    """Give an Item as conditions see it, its head alone unless they look further."""
    if whole:
        dumped: dict[str, Any] = ITEM.dump_python(item, mode="json")
        return dumped
    sender = item.sender.name if item.sender is not None else None
    return {
        "id": item.id,
        "kind": item.kind,
        "occurred_at": item.occurred_at,
        "replaces": item.replaces,
        "sender": {"name": sender},
        "source": {"format": item.source.format},
    }


def patient_view(*, known: bool, in_coordination: bool) -> dict[str, bool]:
    """Give a patient as conditions see one."""
    return {"known": known, "in_coordination": in_coordination}


def routes_of(
    routes: Iterable[RoutePlan], item: Item, source: str, variables: Mapping[str, Any], *, attached: bool
) -> tuple[dict[str, bool | str], dict[str, RoutePlan]]:
    """Give what each route says (or why its condition fails), and the first route to each destination."""
    verdicts: dict[str, bool | str] = {}
    chosen: dict[str, RoutePlan] = {}
    for route in routes:
        if route.sources and source not in route.sources:
            continue
        if not attached and not route.unattached and not isinstance(item, ReceiptItem):
            continue
        try:
            verdict = holds(route.when, variables)
        except ConditionFault as fault:
            verdicts[route.name] = str(fault)
            continue
        verdicts[route.name] = verdict
        if verdict:
            for destination in route.to:
                chosen.setdefault(destination, route)
    return verdicts, chosen
