"""Nodes of a cluster that fall silent: one alarm each, none for who said that it stops."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from web_journal import Journal, open_journal

from router.cli.base import run
from router.cluster.contracts import NodeStatus
from router.config.model import WatchSection
from router.engine.clock import micros
from router.watch.alarms import Alarm, open_alarms, past_alarms
from router.watch.nodes import Heard, forget_node, known_nodes, note_leaving
from router.watch.telling import Teller
from router.watch.watching import Watching

PARIS = ZoneInfo("Europe/Paris")
ROLES = {"recoit1": ("receive",), "recoit2": ("receive",), "travail1": ("work",), "travail2": ("work",)}


@dataclass
class Cluster:
    """What one node hears of the others, and the watch that it runs."""

    journal: Journal
    at: datetime = datetime(2026, 11, 24, 9, 40, tzinfo=UTC)
    nodes: dict[str, NodeStatus] = field(default_factory=dict)
    heard: dict[str, Heard] = field(default_factory=dict)

    def hear(self) -> dict[str, Heard]:
        silent = {name: replace(one, is_there=False) for name, one in self.heard.items()}
        self.heard = silent | {name: Heard(one, micros(self.at), is_there=True) for name, one in self.nodes.items()}
        return self.heard

    def begin(self, name: str) -> NodeStatus:
        self.nodes[name] = NodeStatus(name, ROLES[name], "1", micros(self.at), micros(self.at))
        return self.nodes[name]

    def forward(self, minutes: float) -> None:
        self.at += timedelta(minutes=minutes)

    def watch(self, **section: float) -> Watching:
        """Begin to watch, as a node does that takes over what runs once."""
        chosen, troubles = WatchSection.model_validate(section), list[str]()
        teller, store, submit = Teller(chosen, zone=PARIS), self.journal.store, self.journal.submit
        return Watching(store, submit, chosen, list, teller, PARIS, lambda: self.at, troubles.append, self.hear)

    @property
    def alarms(self) -> list[Alarm]:
        with self.journal.store.reading() as connection:
            return open_alarms(connection)

    def lines(self, language: str) -> list[str]:
        teller = Teller(WatchSection.model_validate({"language": language}), zone=PARIS)
        return [line.replace("\u202f", " ").replace("\u00a0", " ") for line in teller.lines(self.alarms, self.at)]


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    journal = open_journal(tmp_path)
    made = Cluster(journal)
    for name in ROLES:
        made.begin(name)
    yield made
    journal.store.close()


async def test_a_node_that_vanished_is_told_of_until_it_is_back_whoever_watches(cluster: Cluster) -> None:
    watch = cluster.watch()
    await watch.run()
    del cluster.nodes["travail2"]
    for minutes in (1, 3.5):
        cluster.forward(minutes)
        await watch.run()
        assert cluster.alarms == []
    cluster.forward(0.5)
    await watch.run()
    (alarm,) = cluster.alarms
    assert (alarm.kind.value, alarm.subject) == ("node", "travail2")
    (said,) = cluster.lines("fr")
    assert said == (
        "Le nœud travail2 (traitement) se tait depuis 5 min, sans avoir annoncé son arrêt. Il ne reste qu’un nœud de "
        "traitement. Vérifiez que sa machine tourne et joint NATS, puis redémarrez-le ; s’il ne reviendra pas, "
        "dites-le sur la page des alarmes."
    )
    (said,) = cluster.lines("en")
    assert said == (
        "The node travail2 (working) is silent for 5 min, and has not said that it stops. Only one node that works is "
        "left. Look whether its machine runs and reaches NATS, and start it again; if it will not come back, say so on "
        "the page of alarms."
    )
    # Another node takes over, which has never heard of it: the alarm goes on, and is not told anew.
    cluster.heard.clear()
    other = cluster.watch()
    await other.run()
    assert [one.id for one in cluster.alarms] == [alarm.id]
    cluster.begin("travail2")
    await other.run()
    assert cluster.alarms == []


async def test_a_node_that_stops_in_good_order_raises_nothing(cluster: Cluster) -> None:
    watch = cluster.watch()
    await watch.run()
    await cluster.journal.submit(note_leaving(cluster.nodes["recoit1"], micros(cluster.at)))
    await watch.run()  # it is still heard while it ends
    del cluster.nodes["recoit1"]
    cluster.forward(60)
    await watch.run()
    assert cluster.alarms == []
    # Begun again, it is expected again; what stopped long ago is forgotten.
    cluster.begin("recoit1")
    await watch.run()
    await cluster.journal.submit(note_leaving(cluster.nodes.pop("recoit2"), micros(cluster.at)))
    del cluster.nodes["recoit1"]
    cluster.forward(25 * 60)
    await watch.run()
    assert [(one.subject, one.facts["receive"]) for one in cluster.alarms] == [("recoit1", 0)]
    assert "Il ne reste aucun nœud de réception." in cluster.lines("fr")[0]
    with cluster.journal.store.reading() as connection:
        assert sorted(known_nodes(connection)) == ["recoit1", "travail1", "travail2"]


async def test_who_only_begins_to_listen_takes_nobody_for_silent(cluster: Cluster) -> None:
    await cluster.watch().run()
    there = dict(cluster.nodes)
    cluster.nodes = {"travail1": there["travail1"]}
    cluster.forward(20)
    later = cluster.watch()  # NATS was away for 20 minutes: the others are heard again one after the other
    await later.run()
    assert cluster.alarms == []
    cluster.nodes = {name: one for name, one in there.items() if name != "recoit1"}
    cluster.forward(1)
    await later.run()
    assert [one.subject for one in cluster.alarms] == ["recoit1"]
    never = cluster.watch(node_minutes=0)
    await never.run()
    assert cluster.alarms == []


async def test_a_node_that_will_not_come_back_is_forgotten(
    cluster: Cluster, capsys: pytest.CaptureFixture[str]
) -> None:
    watch = cluster.watch()
    await watch.run()
    gone = [cluster.nodes.pop(name) for name in ("travail2", "recoit2")]
    cluster.forward(6)
    await watch.run()
    first, second = cluster.alarms
    assert await cluster.journal.submit(forget_node(first.id, actor="admin", now=micros(cluster.at)))
    assert not await cluster.journal.submit(forget_node(first.id, actor="admin", now=micros(cluster.at)))
    await watch.run()
    assert [one.id for one in cluster.alarms] == [second.id]
    folder = cluster.journal.store.place.data
    (folder / "passerelle.toml").write_text('[journal]\ndata = "."\n')
    assert run(["alarms", "--config", str(folder), "--forget", second.subject]) == 0
    assert "No alarm." in capsys.readouterr().out
    assert run(["alarms", "--config", str(folder), "--forget", second.subject]) == 2
    assert "no alarm goes on about a node" in capsys.readouterr().err
    with cluster.journal.store.reading() as connection:
        assert len(past_alarms(connection)) == 2
        assert sorted(known_nodes(connection)) == ["recoit1", "travail1"]
    # It was only cut off: heard again, it is one of them again.
    cluster.nodes[gone[0].name] = gone[0]
    await watch.run()
    with cluster.journal.store.reading() as connection:
        assert gone[0].name in known_nodes(connection)
