"""`passerelle pdsm` and `passerelle sandbox pdsm` from the terminal."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import insert

from connectors.pdsm.following import memory_key
from connectors.sandbox.pdsm import DocumentServer, Fault, serving
from connectors.sandbox.people import INS_TEST_OID, ROSE, WITHOUT_INS
from connectors.sandbox.registration import import_file
from router.cli.base import run
from router.config.load import load
from router.journal import tables
from router.journal.store import open_store

UNIQUE = "2.999.7.1"


class Served:
    """A server that lives in a thread of its own, as it would on another machine."""

    def __init__(self) -> None:
        self.server = DocumentServer()
        self.base = ""
        self._loop = asyncio.new_event_loop()
        self._ready, self._done = threading.Event(), asyncio.Event()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._serve(),))

    def __enter__(self) -> Served:
        self._thread.start()
        self._ready.wait(10)
        return self

    def __exit__(self, *exc: object) -> None:
        self._loop.call_soon_threadsafe(self._done.set)
        self._thread.join(10)
        self._loop.close()

    async def _serve(self) -> None:
        async with serving(self.server) as self.base:
            self._ready.set()
            await self._done.wait()


@pytest.fixture
def served() -> Iterator[Served]:
    with Served() as found:
        found.server.deposit(f"urn:oid:{INS_TEST_OID}", ROSE.matricule, b"%PDF-1.4", unique_id=UNIQUE, title="Lettre")
        yield found


@pytest.fixture
def folder(tmp_path: Path, served: Served, capsys: pytest.CaptureFixture[str]) -> Path:
    router = tmp_path / "router"
    assert run(["init", str(router)]) == 0
    (router / "passerelle.toml").write_text(
        '[identity]\nenvironment = "test"\n'
        f'[destinations.dmp]\nconnector = "pdsm"\nurl = "{served.base}"\n'
        '[destinations.other]\nconnector = "directory"\nfolder = "out"\nformat = "fhir"\n'
        '[[routes]]\nname = "all"\nto = ["dmp", "other"]\n'
    )
    people = tmp_path / "people.csv"
    people.write_text(import_file([ROSE]))
    assert run(["patients", "import", str(people), "--config", str(router)]) == 0
    people.write_text(import_file([WITHOUT_INS], with_ins=False))
    assert run(["patients", "import", str(people), "--config", str(router)]) == 0
    capsys.readouterr()
    return router


def test_an_operator_lists_and_changes_documents(
    folder: Path, served: Served, capsys: pytest.CaptureFixture[str]
) -> None:
    where = ["--destination", "dmp", "--patient", "1", "--config", str(folder)]
    for action in ("mask", "archive", "unmask", "delete"):
        assert run(["pdsm", "set", action, UNIQUE, "--yes", *where]) == 0
        assert f"{action}: done" in capsys.readouterr().out
    assert run(["pdsm", "list", *where]) == 0
    shown = capsys.readouterr()
    assert shown.out.startswith(f"{UNIQUE}  entered-in-error archived")
    assert "Lettre" in shown.out
    assert run(["audit", "--config", str(folder)]) == 0
    kept = capsys.readouterr().out
    for action in ("list shared documents", "mask shared", "delete shared"):
        assert action in kept
    assert ROSE.matricule not in kept
    assert run(["pdsm", "set", "unarchive", UNIQUE, "--yes", *where]) == 1
    assert "not done (HTTP 422" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("destination", "patient", "said"),
    [
        ("other", "1", "no destination other whose connector is pdsm"),
        ("dmp", "2", "patient 2 is not in the register, or has no qualified INS"),
        ("dmp", "99", "patient 99 is not in the register"),
    ],
)
def test_who_may_not_be_asked_about(
    folder: Path, destination: str, patient: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["pdsm", "list", "--destination", destination, "--patient", patient, "--config", str(folder)]) == 2
    assert said in capsys.readouterr().err


def test_a_server_that_fails_is_one_sentence(folder: Path, served: Served, capsys: pytest.CaptureFixture[str]) -> None:
    where = ["--destination", "dmp", "--patient", "1", "--config", str(folder)]
    served.server.mood = Fault.UNAVAILABLE
    assert run(["pdsm", "list", *where]) == 2
    assert capsys.readouterr().err == "passerelle: dmp: HTTP 503: throttled\n"
    served.server.mood = Fault.OK
    assert run(["pdsm", "set", "mask", "2.999.404", "--yes", *where]) == 2
    assert "no document of this unique id" in capsys.readouterr().err


def test_everything_is_looked_at_again(folder: Path, served: Served, capsys: pytest.CaptureFixture[str]) -> None:
    file = folder / "passerelle.toml"
    file.write_text(f'{file.read_text()}\n[sources.share]\nconnector = "pdsm"\nurl = "{served.base}"\n')
    asking = ["pdsm", "again", "--patient", "1", "--config", str(folder), "--source"]
    assert run([*asking, "dmp"]) == 2
    assert "no source dmp" in capsys.readouterr().err
    assert run([*asking, "share"]) == 0
    assert "Nothing is remembered" in capsys.readouterr().out
    store = open_store(load(file).place)
    try:
        with store.writing() as connection:
            values = {"owner": "source share", "token": store.sealer.token("memory", memory_key(1)), "at": 1}
            connection.execute(insert(tables.connector_memory).values(**values, sealed_value=b"x"))
    finally:
        store.close()
    assert run([*asking, "share"]) == 0
    assert "looked at again" in capsys.readouterr().out


@pytest.mark.parametrize("listen", ["nowhere", "127.0.0.1:99999", "192.0.2.1:80"])
def test_a_sandbox_that_cannot_listen_says_so(listen: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["sandbox", "pdsm", "--listen", listen]) == 2
    assert capsys.readouterr().err.startswith(f"passerelle: --listen {listen}: ")
