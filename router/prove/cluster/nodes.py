"""The routers of a cluster: one folder and one `passerelle serve --role` each, all with the same configuration."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from connectors.sandbox.people import Person
from router.prove.cluster.database import Database
from router.prove.cluster.hosts import Host, Network
from router.prove.cluster.queues import Queues
from router.prove.cluster.running import Running
from router.prove.coordination import laboratory_to_dossier
from router.trial.folder import make_folder, register
from router.trial.patience import Patience
from router.trial.process import Listening, RouterDidNotStart, command

MLLP, WEB = 2575, 8080


@dataclass(frozen=True, slots=True)
class Settings:
    """What all nodes are told: the receiving tool, how many send lanes there are, worker processes of each."""

    fhir_url: str
    send_lanes: int = 8
    workers: int = 0


def configuration(settings: Settings, journal: str, queues: Queues) -> str:
    """Write the configuration of every node: what differs between them comes from the environment."""
    return f"""\
[journal]
url = "{journal}"
blobs = "database"

[cluster]
servers = {json.dumps(queues.urls)}
name = "${{NODE_NAME}}"
lanes = {settings.send_lanes}
user = "{queues.user}"
password = "${{NODE_NATS_PASSWORD}}"

[engine]
workers = {settings.workers}

[web]
listen = "${{NODE_WEB}}"

{laboratory_to_dossier("${NODE_MLLP}", settings.fhir_url, max_attempts=200)}"""


class Node:
    """One router: its role, its host, its process."""

    def __init__(self, network: Network, folder: Path, name: str, role: str, *, secret: str) -> None:
        self.name = name
        self.role = role
        self.host: Host = network.host(name)
        self.web_address = (self.host.address, network.port(self.host, WEB))
        self.mllp_port = network.port(self.host, MLLP)
        self.folder = folder / name
        self.process = Running(name, self.host, self.folder / "serve.log")
        self._secret = secret
        self._ready_file = self.folder / "ready.json"

    @property
    def works(self) -> bool:
        """Whether messages go through it."""
        return self.role != "web"

    @property
    def web(self) -> str:
        """Where its dashboard or health answers."""
        return "http://{}:{}".format(*self.web_address)

    @property
    def environment(self) -> dict[str, str]:
        """What this node is told that the others are not."""
        return {
            "NODE_NAME": self.name,
            "NODE_WEB": "{}:{}".format(*self.web_address),
            "NODE_MLLP": f"{self.host.address}:{self.mllp_port}",
            "NODE_NATS_PASSWORD": self._secret,
            "PYTHONFAULTHANDLER": "1",
        }

    def start(self, *, skew: float = 0.0) -> None:
        """Start it, without waiting; `skew` puts its wall clock so many seconds ahead."""
        self._ready_file.unlink(missing_ok=True)
        arguments = ["serve", "--role", self.role, "--config", str(self.folder), "--ready-file", str(self._ready_file)]
        skewed = [sys.executable, "-m", "router.prove.cluster.skewed", str(skew), *arguments]
        self.process.start(skewed if skew else command(*arguments), environment=self.environment)

    async def listening(self, seconds: float = 90.0) -> Listening:
        """Wait until it listens; raises RouterDidNotStart."""
        patience = Patience(seconds)
        while not self._ready_file.exists():
            if not self.process.alive:
                raise RouterDidNotStart(f"{self.name} ended with {self.process.status}: {self.process.last_words()}")
            if patience.ended:
                raise RouterDidNotStart(
                    f"{self.name} did not listen within {seconds:.0f} s: {self.process.last_words()}"
                )
            await asyncio.sleep(0.05)
        said = json.loads(self._ready_file.read_bytes())
        return Listening(pid=int(said["pid"]), web=str(said.get("web") or ""), sources=dict(said.get("sources") or {}))


def furnish(nodes: list[Node], text: str, journal: str, people: list[Person], password: str | None = None) -> None:
    """Make every node's folder: the first by `passerelle init`, which makes the journal; the others get its key.

    Raises TrialFault.
    """
    first = nodes[0]
    variables = first.environment
    # `init` and `patients` are commands of one node: they read its configuration, hence its environment.
    os.environ.update(variables)
    try:
        make_folder(first.folder, text, url=journal, password=password)
        register(first.folder, people)
    finally:
        for name in variables:
            os.environ.pop(name, None)
    key = first.folder / "data" / "journal.key"
    for node in nodes[1:]:
        (node.folder / "data").mkdir(parents=True, exist_ok=True)
        shutil.copy2(key, node.folder / "data" / "journal.key")
        (node.folder / "passerelle.toml").write_text(text, encoding="utf-8")


@dataclass(slots=True)
class Cluster:
    """Everything that runs, for the faults to hit. `database` is None where the harness does not run it."""

    network: Network
    queues: Queues
    database: Database | None
    nodes: list[Node]

    def node(self, name: str) -> Node:
        """Find a node by its name; raises RouterDidNotStart when there is none."""
        for node in self.nodes:
            if node.name == name:
                return node
        raise RouterDidNotStart(f"there is no node {name}; there are {', '.join(one.name for one in self.nodes)}")
