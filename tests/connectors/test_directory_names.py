from __future__ import annotations

import re

from hypothesis import given, settings, strategies as st

from connectors.directory.codec import (
    LONGEST_NAME,
    find_companion,
    is_candidate,
    markers,
    matches,
    mentioned,
    safe_name,
    with_suffix,
)


def test_matching_ignores_case() -> None:
    assert matches("CR1.HPR", ["*.hpr"])
    assert matches("cr1.hpr", ["*.HP[R]"])
    assert not matches("cr1.hpr.tmp", ["*.hpr"])
    assert is_candidate("a.hpr", ["*"], ["*.tmp"])
    assert not is_candidate("a.tmp", ["*"], ["*.tmp"])


def test_names_are_found_as_whole_fields() -> None:
    content = (
        b"OBX|1|FIC|A||LAB~LETTRE 1.PDF~PDF\r"
        b"OBX|2|RP|B||C:\\partage\\scan.pdf^APP^PDF\r"
        b"OBX|3|TX|C||voir rapport.pdf et suite\r"
        b"<file href='dir/x.pdf'/>\n"
        b"OBX|4|FIC|A||LAB~LETTRE 1.PDF~PDF\r"
        b"OBX|5|FIC|A||LAB~\xe9t\xe9.pdf~PDF\r"
    )
    assert mentioned(content, ["*.pdf"]) == ["LETTRE 1.PDF", "scan.pdf", "x.pdf", "été.pdf"]
    assert mentioned(content, ["scan.*"]) == ["scan.pdf"]
    assert mentioned(content, []) == []


def test_companions_are_found_exactly_then_whatever_the_case() -> None:
    present = {"a.pdf": "A.pdf", "b.pdf": "b.PDF"}
    assert find_companion("A.pdf", present) == "A.pdf"
    assert find_companion("B.pdf", present) == "b.PDF"
    assert find_companion("c.pdf", present) is None


def test_markers_and_suffixes() -> None:
    assert markers("a.b.hpr", ".ok") == ("a.b.hpr.ok", "a.b.ok")
    assert with_suffix("a.b.hpr", "2") == "a.b-2.hpr"
    assert with_suffix("noext", "2") == "noext-2"


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=300))
def test_safe_names_are_safe(name: str) -> None:
    safe = safe_name(name)
    assert re.fullmatch(r"(?!\.)[A-Za-z0-9._-]*", safe)
    assert len(safe) <= LONGEST_NAME
    assert safe_name(safe) == safe
