"""`/metrics`: what Prometheus reads is what the overview says, and nothing of a patient."""

from __future__ import annotations

from typing import Any

from prometheus_client.parser import text_string_to_metric_families
from web_journal import FAMILIES

from router.web.context import FlowStatus


async def test_a_scraper_needs_a_key(site: Any) -> None:
    answer = await site.browser().get("/metrics")
    assert answer.status == 401
    assert answer.headers["www-authenticate"] == "Bearer"


async def test_figures_are_those_of_the_journal(site: Any) -> None:
    site.flows.append(FlowStatus("labo-sud", "source", "mllp", "listening"))
    site.flows.append(FlowStatus("spico", "destination", "fhir", "unreachable"))
    answer = await site.browser().get("/metrics", authorization=f"Bearer {site.journal.key}")
    assert answer.status == 200
    families = {one.name: one for one in text_string_to_metric_families(answer.text)}
    (total,) = families["passerelle_messages"].samples
    assert total.value == site.value("SELECT max(id) FROM message")
    (held,) = families["passerelle_items_held"].samples
    assert held.value == site.value("SELECT count(*) FROM item WHERE state = 'held'")
    ups = {
        tuple(one.labels.values()): one.value
        for name in ("passerelle_source_up", "passerelle_destination_up")
        for one in families[name].samples
    }
    assert (ups["labo-sud",], ups["spico",]) == (1.0, 0.0)
    backlog = {one.labels["destination"]: one.value for one in families["passerelle_backlog"].samples}
    waiting = site.value(
        "SELECT count(*) FROM delivery WHERE state IN ('pending', 'retrying') AND destination = 'spico'"
    )
    assert backlog["spico"] == waiting
    assert not any(family in answer.text for family in FAMILIES)
