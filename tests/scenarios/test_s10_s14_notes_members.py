"""S10 to S14: what people write to one another about her, and a member who leaves."""

from __future__ import annotations

import base64
import re
import struct
import zlib
from email import message_from_bytes, policy
from typing import Any

import pytest
from dossier_scene import nurse as nurse_member
from mails import mail, text
from rose_messages import adt
from rose_scene import DAUGHTER, GP, HELPER, NURSE, STRUCTURE, RoseScene, mailed_doctor

from connectors.sandbox.mail_operator import MailOperator
from connectors.sandbox.mail_people import DOCTOR, HOSPITAL, NURSE as SILENT, ROUTER
from connectors.sandbox.tools import Tool
from mappings.contracts import ReadContext
from mappings.xdm import FORMAT as XDM
from router.dossier.circle import end_member
from router.journal import tables
from schemas.item import DocumentItem

GPS = b"Exif\x00\x00II*\x00FICTIF-GPS-48.58N-7.75E"
PHOTO = (
    b"\xff\xd8\xff\xe1"
    + struct.pack(">H", len(GPS) + 2)
    + GPS
    + b"\xff\xda\x00\x02"
    + b"\x5a" * 2_000_000
    + b"\xff\xd9"
)
"""Two megabytes that begin as a JPEG with an Exif segment does."""


async def test_s10_a_home_help_reports(scene: RoseScene) -> None:
    saad = await scene.tool("saad", HELPER, structure=STRUCTURE)
    gp, nurse = await scene.tool("globule", GP), await scene.tool("spico", NURSE, as_profile="spico")
    family = await scene.tool("famille", DAUGHTER, as_profile="mespatients")
    for tool in (gp, nurse, family):
        await tool.subscribe()
    note = await saad.post_note(
        scene.patient,
        "transmission",
        "Chute",
        "Odeur et écoulement au pansement ce matin.",
        urgent=True,
        visibility="MASQUE_PT",
        photos=[("image/jpeg", PHOTO)],
    )
    reference = f"DocumentReference/{note['id']}"
    for tool in (gp, nurse):
        await scene.until(lambda tool=tool: [one for one in tool.notices if reference in one.focus], 5)
        [seen] = await tool.client.search("DocumentReference", patient=scene.patient)
        assert seen["description"] == "Chute"
        photo = await tool.file_of(seen, 1)
        assert (photo.status, photo.headers["Content-Type"]) == (200, "image/jpeg")
        assert len(photo.content) > 1_900_000
        assert b"FICTIF-GPS" not in photo.content
    assert [one for one in family.notices if one.focus] == []
    assert await family.client.search("DocumentReference", patient=scene.patient) == []


MARK = re.compile(r" \[ref:[0-9a-f]{32}\]$")


def written_in(pdf: bytes) -> str:
    """What a PDF of ours says."""
    streams = re.findall(rb"FlateDecode>>\nstream\n(.*?)\nendstream", pdf, re.DOTALL)
    return b"".join(zlib.decompress(one) for one in streams).decode("cp1252")


async def test_s13_a_gp_without_a_tool_gets_a_mail(mailed: RoseScene, operator: MailOperator) -> None:
    scene = mailed
    nurse = await scene.tool("spico", NURSE, as_profile="spico")
    photos = [("image/jpeg", PHOTO[:2_000])]
    await nurse.post_note(
        scene.patient, "observation", "Plaie infectée", "Fièvre ce matin.", urgent=True, photos=photos
    )
    [sent] = await scene.until(lambda: operator.received)
    mail_of = message_from_bytes(sent, policy=policy.default)
    assert DOCTOR in mail_of["To"]
    # Marked for programs that file documents, and nothing of her or of her health in it.
    assert MARK.sub("", mail_of["Subject"]) == "XDM/1.0/DDM+Nouveau message dans un dossier"
    assert (mail_of["Importance"], mail_of["X-MSS-CODECDA"], mail_of["X-MSS-INS"]) == ("high", "11506-3", "O")
    body, *files = mail_of.iter_parts()
    assert "Fièvre ce matin." in body.get_content()
    archive, pdf, photo = (one.get_content() for one in files)
    assert [one.get_filename() for one in files][0::2] == ["IHE_XDM.ZIP", "Photo 1"]
    assert photo.startswith(b"\xff\xd8")
    [document] = XDM.read(archive, ReadContext()).items
    assert isinstance(document, DocumentItem)
    assert document.patient.birth_name == "FICTIVE-ROSE"
    assert document.content.author is not None
    assert document.content.author.identifiers[0].value == "89900000002"
    cda, inside = document.content.attachments
    assert (cda.media_type, base64.b64decode(inside.data or "")) == ("text/xml", pdf)
    assert "Fièvre ce matin." in written_in(pdf)
    [notice] = await scene.until(lambda: states(scene, "read"))
    [delivery] = scene.rows(tables.delivery)
    assert (delivery.id, delivery.state) == (notice.delivery_id, "acknowledged")
    assert {row.stage for row in scene.rows(tables.delivery_receipt)} == {"delivered", "read"}


async def test_s13_what_nobody_has_read_is_sent_and_delivered(empty_mailed: RoseScene, operator: MailOperator) -> None:
    scene = empty_mailed
    await scene.open(("gp", mailed_doctor(SILENT)), ("nurse", nurse_member()))
    nurse = await scene.tool("spico", NURSE, as_profile="spico")
    await nurse.post_note(scene.patient, "observation", "Plaie infectée", "Fièvre ce matin.")
    await scene.until(lambda: scene.rows(tables.delivery_receipt))
    assert [row.stage for row in scene.rows(tables.delivery_receipt)] == ["delivered"]
    assert len(await scene.until(lambda: states(scene, "sent"))) == 1
    assert len(operator.received) == 1


def states(scene: RoseScene, state: str) -> list[Any]:
    """The notices in a state."""
    return scene.rows(tables.alert_notice, tables.alert_notice.c.state == state)


def reply(to: bytes, sender: str, words: str, *, by_subject: bool = False) -> bytes:
    """The answer to a mail, as a mail program makes it; `by_subject` as one does that names no mail."""
    asked = message_from_bytes(to, policy=policy.default)
    named = {} if by_subject else {"In_Reply_To": asked["Message-ID"], "References": asked["Message-ID"]}
    return mail(
        text(words),
        From=f"Dr Testmedecin <{sender}>",
        To=ROUTER,
        Subject=f"Re: {asked['Subject']}",
        Message_ID=f"<reponse-{sender}>",
        **named,
    )


@pytest.mark.parametrize("by_subject", [True, False], ids=["by the token of the subject", "by In-Reply-To"])
async def test_s11_an_opinion_asked_from_the_gp_by_mail(
    mailed: RoseScene, operator: MailOperator, by_subject: bool
) -> None:
    scene = mailed
    nurse = await scene.tool("spico", NURSE, as_profile="spico")
    photos = [("image/jpeg", PHOTO[:2_000])]
    asked = await nurse.post_note(scene.patient, "demande d'avis", "Plaie", "Que pensez-vous ?", photos=photos)
    [sent] = await scene.until(lambda: operator.received)
    assert b"\xff\xd8" in message_from_bytes(sent, policy=policy.default).get_payload()[-1].get_payload(decode=True)
    await scene.until(lambda: scene.rows(tables.delivery_reference))
    operator.deliver(ROUTER, reply(sent, DOCTOR, "Continuez le même pansement.", by_subject=by_subject))
    [answer] = await scene.until_found(lambda: answers(nurse, scene, asked["id"]))
    assert answer["relatesTo"][0]["code"] == "appends"
    assert answer["relatesTo"][0]["target"]["identifier"] == asked["masterIdentifier"]
    assert base64.b64decode(answer["content"][0]["attachment"]["data"]).decode() == "Continuez le même pansement."
    author = await nurse.client.expect("GET", answer["author"][0]["reference"])
    if author["resourceType"] == "PractitionerRole":
        author = await nurse.client.expect("GET", author["practitioner"]["reference"])
    assert author["identifier"][0]["value"] == "89900000001"


async def answers(tool: Tool, scene: RoseScene, parent: str) -> list[dict[str, Any]]:
    found = await tool.client.search("DocumentReference", patient=scene.patient)
    return [one for one in found if one["id"] != parent]


async def test_s11_an_answer_of_somebody_else_goes_to_triage(mailed: RoseScene, operator: MailOperator) -> None:
    scene = mailed
    nurse = await scene.tool("spico", NURSE, as_profile="spico")
    await nurse.post_note(scene.patient, "demande d'avis", "Plaie", "Que pensez-vous ?")
    [sent] = await scene.until(lambda: operator.received)
    await scene.until(lambda: scene.rows(tables.delivery_reference))
    operator.deliver(ROUTER, reply(sent, HOSPITAL, "Je réponds à la place du médecin."))
    await scene.until(lambda: scene.rows(tables.message, tables.message.c.state == "held"))
    assert scene.rows(tables.item)[-1].patient_id is None


async def test_s12_a_new_subject_goes_to_triage(mailed: RoseScene, operator: MailOperator) -> None:
    scene = mailed
    content = mail(text("Avez-vous vu la patiente de la rue du Test ?"), Subject="Question", To=ROUTER, From=DOCTOR)
    operator.deliver(ROUTER, content)
    await scene.until(lambda: scene.rows(tables.message, tables.message.c.state == "held"))
    assert [(row.kind, row.state, row.patient_id) for row in scene.rows(tables.item)] == [("note", "held", None)]
    assert scene.rows(tables.dossier_entry) == []
    assert scene.told() == []


async def test_s14_a_member_who_leaves(scene: RoseScene) -> None:
    nurse = await scene.tool("spico", NURSE, as_profile="spico")
    gp = await scene.tool("globule", GP)
    await nurse.subscribe([f"Encounter?patient={scene.patient}"])
    await gp.post_note(scene.patient, "message", "Avant", "Elle va bien.")
    await scene.processed()
    assert len(await nurse.client.search("DocumentReference", patient=scene.patient)) == 1
    await scene.apply(end_member(scene.patient_number, scene.members["nurse"], by=scene.by("partie")))
    await scene.send(adt())
    await scene.until(lambda: scene.told("ADM"))
    assert ("ADM", "nurse") not in scene.told()
    assert await nurse.client.search("DocumentReference", patient=scene.patient) == []
    scene.later(seconds=60)
    scene.engine.wake()
    await scene.until(lambda: {row.state for row in scene.rows(tables.subscription)} == {"off"})
    denied = [row for row in scene.rows(tables.dossier_access) if not row.allowed]
    assert {row.rule for row in denied} >= {"membership_ended"}
