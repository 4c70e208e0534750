from __future__ import annotations

import pytest
from hypothesis import given, settings, strategies as st

from mappings.contracts import FormatError
from mappings.hl7v2.er7 import parse, split
from mappings.hl7v2.syntax import STANDARD, delimiters_of, syntax_of

HEADER = "MSH|^~\\&|A|B|C|D|20260105||ORU^R01|1|P|2.5"
SYNTAX = syntax_of(STANDARD, "utf-8")

NAMES = st.sampled_from(["PID", "OBX", "NTE", "ZBE", "PV1", "ZZZ"])
TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=("Cs",)), max_size=12)
LINES = st.tuples(NAMES, st.lists(TEXTS, max_size=5)).map(lambda line: "|".join((line[0], *line[1])))
ENDS = st.sampled_from(["\r", "\n", "\r\n", "\r\r", "\n\n", "\x1c\r", "\r \r", ""])


@settings(deadline=None)
@given(
    st.lists(LINES, max_size=6), st.lists(ENDS, min_size=7, max_size=7), st.sampled_from(["", "\ufeff", "\x0b", "\r\n"])
)
def test_any_er7_text_comes_back_byte_for_byte(lines: list[str], ends: list[str], lead: str) -> None:
    text = lead + "".join(line + end for line, end in zip([HEADER, *lines], ends, strict=False))
    content = text.encode()
    assert parse(content).encode() == content


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_after_a_header_come_back_byte_for_byte(tail: bytes) -> None:
    content = HEADER.encode() + b"\r" + tail
    assert parse(content).encode() == content


@settings(deadline=None)
@given(st.permutations("#*!?%$@/;:").map(lambda marks: "".join(marks[:5])), TEXTS)
def test_odd_delimiters_come_back_too(marks: str, text: str) -> None:
    separator, component, *_ = marks
    content = f"MSH{marks}{separator}A{separator}B\rPID{separator}1{component}2{separator}{text}".encode()
    message = parse(content)
    assert message.encode() == content
    assert message.segments[1].code(1) == "1"


def names(content: bytes) -> list[str]:
    return [segment.name for segment in parse(content).segments]


@pytest.mark.parametrize("end", ["\r", "\n", "\r\n", "\r\r", "\n\n", "\r\n\r\n", "\r\n \r\n"])
def test_every_line_end_parts_segments(end: str) -> None:
    content = end.join((HEADER, "PID|1||X", "OBX|1|ST|A||b", "")).encode()
    message = parse(content)
    assert [segment.name for segment in message.segments] == ["MSH", "PID", "OBX"]
    assert message.segments[2].raw(5) == "b"
    assert message.findings == []


def test_lone_line_feed_is_text_when_carriage_returns_part_segments() -> None:
    message = parse(f"{HEADER}\rNTE|1|L|first\nsecond\rPID|1\r".encode())
    assert [segment.name for segment in message.segments] == ["MSH", "NTE", "PID"]
    assert message.syntax.text(message.segments[1].raw(3)) == "first\nsecond"
    assert [finding.code for finding in message.findings] == ["hl7v2.continued_line"]


def test_lone_line_feed_before_a_segment_name_parts_segments() -> None:
    assert names(f"{HEADER}\rPID|1\nOBX|1|ST\r".encode()) == ["MSH", "PID", "OBX"]


def test_line_that_begins_no_segment_belongs_to_the_field_before() -> None:
    message = parse(f"{HEADER}\nOBX|1|FT|A||one\ntwo | three\n\nfour||||||F\nPID|1".encode())
    assert [segment.name for segment in message.segments] == ["MSH", "OBX", "PID"]
    assert message.segments[1].raw(5) == "one\ntwo "
    assert message.segments[1].raw(6) == " three\n\nfour"


def test_raw_carriage_return_inside_a_text_is_a_line_feed() -> None:
    message = parse(f"{HEADER}\rOBX|1|FT|A||one\rtwo\r\rthree||||||F\r".encode())
    assert message.syntax.text(message.segments[1].raw(5)) == "one\ntwo\n\nthree"


def test_nul_bytes_are_left_out_of_values_and_reported() -> None:
    message = parse(f"{HEADER}\rPID|1||AB\0C\0\0\r\0\0".encode())
    assert message.segments[1].code(3) == "ABC"
    assert [finding.code for finding in message.findings] == ["hl7v2.nul_bytes"]


@pytest.mark.parametrize(
    ("dress", "said"),
    [
        ("\ufeff{}", ["hl7v2.byte_order_mark"]),
        ("\x0b{}\x1c\r", ["hl7v2.mllp_bytes"]),
        ("\n\n{}", []),
        (" {}\r\n", []),
        ("\ufeff\r\n{}\x1c", ["hl7v2.byte_order_mark", "hl7v2.mllp_bytes"]),
    ],
)
def test_wrappings_are_said_and_do_not_matter(dress: str, said: list[str]) -> None:
    message = parse(dress.format(f"{HEADER}\rPID|1||X").encode())
    assert [segment.name for segment in message.segments] == ["MSH", "PID"]
    assert message.segments[1].raw(3) == "X"
    assert [finding.code for finding in message.findings] == said


def test_something_before_msh_is_reported() -> None:
    assert [finding.code for finding in parse(f"hello\r{HEADER}\r".encode()).findings] == ["hl7v2.noise_before_msh"]


@pytest.mark.parametrize("content", [b"", b"PID|1", b"MSH", b"MSHA^~", b"MSH ^~", b"\0" * 50, b"MSH\r"])
def test_no_header_is_no_message(content: bytes) -> None:
    with pytest.raises(FormatError) as raised:
        parse(content)
    assert raised.value.code == "hl7v2.header.no_msh"


def test_msh_fields_are_numbered_with_the_separator_as_field_one() -> None:
    header = parse(HEADER.encode()).header
    assert (header.raw(1), header.raw(2), header.raw(3), header.raw(12)) == ("|", "^~\\&", "A", "2.5")
    assert header.raw(99) == ""


@pytest.mark.parametrize(
    ("encoding", "marks", "repaired"),
    [
        ("^~\\&", "^~\\&", False),
        ("^~\\&#", "^~\\&", False),
        ("^~\\\\&", "^~\\&", True),
        ("^~", "^~\\&", True),
        ("", "^~\\&", True),
        ("^~A&", "^~&\ue003", True),
    ],
)
def test_encoding_characters_are_repaired(encoding: str, marks: str, repaired: bool) -> None:
    delimiters, found = delimiters_of("|", encoding)
    assert "".join(delimiters) == f"|{marks}"
    assert found is repaired


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (r"a\F\b\S\c\T\d\R\e\E\f", r"a|b^c&d~e\f"),
        (r"one\.br\two", "one\ntwo"),
        (r"a\.sp2\b", "a\n\nb"),
        (r"a\.sk3\b", "a   b"),
        (r"a\H\bold\N\ z", "abold z"),
        (r"a\.in+4\b\.ti-2\c\.fi\d\.nf\e", "abcde"),
        (r"50\mg", r"50\mg"),
        (r"50\mg \F\ 3", r"50\mg | 3"),
        (r"C:\dir\E\x", r"C:\dir\x"),
        (r"tail\E", r"tail\E"),
        (r"\E\R\E\x", r"\R\x"),
        (r"\Zabc\ \Q\ \C4141\ ", r"\Zabc\ \Q\ \C4141\ "),
        (r"\XC3A9\\XC3\\XA8\ ", "éè "),
        (r"\X80\ ", "€ "),
        (r"\X0D0A\|", "\n|"),
        (r"\X01\ ", r"\X01\ "),
        (r"\X4\ \X\ \XZZ\ ", r"\X4\ \X\ \XZZ\ "),
        ("\\", "\\"),
        ("\\\\", "\\\\"),
    ],
)
def test_escapes_are_decoded_and_what_is_none_stays(raw: str, text: str) -> None:
    assert SYNTAX.text(raw) == text


def test_hexadecimal_bytes_follow_the_character_set_of_the_message() -> None:
    assert syntax_of(STANDARD, "iso8859-15").text(r"\XA4\ ") == "€ "
    assert syntax_of(STANDARD, "iso8859-15").text(r"\X80\ ") == r"\X80\ "


def test_batches_and_concatenations_are_cut_byte_for_byte() -> None:
    one, two = f"{HEADER}\rPID|1\r".encode(), f"{HEADER}\rPID|2\r".encode()
    assert split(one) == [one]
    assert split(one + two) == [one, two]
    assert split(b"FHS|^~\\&|A\rBHS|^~\\&\r" + one + two + b"BTS|2\rFTS|1\r") == [one, two]
    assert split(b"FHS|^~\\&|A\r" + one + b"FTS|1\r") == [one]
    assert split(b"\x0b" + one + b"\x1c\r\x0b" + two + b"\x1c\r") == [one, two]
    assert split(one.replace(b"\r", b"\n") + b"\n" + two) == [one.replace(b"\r", b"\n"), two]
    assert split(b"nothing") == [b"nothing"]
    assert split(b"\xfe\xff\x00") == [b"\xfe\xff\x00"]
    wide = (one + two).decode().encode("utf-16")
    assert [piece.decode("utf-16-le").encode() for piece in split(wide)] == [one, two]
