"""Many tiny pieces are refused before they are made into anything."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable

import cda_documents
import hl7v2_messages
import hprim_files
import pytest

from mappings import pieces_limit
from mappings.contracts import FormatError, ReadContext
from mappings.registry import format_named

MAKERS: dict[str, tuple[Callable[[int], bytes], str]] = {
    "hl7v2": (lambda n: hl7v2_messages.message(hl7v2_messages.PID, "OBR|1", *["NTE|1||x"] * n), "hl7v2.too_many_lines"),
    "hprim-sante": (lambda n: hprim_files.oru(*["C|1||x"] * n), "hprim.too_many_lines"),
    "hprim-medecin": (lambda n: hprim_files.medecin(*["x"] * n), "hprim.too_many_lines"),
    "cda": (lambda n: cda_documents.cr_bio(cda_documents.section("", "<br/>" * n)), "cda.too_many_elements"),
    "fhir": (lambda n: b'{"resourceType":"Bundle","entry":[' + b"0," * n + b"0]}", "json.too_many_values"),
    "canonical": (lambda n: b'{"items":[' + b"0," * n + b"0]}", "json.too_many_values"),
}


@pytest.mark.parametrize("name", MAKERS)
def test_too_many_pieces_are_refused_and_cost_little(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for limit in ("MOST_LINES", "MOST_ELEMENTS", "MOST_VALUES"):
        monkeypatch.setattr(pieces_limit, limit, 2_000)
    make, code = MAKERS[name]
    fmt = format_named(name)
    content = make(50_000)
    fmt.sniff(content)
    tracemalloc.start()
    try:
        with pytest.raises(FormatError) as refused:
            fmt.read(content, ReadContext())
        assert tracemalloc.get_traced_memory()[1] < 12 * len(content) + 4_000_000
    finally:
        tracemalloc.stop()
    assert refused.value.code == code


@pytest.mark.parametrize("name", MAKERS)
def test_as_many_as_real_contents_have_are_taken(name: str) -> None:
    make, code = MAKERS[name]
    assert code_of(name, make(3_000)) != code


def code_of(name: str, content: bytes) -> str:
    try:
        format_named(name).read(content, ReadContext())
    except FormatError as refused:
        return refused.code
    return ""
