"""What no registration lifts: a document about somebody else than its message, an archive that was altered."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from mails import DOCTOR, MATRICULE, SENDER, attached, forwarded, header, mail, multipart, text
from sqlalchemy import select
from xdm_archives import cda, entry, xdm

from connectors.sandbox.adt import CARDIOLOGY, Movement, Visit
from connectors.sandbox.cda import LETTER_TYPE, discharge_letter, oid_of
from connectors.sandbox.laboratory import PARIS
from connectors.sandbox.mdm import mdm
from connectors.sandbox.people import ROSE, STRANGER, Person
from mappings.contracts import ReadContext
from mappings.hl7v2 import FORMAT
from router.identity.patients import register
from router.journal import tables

Rig = Any
AT = datetime(2026, 3, 9, 14, 20, tzinfo=PARIS)


def letter(about: Person) -> bytes:
    """A discharge letter about somebody, in a message about Mme Rose."""
    visit = Visit("SEJ1", "DOS1", AT - timedelta(days=4), discharged_at=AT)
    cda = discharge_letter(about, visit, ["Texte fictif"], number="LET1", at=AT)
    movement = Movement("MVT1", AT, CARDIOLOGY)
    return mdm(ROSE, visit, movement, cda, document_id=oid_of("LET1"), kind=LETTER_TYPE, control_id="M1", at=AT)


async def known(rig: Rig) -> None:
    identity = FORMAT.read(letter(ROSE), ReadContext()).items[0].patient
    await rig.engine.submit(register(identity, in_coordination=True, now=1))


@pytest.fixture
async def reading_rig(make_rig: Callable[..., Rig]) -> Any:
    rig = make_rig()
    rig.format = None
    await rig.start()
    yield rig
    await rig.stop()


async def test_a_letter_about_the_patient_of_its_message_goes_on(reading_rig: Rig) -> None:
    await known(reading_rig)
    await reading_rig.submit_bytes(letter(ROSE), "M1")
    await reading_rig.until(lambda: reading_rig.states(tables.item) == {"routed": 1})
    await reading_rig.until(lambda: len(reading_rig.sent) == 1)


async def test_a_letter_about_somebody_else_is_held_until_a_person_decides(reading_rig: Rig) -> None:
    await known(reading_rig)
    await reading_rig.submit_bytes(letter(STRANGER), "M1")
    await reading_rig.until(lambda: reading_rig.states(tables.message) == {"held": 1})
    with reading_rig.engine.store.reading() as connection:
        assert set(connection.execute(select(tables.item.c.reason)).scalars()) == {"document_about_another"}
    await reading_rig.engine.submit(register(ROSE_AGAIN, in_coordination=True, now=2))
    await reading_rig.engine.pipeline.sweep()
    assert reading_rig.states(tables.message) == {"held": 1}, "registering people is no answer to this"
    assert reading_rig.tried == []


ROSE_AGAIN = FORMAT.read(letter(STRANGER), ReadContext()).items[0].patient


TWO_PEOPLE = mail(
    text("Ci-joint."),
    attached(xdm(), "IHE_XDM.ZIP"),
    attached(cda("1.2.250.1.999.67.2", name="PATTROIS", ins=None).replace(b"MIREILLE", b"PAULE"), "autre.xml"),
)
DEEP = mail(text("fond"))
for _level in range(6):
    DEEP = mail(text("Voir."), forwarded(DEEP).replace(b"interne", f"b{_level}".encode()))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (TWO_PEOPLE, "several_patients"),
        (mail(text("x"), attached(xdm(listed=entry(cda(), hashed="0" * 40)), "IHE_XDM.ZIP")), "content_altered"),
        (mail(text("x"), attached(b"%PDF-1.4", "a.pdf").replace(b"JVBER", b"JV*ER")), "content_altered"),
        (header() + attached(b"0", "smime.p7m", "application/pkcs7-mime"), "not_decrypted"),
        (mail(multipart(text("x"), text("y"), kind="signed")), "signature_not_valid"),
        (DEEP, "partly_read"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_a_mail_that_cannot_be_trusted_is_held_whole(reading_rig: Rig, content: bytes, reason: str) -> None:
    await known(reading_rig)
    await reading_rig.submit_bytes(content, "M1")
    await reading_rig.until(lambda: reading_rig.states(tables.message) == {"held": 1})
    with reading_rig.engine.store.reading() as connection:
        assert set(connection.execute(select(tables.item.c.reason)).scalars()) == {reason}
    assert reading_rig.tried == []


async def test_a_note_and_a_file_of_nobody_wait_for_the_identity_desk(reading_rig: Rig) -> None:
    await known(reading_rig)
    patient = f"{MATRICULE}@patient.mssante.invalid"
    for rank, sender in enumerate((SENDER, patient)):
        content = mail(text(), attached(b"%PDF-1.4", "a.pdf"), From=sender, To=DOCTOR, Message_ID=f"<{rank}@x.invalid>")
        await reading_rig.submit_bytes(content, f"M{rank}")
    await reading_rig.until(lambda: reading_rig.states(tables.item) == {"held": 4})
    with reading_rig.engine.store.reading() as connection:
        assert set(connection.execute(select(tables.item.c.reason)).scalars()) == {"no_match"}
        assert set(connection.execute(select(tables.item.c.kind)).scalars()) == {"document", "note"}


@pytest.mark.shared_data
async def test_an_altered_archive_is_held(reading_rig: Rig, shared_data: Path) -> None:
    await known(reading_rig)
    (altered,) = [path for path in (shared_data / "mssante" / "xdm").glob("*.zip") if "empreinte" in path.name]
    await reading_rig.submit_bytes(altered.read_bytes(), "X1")
    await reading_rig.until(lambda: reading_rig.states(tables.message) == {"held": 1})
    with reading_rig.engine.store.reading() as connection:
        assert set(connection.execute(select(tables.item.c.reason)).scalars()) == {"content_altered"}
    assert reading_rig.tried == []
