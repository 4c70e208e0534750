"""A cluster that is set up: queues, database, routers, the balancer before them, and the watch over their lanes."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import psycopg
from sqlalchemy.engine import make_url

from connectors.sandbox.people import Person
from router.journal.store import JournalPlace
from router.prove.accounting import states
from router.prove.cluster.balancer import Backend, Balancer
from router.prove.cluster.database import Database
from router.prove.cluster.hosts import Network
from router.prove.cluster.nodes import Cluster, Node, Settings, configuration, furnish
from router.prove.cluster.queues import Queues
from router.prove.cluster.watch import LaneBook, watching
from router.prove.receiver import UnreliableReceiver
from router.trial.process import TrialFault

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Cast:
    """Who takes part: each node's name and role, how many send lanes there are, whom the dossier follows.

    `postgres` is the URL of an empty database to use; empty, a PostgreSQL is run. `password` is the administrator's of
    the dashboards, `web` the address and port (0: any) of the first node's; None leaves each to chance.
    """

    nodes: Sequence[tuple[str, str]]
    people: Sequence[Person]
    send_lanes: int = 8
    postgres: str = ""
    password: str | None = None
    web: tuple[str, int] | None = None


@dataclass(frozen=True, slots=True)
class Stage:
    """What was set up. `address` is where senders send to: the balancer."""

    cluster: Cluster
    backends: list[Backend]
    address: str
    book: LaneBook
    url: str
    send_lanes: int

    @property
    def place(self) -> JournalPlace:
        """Where the journal is, with the first node's key."""
        return JournalPlace.at(self.cluster.nodes[0].folder / "data", self.url)

    @property
    def all_owned(self) -> bool:
        """Whether each lane is called his by exactly one node now."""
        owners = self.book.owners()
        return len(owners) > self.send_lanes and all(len(names) == 1 for names in owners.values())


async def furnish_places(stack: AsyncExitStack, network: Network, folder: Path, cast: Cast, say: Say) -> Cluster:
    """Start queues and database, and make ready the nodes; all of it ends with the stack. Raises TrialFault."""
    say("three NATS servers" + ("" if cast.postgres else " and a PostgreSQL"))
    queues = Queues(network, folder)
    stack.callback(queues.stop_all)
    queues.start_all()
    database: Database | None = None
    if not cast.postgres:
        database = Database(network, folder, disk=os.geteuid() == 0)
        stack.callback(database.remove)
        database.make()
    await queues.ready()
    nodes = [Node(network, folder, name, role, secret=queues.password) for name, role in cast.nodes]
    if cast.web is not None:
        nodes[0].web_address = (cast.web[0], cast.web[1] or nodes[0].web_address[1])
    return Cluster(network, queues, database, nodes)


async def set_up(
    stack: AsyncExitStack, cluster: Cluster, cast: Cast, receiver: UnreliableReceiver, book: LaneBook, say: Say
) -> Stage:
    """Start the routers and what is around them, and wait until every lane has its owner. Raises TrialFault."""
    outside = cluster.network.outside.address
    url = cast.postgres if cluster.database is None else cluster.database.url
    fhir = await stack.enter_async_context(receiver.serving(outside))
    text = configuration(Settings(fhir, cast.send_lanes), url, cluster.queues)
    say(f"{len(cluster.nodes)} routers: {', '.join(node.name for node in cluster.nodes)}")
    furnish(cluster.nodes, text, url, list(cast.people), cast.password)
    if sum(states(JournalPlace.at(cluster.nodes[0].folder / "data", url), "message").values()):
        raise TrialFault("the journal already holds messages: give an empty database")
    for node in cluster.nodes:
        stack.callback(node.process.kill)
        node.start()
    for node in cluster.nodes:
        await node.listening()
    queues = cluster.queues
    await stack.enter_async_context(watching(book, lambda: connect(url), queues.urls, queues.user, queues.password))
    balancer = Balancer(
        [
            Backend(node.name, (node.host.address, node.mllp_port), node.web_address)
            for node in cluster.nodes
            if node.role in {"receive", "all"}
        ]
    )
    address = await stack.enter_async_context(balancer.serving(outside))
    return Stage(cluster, balancer.backends, address, book, url, cast.send_lanes)


def connect(url: str) -> psycopg.Connection[tuple[object, ...]]:
    """Connect to the journal's database, apart from the routers; raises psycopg.Error."""
    plain = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    return psycopg.connect(plain, connect_timeout=2, autocommit=True)
