"""The worst that can be sent to a real router over real sockets: each has an answer, an end that shows, no crash."""

from __future__ import annotations

import contextlib
import os
import resource
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from router.trial.folder import make_folder
from router.trial.process import Listening, RouterProcess, command

CONFIGURATION = """\
[web]
listen = "127.0.0.1:0"

[sources.labo]
connector = "mllp"
listen = "127.0.0.1:0"
format = "hl7v2"
max_frame = "2MiB"

[sources.depot]
connector = "directory"
folder = "in"
every = 0.1
settle_seconds = 0.1

[sources.locked]
connector = "directory"
folder = "locked"
every = 0.1

[destinations.out]
connector = "directory"
folder = "out"
format = "canonical"

[[routes]]
name = "everything"
to = ["out"]
unattached = true
"""

ORU = (
    "MSH|^~\\&|LABO|LABFIC|PASSERELLE|CH|20260305093000||ORU^R01^ORU_R01|{id}|T|2.5|||||FRA|{charset}\r"
    "PID|1||IPP-1^^^CH-FICTIF^PI||TESTROSE^MARIE^^^^^L||19310305|F\r"
    "OBR|1||R{id}|NFS^Numération^L\r"
    "OBX|1|NM|718-7^Hémoglobine^LN||13.2|g/dL|12.0-16.0|N|||F\r"
)


def oru(control_id: str, charset: str = "UNICODE UTF-8") -> bytes:
    return ORU.format(id=control_id, charset=charset).encode()


class Router:
    """A running router and what its journal says."""

    def __init__(self, folder: Path, process: RouterProcess) -> None:
        self.folder = folder
        self.process = process
        self.listening: Listening = process.start()

    def connect(self) -> socket.socket:
        host, port = self.listening.sources["labo"].rsplit(":", 1)
        return socket.create_connection((host, int(port)), timeout=20)

    def exchange(self, content: bytes) -> str:
        with self.connect() as peer:
            return send(peer, content)

    def rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        with contextlib.closing(sqlite3.connect(f"file:{self.folder}/data/journal.db?mode=ro", uri=True)) as journal:
            return journal.execute(query, values).fetchall()

    def until(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 30
        while not condition():
            assert time.monotonic() < deadline, self.process.last_words()
            time.sleep(0.05)

    def state_of(self, control_id: str) -> str:
        found = self.rows("SELECT state FROM message WHERE control_id = ?", control_id)
        return str(found[0][0]) if found else ""

    def alive(self) -> None:
        """The process still takes a good message, and has shown nobody a traceback."""
        control_id = f"ALIVE{time.monotonic_ns()}"
        assert "MSA|AA|" in self.exchange(oru(control_id))
        self.until(lambda: self.state_of(control_id) == "processed")
        assert "Traceback" not in self.process.log.read_text()


def send(peer: socket.socket, content: bytes) -> str:
    peer.sendall(b"\x0b" + content + b"\x1c\r")
    return receive(peer)


def receive(peer: socket.socket) -> str:
    answer = b""
    while not answer.endswith(b"\x1c\r"):
        piece = peer.recv(65536)
        if not piece:
            break
        answer += piece
    return answer.decode("utf-8", "replace")


@pytest.fixture(scope="module")
def router(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Router]:
    folder = tmp_path_factory.mktemp("bad") / "router"
    make_folder(folder, CONFIGURATION)
    locked = folder / "locked"  # never made: a folder that is not there is like one that may not be read
    assert not locked.exists()
    with RouterProcess(folder) as process:
        yield Router(folder, process)


@pytest.mark.parametrize(
    ("content", "answer"),
    [
        (b"not HL7 at all", "AE"),
        (b"", "AE"),
        (b"\x00" * 2000, "AE"),
        (oru("").replace(b"||ORU^R01^ORU_R01||T", b"||ORU^R01^ORU_R01||T"), "AE"),
        (oru("T1").replace(b"ORU^R01^ORU_R01", b"ZZZ^Z77"), "AE"),
        (oru("T2").replace(b"|T|2.5|", b"|T|9.9|"), "AE"),
        (b"MSH|^~\\&", "AE"),
    ],
    ids=["garbage", "empty", "nul", "no-control-id", "unknown-trigger", "unknown-version", "cut-header"],
)
def test_what_will_never_work_is_refused_and_kept(router: Router, content: bytes, answer: str) -> None:
    import re

    before = router.rows("SELECT count(*) FROM message WHERE state = 'rejected'")[0][0]
    said = router.exchange(content)
    assert re.search(rf"MSA\|{answer}\|", said), said
    assert "ERR|" in said
    router.until(lambda: router.rows("SELECT count(*) FROM message WHERE state = 'rejected'")[0][0] == before + 1)
    router.alive()


@pytest.mark.parametrize(
    "content",
    [
        oru("LF1").replace(b"\r", b"\n"),
        oru("CRLF1").replace(b"\r", b"\r\n"),
        oru("BOM1").replace(b"MSH", b"\xef\xbb\xbfMSH", 1),
        oru("NUL1").replace(b"13.2", b"13\x00.2"),
        ORU.format(id="L9", charset="8859/15").encode(),
        ORU.format(id="U8", charset="UNICODE UTF-8").encode("cp1252"),
        oru("ESC1").replace(b"g/dL", b"50\\mg"),
        oru("ESC2").replace(b"g/dL", b"g\\"),
        oru("TAIL")[:-9],
    ],
    ids=["lf", "crlf", "bom", "nul-inside", "lies-latin9", "lies-utf8", "lone-backslash", "last-backslash", "cut-line"],
)
def test_what_can_be_understood_is_understood_with_a_finding_where_it_matters(router: Router, content: bytes) -> None:
    assert "MSA|AA|" in router.exchange(content)
    router.alive()
    (states,) = router.rows("SELECT count(*) FROM message WHERE state = 'received'")
    assert states[0] == 0


def test_a_frame_without_an_end_is_refused_at_the_limit_and_cut(router: Router) -> None:
    with router.connect() as peer:
        peer.sendall(b"\x0b")
        said = ""
        try:
            for _ in range(100):
                peer.sendall(b"x" * 1024 * 1024)
        except (BrokenPipeError, ConnectionResetError):
            pass
        try:
            said = receive(peer)
        except ConnectionResetError:
            said = "reset"
    assert said
    assert "AA" not in said
    router.alive()


def test_a_hundred_megabytes_of_noise_cost_nothing(router: Router) -> None:
    noise = os.urandom(1024 * 1024).replace(b"\x0b", b"\x0c")
    with router.connect() as peer:
        try:
            for _ in range(100):
                peer.sendall(noise)
            peer.sendall(b"\x0b" + oru("AFTERNOISE") + b"\x1c\r")
            said = receive(peer)
        except (BrokenPipeError, ConnectionResetError):
            said = ""  # cutting such a peer off is as right as listening on
    assert said == "" or "MSA|AA|AFTERNOISE" in said
    router.alive()
    status = Path(f"/proc/{router.process.pid}/status")
    if status.exists():
        high = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        assert int(high.split()[1]) < 600 * 1024


def test_a_truncated_frame_and_a_peer_that_leaves_disturb_nobody(router: Router) -> None:
    with router.connect() as peer:
        peer.sendall(b"\x0b" + oru("HALF")[:60])
    with router.connect() as peer:
        peer.sendall(b"\x0b" + oru("CUT")[:60] + b"\x0b" + oru("WHOLE") + b"\x1c\r")
        assert "MSA|AA|WHOLE" in receive(peer)
    with router.connect() as peer:
        peer.sendall(b"\x0b" + oru("GONE") + b"\x1c\r")
    router.until(lambda: router.state_of("GONE") == "processed")
    assert router.state_of("HALF") == router.state_of("CUT") == ""
    router.alive()


def test_files_that_cannot_be_read_end_where_they_are_seen(router: Router) -> None:
    inbox = router.folder / "in"
    cut = "\n".join(["CODE", "TESTROSE", "Fictive", "", "", "", "05/03/1931", "", "D1", "05/03/2026"])[:-3]
    for name, content in (("empty.hpr", b""), ("cut.hpr", cut.encode()), ("noise.bin", os.urandom(500))):
        (inbox / f".{name}.part").write_bytes(content)
        (inbox / f".{name}.part").rename(inbox / name)
    router.until(lambda: not any((inbox / name).exists() for name in ("empty.hpr", "cut.hpr", "noise.bin")))
    router.until(
        lambda: router.rows("SELECT count(*) FROM message WHERE source = 'depot' AND state = 'rejected'")[0][0] == 3
    )
    for name in ("empty.hpr", "cut.hpr", "noise.bin"):
        router.until(lambda name=name: bool(list((inbox / "error").glob(f"*{name}.reason"))))
    router.alive()


def test_a_folder_that_is_not_there_is_said_and_does_not_stop_the_rest(router: Router) -> None:
    router.until(lambda: bool(router.rows("SELECT 1 FROM notice WHERE component LIKE '%locked%'")))
    router.alive()


def test_a_second_router_on_the_same_folder_is_refused_in_one_sentence(router: Router) -> None:
    second = subprocess.run(
        command("serve", "--config", str(router.folder)), capture_output=True, text=True, timeout=60, check=False
    )
    assert second.returncode == 2
    assert second.stderr.count("\n") == 1
    assert "another router already works on" in second.stderr
    router.alive()


@pytest.mark.skipif(sys.platform != "linux", reason="limits of another process are Linux's")
def test_a_full_disk_is_ar_and_nothing_acknowledged_is_lost(router: Router) -> None:
    journal = router.folder / "data" / "journal.db-wal"
    limit = journal.stat().st_size
    resource.prlimit(router.process.pid, resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    answers = {}
    try:
        for number in range(400):
            control_id = f"FULL{number}"
            answers[control_id] = router.exchange(oru(control_id))
            if "MSA|AR|" in answers[control_id]:
                break
        else:
            pytest.fail("the disk never filled")
    finally:
        resource.prlimit(router.process.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
    assert "ERR|" in answers[control_id]
    assert "MSA|AA|" in router.exchange(oru(control_id)), "it works again without a restart"
    for acknowledged in (name for name, said in answers.items() if "MSA|AA|" in said):
        router.until(lambda name=acknowledged: router.state_of(name) == "processed")
    router.alive()


def test_a_graceful_stop_leaves_nothing_half_done(router: Router) -> None:
    for number in range(50):
        assert "MSA|AA|" in router.exchange(oru(f"STOP{number}"))
    assert router.process.stop() == 0
    assert "Traceback" not in router.process.log.read_text()
    assert router.rows("SELECT count(*) FROM message WHERE control_id LIKE 'STOP%'") == [(50,)]
    router.listening = router.process.start()
    router.until(lambda: router.rows("SELECT count(*) FROM message WHERE state = 'received'") == [(0,)])
    router.until(lambda: router.rows("SELECT count(*) FROM delivery WHERE state IN ('pending', 'retrying')") == [(0,)])
    router.alive()
