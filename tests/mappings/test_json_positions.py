from __future__ import annotations

import json

import pytest
from hypothesis import given, settings, strategies as st

from mappings.json_positions import leaves, load, pieces, positions

SCALARS = st.text(max_size=8) | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.booleans()
DOCUMENTS = st.recursive(
    SCALARS | st.none(),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(alphabet="abcé", min_size=1), inner, max_size=3)
    ),
    max_leaves=12,
)


@given(DOCUMENTS, st.sampled_from([None, 1]), st.booleans())
@settings(max_examples=60)
def test_positions_are_the_leaves_of_the_document(document, indent, ascii_only) -> None:
    content = json.dumps(document, indent=indent, ensure_ascii=ascii_only).encode()
    found = positions(content)
    assert [where for where, _, _ in found] == [path for path, _ in leaves(load(content))]
    for (_, start, end), (_, value) in zip(found, leaves(load(content)), strict=True):
        written = content[start:end].decode()
        assert written == value or json.loads(f'"{written}"') == value


def test_numbers_keep_their_digits() -> None:
    content = b'\xef\xbb\xbf{"low": 13.20, "big": 123456789012345678901234567890.10, "n": -0, "e": 1e3}'
    assert load(content) == {"low": "13.20", "big": "123456789012345678901234567890.10", "n": "-0", "e": "1e3"}
    assert next(content[start:end] for _, start, end in positions(content)) == b"13.20"


def test_broken_json_gives_what_stands_before_the_break() -> None:
    assert [where for where, _, _ in positions(b'{"a": "x", "b": [1, 2')] == ["a", "b[0]", "b[1]"]
    assert positions(b"]}") == []
    assert positions(b'{"a": "never ends') != [("a", 6, 17)]


def test_pieces_leave_out_what_is_empty() -> None:
    (outer,) = pieces(load(b'{"a": {"b": [true, null], "c": "", "d": {}}}'))
    assert (outer.where, outer.name, outer.type) == ("a", "a", "object")
    (inner,) = outer.children
    assert [(leaf.where, leaf.name, leaf.text, leaf.depth) for leaf in inner.children] == [("a.b[0]", "1.", "true", 2)]


@pytest.mark.parametrize("content", [b'"' * 10_001, b'"' + b"\\" * 200_001, b'{"' * 100_000])
def test_hostile_contents_are_scanned_in_linear_time(content: bytes) -> None:
    assert isinstance(positions(content), list)
