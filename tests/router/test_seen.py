"""Flows of several nodes, shown as one router's."""

from __future__ import annotations

from dataclasses import replace

from router.cluster.contracts import NodeFlow, NodeStatus
from router.engine.seen import ELSEWHERE, flow_of, together
from router.web.context import FlowStatus

LABO = FlowStatus("labo", "source", "mllp", "listening", address="nord:2575", figures={"received": 3, "box": "app"})
DEPOT = FlowStatus("depot", "source", "directory", ELSEWHERE)
TOOL = FlowStatus("tool", "destination", "fhir", "ready", in_flight=2, last_failure="what a partner said")


def node(name: str, *flows: NodeFlow) -> NodeStatus:
    return NodeStatus(name, ("receive", "work"), "1", 0, 0, flows=flows)


def test_numbers_are_added_and_the_worst_state_is_shown_with_its_node() -> None:
    other = node(
        "sud",
        replace(flow_of(LABO), state="failed", detail="port taken", address="sud:2575"),
        replace(flow_of(TOOL), in_flight=5),
        replace(flow_of(DEPOT), state="watching"),
    )
    labo, depot, tool = together([LABO, DEPOT, TOOL], [LABO, DEPOT, TOOL], [other])
    assert (labo.state, labo.detail, labo.address) == ("failed", "sud: port taken", "nord:2575, sud:2575")
    assert labo.figures == {"received": 6, "box": "app"}
    assert (depot.state, tool.state, tool.in_flight) == ("watching", "ready", 7)


def test_what_no_node_does_is_said_to_be_stopped_unless_a_person_paused_it() -> None:
    paused = replace(LABO, state="paused", paused=True)
    depot, labo, tool = together([DEPOT, paused, TOOL], [DEPOT, paused], [])
    assert (depot.state, labo.state, tool.state) == ("stopped", "paused", "stopped")


def test_what_a_partner_said_stays_on_its_node() -> None:
    assert b"what a partner said" not in node("nord", flow_of(TOOL)).to_json()
