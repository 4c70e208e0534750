"""The process that checks: warm, replaced when it dies or hangs, and apart from the router's own."""

from __future__ import annotations

import asyncio
import io
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import orjson
import pytest
from mini_package import GOOD, TITLE, VERSION, carrying, document, write_package

from router.validation import PackageFault, ValidationUnavailable
from router.validation.frames import LIMIT, BrokenFrame, framed, read_frame
from router.validation.process import run
from router.validation.server import ValidationServer

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")

NO_TITLE = document(VERSION)
HANGS = document(TITLE, VERSION, "<slow/>")


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[ValidationServer]:
    made = ValidationServer(write_package(tmp_path / "package"), tmp_path / "cache", seconds=60)
    yield made
    await made.close()


async def test_one_process_serves_all_and_starts_with_the_first(server: ValidationServer) -> None:
    assert server.pid is None
    answers = await asyncio.gather(*(server.validate(content) for content in (GOOD, NO_TITLE, GOOD)))
    assert [[one.code for one in findings] for findings in answers] == [[], ["schematron.min"], []]
    assert answers[1][0].where == "/ClinicalDocument"
    assert server.starts == 1


async def test_a_process_that_was_killed_is_replaced_and_the_document_checked(server: ValidationServer) -> None:
    assert await server.validate(GOOD) == []
    killed = server.pid
    assert killed is not None
    os.kill(killed, signal.SIGKILL)
    assert len(await server.validate(NO_TITLE)) == 1
    assert server.starts == 2
    assert server.pid != killed


async def test_a_document_that_hangs_costs_itself_only(tmp_path: Path) -> None:
    server = ValidationServer(write_package(tmp_path / "package"), tmp_path / "cache", seconds=5)
    hung = asyncio.create_task(server.validate(HANGS))
    behind = asyncio.create_task(server.validate(NO_TITLE))
    with pytest.raises(ValidationUnavailable, match="given up after 5 seconds"):
        await hung
    assert len(await behind) == 1
    assert server.starts == 2
    await server.close()


async def test_a_check_that_is_given_up_leaves_no_answer_for_the_next(server: ValidationServer) -> None:
    assert await server.validate(GOOD) == []
    hung = asyncio.create_task(server.validate(HANGS))
    await asyncio.sleep(0.2)
    hung.cancel()
    with pytest.raises(asyncio.CancelledError):
        await hung
    assert [one.code for one in await server.validate(NO_TITLE)] == ["schematron.min"]


async def test_a_process_that_cannot_start_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("router.validation.server.MODULE", "router.validation.nothing_of_this_name")
    server = ValidationServer(tmp_path, tmp_path / "cache")
    with pytest.raises(ValidationUnavailable, match="ended while it checked"):
        await server.validate(GOOD)
    assert server.starts == 2
    await server.close()


async def test_the_memory_of_a_large_document_is_given_back(
    server: ValidationServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("router.validation.server.LARGE", len(GOOD))
    assert await server.validate(GOOD) == []
    assert server.pid is not None
    assert await server.validate(document(TITLE, VERSION, "<other/>")) == []
    assert server.pid is None


async def test_a_closed_server_starts_nothing(server: ValidationServer) -> None:
    await server.validate(GOOD)
    await server.close()
    assert server.pid is None
    with pytest.raises(ValidationUnavailable, match="stopping"):
        await server.validate(GOOD)


async def test_a_broken_package_is_a_sentence_each_time(tmp_path: Path) -> None:
    folder = write_package(tmp_path / "package", '<include href="gone.sch"/>')
    server = ValidationServer(folder, tmp_path / "cache")
    for _ in range(2):
        with pytest.raises(PackageFault, match=r"gone\.sch is not in the package"):
            await server.validate(GOOD)
    assert server.starts == 1
    await server.close()
    gone = ValidationServer(tmp_path / "gone", tmp_path / "cache")
    with pytest.raises(PackageFault, match="is not a folder"):
        await gone.validate(GOOD)
    await gone.close()


async def test_documents_inside_a_message_and_beside_it_are_checked(server: ValidationServer) -> None:
    message = carrying(NO_TITLE)
    assert [one.code for one in await server.validate(message, "canonical")] == ["schematron.min"]
    without = carrying(b"%PDF-1.7", "application/pdf")
    assert await server.validate(without, "canonical") == []
    assert len(await server.validate(without, "canonical", [b"%PDF-1.7", NO_TITLE, NO_TITLE])) == 2
    (unread,) = await server.validate(b"{}}", "canonical")
    assert unread.severity == "error"


def test_the_process_answers_question_after_question(tmp_path: Path) -> None:
    question = framed(orjson.dumps({"format": "cda", "beside": 0}))
    questions = io.BytesIO(question + framed(NO_TITLE) + question + framed(GOOD))
    answers = io.BytesIO()
    run(write_package(tmp_path / "package"), tmp_path / "cache", questions, answers)
    answers.seek(0)
    replies = [orjson.loads(frame) for frame in iter(lambda: read_frame(answers), None)]
    assert [len(reply["findings"]) for reply in replies] == [1, 0]


@pytest.mark.parametrize("torn", [b"\0\0", framed(b"whole")[:-1], (LIMIT + 1).to_bytes(8, "big")])
def test_a_torn_or_endless_frame_is_not_read(torn: bytes) -> None:
    with pytest.raises(BrokenFrame):
        read_frame(io.BytesIO(torn))


def test_the_router_never_loads_saxon() -> None:
    code = (
        "import sys, router.engine.engine, router.web.app, router.validation.server; print('saxonche' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_the_process_ends_with_the_router(tmp_path: Path) -> None:
    folder = write_package(tmp_path / "package")
    code = f"""
import asyncio, os, pathlib, signal
from mini_package import GOOD
from router.validation.server import ValidationServer
async def main():
    server = ValidationServer(pathlib.Path({str(folder)!r}), pathlib.Path({str(tmp_path / "cache")!r}))
    await server.validate(GOOD)
    print(server.pid, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
asyncio.run(main())
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == -signal.SIGKILL
    number = int(done.stdout)
    for _ in range(200):
        try:
            state = Path(f"/proc/{number}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
        except OSError:
            return
        if state == "Z":
            return
        signal.sigtimedwait([], 0.05)
    pytest.fail("the process outlived the router")
