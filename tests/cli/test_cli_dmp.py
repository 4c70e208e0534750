"""`passerelle dmp` against the sandbox DMP, which runs in a thread of its own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from connectors.contracts import Delivered, Parcel
from connectors.dmp.destination import DmpDestination
from connectors.dmp.settings import DmpDestinationSettings
from connectors.sandbox.adt import Visit
from connectors.sandbox.cda import discharge_letter
from connectors.sandbox.dmp import DmpSandbox
from connectors.sandbox.people import PRESCRIBER, ROSE
from connectors.testing import plain_services
from mappings.cda import FORMAT as CDA
from mappings.contracts import Environment, ReadContext, WriteContext
from mappings.xds.format import FORMAT
from router.cli.base import run
from router.config.load import ConfigurationFault, load
from router.journal import tables
from router.journal.store import open_store
from schemas.identity import IdentityStatus
from schemas.item import DocumentItem

USER = f"""user = {{ id = "8{PRESCRIBER.rpps}", name = "{PRESCRIBER.family_name} {PRESCRIBER.given_name}",
  profession = "10", profession_label = "Médecin", speciality = "SM26", speciality_label = "Généraliste" }}
sector = "SA01"
homologation = "SANDBOX"
oid = "1.2.250.1.999.67"
""".replace("\n  ", " ")


@dataclass
class Place:
    """A router's folder whose configuration knows the sandbox, and a document in it."""

    config: Path
    unique_id: str
    content: bytes


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("dmp")
    ready, leave = threading.Event(), threading.Event()
    found: list[DmpSandbox] = []

    async def serve() -> None:
        async with DmpSandbox(folder / "sandbox") as dmp:
            found.append(dmp)
            ready.set()
            while not leave.is_set():  # noqa: ASYNC110 - the event is another thread's
                await asyncio.sleep(0.01)

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    try:
        assert ready.wait(30)
        yield _made(folder / "router", found[0])
    finally:
        leave.set()
        thread.join()


def _made(folder: Path, dmp: DmpSandbox) -> Place:
    assert run(["init", str(folder), "--password", "a-long-password-1"]) in (0, None)
    held = dmp.certificates
    common = f"""connector = "dmp"
url = "{dmp.url}"
tls = {{ ca = "{held.authority}", cert = "{held.client.certificate}", key = "{held.client.key}" }}
signature = {{ cert = "{held.signer.certificate}", key = "{held.signer.key}" }}
{USER}"""
    path = folder / "passerelle.toml"
    path.write_text(
        '[identity]\nenvironment = "test"\n[journal]\ndata = "data"\n'
        f'[destinations.hospital]\n{common}\n[sources.doctor]\n{common}mode = "DIRECTE"\nprofile = "MD"\n'
    )
    loaded = load(path)
    settings = loaded.destinations[0].settings
    assert isinstance(settings, DmpDestinationSettings)
    at = datetime.now(UTC)
    visit = Visit("SEJ1", "DOS1", at - timedelta(days=4), discharged_at=at)
    content = discharge_letter(ROSE, visit, ["Texte fictif"], number="CLI1", at=at)
    (item,) = CDA.read(content, ReadContext()).items
    assert isinstance(item, DocumentItem)
    patient = item.patient.model_copy(update={"status": IdentityStatus.QUALIFIED})
    options = {"source_id": "1.2.250.1.999.67"}
    context = WriteContext(now=at, identity="CLI1", environment=Environment.TEST, options=options)
    made = FORMAT.write(item.model_copy(update={"patient": patient}), context)
    parcel = Parcel(1, "CLI1", made.content, made.media_type, made.filename, 1, made.attachments)

    async def deposit() -> None:
        services = plain_services()
        services.clock.advance((datetime.now(UTC) - services.now()).total_seconds())
        destination = DmpDestination("hospital", settings, services)
        assert isinstance(await destination.send(parcel), Delivered)
        await destination.close()

    asyncio.run(deposit())
    return Place(path, item.content.document_id or "", content)


def dmp(place: Place, action: str, *more: str, name: str = "doctor") -> int:
    return run(["dmp", action, ROSE.matricule, *more, "--config", str(place.config), "--name", name])


def test_an_operator_asks_searches_retrieves_masks_and_deletes(
    place: Place, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert dmp(place, "test") == 0
    assert "exists and is active" in capsys.readouterr().out
    assert dmp(place, "search") == 0
    assert place.unique_id in capsys.readouterr().out
    out = tmp_path / "letter.xml"
    assert dmp(place, "retrieve", place.unique_id, "--out", str(out)) == 0
    assert out.read_bytes() == place.content
    assert dmp(place, "retrieve", place.unique_id, "--out", str(out)) == 2
    assert dmp(place, "mask", place.unique_id) == 0
    assert dmp(place, "mask", place.unique_id, "--remove") == 0
    assert dmp(place, "mask", place.unique_id, "--code", "INVISIBLE_PATIENT") == 2
    assert dmp(place, "archive", place.unique_id) == 0
    assert dmp(place, "archive", place.unique_id) == 1
    assert dmp(place, "archive", place.unique_id, "--back") == 0
    assert dmp(place, "search", name="hospital") == 2
    assert "no right to search" in capsys.readouterr().err
    assert dmp(place, "delete", place.unique_id, "--yes", name="hospital") == 0
    assert dmp(place, "delete", place.unique_id, "--yes", name="hospital") == 1
    said = capsys.readouterr()
    assert "TESTROSE" not in said.err
    store = open_store(load(place.config).place)
    with store.reading() as connection:
        rows = connection.execute(select(tables.audit.c.action, tables.audit.c.target)).all()
    store.close()
    actions = [row.action for row in rows if row.action.startswith("dmp ")]
    assert {"dmp test", "dmp search", "dmp retrieve", "dmp mask", "dmp unmask", "dmp archive", "dmp delete"} <= set(
        actions
    )
    assert ROSE.matricule not in str(rows)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["test", "123"], "not a matricule"),
        (["test", ROSE.matricule, "--name", "nobody"], "no dmp source or destination named nobody"),
        (["test", ROSE.matricule, "--oid", "1.2.3", "--name", "doctor"], "--oid"),
        (["test", ROSE.matricule], "say which one"),
    ],
)
def test_what_cannot_be_asked_is_told_in_a_sentence(
    arguments: list[str], said: str, place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    more = [] if "--name" in arguments or said == "say which one" else ["--name", "doctor"]
    assert run(["dmp", *arguments, *more, "--config", str(place.config)]) == 2
    assert said in capsys.readouterr().err


def test_check_warns_of_documents_that_leave_unchecked(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["check", "--config", str(place.config)]) == 0
    said = capsys.readouterr()
    assert "hospital" in said.out
    assert 'validate = "strict"' in said.out + said.err
    assert "xds" in said.out


def test_one_certificate_for_two_roles_refuses_the_configuration(place: Place, tmp_path: Path) -> None:
    text = place.config.read_text()
    held = load(place.config).destinations[0].settings
    assert isinstance(held, DmpDestinationSettings)
    copy = tmp_path / "copy.pem"
    copy.write_bytes(held.signature.cert.read_bytes())
    assert held.tls is not None
    path = place.config.with_name("other.toml")
    path.write_text(text.replace(str(held.tls.cert), str(copy)))
    with pytest.raises(ConfigurationFault, match="one certificate"):
        load(path)
