"""HPRIM Santé as it is really written: line ends, delimiters, escapes, values, comments, files that are cut or bent."""

from __future__ import annotations

import random

import pytest
from hprim_files import SANTE_HEADER, SANTE_ORDER, SANTE_PATIENT, oru, sante
from hprim_sante_readings import HB, codes, lab, read, report_of, results
from hypothesis import given, settings, strategies as st

from mappings.contracts import FormatError, ReadContext
from mappings.hprim_sante import FORMAT
from mappings.hprim_sante.syntax import Delimiters, tokenize
from mappings.lab_status import observations_of
from mappings.notes import Notes
from schemas.lab import (
    CodedValue,
    DateTimeValue,
    QuantityValue,
    RangeValue,
    ResultStatus,
    TextValue,
)


@pytest.mark.parametrize("end", [b"\r", b"\r\n", b"\n", b"\n\r", b"\r\x00\x0b", b"\r\n\r\n"])
def test_line_ends_and_controls_after_them(end: bytes) -> None:
    content = oru(HB).replace(b"\r", end)
    assert len(list(observations_of(report_of(content).chapters))) == 1


@pytest.mark.parametrize("lead", [b"\xef\xbb\xbf", b"  \t", b"\r\n \r\n", b"Objet : resultats\r\n"])
def test_what_stands_before_the_header_is_skipped(lead: bytes) -> None:
    content = lead + oru(HB)
    assert len(read(content).items) == 1
    assert FORMAT.sniff(content) >= 0.6


def test_a_continuation_is_appended_as_it_is() -> None:
    (one,) = results("OBX|1|TX|CCL~Concl", "A|usion~L||Première lig", "A|ne^Seco", "A|nde||", "A|||||F")
    assert (one.label, one.value) == ("Conclusion", TextValue(text="Première ligne\nSeconde"))
    assert one.status is ResultStatus.FINAL


def test_segments_that_begin_with_a_are_no_continuations() -> None:
    reading = read(
        sante(SANTE_PATIENT, "AP|1|AS|||279039999999971", "AC|1|MUT~X", header=SANTE_HEADER.replace("ORU", "ADM"))
    )
    assert "SB" in {one.type for one in reading.items[0].patient.identifiers}


@pytest.mark.parametrize(
    ("marks", "expected"),
    [(r"|~^\&", r"|~^\&"), (r"|^~\&", r"|^~\&"), (r"|\^&~", r"|\^&~"), ("|^~&", "|^~\\&"), ("#*%$!", "#*%$!")],
)
def test_delimiters_have_their_meaning_by_position(marks: str, expected: str) -> None:
    field, component = marks[0], marks[1]
    text = f"H{marks}{field}X.HPR{field}{field}A{component}B\r"
    (message,) = tokenize(text, Notes())
    assert message.delimiters.all == expected
    assert message.header.components(4, 2) == ["A", "B"]


@pytest.mark.parametrize("marks", ["|~", "|~~\\&", "||~^\\&", "|ab\\&"])
def test_delimiters_that_cannot_be_told_apart_are_refused(marks: str) -> None:
    with pytest.raises(FormatError) as refusal:
        read(f"H{marks}|X.HPR||A~B||ORU\r".encode())
    assert refusal.value.code.startswith("hprim.delimiters")


@pytest.mark.parametrize(
    ("raw", "plain"),
    [
        (r"a\F\b\S\c\R\d\T\e\E\f", r"a|b~c^d&e\f"),
        (r"a\X0D0A\b", "a\nb"),
        (r"a\|b\~c", "a|b~c"),
        (r"mg\L", r"mg\L"),
        ("fin\\", "fin\\"),
        (r"\\", "\\"),
    ],
)
def test_both_manners_of_escape(raw: str, plain: str) -> None:
    assert Delimiters().plain(raw) == plain


def test_an_escaped_separator_does_not_cut() -> None:
    (one,) = results(r"OBX|1|ST|X~Rapport \~ L~L||a\|b\F\c||||||F")
    assert (one.label, one.value) == ("Rapport ~ L", TextValue(text="a|b|c"))


@pytest.mark.parametrize(
    ("segment", "value"),
    [
        ("OBX|1|NM|X~X~L||< 0,12|mg/L", QuantityValue(number="0.12", comparator="<", text="< 0,12")),
        ("OBX|1|NM|X~X~L||0.12|mg/L||<", QuantityValue(number="0.12", comparator="<", text="0.12")),
        ("OBX|1|NM|X~X~L||301 000|/mm3", QuantityValue(number="301000", text="301 000")),
        ("OBX|1|NM|X~X~L||onze|/mm3", TextValue(text="onze")),
        ("OBX|1|ST|X~X~L||4.51|T/L", QuantityValue(number="4.51", text="4.51")),
        ("OBX|1|ST|X~X~L||4512", TextValue(text="4512")),
        ("OBX|1|ST|X~X~L||3-5|/champ", RangeValue(low="3", high="5", text="3-5")),
        ("OBX|1|ST|X~X~L||a^b", TextValue(text="a\nb")),
        ("OBX|1|TX|X~X~L||a^^b", TextValue(text="a\n\nb")),
        ("OBX|1|TX|X~X~L||a~b", TextValue(text="a\nb")),
        ("OBX|1|DT|X~X~L||20240605", DateTimeValue(at="2024-06-05", text="20240605")),
        ("OBX|1|DT|X~X~L||hier", TextValue(text="hier")),
        ("OBX|1|CNA|X~X~L||1~TEST&Rose", TextValue(text="1 TEST Rose")),
        ("OBX|1||X~X~L||12|g/L", QuantityValue(number="12", text="12")),
        ("OBX|1|NM|X~X~L||.|g/L", None),
        ("OBX|1|CE|X~X~L||", None),
    ],
)
def test_values_by_type_and_content(segment: str, value: object) -> None:
    (one,) = results(segment)
    assert one.value == value


def test_a_coded_value_keeps_all_its_codes() -> None:
    (one,) = results("OBX|1|CE|X~X~L||ECOLI~E. coli~L~112283007~Escherichia coli~SCT^AUTRE~Autre~NABM")
    assert isinstance(one.value, CodedValue)
    assert [(code.system, code.code) for code in one.value.codes] == [
        ("local", "ECOLI"),
        ("http://snomed.info/sct", "112283007"),
        ("urn:x-code-system:NABM", "AUTRE"),
    ]
    assert one.value.text == "E. coli"


@pytest.mark.parametrize("system", ["LN", "loinc", "2.16.840.1.113883.6.1"])
def test_loinc_by_its_names(system: str) -> None:
    (one,) = results(f"OBX|1|NM|718-7~Hémoglobine~{system}||11.8|g/dL")
    assert one.codes[0].system == "http://loinc.org"


def test_comments_at_every_level() -> None:
    content = sante(
        SANTE_PATIENT, "C|1|L|à jeun", SANTE_ORDER, "C|1|L|commande^suite", HB, "C|1|L|résultat", "C|2|L|encore"
    )
    report = report_of(content)
    assert report.comment == "à jeun\ncommande\nsuite"
    (one,) = observations_of(report.chapters)
    assert one.comment == "résultat\nencore"


def test_a_comment_nobody_expects_is_unread() -> None:
    reading = read(oru(HB, end="L|1||1|4\rC|1|L|trop tard"))
    assert ("C[1]-3", "trop tard") in {(one.where, one.text) for one in reading.unread}


def test_several_messages_in_one_file() -> None:
    other = oru(HB).replace(b"|~^\\&", b"|%~\\&").replace(b"FICTIF~", b"").replace(b"~", b"%").replace(b"|%%", b"|%~")
    reading = read(oru(HB) + other)
    assert len(reading.items) == 2
    assert "hprim.file.several_messages" in codes(reading)


def test_a_second_message_that_cannot_be_read_does_not_lose_the_first() -> None:
    reading = read(oru(HB) + b"H|~~\\&|X.HPR\r")
    assert len(reading.items) == 1
    assert "hprim.delimiters.ambiguous" in codes(reading)


def test_a_file_cut_in_a_segment_loses_that_segment_only_and_says_so() -> None:
    whole = oru(HB, HB.replace("OBX|1", "OBX|2").replace("HB~", "PLQ~"), end="")
    reading = read(whole[: whole.rindex(b"11.8") + 2])
    (item,) = lab(reading)
    assert [one.codes[0].code for one in observations_of(item.content.chapters)] == ["HB"]
    assert "hprim.file.cut" in codes(reading)
    assert [one.where for one in reading.unread if one.where.startswith("OBX")] == ["OBX[2]"]


def test_an_end_that_counts_more_than_there_is() -> None:
    assert "hprim.trailer.count" in codes(read(oru(HB, end="L|1||2|4")))
    assert "hprim.trailer.count" in codes(read(oru(HB, end="L|1||1|9")))
    assert "hprim.trailer.count" not in codes(read(oru(HB, end="L|1||1|4")))


def test_unknown_segments_are_unread() -> None:
    reading = read(oru(HB, "ZZZ|1|x"))
    assert "hprim.segment.unknown" in codes(reading)
    assert ("line 5", "ZZZ|1|x") in {(one.where, one.text) for one in reading.unread}


@pytest.mark.parametrize("content", [b"", b"\r\n", b"\x1a", b"\xef\xbb\xbf"])
def test_an_empty_file_is_refused(content: bytes) -> None:
    with pytest.raises(FormatError) as refusal:
        read(content)
    assert refusal.value.code == "hprim.file.empty"


def test_what_is_not_hprim_is_refused() -> None:
    for content in (b"MSH|^~\\&|A", b"Bonjour", b"Hello world"):
        with pytest.raises(FormatError) as refusal:
            read(content)
        assert refusal.value.code == "hprim.header.missing"
        assert FORMAT.sniff(content) == 0.0


def test_many_continuations_are_joined_in_linear_time() -> None:
    report = report_of(oru("OBX|1|TX|X~X~L||début", *["A|" + "x" * 200] * 20_000, "A|||||||F"))
    (one,) = observations_of(report.chapters)
    assert isinstance(one.value, TextValue)
    assert len(one.value.text) == 5 + 200 * 20_000


def test_positions_point_at_the_values() -> None:
    content = oru(HB, r"OBX|2|CE|ABO~Groupe~L||A~Groupe A~L^B~B", "A|ombay~L")
    spans = {one.where: content[one.start : one.end].decode("cp1252") for one in FORMAT.positions(content)}
    assert spans["OBX[1]-5"] == "11.8"
    assert spans["OBX[1]-3.2"] == "Hémoglobine"
    assert spans["OBX[2]-5(1).2"] == "Groupe A"
    assert spans["OBX[2]-5(2).2"] == "B\rA|ombay"
    assert spans["P[1]-5.1"] == "TESTROSE"


def test_pieces_have_official_names_and_meanings() -> None:
    segments = {piece.where: piece for piece in FORMAT.pieces(oru(HB))}
    fields = {piece.where: piece for piece in segments["OBX[1]"].children}
    assert fields["OBX[1]-11"].name == "Statut du résultat / Result status"
    assert fields["OBX[1]-11"].text == "F · validé biologiquement"
    assert [child.text for child in fields["OBX[1]-3"].children] == ["HB", "Hémoglobine", "L"]


SEED = oru(
    HB,
    "C|1|L|contrôlé",
    "OBX|2|TX|CCL~Conclusion~L||Première^Seconde||||||F||||BIOCH~20~X~1~1~P",
    "OBX|3|FIC|CR~CR~L||LABFIC~CR.PDF~PDF",
    "A||||||F",
)


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 12))
def test_no_mutation_raises_anything_but_a_refusal(seed: int, changes: int) -> None:
    chance = random.Random(seed)
    content = bytearray(SEED)
    for _ in range(changes):
        at = chance.randrange(len(content) or 1)
        match chance.randrange(5):
            case 0:
                del content[at : at + chance.randrange(1, 40)]
            case 1:
                content[at:at] = chance.choice(
                    [b"|", b"\r", b"~", b"^", b"\\", b"\0", b"\rA|", b"\rP|", b"\rOBR|", b"\xc3", b"&"]
                )
            case 2:
                content[at : at + 1] = bytes([chance.randrange(256)])
            case 3:
                del content[at:]
            case _:
                content += content[at : at + 200]
    try:
        reading = FORMAT.read(bytes(content), ReadContext())
    except FormatError:
        reading = None
    assert reading is None or reading.message_type is not None or reading.findings
    FORMAT.positions(bytes(content))
    FORMAT.pieces(bytes(content))
    assert 0 <= FORMAT.sniff(bytes(content)) <= 1
