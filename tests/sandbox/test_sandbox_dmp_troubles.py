"""What goes wrong on demand, what is kept when it does, mutual TLS, parallel lots, a process killed in the middle."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner
from dmp_foreign_client import DIRECT, Foreign
from dmp_foreign_requests import APPROVED, ROSE_CX, Document, Lot, query, retrieve

from connectors.sandbox.dmp import DmpSandbox, Trouble
from connectors.sandbox.dmp.others import deposit
from connectors.sandbox.dmp.pki import certificates_in
from connectors.sandbox.dmp.queries import FIND_DOCUMENTS

ROSES = {"$XDSDocumentEntryPatientId": f"'{ROSE_CX}'", "$XDSDocumentEntryStatus": f"('{APPROVED}')"}


@pytest.fixture
async def dmp(dmp_folder: Path) -> AsyncIterator[DmpSandbox]:
    async with DmpSandbox(dmp_folder, tls=False) as sandbox:
        yield sandbox


@pytest.fixture
def client(dmp: DmpSandbox) -> Foreign:
    return Foreign(dmp.url, dmp.certificates.signer)


async def test_busy_keeps_nothing_and_passes(dmp: DmpSandbox, client: Foreign) -> None:
    lot = Lot()
    dmp.troubles.plan(Trouble.BUSY, transaction="ITI-41")
    assert (await client.iti18(query(FIND_DOCUMENTS, ROSES), DIRECT)).outcome == "Success"
    assert (await client.iti41(lot)).errors == ["XDSRepositoryBusy"]
    assert dmp.store.lots() == []
    assert (await client.iti41(lot)).outcome == "Success"


@pytest.mark.parametrize(("trouble", "kept"), [(Trouble.CUT_UPLOAD, 0), (Trouble.CUT_ANSWER, 1)])
async def test_a_cut_connection_is_an_error_of_the_transport(
    dmp: DmpSandbox, client: Foreign, trouble: Trouble, kept: int
) -> None:
    client.headers["X-Sandbox-Trouble"] = trouble
    with pytest.raises(httpx.TransportError):
        await client.iti41(Lot())
    assert len(dmp.store.lots()) == kept


async def test_no_answer_comes_although_all_is_kept(dmp: DmpSandbox, client: Foreign) -> None:
    lot = Lot()
    dmp.troubles.plan(Trouble.NO_ANSWER)
    waiting = asyncio.ensure_future(client.iti41(lot))
    while not dmp.calls:  # noqa: ASYNC110 - the list of calls is all there is to look at
        await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert len(dmp.store.lots()) == 1
    assert set((await client.iti41(lot)).errors) == {"XDSDuplicateUniqueIdInRegistry"}


async def test_a_proxy_answers_instead(dmp: DmpSandbox, client: Foreign) -> None:
    dmp.troubles.plan(Trouble.BAD_GATEWAY)
    reply = await client.iti41(Lot())
    assert (reply.status, reply.content_type.partition(";")[0]) == (502, "text/html")
    assert dmp.store.lots() == []


@pytest.mark.parametrize(("trouble", "outcome"), [(Trouble.WARNING, "Success"), (Trouble.PARTIAL, "PartialSuccess")])
async def test_the_outcome_is_another(dmp: DmpSandbox, client: Foreign, trouble: Trouble, outcome: str) -> None:
    dmp.troubles.plan(trouble)
    reply = await client.iti41(Lot())
    assert (reply.outcome, reply.errors) == (outcome, ["XDSExtraMetadataNotSaved"] if outcome == "Success" else [])


async def test_the_wrapping_is_odd_and_the_document_whole(dmp: DmpSandbox, client: Foreign) -> None:
    content = b"\r\n--\r\n" + bytes(range(256))
    document = Document(content=content)
    await client.iti41(Lot([document]))
    for trouble in (Trouble.ENCODED_CID, Trouble.LATIN_1, Trouble.WRONG_RELATES_TO, Trouble.MULTIPART):
        dmp.troubles.plan(trouble)
        reply = await client.iti43(retrieve(document.unique_id), DIRECT)
        assert reply.documents == {document.unique_id: content}, trouble
    dmp.troubles.plan(Trouble.BOUNDARY)
    raw = await tricky(client, document)
    assert content in raw
    assert raw.startswith(b"A preamble.\r\n")
    for trouble, word in (
        (Trouble.INVALID_UTF8, b"M\xe9decin"),
        (Trouble.SOAP_11, b"schemas.xmlsoap.org/soap/envelope"),
    ):
        dmp.troubles.plan(trouble, transaction="ITI-41")
        async with httpx.AsyncClient(trust_env=False) as http:
            body, documents = (lot := Lot()).whole(client.sign_lot)
            assert documents
            envelope = client.envelope("urn:ihe:iti:2007:ProvideAndRegisterDocumentSet-b", body, DIRECT)
            got = await http.post(
                dmp.urls["repository"], content=envelope, headers={"Content-Type": "application/soap+xml"}
            )
        assert word in got.content, lot


async def tricky(client: Foreign, document: Document) -> bytes:
    envelope = client.envelope("urn:ihe:iti:2007:RetrieveDocumentSet", retrieve(document.unique_id), DIRECT)
    async with httpx.AsyncClient(trust_env=False) as http:
        got = await http.post(
            f"{client.base}/repository", content=envelope, headers={"Content-Type": "application/soap+xml"}
        )
    return got.content


async def test_troubles_and_deposits_are_asked_for_over_http(dmp: DmpSandbox, client: Foreign) -> None:
    async with httpx.AsyncClient(trust_env=False, base_url=dmp.page_url) as http:
        assert (await http.post("/sandbox/trouble", json={"trouble": "busy", "times": 2})).json() == {"planned": 1}
        assert (await http.post("/sandbox/trouble", json={"trouble": "nothing"})).status_code == 400
        assert (await http.post("/sandbox/trouble", content=b"{}")).status_code == 415
        assert (await http.post("/sandbox/trouble", json=[])).status_code == 400
        unique_id = (await http.post("/sandbox/deposit", json={"masked": True})).json()["uniqueId"]
        shown = (await http.get("/")).text
        assert unique_id in shown
        assert "MASQUE_PS" in shown
        assert "busy × 2" in shown
    client.headers["X-Sandbox-Trouble"] = "nothing"
    assert (await client.iti41(Lot())).status == 400


async def test_eight_lots_at_a_time_are_all_kept_whole(dmp: DmpSandbox, client: Foreign) -> None:
    lots = [Lot([Document(id="A", content=os.urandom(400_000)), Document(id="B")]) for _ in range(16)]
    gate = asyncio.Semaphore(8)

    async def send(lot: Lot) -> str:
        async with gate:
            return (await client.iti41(lot)).outcome

    assert await asyncio.gather(*(send(lot) for lot in lots)) == ["Success"] * 16
    assert len(dmp.store.lots()) == 16
    for lot in lots:
        for document in lot.documents:
            assert b"".join(dmp.store.chunks(document.unique_id)) == document.content


async def test_the_same_lot_eight_times_at_once_is_kept_once(dmp: DmpSandbox, client: Foreign) -> None:
    lot = Lot()
    replies = await asyncio.gather(*(client.iti41(lot) for _ in range(8)))
    assert sorted(one.outcome for one in replies) == ["Failure"] * 7 + ["Success"]
    assert (len(dmp.store.lots()), len(dmp.store.entries())) == (1, 2)


async def test_mutual_tls_is_required(tmp_path: Path, dmp_folder: Path) -> None:
    async with DmpSandbox(dmp_folder) as dmp:
        tls = dmp.certificates.client_context()
        client = Foreign(dmp.url, dmp.certificates.signer, tls)
        assert (await client.iti41(Lot())).outcome == "Success"
        same = Foreign(dmp.url, dmp.certificates.client, tls)
        assert "Not a valid signature certificate" in (await same.iti41(Lot())).fault
        stranger = certificates_in(tmp_path / "stranger")
        anonymous = ssl.create_default_context(cafile=dmp.certificates.authority)
        unknown = ssl.create_default_context(cafile=dmp.certificates.authority)
        unknown.load_cert_chain(stranger.client.certificate, stranger.client.key)
        for context in (anonymous, unknown):
            with pytest.raises(httpx.TransportError):
                await Foreign(dmp.url, dmp.certificates.signer, context).iti41(Lot())
        async with httpx.AsyncClient(trust_env=False) as http:
            assert "TESTROSE" in (await http.get(dmp.page_url)).text


async def test_a_store_that_cannot_be_written_is_a_fault_of_the_receiver(dmp: DmpSandbox, client: Foreign) -> None:
    lock = sqlite3.connect(dmp.folder / "dmp.sqlite", isolation_level=None)
    lock.execute("PRAGMA busy_timeout = 0")
    lock.execute("BEGIN IMMEDIATE")
    dmp.store.patience(0)
    reply = await client.iti41(Lot())
    lock.close()
    assert (reply.status, "Receiver" in reply.fault) == (500, True)
    assert (await client.iti41(Lot())).outcome == "Success"


async def test_plain_http_is_for_loopback(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="loopback"):
        async with DmpSandbox(tmp_path, tls=False, host="0.0.0.0"):  # noqa: S104 - that it is refused is the test
            pass


async def test_the_folder_is_taken_up_again(dmp_folder: Path) -> None:
    async with DmpSandbox(dmp_folder, tls=False) as dmp:
        unique_id = deposit(dmp.store)
        signer = dmp.certificates.signer.certificate.read_bytes()
    async with DmpSandbox(dmp_folder, tls=False) as dmp:
        assert dmp.certificates.signer.certificate.read_bytes() == signer
        assert unique_id in {one.unique_id for one in dmp.store.entries()}


KILLED = """
import sys
from pathlib import Path
from connectors.sandbox.dmp.others import deposit
from connectors.sandbox.dmp.population import seed
from connectors.sandbox.dmp.store import DmpStore
store = DmpStore(Path(sys.argv[1]))
seed(store)
print("ready", flush=True)
while True:
    print(deposit(store), flush=True)
"""


def test_a_process_killed_in_the_middle_leaves_whole_lots(tmp_path: Path) -> None:
    path = tmp_path / "dmp.sqlite"
    running = subprocess.Popen([sys.executable, "-c", KILLED, str(path)], stdout=subprocess.PIPE, text=True)
    assert running.stdout is not None
    said = [running.stdout.readline().strip() for _ in range(6)][1:]
    running.send_signal(signal.SIGKILL)
    said += [line.strip() for line in running.stdout if line.endswith("\n")]
    running.stdout.close()
    running.wait()
    with sqlite3.connect(path) as connection:
        lots, entries, documents, links = (
            connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]  # noqa: S608 - constants
            for table in ("lot", "entry", "document", "association")
        )
        kept = {row[0] for row in connection.execute("SELECT unique_id FROM document")}
    connection.close()
    assert (entries, documents, links) == (2 * lots, 2 * lots, 3 * lots)
    assert set(said) <= kept


def test_the_command_says_what_it_cannot_do(tmp_path: Path) -> None:
    from router.cli.sandbox import command_sandbox

    result = CliRunner().invoke(command_sandbox, ["dmp", "--folder", str(tmp_path / "dmp"), "--schemas", str(tmp_path)])
    assert result.exit_code == 2
    assert "the schema is not there" in result.output


def test_the_command_prints_settings_and_the_address_of_its_page(dmp_folder: Path) -> None:
    command = [sys.executable, "-m", "router.cli", "sandbox", "dmp", "--folder", str(dmp_folder), "--deposit", "1"]
    running = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert running.stdout is not None
    lines: list[str] = []
    while not lines or not lines[-1].startswith("Ready"):
        line = running.stdout.readline()
        assert line, "the command ended"
        lines.append(line)
    page = next(line.split()[-1] for line in lines if line.startswith("Page"))
    assert "1 lots" in httpx.get(page, trust_env=False).text
    running.send_signal(signal.SIGINT)
    _, errors = running.communicate()
    assert (running.returncode, errors) == (0, "")
    import tomllib

    settings = tomllib.loads("".join(lines).partition("Page")[0])["destinations"]["dmp"]
    assert settings["url"].startswith("https://127.0.0.1:")
    assert Path(settings["tls"]["cert"]).is_file()
    assert Path(settings["signature"]["key"]).is_file()
