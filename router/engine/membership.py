"""A node's membership in its cluster, as `[cluster]` describes it: joined before the engine starts, left after it."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from router.cluster.contracts import Cluster
from router.config.cluster import ClusterSection
from router.config.load import Loaded
from router.faults import Fault
from router.journal.fencing import newest_epoch
from router.journal.store import Store


class CannotJoin(Fault):
    """The node cannot take part: one sentence, what to do."""


@contextlib.asynccontextmanager
async def membership(
    loaded: Loaded, section: ClusterSection, roles: frozenset[str], store: Store, trouble: Callable[[str], None]
) -> AsyncIterator[Cluster]:
    """Be a member while inside. The servers need not answer yet: what needs them waits. Raises CannotJoin."""
    # The client of NATS is loaded only by nodes of a cluster.
    from router.cluster.joining import join
    from router.cluster.settings import NatsSettings

    def epoch() -> int:
        with store.reading() as connection:
            return newest_epoch(connection)

    settings = NatsSettings(
        servers=section.servers,
        name=section.node,
        roles=roles,
        send_lanes=section.lanes,
        ack_seconds=section.ack_seconds,
        user=section.user,
        password=section.password.get_secret_value() if section.password is not None else "",
        token=section.token.get_secret_value() if section.token is not None else "",
        tls=_tls(section, loaded.folder),
    )
    member = join(settings, lambda: asyncio.to_thread(epoch), trouble)

    async def present() -> None:
        try:
            await member.run()
        except Exception as defect:
            trouble(f"stopped by a defect ({type(defect).__name__}): restart this node")
            raise

    task = asyncio.create_task(present(), name="presence")
    try:
        yield member.cluster
    finally:
        await member.leave()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def _tls(section: ClusterSection, folder: Path) -> ssl.SSLContext | None:
    if not any(server.startswith("tls://") for server in section.servers):
        return None
    try:
        context = ssl.create_default_context(cafile=str(folder / section.authorities) if section.authorities else None)
        if section.certificate:
            context.load_cert_chain(folder / section.certificate, folder / section.private_key)
    except (OSError, ssl.SSLError) as problem:
        raise CannotJoin(
            f"[cluster] names a certificate that cannot be used ({type(problem).__name__}); check its PEM files"
        ) from None
    return context
