"""`/metrics`: what Prometheus reads is what the overview says, and nothing of a patient."""

from __future__ import annotations

import json
import re
from pathlib import Path
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


async def test_every_query_of_the_grafana_board_names_a_figure_that_is_exposed(site: Any) -> None:
    board = json.loads((Path(__file__).parents[2] / "docs/operations/grafana-board.json").read_text(encoding="utf-8"))
    answer = await site.browser().get("/metrics", authorization=f"Bearer {site.journal.key}")
    exposed = {
        sample: frozenset(labels)
        for family in text_string_to_metric_families(answer.text)
        for sample, labels in [(one.name, one.labels) for one in family.samples] or [(family.name, {})]
    }
    declared = set(re.findall(r"^# TYPE (\S+)", answer.text, re.MULTILINE))
    queries = [(target["expr"], target["legendFormat"]) for panel in board["panels"] for target in panel["targets"]]
    assert len(queries) > 15
    for query, legend in queries:
        names = re.findall(r"\bpasserelle_\w+", query)
        assert names, query
        for name in names:
            assert name in declared, f"{name} is not exposed"
            labels = re.findall(r"\{\{(\w+)\}\}", legend)
            if exposed.get(name):
                assert set(labels) <= exposed[name], f"{name} has no label {labels}"
