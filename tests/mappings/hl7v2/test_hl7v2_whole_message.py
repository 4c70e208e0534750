"""A message as a whole: what it lacks, its kind, batches, processing mode, character set, findings."""

from __future__ import annotations

import pytest
from hl7v2_messages import MSH, OBX, PID, codes, message, observations, reading, result_of

from mappings.contracts import Environment, ReadContext
from mappings.hl7v2.reader import read


def test_message_without_patient_or_without_order_says_so() -> None:
    found = reading("OBR|1||F-1|A^A^L", OBX)
    assert codes(found) == ["hl7v2.pid.missing"]
    assert len(found.items) == 1
    found = reading(PID)
    assert codes(found) == ["hl7v2.message.empty"]
    assert found.items == ()


def test_result_before_any_order_is_kept() -> None:
    found = reading(PID, OBX)
    assert codes(found) == ["hl7v2.obx.without_order"]
    assert len(observations(found)) == 1


def test_teleradiology_answer_is_no_result() -> None:
    found = reading(
        PID, "ORC|OK", "OBR|1|||REPONSE_DEMANDE^^TLR_OBR_PROCEDURE", "OBX|1|FT|PROTOCOLE_IMAGERIE||x||||||F"
    )
    assert codes(found) == ["hl7v2.message.unsupported"]
    assert found.items == ()
    assert "OBX-5" in [unread.where for unread in found.unread]


@pytest.mark.parametrize(("kind", "where"), [("SIU^S12", "MSH-9.1"), ("ADT^A99", "MSH-9.2"), ("", "MSH-9.1")])
def test_other_messages_are_not_read_and_say_so(kind: str, where: str) -> None:
    found = reading(PID, kind=kind)
    assert found.items == ()
    assert [(finding.code, finding.where) for finding in found.findings] == [("hl7v2.message.unsupported", where)]
    assert "PID-5" in [unread.where for unread in found.unread]


def test_batch_is_read_message_by_message_with_the_ids_of_each() -> None:
    one, two = message(PID, "OBR|1||F-1|A^A^L", OBX), message(PID, "OBR|1||F-2|A^A^L", OBX)
    found = read(b"FHS|^~\\&|A\rBHS|^~\\&|A\r" + one + two + b"BTS|2\rFTS|1\r", ReadContext())
    alone = [read(piece, ReadContext()).items[0].id for piece in (one, two)]
    assert [item.id for item in found.items] == alone
    assert codes(found) == []
    found = read(one + two + b"BTS|3\r", ReadContext())
    assert codes(found) == ["hl7v2.batch.count"]


@pytest.mark.parametrize(("mode", "test"), [("P", False), ("T", True), ("D", True), ("", None)])
def test_processing_mode_is_told(mode: str, test: bool | None) -> None:
    content = message(PID, "OBR|1||F-1|A^A^L", OBX).replace(b"|CTRL-1|P|", f"|CTRL-1|{mode}|".encode())
    assert read(content, ReadContext()).test is test


@pytest.mark.parametrize(
    ("mode", "environment", "said"),
    [
        ("T", Environment.PRODUCTION, True),
        ("P", Environment.TEST, True),
        ("P", Environment.PRODUCTION, False),
        ("D", Environment.TEST, False),
        ("T", None, False),
    ],
)
def test_test_message_in_production_is_told(mode: str, environment: Environment | None, said: bool) -> None:
    pid = "PID|1||IPP-1^^^CH^PI||FICTIVE^^^^^^L"
    content = message(pid, "OBR|1||F-1|A^A^L", OBX).replace(b"|CTRL-1|P|", f"|CTRL-1|{mode}|".encode())
    found = read(content, ReadContext(environment=environment))
    assert codes(found) == (["hl7v2.header.processing_id"] if said else [])


def test_unknown_version_and_continued_message_are_read_and_told() -> None:
    content = message(PID, "OBR|1||F-1|A^A^L", OBX, "DSC|SUITE").replace(b"|P|2.5|", b"|P|9.9|")
    found = read(content, ReadContext())
    assert len(found.items) == 1
    assert codes(found) == ["hl7v2.header.version", "hl7v2.message.continued"]


def test_reading_tells_control_id_type_and_charset() -> None:
    found, _ = result_of("NM|X^X^L||5||||||F")
    assert (found.control_id, found.message_type, found.charset) == ("CTRL-1", "ORU^R01", "utf-8")


@pytest.mark.parametrize(
    ("charset", "codec", "read_as", "finding"),
    [
        ("8859/15", "iso-8859-15", "iso8859-15", None),
        ("8859/1", "cp1252", "cp1252", None),
        ("UNICODE UTF-8", "utf-8", "utf-8", None),
        ("utf8", "utf-8", "utf-8", None),
        ("8859/15", "utf-8", "utf-8", "hl7v2.charset.mismatch"),
        ("UNICODE UTF-8", "cp1252", "cp1252", "hl7v2.charset.mismatch"),
        ("8859/15", "cp1252", "cp1252", "hl7v2.charset.mismatch"),
        ("", "utf-8", "utf-8", "hl7v2.charset.guessed"),
        ("", "cp1252", "cp1252", "hl7v2.charset.guessed"),
        ("KLINGON", "utf-8", "utf-8", "hl7v2.charset.unknown"),
        ("UNICODE UTF-8", "utf-16", "utf-16-le", None),
    ],
)
def test_character_sets_are_believed_when_they_tell_the_truth(
    charset: str, codec: str, read_as: str, finding: str | None
) -> None:
    text = message(PID, "OBR|1||F-1|A^A^L", "OBX|1|ST|X^X^L||hémoglobine à 5 €, œuf||||||F").decode()
    found = read(text.replace("UNICODE UTF-8", charset).encode(codec), ReadContext())
    value = observations(found)[0].value
    assert value is not None
    assert value.text == "hémoglobine à 5 €, œuf"
    assert found.charset == read_as
    wide = ["hl7v2.byte_order_mark"] if codec == "utf-16" else []
    assert [one.code for one in found.findings] == ([finding] if finding else wide)


def test_configured_character_set_wins() -> None:
    text = message(PID, "OBR|1||F-1|A^A^L", "OBX|1|ST|X^X^L||Ã©||||||F").decode()
    content = text.encode("iso-8859-15")
    found = read(content, ReadContext(charset="iso-8859-15"))
    value = observations(found)[0].value
    assert value is not None
    assert value.text == "Ã©"
    assert codes(read(text.encode("cp1252"), ReadContext(charset="ascii"))) == ["hl7v2.charset.mismatch"]


def test_msh_without_control_id_is_read_with_an_error() -> None:
    content = message(PID, "OBR|1||F-1|A^A^L", OBX).replace(b"CTRL-1", b"")
    found = read(content, ReadContext())
    assert codes(found) == ["hl7v2.header.no_control_id"]
    assert len(found.items) == 1
    assert found.control_id is None


def test_findings_never_quote_the_content() -> None:
    found = reading(
        PID.replace("19900112", "hier-soir"),
        "OBR|1||F-1|A^A^L|||impossible",
        "OBX|1|NM|X^X^L||secretissime|||bizarrerie|||Q",
    )
    said = " ".join(finding.message + finding.where for finding in found.findings)
    assert len(found.findings) == 5
    assert not any(word in said for word in ("hier", "impossible", "secretissime", "bizarrerie"))
    assert MSH.format("").startswith("MSH")
