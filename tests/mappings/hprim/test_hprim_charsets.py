from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from mappings.charsets import byte_offsets, decode, encode, line_spans

FRENCH = "Hémoglobine élevée, contrôlée à jeun : 37 °C, µmol/L ; tête, reçu, où, forêt, Île, ÉTÉ, N° 3"


@pytest.mark.parametrize("charset", ["cp1252", "mac_roman", "cp850", "utf-8"])
def test_french_text_gives_its_charset_away(charset: str) -> None:
    decoded = decode(FRENCH.encode(charset))
    assert (decoded.charset, decoded.text, decoded.lost) == (charset, FRENCH, 0)
    assert decoded.confidence > 0.8


@pytest.mark.parametrize(
    "word", ["Créatinine", "sérum", "µg/L", "37 °C", "à jeun", "contrôlé", "HÉMATOLOGIE", "cœur", "/mm³", "l’avis"]
)
def test_one_accented_word_is_enough_for_windows_1252(word: str) -> None:
    assert decode(word.encode("cp1252")).text == word


@pytest.mark.parametrize("charset", ["utf-8-sig", "utf-16"])
def test_a_byte_order_mark_decides(charset: str) -> None:
    decoded = decode(FRENCH.encode(charset))
    assert (decoded.text, decoded.confidence) == (FRENCH, 1.0)


@pytest.mark.parametrize("charset", ["utf-16-le", "utf-16-be"])
def test_utf_16_without_its_mark_is_seen(charset: str) -> None:
    assert decode(FRENCH.encode(charset)).text == FRENCH


def test_text_encoded_twice_is_repaired_and_said() -> None:
    for wrong in ("cp1252", "latin-1"):
        decoded = decode("« Été », l’œil à 37 °C : éè".encode().decode(wrong, "ignore").encode())
        assert decoded.repaired
        assert "37 °C : éè" in decoded.text


def test_a_real_capital_a_tilde_is_left_alone() -> None:
    text = "São Tomé, Ã© : é à è ç ê û"
    assert decode(text.encode()).text == text


def test_one_bad_byte_does_not_make_utf_8_something_else() -> None:
    decoded = decode(FRENCH.encode() + b" \xe9 ")
    assert (decoded.charset, decoded.lost) == ("utf-8", 1)
    assert decoded.text.startswith(FRENCH)


def test_signs_lost_before_us_are_counted() -> None:
    assert decode("H\ufffdmoglobine".encode()).lost == 1


@pytest.mark.parametrize(
    ("text", "line_end", "lines"),
    [
        ("a\r\nb\r\n", "\r\n", ["a", "b"]),
        ("a\rb\r", "\r", ["a", "b"]),
        ("a\nb", "\n", ["a", "b"]),
        ("a\n\rb\n\r", "\n\r", ["a", "b"]),
        ("a\r\r\n\r\r\nb", "\r\n", ["a", "", "b"]),
        ("a\r\nb\nc\rd", "\r\n", ["a", "b", "c", "d"]),
        ("a\x0bb\u2028c\x85d", "\r\n", ["a\x0bb\u2028c\x85d"]),
    ],
)
def test_line_ends(text: str, line_end: str, lines: list[str]) -> None:
    assert decode(text.encode()).line_end == line_end
    assert [text[start:end] for start, end in line_spans(text, line_end)] == lines


@given(st.binary(max_size=200))
def test_decoding_never_fails_and_offsets_stay_inside(content: bytes) -> None:
    decoded = decode(content)
    places = list(range(len(decoded.raw) + 1))
    offsets = byte_offsets(decoded, places)
    values = [offsets[at] for at in places]
    assert values == sorted(values)
    assert values[0] >= 0


@given(st.text(st.characters(codec="utf-8"), max_size=40), st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]))
def test_offsets_point_at_the_bytes_of_the_characters(text: str, charset: str) -> None:
    content = f"é{text}".encode(charset)
    decoded = decode(content)
    assert decoded.raw == f"é{text}"
    offsets = byte_offsets(decoded, list(range(len(decoded.raw) + 1)))
    for at, char in enumerate(decoded.raw):
        assert content[offsets[at] : offsets[at + 1]].decode(decoded.charset) == char


@pytest.mark.parametrize(
    ("text", "charset", "spelled"),
    [
        ("10⁹/L", "cp1252", "10^9/L"),
        ("10⁻³", "cp1252", "10^-3"),
        ("kg/m²", "cp1252", "kg/m²"),
        ("kg/m²", "cp850", "kg/m²"),
        ("≤ 5", "cp1252", "<= 5"),
        ("μg", "cp1252", "µg"),
        ("cœur", "iso8859-1", "coeur"),
        ("ā ǅ", "cp1252", "a Dž"),
        ("CO₂", "cp1252", "CO2"),
        ("漢", "cp1252", "?"),
        ("l’avis…", "iso8859-1", "l'avis..."),
    ],
)
def test_what_a_charset_lacks_is_spelled_out_and_said(text: str, charset: str, spelled: str) -> None:
    content, missing = encode(text, charset)
    assert content.decode(charset) == spelled
    assert bool(missing) == (spelled != text)
