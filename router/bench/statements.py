"""What every page of the dashboard asks of the journal: each statement, how long it took, and how it was carried out.

The application is called in this process, without a network; on PostgreSQL each statement is explained on the spot,
with what it had to read. A page is quick for ever if what its statements read does not grow with the journal.
"""

from __future__ import annotations

import re
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar

import httpx
from sqlalchemy import Connection, event

from router.bench.addresses import SEARCHES, addresses, searches
from router.journal.operations import Operation
from router.journal.store import Store
from router.journal.unit import Unit
from router.trial.process import TrialFault
from router.web.accounts import create_account
from router.web.app import create_app
from router.web.context import FlowStatus, RouteStatus, WebContext
from router.web.rights import Role
from router.web.sessions import start_session

R = TypeVar("R")

FLOWS = (
    FlowStatus("labo-sud", "source", "mllp", "listening"),
    FlowStatus("hopital", "source", "mllp", "listening"),
    FlowStatus("boite", "source", "directory", "ready", format="mail"),
    FlowStatus("spico", "destination", "fhir", "ready"),
    FlowStatus("medecin", "destination", "directory", "ready", format="fhir"),
    FlowStatus("partage", "destination", "pdsm", "ready", format="pdsm"),
)
SOMEBODY = "banc"
_SCANS = {"Seq Scan", "Parallel Seq Scan"}


@dataclass(frozen=True, slots=True)
class Reading:
    """How PostgreSQL carried a statement out.

    `blocks` of 8 kB were looked at, in memory or on the disk; `rows` came from tables and indexes, those included that
    a condition then left out; `scanned` are the tables that were read from end to end.
    """

    blocks: int
    rows: int
    scanned: tuple[str, ...]
    indexes: tuple[str, ...]
    expected_cost: float


@dataclass(frozen=True, slots=True)
class Asked:
    """One statement of one page; `seconds` as the page waited for it, `reading` on PostgreSQL only."""

    page: str
    statement: str
    seconds: float
    reading: Reading | None = None

    @property
    def shape(self) -> str:
        """The statement without its numbers: the same for the same question."""
        return re.sub(r"\s+", " ", re.sub(r"%\(\w+\)s(::\w+)?|\b\d+\b|\?", "?", self.statement)).strip()


@dataclass(slots=True)
class Witness:
    """Sees the statements that a journal is asked. `page` names whose they are."""

    store: Store
    page: str = ""
    asked: list[Asked] = field(default_factory=list)
    _explaining: bool = False

    @contextmanager
    def watching(self) -> Iterator[None]:
        """See every statement until the end."""
        engine = self.store.engine
        event.listen(engine, "before_cursor_execute", self._before)
        event.listen(engine, "after_cursor_execute", self._after)
        try:
            yield
        finally:
            event.remove(engine, "before_cursor_execute", self._before)
            event.remove(engine, "after_cursor_execute", self._after)

    def _before(
        self, _connection: Connection, _cursor: Any, _statement: str, _values: Any, context: Any, *_: Any
    ) -> None:
        context.began = time.perf_counter()

    def _after(self, connection: Connection, _cursor: Any, statement: str, values: Any, context: Any, *_: Any) -> None:
        seconds = time.perf_counter() - context.began
        if self._explaining or not statement.lstrip().upper().startswith(("SELECT", "WITH")):
            return
        reading = None
        if connection.dialect.name == "postgresql":
            self._explaining = True
            try:
                reading = explain(connection, statement, values)
            finally:
                self._explaining = False
        self.asked.append(Asked(self.page, statement, seconds, reading))


def explain(connection: Connection, statement: str, values: Mapping[str, Any] | Sequence[Any]) -> Reading:
    """Have PostgreSQL carry a statement out once more and tell how."""
    rows = connection.exec_driver_sql(f"EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, FORMAT JSON) {statement}", values)
    told = rows.scalar_one()[0]["Plan"]
    nodes = list(_nodes(told))
    return Reading(
        blocks=int(told.get("Shared Hit Blocks", 0)) + int(told.get("Shared Read Blocks", 0)),
        rows=sum(_looked_at(node) for node in nodes if "Relation Name" in node or "Index Name" in node),
        scanned=tuple(sorted({str(node["Relation Name"]) for node in nodes if node["Node Type"] in _SCANS})),
        indexes=tuple(sorted({str(node["Index Name"]) for node in nodes if "Index Name" in node})),
        expected_cost=float(told["Total Cost"]),
    )


def _looked_at(node: Mapping[str, Any]) -> int:
    left_out = node.get("Rows Removed by Filter", 0) + node.get("Rows Removed by Index Recheck", 0)
    return int((node.get("Actual Rows", 0) + left_out) * node.get("Actual Loops", 1))


def _nodes(plan: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield plan
    for inner in plan.get("Plans", ()):
        yield from _nodes(inner)


@asynccontextmanager
async def browsing(store: Store, now: datetime) -> AsyncIterator[tuple[httpx.AsyncClient, frozenset[str]]]:
    """Lend a browser in which an administrator is signed in on an application of its own, with what that offers."""

    async def submit(operation: Operation[R]) -> R:
        with store.writing() as connection:
            unit = Unit(connection, store.sealer)
            result = operation.apply(unit)
            unit.flush()
        return result

    context = WebContext(
        store=store,
        submit=submit,
        flows=lambda: FLOWS,
        routes=lambda: (RouteStatus("everything", "true", ("spico", "medecin")),),
        now=lambda: now,
    )
    app = create_app(context)
    desk = app.state.desk
    token, session = start_session(SOMEBODY, now=desk.now(), rules=desk.rules)
    await submit(create_account(SOMEBODY, "un mot de passe pour le banc", Role.ADMINISTRATOR, now=desk.now()))
    await submit(session)
    try:
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(app=app),
            base_url="http://router.bench",
            cookies={"passerelle_session": token},
            follow_redirects=True,
            timeout=600.0,
        ) as client:
            yield client, context.offers()
    finally:
        desk.live.close()
        desk.close()


async def walk(store: Store, messages: int, now: datetime, names: Mapping[str, str] | None = None) -> list[Asked]:
    """Open every page and search once and give what was asked. Raises TrialFault when a page does not answer."""
    witness = Witness(store)
    async with browsing(store, now) as (client, offered):
        first = await client.get("/messages")
        csrf = re.search(r'name="csrf" value="([^"]+)"', first.text)
        if first.status_code != 200 or csrf is None:
            raise TrialFault(f"the page of messages was answered {first.status_code}")
        with witness.watching():
            for name, address in addresses(messages, offered):
                witness.page = name
                _answered(name, await client.get(address))
            for name, words in (names or searches(messages)).items():
                witness.page = SEARCHES.format(name)
                _answered(name, await client.post("/messages/search", data={"text": words, "csrf": csrf[1]}))
    return witness.asked


def _answered(name: str, answer: httpx.Response) -> None:
    if answer.status_code != 200 or answer.url.path == "/login":
        raise TrialFault(f"the page {name} was answered {answer.status_code}")
