from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime

import pytest
from filled_items import EVERY_ITEM
from hl7v2_messages import INS, PID, message, reading
from hypothesis import given, settings, strategies as st

from mappings.contracts import Piece, ReadContext, Splitter, WriteContext, WriteRefused
from mappings.hl7v2 import FORMAT
from mappings.hl7v2.positions import positions
from mappings.registry import formats
from schemas.item import ItemKind

CONTENT = message(PID, "OBR|1||F-1|A^A^L", "OBX|1|ST|718-7^Hémoglobine^LN||à 5 €|g/dL|||||F", "ZBE|M1|20260105||INSERT")


def test_format_is_registered_and_splits() -> None:
    assert formats()["hl7v2"] is FORMAT
    assert isinstance(FORMAT, Splitter)
    assert (FORMAT.name, FORMAT.extension) == ("hl7v2", ".hl7")


@pytest.mark.parametrize(
    ("content", "least", "most"),
    [
        (CONTENT, 0.9, 1),
        (b"\xef\xbb\xbf" + CONTENT, 0.9, 1),
        (b"\x0b" + CONTENT, 0.9, 1),
        (b"FHS|^~\\&|A\r" + CONTENT, 0.9, 1),
        (CONTENT.decode().encode("utf-16"), 0.8, 1),
        (b"journal\r" + CONTENT, 0.3, 0.7),
        (b"H|^~\\&|A|B\rP|1\r", 0, 0),
        (b'{"items": []}', 0, 0),
        (b"MSH is a word", 0, 0),
        (b"", 0, 0),
    ],
)
def test_sniff(content: bytes, least: float, most: float) -> None:
    assert least <= FORMAT.sniff(content) <= most


def spans(content: bytes) -> dict[str, str]:
    return {span.where: content[span.start : span.end].decode() for span in positions(content)}


def test_positions_name_every_value_and_its_bytes() -> None:
    found = spans(CONTENT)
    assert found["MSH[1]-3[1].1"] == "SGL-FICTIF"
    assert found["MSH[1]-9[1].2"] == "R01"
    assert found["PID[1]-3[1].1"] == "IPP-1"
    assert found["PID[1]-3[2].4.2"] == "1.2.250.1.213.1.4.10"
    assert found["OBX[1]-3[1].2"] == "Hémoglobine"
    assert found["OBX[1]-5[1].1"] == "à 5 €"
    assert found["OBX[1]-6[1].1"] == "g/dL"
    assert "MSH[1]-2[1].1" not in found


@pytest.mark.parametrize("dress", [b"%b", b"\xef\xbb\xbf%b", b"\x0b%b\x1c\r", b"\r\n%b"])
@pytest.mark.parametrize("end", [b"\r", b"\n", b"\r\n"])
def test_positions_do_not_depend_on_the_wrapping(dress: bytes, end: bytes) -> None:
    assert spans(dress % CONTENT.replace(b"\r", end)) == spans(CONTENT)


def test_positions_of_wide_and_of_several_messages() -> None:
    wide = CONTENT.decode().encode("utf-16")
    found = {span.where: wide[span.start : span.end].decode("utf-16-le") for span in positions(wide)}
    assert found == spans(CONTENT)
    both = spans(CONTENT + CONTENT.replace(b"IPP-1", b"IPP-2"))
    assert (both["PID[1]-3[1].1"], both["2/PID[1]-3[1].1"]) == ("IPP-1", "IPP-2")


@settings(deadline=None)
@given(st.lists(st.sampled_from(["a", "é", "€", "^", "&", "~", "|", "\\", " "]), max_size=20).map("".join))
def test_positions_cover_every_character_of_a_field(text: str) -> None:
    content = message(f"OBX|1|ST|{text}")
    covered = sorted((span.start, span.end) for span in positions(content) if span.where.startswith("OBX"))
    rest = content[content.index(b"OBX") + 4 :]
    offset = len(content) - len(rest)
    bare = bytearray(rest)
    for start, end in covered:
        bare[start - offset : end - offset] = b" " * (end - start)
    assert not bare.strip(b"|^~& \r")


def find(pieces: list[Piece] | tuple[Piece, ...], where: str) -> Piece:
    for piece in pieces:
        if piece.where == where:
            return piece
        if found := [one for one in [find_or_none(piece.children, where)] if one is not None]:
            return found[0]
    raise AssertionError(where)


def find_or_none(pieces: tuple[Piece, ...], where: str) -> Piece | None:
    for piece in pieces:
        if piece.where == where:
            return piece
        inner = find_or_none(piece.children, where)
        if inner is not None:
            return inner
    return None


def test_pieces_carry_official_names_types_and_meanings() -> None:
    shown = list(FORMAT.pieces(CONTENT))
    assert [piece.name for piece in shown] == [
        "Message header",
        "Patient identification",
        "Observation request",
        "Observation result",
        "Mouvement (PAM France)",
    ]
    name = find(shown, "PID-5")
    assert (name.name, name.type, name.text) == ("Patient name", "XPN", "FICTIVE ALEX ALEX L")
    assert find(shown, "PID-5.7").text == "L (nom de naissance)"
    assert find(shown, "PID-8").text == "M (masculin)"
    assert find(shown, "PID-32").text == "VALI (validée)"
    ins = find(shown, "PID-3[2].4.2")
    assert (ins.name, ins.type, ins.depth) == ("Universal id", "ST", 3)
    value = find(shown, "OBX-5")
    assert (value.name, value.type, value.text) == ("Observation value", "ST", "à 5 €")
    assert find(shown, "OBX-11").text == "F (définitif)"
    assert find(shown, "ZBE-4").text == "INSERT (création)"
    assert find(shown, "ZBE-2").name == "Date et heure d'effet du mouvement"
    assert find(shown, "MSH-1").text == "|"


def test_pieces_say_the_length_of_a_file_instead_of_its_base64() -> None:
    shown = FORMAT.pieces(message(PID, f"OBX|1|ED|X^X^L||^application^pdf^Base64^{'QUJD' * 1000}||||||F"))
    assert find(list(shown), "OBX-5.5").text == "[4000 characters]"
    assert "QUJDQUJD" not in find(list(shown), "OBX-5").text


def test_pieces_number_the_messages_of_a_batch() -> None:
    shown = FORMAT.pieces(CONTENT + CONTENT)
    assert shown[0].where == "MSH"
    assert shown[5].where == "2/MSH"


def test_names_of_segments_that_the_version_does_not_have() -> None:
    shown = FORMAT.pieces(message(PID, "PRT||UC||RCT^x", "ZZZ|maison", "OBX|1|ST|X||v||||||F||||||||||||LABO"))
    assert find(list(shown), "PRT-4").name == "Participation"
    assert find(list(shown), "PRT-4.1").text == "RCT"
    assert (find(list(shown), "ZZZ").name, find(list(shown), "ZZZ-1").name) == ("ZZZ", "")
    assert find(list(shown), "OBX-23").name == "Performing organization name"


def test_hl7apy_is_not_imported_before_it_is_needed() -> None:
    code = "import sys, mappings.hl7v2, mappings.hl7v2.ack; print('hl7apy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_every_kind_of_the_french_profiles_is_read_and_written() -> None:
    assert FORMAT.reads == FORMAT.writes == frozenset(ItemKind) - {ItemKind.NOTE, ItemKind.APPOINTMENT, ItemKind.TASK}
    context = WriteContext(now=datetime(2026, 1, 5, tzinfo=UTC), identity="1")
    for item in EVERY_ITEM:
        if item.kind not in FORMAT.writes:
            with pytest.raises(WriteRefused):
                FORMAT.write(item, context)
            continue
        rendition = FORMAT.write(item, context)
        assert item.kind in {one.kind for one in FORMAT.read(rendition.content, ReadContext()).items}


def test_every_field_outside_the_known_ones_is_listed_as_unread() -> None:
    found = reading(
        PID + "|||||reste",
        "PV1|1|I",
        "OBR|1||F-1|A^A^L^^^^v1|||||qui",
        "OBX|1|NM|X^X^L||5||||0.9||F|||||A^B~C^D",
        "NTE|1|P|texte",
        "ZZZ|1||maison^a&b",
    )
    assert {(one.where, one.text) for one in found.unread} == {
        ("PID-37", "reste"),
        ("PV1-2", "I"),
        ("OBR-4.7", "v1"),
        ("OBR-9", "qui"),
        ("OBX-9", "0.9"),
        ("OBX-16[2]", "C^D"),
        ("NTE-2", "P"),
        ("ZZZ-1", "1"),
        ("ZZZ-3", "maison^a&b"),
    }
    assert INS in PID
