"""One configuration for all nodes: what one of them applies, the others bring in, and their files follow."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from router.config.changes import Changes
from router.config.cluster import ClusterSection
from router.config.load import ConfigurationFault, Loaded, load_text
from router.config.versions import VersionOrigin, digest_of, running_version, settle_at_start, want_version
from router.engine.applying import Applying, shared_configuration
from router.engine.serve import CannotServe, serve
from router.journal.locking import AlreadyRunning, router_lock
from router.journal.operations import apply_at_once
from router.journal.store import JournalPlace, Store, open_store


def plain(comment: str) -> str:
    return f"# {comment}\n{cluster()}"


class Machine:
    """A node's Applying, and its file."""

    def __init__(self, folder: Path, store: Store, text: str) -> None:
        folder.mkdir()
        self.path = folder / "passerelle.toml"
        self.path.write_text(text)
        self.store = store
        self.loaded = load_text(text, self.path)
        self.troubles: list[str] = []
        self.applying = Applying(
            self.path, store, self._submit, self._take, lambda: self.loaded, lambda: datetime.now(UTC),
            self.troubles.append, shared=True,
        )  # fmt: skip
        self.task: asyncio.Task[None] | None = None

    async def _submit(self, operation: Any) -> Any:
        return await asyncio.to_thread(apply_at_once, self.store, operation)

    async def _take(self, loaded: Loaded) -> Changes:
        self.loaded = loaded
        return Changes()

    async def start(self) -> None:
        await self.applying.begin()
        self.task = asyncio.create_task(self.applying.run())

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(30):
            while not condition():
                self.applying.look()
                await asyncio.sleep(0.02)

    async def stop(self) -> None:
        if self.task is not None:
            self.task.cancel()
            await asyncio.gather(self.task, return_exceptions=True)


async def test_what_one_node_applies_runs_on_all_of_them_and_stands_in_their_files(
    store: Store, tmp_path: Path
) -> None:
    first, second = plain("one"), plain("two")
    nord = Machine(tmp_path / "nord", store, first)
    sud = Machine(tmp_path / "sud", store, first)
    await nord.start()
    await sud.start()
    try:
        await nord.until(lambda: nord.applying.running is not None)
        await sud.until(lambda: sud.applying.running is not None)
        wanted = want_version(second, digest_of(first), origin=VersionOrigin.COMMAND, comment="", actor="test", now=1)
        number = apply_at_once(store, wanted)
        await nord.until(lambda: nord.applying.running == number)
        await sud.until(lambda: sud.applying.running == number)
        await sud.until(lambda: sud.path.read_text() == second)
        assert nord.path.read_text() == second
        assert [one.loaded.digest for one in (nord, sud)] == [digest_of(second)] * 2
        with store.reading() as connection:
            assert running_version(connection) is not None
        assert nord.troubles == sud.troubles == []
    finally:
        await nord.stop()
        await sud.stop()


async def test_a_node_that_starts_runs_with_what_was_applied_and_leaves_an_edited_file(
    store: Store, tmp_path: Path
) -> None:
    nord = Machine(tmp_path / "nord", store, plain("one"))
    await nord.start()
    await nord.stop()
    sud = Machine(tmp_path / "sud", store, plain("edited here"))
    sud.loaded = shared_configuration(store, sud.loaded, 9)
    assert sud.loaded.path == sud.path
    assert sud.loaded.digest == digest_of(plain("one"))
    await sud.start()
    try:
        await sud.until(lambda: sud.applying.file_differs)
        assert sud.path.read_text() == plain("edited here")
        with store.reading() as connection:
            running = running_version(connection)
        assert running is not None
        assert running.digest == digest_of(plain("one"))
    finally:
        await sud.stop()


def test_the_first_node_after_a_router_that_was_alone_brings_its_own_file(store: Store, tmp_path: Path) -> None:
    apply_at_once(store, settle_at_start("# alone\n", now=1))
    nord = Machine(tmp_path / "nord", store, plain("one"))
    sud = Machine(tmp_path / "sud", store, plain("two"))
    assert shared_configuration(store, nord.loaded, 2).digest == digest_of(plain("one"))
    assert shared_configuration(store, sud.loaded, 3).digest == digest_of(plain("one"))


def cluster(postgres: bool = True, blobs: str = "database", **keys: str) -> str:
    url = "postgresql+psycopg://nobody@localhost/none" if postgres else ""
    more = "".join(f'{key} = "{value}"\n' for key, value in keys.items())
    return f'[journal]\nurl = "{url}"\nblobs = "{blobs}"\n[cluster]\nservers = ["nats://localhost:4222"]\n{more}'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (cluster(postgres=False, blobs="files"), "nodes share a PostgreSQL journal"),
        (cluster(blobs="files"), "nodes share no disk"),
        (cluster(user="one"), "user and password go together"),
        (cluster(authorities="absent.pem"), "the file absent.pem cannot be read"),
        (cluster(name="a node"), "letters, digits"),
        (cluster().replace("nats://", "http://"), "nats://host:4222"),
    ],
)
def test_what_nodes_cannot_share_is_said_before_they_start(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ConfigurationFault, match=said):
        load_text(text, tmp_path / "passerelle.toml", {})


def test_a_node_is_named_after_its_host(tmp_path: Path) -> None:
    section = load_text(cluster(), tmp_path / "passerelle.toml", {}).configuration.cluster
    assert section is not None
    assert section.node
    assert ClusterSection(servers=("tls://one:4222",), name="nord").node == "nord"


def test_a_role_needs_a_cluster(tmp_path: Path) -> None:
    loaded = load_text("", tmp_path / "passerelle.toml", {})
    with pytest.raises(CannotServe, match=r"--role work needs a section \[cluster\]"):
        serve(loaded, ready=lambda _: None, role="work")


@pytest.mark.postgres
def test_nodes_share_the_journal_with_each_other_and_with_nobody_else(
    postgres_place: JournalPlace, tmp_path: Path
) -> None:
    store = open_store(postgres_place)
    try:
        with (
            router_lock(store.engine, tmp_path / "nord", shared=True),
            router_lock(store.engine, tmp_path / "sud", shared=True),
            pytest.raises(AlreadyRunning, match="another router"),
            router_lock(store.engine, tmp_path / "alone"),
        ):
            pass
        with (
            router_lock(store.engine, tmp_path / "alone"),
            pytest.raises(AlreadyRunning, match="no node of the cluster"),
            router_lock(store.engine, tmp_path / "nord", shared=True),
        ):
            pass
    finally:
        store.close()
