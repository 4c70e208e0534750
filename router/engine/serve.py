"""`passerelle serve`: the engine and the dashboard in one process, until a signal asks them to stop."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import importlib.metadata
import json
import os
import signal
import socket
import ssl
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from zoneinfo import ZoneInfo

import uvicorn

from connectors.address import parse_address
from router.certificates import known_ends
from router.config.cluster import ROLES
from router.config.load import Loaded
from router.engine.applying import shared_configuration
from router.engine.clock import micros, utc_now
from router.engine.engine import Engine
from router.engine.membership import membership
from router.engine.pool import keep_memory_low
from router.faults import Fault
from router.journal.blobs_database import DatabaseBlobs
from router.journal.locking import router_lock
from router.journal.store import Store, open_store
from router.observe.logs import log_as_json
from router.quotas import WebLimits
from router.watch.telling import alarm_ways
from router.web.app import create_app, create_watched
from router.web.context import AppliedFile, DossierOffer, WebContext
from router.web.proxies import Forwarded
from router.web.rights import Role
from router.web.tls import Held, holding
from router.web.warming import warm


class CannotServe(Fault):
    """The router cannot start: one sentence, what to do."""


@dataclass(frozen=True, slots=True)
class Ready:
    """Where a started router is reached."""

    web: str
    sources: dict[str, str]


ALL = "all"
"""The role of a node that does everything."""


def serve(
    loaded: Loaded,
    *,
    ready: Callable[[Ready], None],
    ready_file: Path | None = None,
    role: str = ALL,
) -> None:
    """Run until SIGINT or SIGTERM. `ready` is called once everything listens; `ready_file` then gets it as JSON.

    With a section `[cluster]` this is one of its nodes, which does what `role` says (`receive`, `work`, `web`, `all`).
    """
    clustered = loaded.configuration.cluster is not None
    if role != ALL and not clustered:
        raise CannotServe(f"a router that is alone does everything: --role {role} needs a section [cluster]")
    if loaded.configuration.observe.log_format == "json":
        log_as_json()
    store = open_store(loaded.place)
    try:
        with router_lock(store.engine, loaded.place.data, shared=clustered):
            if clustered:
                loaded = shared_configuration(store, loaded, micros(utc_now()))
            roles = ROLES if role == ALL else frozenset({role})
            run = _serve(loaded, store, ready, ready_file, roles)
            try:
                import uvloop
            except ImportError:  # pragma: no cover - where uvloop does not exist, the standard loop does
                asyncio.run(run)
            else:
                uvloop.run(run)
    finally:
        store.close()


SWITCH_SECONDS = 0.001
"""How long a thread may hold the interpreter while another waits: the writer answers in milliseconds or not at all."""


async def _serve(
    loaded: Loaded,
    store: Store,
    ready: Callable[[Ready], None],
    ready_file: Path | None,
    roles: frozenset[str],
) -> None:
    keep_memory_low()
    if isinstance(store.blobs, DatabaseBlobs):
        await asyncio.to_thread(store.blobs.bring_in)
    section = loaded.configuration.cluster
    if section is None:
        await _run(loaded, Engine(loaded, store), ready, ready_file, has_pages=True)
        return
    engines: list[Engine] = []

    def trouble(said: str) -> None:
        for engine in engines:
            engine.notices.trouble("cluster", said)

    async with membership(loaded, section, roles, store, trouble) as cluster:
        engines.append(Engine(loaded, store, cluster=cluster))
        await _run(loaded, engines[0], ready, ready_file, has_pages="web" in roles)


async def _run(
    loaded: Loaded, engine: Engine, ready: Callable[[Ready], None], ready_file: Path | None, *, has_pages: bool
) -> None:
    sys.setswitchinterval(SWITCH_SECONDS)
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)
    web, authorities = loaded.configuration.web, loaded.configuration.dossier.client_authorities
    listener = _bind(web.listen)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    loop.add_signal_handler(signal.SIGHUP, engine.applying.read_file_again)
    node = engine.node
    app = (create_app if has_pages else create_watched)(
        WebContext(
            store=engine.store,
            submit=engine.submit,
            flows=engine.flows,
            own_flows=engine.own_flows,
            nodes=None if node is None else node.seen,
            routes=engine.routes,
            loaded=lambda: engine.loaded,
            applied=lambda: AppliedFile(engine.applying.waits_for_start, engine.applying.file_differs),
            attempt=engine.attempt,
            certificates=engine.certificates,
            certificate_ends=engine.certificate_ends,
            alarm_ways=lambda: alarm_ways(engine.loaded.configuration.watch),
            known_ends=lambda: known_ends(engine.loaded),
            timezone=ZoneInfo(web.timezone),
            insi=engine.insi,
            directory=engine.directory,
            wake=engine.wake,
            now=utc_now,
            stopping=engine.stopping,
            dossier=DossierOffer(engine.dossier.door, engine.dossier.settings, engine.wake)
            if engine.dossier.is_on
            else None,
            read_again=engine.read_again,
            reads=lambda source: engine.plan.reads(source),
            writes=lambda name, now, identity: engine.plan.writes(name, now, identity),
            code_maps=loaded.code_maps,
            configuration=loaded.path,
            identity_alert_hours=loaded.configuration.identity.alert_hours,
            receipt_hours=web.receipt_hours,
            limits=WebLimits(web.proofs_per_minute, web.calls_per_minute, web.body_seconds),
            idle_minutes=web.idle_minutes,
            session_hours=web.session_hours,
            operators_configure=web.operators_configure,
            providers=web.oidc,
            require_totp=frozenset(Role(name) for name in web.require_totp),
            ready_seconds=loaded.configuration.observe.ready_seconds,
            version=importlib.metadata.version("passerelle"),
        )
    )
    server = uvicorn.Server(
        uvicorn.Config(
            Forwarded(app, web.trusted_proxies),
            proxy_headers=False,
            log_level="warning",
            log_config=None if loaded.configuration.observe.log_format == "json" else uvicorn.config.LOGGING_CONFIG,
            access_log=False,
            lifespan="off",
            ssl_certfile=_beside(loaded, web.certificate),
            ssl_keyfile=_beside(loaded, web.private_key),
            ssl_ca_certs=_beside(loaded, authorities or None),
            ssl_cert_reqs=ssl.CERT_OPTIONAL if authorities else ssl.CERT_NONE,
            http=holding(Held(web.max_connections, web.max_connections_per_peer, web.head_seconds)),
            timeout_graceful_shutdown=3,
            server_header=False,
        )
    )
    await engine.start()
    serving = asyncio.create_task(_web(server, listener), name="web")
    host, port = listener.getsockname()[:2]
    shown = "127.0.0.1" if host in {"0.0.0.0", "::"} else host  # noqa: S104 - a comparison, not a binding
    address = f"{'https' if web.certificate else 'http'}://{f'[{shown}]' if ':' in shown else shown}:{port}"
    announced = Ready(address, engine.addresses)
    ready(announced)
    if ready_file is not None:
        _announce(ready_file, announced)
    warming = asyncio.create_task(warm(app.state.desk), name="warm the pages") if has_pages else None
    await stop.wait()
    if warming is not None:
        warming.cancel()
    engine.stopping.set()
    server.should_exit = True
    await engine.stop()
    with contextlib.suppress(asyncio.CancelledError):
        await serving


async def _web(server: uvicorn.Server, listener: socket.socket) -> None:
    # Signals are the router's: uvicorn would take them over and stop the pages before the engine.
    server.config.load()
    server.lifespan = server.config.lifespan_class(server.config)
    await server.startup(sockets=[listener])
    await server.main_loop()
    await server.shutdown(sockets=[listener])


def _bind(listen: str) -> socket.socket:
    host, port = parse_address(listen)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as problem:
        listener.close()
        reason = problem.strerror or type(problem).__name__
        raise CannotServe(f"the dashboard cannot listen on {listen} ({reason}); change [web] listen") from None
    listener.listen(128)
    return listener


def _beside(loaded: Loaded, path: str | None) -> str | None:
    return None if path is None else str(loaded.folder / path)


def _announce(path: Path, announced: Ready) -> None:
    temporary = path.with_name(path.name + ".tmp")
    temporary.write_text(json.dumps({"pid": os.getpid(), "web": announced.web, "sources": announced.sources}))
    temporary.replace(path)
