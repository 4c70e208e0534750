"""Shared documents through the whole router: submitted once, fetched once, held for a person where they must be."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable
from pathlib import Path

import orjson
from sqlalchemy import func, select

from connectors.sandbox.pdsm import DocumentServer, serving
from connectors.sandbox.people import INS_TEST_OID, ROSE
from router.config.load import load
from router.engine.engine import Engine
from router.identity.patients import register
from router.journal import tables
from router.journal.sealing import make_key_file
from router.journal.store import open_store
from schemas.actors import Organization, Professional
from schemas.attachment import Attachment
from schemas.coding import Coding, Identifier
from schemas.document import Document, Wishes
from schemas.identifiers import PROFESSIONALS
from schemas.identity import IdentityStatus, Ins, PatientIdentity
from schemas.item import DocumentItem, ItemSet, Provenance

PATIENT = PatientIdentity(
    ins=Ins(matricule=ROSE.matricule, oid=INS_TEST_OID),
    status=IdentityStatus.QUALIFIED,
    identifiers=(Identifier(system="urn:oid:1.2.250.1.999.35.1", value=ROSE.ipp, type="PI"),),
    birth_name=ROSE.birth_name,
    birth_given_names=ROSE.birth_given_names,
    first_given_name=ROSE.given_name,
    birth_date=ROSE.birth_date.isoformat(),
    sex=ROSE.sex,
    birth_place=ROSE.birth_place,
)
AUTHOR = Professional(
    family_name="TESTEUR",
    given_name="CAMILLE",
    identifiers=(Identifier(system=PROFESSIONALS, value="99990000012", type="RPPS"),),
)
PLACE = Organization(name="CABINET TEST", identifiers=(Identifier(value="990000017", type="FINEG"),))


def document(number: int, **changes: object) -> bytes:
    """Write what the other side hands in: a document as the canonical format has it."""
    values = {
        "document_id": f"2.999.7.{number}",
        "type": Coding(system="http://loinc.org", code="11488-4"),
        "format": Coding(system="urn:oid:1.3.6.1.4.1.19376.1.2.3", code="urn:ihe:iti:xds-sd:pdf:2008"),
        "title": f"Lettre {number}",
        "author": AUTHOR,
        "author_organization": PLACE,
        "practice_setting": Coding(system="urn:oid:1.2.250.1.213.1.1.4.9", code="AMBULATOIRE"),
        "facility_type": Coding(system="urn:oid:1.2.250.1.71.4.2.4", code="SA07"),
        "attachments": (Attachment(media_type="application/pdf", data=base64.b64encode(b"%PDF-1.4").decode()),),
    }
    item = DocumentItem(
        id=str(number),
        patient=PATIENT,
        sender=PLACE,
        content=Document(**{**values, **changes}),
        source=Provenance(format="canonical", where="test"),
    )
    return ItemSet(items=(item,)).model_dump_json().encode()


def configuration(folder: Path, base: str) -> Path:
    for name in ("in", "out"):
        (folder / name).mkdir()
    make_key_file(folder / "journal.key")
    path = folder / "passerelle.toml"
    path.write_text(
        f"""
        journal = {{ data = "." }}
        engine = {{ workers = 0 }}
        identity = {{ environment = "test" }}
        sources.inbox = {{ connector = "directory", folder = "in", settle_seconds = 0, every = 0.05 }}
        sources.share = {{ connector = "pdsm", url = "{base}", every = 1 }}
        destinations.outbox = {{ connector = "directory", folder = "out", format = "canonical" }}
        [destinations.share]
        connector = "pdsm"
        url = "{base}"
        timeout = 10
        retry = {{ first_delay = 0.05 }}
        [[routes]]
        name = "ours to the share"
        sources = ["inbox"]
        to = ["share"]
        [[routes]]
        name = "others' to the dossier"
        sources = ["share"]
        to = ["outbox"]
        """
    )
    return path


class Running:
    """A router between a folder and a document-sharing server."""

    def __init__(self, folder: Path, server: DocumentServer, engine: Engine) -> None:
        self.folder, self.server, self.engine = folder, server, engine

    def hand_in(self, number: int, **changes: object) -> None:
        part = self.folder / "in" / f"{number}.part"
        part.write_bytes(document(number, **changes))
        part.rename(part.with_suffix(".json"))

    def states(self) -> dict[str, int]:
        """Count the deliveries to the share by state."""
        column = tables.delivery.c
        wanted = select(column.state, func.count()).where(column.destination == "share").group_by(column.state)
        with self.engine.store.reading() as connection:
            return {row[0]: row[1] for row in connection.execute(wanted).all()}

    def fetched(self) -> list[Path]:
        return list((self.folder / "out").glob("*.json"))

    async def until(self, holds: Callable[[], object]) -> None:
        async with asyncio.timeout(30):
            while not holds():  # noqa: ASYNC110 - the journal and the folder set no Event
                await asyncio.sleep(0.02)


async def test_documents_go_and_come_once(tmp_path: Path) -> None:
    server = DocumentServer()
    async with serving(server) as base:
        loaded = load(configuration(tmp_path, base))
        engine = Engine(loaded, open_store(loaded.place))
        await engine.start()
        at = Running(tmp_path, server, engine)
        try:
            await engine.submit(register(PATIENT, in_coordination=True, now=1))
            at.hand_in(1)
            await at.until(lambda: at.states() == {"acknowledged": 1})

            server.deposit(f"urn:oid:{INS_TEST_OID}", ROSE.matricule, b"%PDF-1.4 other", title="Lettre du medecin")
            await at.until(at.fetched)
            (taken,) = at.fetched()
            (item,) = orjson.loads(taken.read_bytes())["items"]
            assert item["content"]["title"] == "Lettre du medecin"
            assert item["patient"]["ins"]["matricule"] == ROSE.matricule

            at.hand_in(2, wishes=Wishes(dmp=False))
            await at.until(lambda: at.states() == {"acknowledged": 1, "held": 1})
            rounds = engine_rounds(engine)
            await at.until(lambda: engine_rounds(engine) >= rounds + 2)
            assert len(at.fetched()) == 1
            assert len(server.store.of_kind("DocumentReference")) == 2
        finally:
            await engine.stop()


def engine_rounds(engine: Engine) -> int:
    (flow,) = (one for one in engine.flows() if (one.name, one.side) == ("share", "source"))
    return int(flow.figures["rounds"])
