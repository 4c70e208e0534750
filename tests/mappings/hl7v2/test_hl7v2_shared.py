"""The real and agreed examples beside the project: what their README says must come out."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hl7v2_messages import document, identity, observations, report, stay

from mappings.contracts import FormatError, ReadContext, Reading
from mappings.hl7v2 import FORMAT
from mappings.hl7v2.er7 import parse, split
from mappings.hl7v2.positions import positions
from mappings.hl7v2.reader import read
from schemas.document import DocumentOperation
from schemas.identity import IdentityStatus
from schemas.item import Item
from schemas.lab import CodedValue, QuantityValue, ResultStatus, TextValue
from schemas.stay import MovementAction, StayStatus

pytestmark = pytest.mark.shared_data

NOT_HL7 = {"guide.txt", "uuencoded_escaped.txt", "mllp_r2_ack_nak.bin"}


def own(shared_data: Path, name: str) -> Reading:
    return read((shared_data / "hl7v2" / "own-examples" / name).read_bytes(), ReadContext())


def files(shared_data: Path) -> list[Path]:
    found = [path for path in (shared_data / "hl7v2").rglob("*") if path.suffix in (".hl7", ".er7", ".txt", ".bin")]
    assert len(found) > 130
    return sorted(found)


def test_every_file_is_cut_read_and_shown(shared_data: Path) -> None:
    refused = set()
    for path in files(shared_data):
        content = path.read_bytes()
        try:
            found = FORMAT.read(content, ReadContext())
        except FormatError:
            refused.add(path.name)
            continue
        assert found.items or any(one.code == "hl7v2.message.unsupported" for one in found.findings), path.name
        for piece in split(content):
            assert piece in content
            assert parse(piece).encode() == piece, path.name
        assert FORMAT.pieces(content)
        assert FORMAT.sniff(content) >= 0.5
        spans = FORMAT.positions(content)
        assert all(content[span.start : span.end].strip() for span in spans), path.name
        assert len({span.where for span in spans}) == len(spans), path.name
    assert refused == NOT_HL7


def test_structured_report(shared_data: Path) -> None:
    found = own(shared_data, "oru_r01_lab_structured.hl7")
    first, second, third, group, age, comment, glucose = observations(found)
    assert first.value == QuantityValue(number="13.2", text="13.2")
    assert second.value == QuantityValue(number="12.4", text="12,4")
    assert second.comment == "Contrôlé sur lame & confirmé"
    assert third.value == QuantityValue(number="20", comparator="<", text="<20")
    assert third.flags == ("LL",)
    assert isinstance(group.value, CodedValue)
    assert [code.code for code in group.value.codes] == ["A+"]
    assert (age.value, age.status) == (TextValue(text="50 ans (^calculé)"), ResultStatus.PRELIMINARY)
    assert comment.value is not None
    assert (glucose.value, glucose.status) == (None, ResultStatus.CANCELLED)
    content = report(found).content
    assert content.chapters[0].comment == "Prélèvement conforme\nPatient à jeun"
    assert [specimen.id for specimen in content.specimens] == [first.specimen]
    assert content.visit is not None
    assert (content.report_id, content.visit.value) == ("F-900", "V-555")


@pytest.mark.parametrize(
    ("name", "codec", "finding"),
    [
        ("oru_cr_8859-15.bin", "iso8859-15", None),
        ("oru_cr_declares_8859-15_is_utf8.bin", "utf-8", "hl7v2.charset.mismatch"),
        ("oru_cr_declares_utf8_is_cp1252.bin", "cp1252", "hl7v2.charset.mismatch"),
        ("oru_no_charset_latin1.bin", "cp1252", "hl7v2.charset.guessed"),
        ("oru_crlf_utf8_bom.bin", "utf-8", None),
    ],
)
def test_lies_about_charset_and_line_ends_do_not_change_the_text(
    shared_data: Path, name: str, codec: str, finding: str | None
) -> None:
    truth, found = own(shared_data, "wire/oru_cr_8859-15.bin"), own(shared_data, f"wire/{name}")
    assert found.charset == codec
    assert [one.code for one in found.findings if one.code.startswith("hl7v2.charset")] == (
        [finding] if finding else []
    )

    def text(reading: Reading) -> str:
        dumped = report(reading).content.model_dump_json()
        return re.sub(r"€|\\\\X80\\\\", "*", dumped)

    assert text(found) == text(truth)
    assert found.items[0].patient == truth.items[0].patient


def test_escape_that_the_charset_cannot_say_is_kept_and_told(shared_data: Path) -> None:
    found = own(shared_data, "wire/oru_cr_8859-15.bin")
    assert observations(found)[5].value == TextValue(text="Ligne 1\nLigne 2 à 5 \\X80\\")
    assert [(one.code, one.where) for one in found.findings] == [("hl7v2.escape.kept", "OBX[6]-5")]


def test_odd_delimiters(shared_data: Path) -> None:
    assert observations(own(shared_data, "wire/odd_delimiters.bin"))[0].value == TextValue(text="a*b#c?d")


@pytest.mark.parametrize("name", ["batch_fhs_bhs.bin", "concatenated_no_batch.bin", "mllp_two_frames.bin"])
def test_batches_hold_two_messages(shared_data: Path, name: str) -> None:
    content = (shared_data / "hl7v2" / "own-examples" / "wire" / name).read_bytes()
    assert [parse(piece).header.code(10) for piece in split(content)] == ["W-1", "W-2"]


def test_document_with_all_its_metadata(shared_data: Path) -> None:
    item = document(own(shared_data, "oru_r01_cda_dmp_mss.hl7"))
    wishes = item.content.wishes
    assert wishes is not None
    assert (wishes.dmp, wishes.mssante_professionals, wishes.mssante_patient) == (True, True, True)
    assert (wishes.patient_may_not_reply, wishes.reception_receipt, wishes.reading_receipt) == (True, True, True)
    assert len(item.recipients) == 3
    assert item.content.reply_to == "secretariat@ch.example.invalid"
    assert item.content.mail_body_professionals == "Bonjour, document fictif."


@pytest.mark.parametrize(
    ("name", "operation", "replaces"),
    [
        ("mdm_t02_cda.hl7", DocumentOperation.CREATE, None),
        ("mdm_t10_cda.hl7", DocumentOperation.REPLACE, "1.2.250.1.99999.1.1001"),
        ("mdm_t04_cda.hl7", DocumentOperation.DELETE, "1.2.250.1.99999.1.1001"),
    ],
)
def test_operations_of_mdm(shared_data: Path, name: str, operation: DocumentOperation, replaces: str | None) -> None:
    item = document(own(shared_data, name))
    assert (item.content.operation, item.replaces) == (operation, replaces)


def test_movements(shared_data: Path) -> None:
    admission = stay(own(shared_data, "adt_a01.hl7"))
    assert admission.content.movements[0].action is MovementAction.INSERT
    assert admission.patient.status is IdentityStatus.QUALIFIED
    cancelled = stay(own(shared_data, "adt_a12_historic.hl7")).content.movements[0]
    assert (cancelled.action, cancelled.historic, cancelled.original_trigger) == (MovementAction.CANCEL, True, "A02")
    updated = stay(own(shared_data, "adt_z99_update.hl7")).content
    assert (updated.movements[0].action, updated.movements[0].original_trigger) == (MovementAction.UPDATE, "A01")
    left = stay(own(shared_data, "adt_a03.hl7")).content
    assert (left.status, left.discharged_at) == (StayStatus.FINISHED, "2026-01-10T11:00:00+01:00")


def test_identities(shared_data: Path) -> None:
    merged = identity(own(shared_data, "adt_a40_merge.hl7"))
    assert (merged.patient.identifiers[0].value, merged.content.absorbed[0].value) == ("IPP-000123", "IPP-000999")
    removed = identity(own(shared_data, "adt_a47_delete_ins.hl7"))
    assert (removed.content.ins_removed, removed.patient.status) == (True, IdentityStatus.PROVISIONAL)
    trap = own(shared_data, "adt_a31_prov_with_ins_trap.hl7")
    assert (trap.items[0].patient.ins, trap.findings[0].code) == (None, "hl7v2.ins.not_validated")
    unnamed = identity(own(shared_data, "adt_a31_name_removed.hl7")).patient
    assert (unnamed.used_name, unnamed.deleted) == (None, ("used_name",))


def test_what_is_said_to_be_unread_changes_nothing_and_the_rest_is_looked_at(shared_data: Path) -> None:
    """Mutate each unread value of our own examples: no Item may change by more than its id."""
    tried = 0
    for path in sorted((shared_data / "hl7v2" / "own-examples").rglob("*")):
        if path.suffix not in (".hl7", ".bin") or path.name in NOT_HL7 or len(split(path.read_bytes())) > 1:
            continue
        content = path.read_bytes()
        before = read(content, ReadContext())
        unread = {_full(one.where) for one in before.unread}
        for span in positions(content):
            parts = re.split(r"(?=\.)|(?<=\])(?=\.)", span.where)
            names = {"".join(parts[:n]) for n in range(1, len(parts) + 1)}
            names |= {re.sub(r"(-\d+)\[\d+\]", r"\1", name) for name in names}
            if not names & unread:
                continue
            tried += 1
            changed = content[: span.start] + b"7" * (span.end - span.start) + content[span.end :]
            after = read(changed, ReadContext())
            assert [_bare(item) for item in after.items] == [_bare(item) for item in before.items], span.where
    assert tried > 100


def _full(where: str) -> str:
    """Write a place as `positions` does: `PV1-7` is `PV1[1]-7`, `PID-3.7` is `PID[1]-3[1].7`."""
    found = re.fullmatch(r"(\w{3})(\[\d+\])?-(\d+)(\[\d+\])?(\..*)?", where)
    assert found is not None, where
    segment, nth, field, repetition, rest = found.groups()
    text = f"{segment}{nth or '[1]'}-{field}"
    return f"{text}{repetition or '[1]'}{rest}" if rest else text + (repetition or "")


def _bare(item: Item) -> Item:
    return item.model_copy(update={"id": ""})
