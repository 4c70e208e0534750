"""A real engine between a folder, the sandbox DMP as a hospital's destination, and the same as a doctor's source."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, select

from connectors.contracts import Delivered, Parcel, ReferenceKind
from connectors.dmp.destination import DmpDestination
from connectors.dmp.settings import DmpDestinationSettings
from connectors.sandbox.adt import Visit
from connectors.sandbox.cda import discharge_letter
from connectors.sandbox.dmp import DmpSandbox
from connectors.sandbox.people import PRESCRIBER, ROSE, Person, population
from connectors.testing import plain_services
from mappings.cda import FORMAT as CDA
from mappings.contracts import Environment, ReadContext, WriteContext
from mappings.xds.format import FORMAT
from router.config.load import Loaded, load
from router.engine.engine import Engine
from router.engine.memory import JournalRecords
from router.identity.patients import register
from router.journal import tables
from router.journal.actions import replay_deliveries
from router.journal.receipts import REFERENCE_PLACE
from router.journal.sealing import make_key_file
from router.journal.store import open_store
from router.journal.unit import Unit
from schemas.identity import IdentityStatus
from schemas.item import DocumentItem

UNQUALIFIED = population(3)[2]
USER = (
    f'user = {{ id = "8{PRESCRIBER.rpps}", name = "{PRESCRIBER.family_name} {PRESCRIBER.given_name}", '
    'profession = "10", profession_label = "Médecin", speciality = "SM26", speciality_label = "Généraliste" }\n'
    'sector = "SA01"\nhomologation = "SANDBOX"\noid = "1.2.250.1.999.67"\n'
)


def letter(number: str, person: Person = ROSE) -> bytes:
    at = datetime.now(UTC)
    visit = Visit("SEJ1", "DOS1", at - timedelta(days=4), discharged_at=at)
    return discharge_letter(person, visit, ["Texte fictif"], number=number, at=at)


def document(content: bytes, status: IdentityStatus = IdentityStatus.QUALIFIED) -> DocumentItem:
    (item,) = CDA.read(content, ReadContext()).items
    assert isinstance(item, DocumentItem)
    return item.model_copy(update={"patient": item.patient.model_copy(update={"status": status})})


def configured(folder: Path, dmp: DmpSandbox) -> Loaded:
    held = dmp.certificates
    common = (
        f'connector = "dmp"\nurl = "{dmp.url}"\n'
        f'tls = {{ ca = "{held.authority}", cert = "{held.client.certificate}", key = "{held.client.key}" }}\n'
        f'signature = {{ cert = "{held.signer.certificate}", key = "{held.signer.key}" }}\n{USER}'
    )
    folder.mkdir()
    (folder / "in").mkdir()
    make_key_file(folder / "journal.key")
    path = folder / "passerelle.toml"
    path.write_text(
        '[journal]\ndata = "."\n[engine]\nworkers = 0\n[identity]\nenvironment = "test"\n'
        '[sources.letters]\nconnector = "directory"\nfolder = "in"\nevery = 0.05\nsettle_seconds = 0.0\n'
        f'[sources.doctor]\n{common}mode = "DIRECTE"\nprofile = "MD"\nper_minute = 6000\n'
        f'[destinations.dmp]\n{common}learn_after_minutes = 0\noptions = {{ source_id = "1.2.250.1.999.67" }}\n'
        '[[routes]]\nname = "letters to the DMP"\nsources = ["letters"]\nto = ["dmp"]\n',
        encoding="utf-8",
    )
    return load(path)


async def deposited_by_another(settings: DmpDestinationSettings, content: bytes) -> None:
    services = plain_services()
    services.clock.advance((datetime.now(UTC) - services.now()).total_seconds())
    options = {"source_id": "1.2.250.1.999.68"}
    context = WriteContext(now=datetime.now(UTC), identity="OTHER", environment=Environment.TEST, options=options)
    made = FORMAT.write(document(content), context)
    other = DmpDestination("other", settings, services)
    parcel = Parcel(1, "OTHER", made.content, made.media_type, made.filename, 1, made.attachments)
    assert isinstance(await other.send(parcel), Delivered)
    await other.close()


class Rig:
    def __init__(self, loaded: Loaded, dmp: DmpSandbox) -> None:
        self.loaded = loaded
        self.dmp = dmp
        self.engine = Engine(loaded, open_store(loaded.place))

    def drop(self, name: str, content: bytes) -> None:
        path = self.loaded.folder / "in" / f"{name}.part"
        path.write_bytes(content)
        path.rename(path.with_suffix(".xml"))

    def deliveries(self) -> dict[str, int]:
        column = tables.delivery.c.state
        with self.engine.store.reading() as connection:
            return {row[0]: row[1] for row in connection.execute(select(column, func.count()).group_by(column))}

    def names(self) -> dict[str, str]:
        with self.engine.store.reading() as connection:
            rows = connection.execute(select(tables.delivery_reference)).all()
        sealer = self.engine.store.sealer.clone()
        return {row.kind: sealer.open(row.sealed_value, REFERENCE_PLACE).decode() for row in rows}

    def namings(self) -> dict[str, int]:
        column = tables.delivery_naming.c.state
        with self.engine.store.reading() as connection:
            return {row[0]: row[1] for row in connection.execute(select(column, func.count()).group_by(column))}

    def messages(self) -> list[tuple[str, str, str]]:
        column = tables.message.c
        with self.engine.store.reading() as connection:
            rows = connection.execute(select(column.source, column.format, column.state)).all()
        return [(row[0], row[1], row[2]) for row in rows]

    def number(self) -> int:
        with self.engine.store.reading() as connection:
            return int(connection.execute(select(tables.delivery.c.id)).scalar_one())

    def attempts(self) -> int:
        with self.engine.store.reading() as connection:
            return int(connection.execute(select(func.count()).select_from(tables.attempt)).scalar_one())

    async def until(self, holds: Callable[[], object]) -> None:
        async with asyncio.timeout(30):
            while not holds():  # noqa: ASYNC110 - what is waited for stands in the journal, which sets no Event
                await asyncio.sleep(0.02)


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    async with DmpSandbox(tmp_path / "dmp") as dmp:
        loaded = configured(tmp_path / "router", dmp)
        settings = loaded.destinations[0].settings
        assert isinstance(settings, DmpDestinationSettings)
        await deposited_by_another(settings, letter("OTHER1"))
        made = Rig(loaded, dmp)
        validated = document(letter("Y", UNQUALIFIED), IdentityStatus.VALIDATED).patient
        with made.engine.store.writing() as connection:
            unit = Unit(connection, made.engine.store.sealer)
            for identity in (document(letter("X")).patient, validated.model_copy(update={"ins": None})):
                register(identity, in_coordination=True, now=1).apply(unit)
            unit.flush()
        await made.engine.start()
        yield made
        await made.engine.stop()


async def test_letters_go_to_the_dmp_and_those_of_others_come(rig: Rig) -> None:
    rig.drop("letter1", letter("LET1"))
    rig.drop("letter2", letter("LET2", UNQUALIFIED))
    await rig.until(lambda: rig.deliveries() == {"acknowledged": 1, "held": 1})
    with rig.engine.store.reading() as connection:
        kinds = set(connection.execute(select(tables.delivery_reference.c.kind)).scalars())
        held = connection.execute(select(tables.attempt.c.outcome, tables.attempt.c.detail)).all()
    assert kinds == {"xds.unique-id", "xds.submission-id", "sha1"}
    assert ("held", "held: the identity is not qualified: nothing goes to the DMP under it") in [
        tuple(one) for one in held
    ]
    assert rig.dmp.calls.count("ITI-41") == 2  # another's, and ours

    await rig.until(lambda: ("doctor", "xds", "processed") in rig.messages())
    assert len([one for one in rig.messages() if one[0] == "doctor"]) == 1


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look up at once what was submitted, round after round."""
    monkeypatch.setattr("router.engine.engine.LEARN_EVERY", 0.02)


@pytest.mark.usefixtures("soon")
async def test_what_the_registry_calls_a_letter_is_looked_up_later_and_once(rig: Rig) -> None:
    rig.drop("letter1", letter("LET1"))
    await rig.until(lambda: "xds.entry-uuid" in rig.names())
    names = rig.names()
    assert set(names) == {"xds.unique-id", "xds.submission-id", "sha1", "xds.entry-uuid"}, "a structure is told no lid"
    assert rig.namings() == {"learnt": 1}
    kept = await JournalRecords(rig.engine.store, "dmp").names_of(names["xds.unique-id"])
    assert kept[ReferenceKind.ENTRY_UUID] == names["xds.entry-uuid"]
    assert await JournalRecords(rig.engine.store, "other").names_of(names["xds.unique-id"]) == {}


async def test_a_person_cannot_insist_where_it_is_not_legal(rig: Rig) -> None:
    rig.drop("letter2", letter("LET2", UNQUALIFIED))
    await rig.until(lambda: rig.deliveries() == {"held": 1})
    number = rig.number()
    await rig.engine.submit(replay_deliveries([number], actor="test", now=2))
    rig.engine.wake()
    await rig.until(lambda: rig.attempts() == 2)
    assert rig.deliveries() == {"held": 1}
    assert rig.dmp.calls.count("ITI-41") == 1
