"""Notices that leave by MSSanté, over a running router and an operator: a Delivery each, and the reading is known."""

from __future__ import annotations

import asyncio
import email
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from email import policy
from pathlib import Path
from typing import Any

import pytest
from dossier_scene import DAC, INFORMED, doctor, nurse, stay
from sqlalchemy import select

from connectors.sandbox.mail_operator import MailOperator
from connectors.sandbox.mail_people import DOCTOR, NOBODY, ROUTER
from router.bench.mappings import sample_document
from router.config.load import ConfigurationFault, load, load_text
from router.dossier.circle import add_member
from router.dossier.dossiers import open_dossier
from router.dossier.keeping import By
from router.engine.engine import Engine
from router.identity.patients import register
from router.journal import tables
from router.journal.actions import replay_messages
from router.journal.operations import NOTICES
from router.journal.sealing import make_key_file
from router.journal.store import open_store
from schemas.actors import Telecom
from schemas.circle import Channel, Preferences
from schemas.identity import IdentityStatus
from schemas.item import ItemSet

CONFIGURATION = """
[engine]
workers = 0

[dossier.alerts]
mssante = "mail"

[sources.drop]
connector = "directory"
folder = "drop"
settle_seconds = 0
every = 0.05
format = "canonical"

[sources.mailbox]
connector = "mssante"
format = "mail"
every = 0.2
address = "{imap}"
account = "{account}"
tls = {{ ca = "{ca}", cert = "{cert}" }}
login = {{ password = "bac-a-sable" }}
allowed_domains = ["sandbox.mssante.invalid"]

[destinations.mail]
connector = "mssante"
format = "mail"
address = "{submission}"
account = "{account}"
tls = {{ ca = "{ca}", cert = "{cert}" }}
login = {{ password = "bac-a-sable" }}
allowed_domains = ["sandbox.mssante.invalid"]
options = {{ from = "{account}", mdn = "yes"{more} }}
"""


def configuration(operator: MailOperator, more: str = "") -> str:
    files = operator.files
    return CONFIGURATION.format(
        imap=f"localhost:{operator.ports.imap}",
        submission=f"localhost:{operator.ports.submission}",
        account=ROUTER,
        ca=files.ca,
        cert=files.client,
        more=more,
    )


@pytest.fixture
async def operator(tmp_path: Path) -> AsyncIterator[MailOperator]:
    async with MailOperator(tmp_path / "operator") as operator:
        yield operator


@asynccontextmanager
async def running(operator: MailOperator, folder: Path) -> AsyncIterator[Engine]:
    (folder / "drop").mkdir(exist_ok=True)
    (folder / "passerelle.toml").write_text(configuration(operator), encoding="utf-8")
    loaded = load(folder / "passerelle.toml")
    if not loaded.place.data.exists():
        loaded.place.data.mkdir()
        make_key_file(loaded.place.key_file)
    engine = Engine(loaded, open_store(loaded.place))
    await engine.start()
    try:
        yield engine
    finally:
        await engine.stop()


def by() -> By:
    return By("claire", int(datetime.now(UTC).timestamp() * 1_000_000))


def rows(engine: Engine, table: Any) -> list[Any]:
    with engine.store.reading() as connection:
        return list(connection.execute(select(table).order_by(table.c.id)))


async def until(engine: Engine, table: Any, states: list[str]) -> None:
    while [row.state for row in rows(engine, table)] != states:  # noqa: ASYNC110 - the journal is looked at
        await asyncio.sleep(0.02)


def written_to(mailbox: str, who: Any) -> Any:
    """Give a member who is told at this mailbox."""
    member = who(preferences=Preferences(channels=(Channel.MSSANTE,)), organization=None)
    own = member.professional.model_copy(update={"telecoms": (Telecom(kind="mssante", value=mailbox),)})
    return member.model_copy(update={"professional": own})


async def test_members_are_mailed_what_happened_and_what_arrived(operator: MailOperator, tmp_path: Path) -> None:
    document = sample_document()
    admission = stay("a" * 32).model_copy(
        update={"patient": document.patient, "occurred_at": datetime.now(UTC).isoformat(timespec="seconds")}
    )
    async with running(operator, tmp_path) as engine:
        known = document.patient.model_copy(update={"ins": None, "status": IdentityStatus.VALIDATED})
        patient = (await engine.submit(register(known, in_coordination=False, now=by().now))).patient_id
        informed = INFORMED.model_copy(update={"at": "2020-01-01"})
        await engine.submit(open_dossier(patient, DAC, by=by(), consent=informed))
        for who in (written_to(DOCTOR, doctor), written_to(NOBODY, nurse)):
            who = who.model_copy(update={"start": "2020-01-01", "backlog": True})
            assert (await engine.submit(add_member(patient, who, by=by()))).refusal is None
        (tmp_path / "drop" / "stay.json").write_text(ItemSet(items=(admission,)).model_dump_json(), encoding="utf-8")
        await until(engine, tables.alert_notice, ["read", "failed"])
        (tmp_path / "drop" / "doc.json").write_text(ItemSet(items=(document,)).model_dump_json(), encoding="utf-8")
        await until(engine, tables.alert_notice, ["read", "failed", "read", "failed"])
        deliveries = rows(engine, tables.delivery)
        assert {row.route for row in deliveries} == {NOTICES}
        assert document.patient.ins is not None
        assert {row.ins_token for row in deliveries} == {None}, "no INS leaves on the sender's word alone"
        refused = rows(engine, tables.alert_notice)[1]
        assert "refused" in refused.detail
        assert NOBODY not in refused.detail
        box = operator.opened(DOCTOR)
        assert box is not None
        told, letter = sorted(box.contents(), key=len)
        assert b"IHE_XDM.ZIP" in letter
        text = email.message_from_bytes(told, policy=policy.default).get_content()
        assert "Établissement : CH FICTIF" in text
        assert "Admission à l’hôpital" in text
        assert b"TESTROSE" not in told.partition(b"\r\n\r\n")[0], "a subject is read by whoever is on the way"
        await engine.submit(replay_messages([1], actor="claire", now=by().now))
        engine.wake()
        await until(
            engine, tables.item, ["replaced", *[row.state for row in rows(engine, tables.item)[1:]], "unrouted"]
        )
    assert len(rows_after(engine)) == len(deliveries), "a replay tells nobody again"


def rows_after(engine: Engine) -> list[Any]:
    """Give the Deliveries once more, of a router that has stopped."""
    store = open_store(engine.store.place)
    try:
        with store.reading() as connection:
            return list(connection.execute(select(tables.delivery)))
    finally:
        store.close()


async def test_a_destination_of_one_address_is_refused_for_notices(operator: MailOperator, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationFault, match="writes to one address alone"):
        load_text(configuration(operator, f', to = "{DOCTOR}"'), tmp_path / "passerelle.toml")
