"""Characters that differ are marked, on both sides; what RNIV takes for equal is not; no character is ever lost."""

from __future__ import annotations

import pytest
from hypothesis import given, settings, strategies as st

from router.desk.marking import Marked, marked


def shown(side: Marked) -> str:
    return "".join(f"[{part.text}]" if part.differs else part.text for part in side)


@pytest.mark.parametrize(
    ("one", "other", "left", "right"),
    [
        ("TESTROSE", "TESTROZE", "TESTRO[S]E", "TESTRO[Z]E"),
        ("TESTROSE", "Testrose", "TESTROSE", "Testrose"),
        ("ÉLODIE", "ELODIE", "ÉLODIE", "ELODIE"),
        ("ANNE MARIE", "ANNE-MARIE", "ANNE[ ]MARIE", "ANNE[-]MARIE"),
        ("DUPONTEST", "DUPONTETS", "DUPONTES[T]", "DUPONTE[T]S"),
        ("FICTIVAL", "LE TESTEUR", "[FICTIVAL]", "[LE TESTEUR]"),
        ("04/05/1931", "05/04/1931", "0[4]/0[5]/1931", "0[5]/0[4]/1931"),
        ("279035121518989", "279035121518998", "2790351215189[89]", "2790351215189[98]"),
        ("ŒUVRARD", "OEUVRARD", "ŒUVRARD", "OEUVRARD"),
        ("", "TESTROSE", "", "TESTROSE"),
        ("", "", "", ""),
    ],
)
def test_what_differs_is_marked(one: str, other: str, left: str, right: str) -> None:
    assert (shown(marked(one, other)[0]), shown(marked(one, other)[1])) == (left, right)


def test_a_very_long_text_is_marked_whole() -> None:
    left, right = marked("A" * 300, "A" * 299 + "B")
    assert (len(left), left[0].differs, len(right)) == (1, True, 1)


@settings(max_examples=60)
@given(st.text(max_size=30), st.text(max_size=30))
def test_no_character_is_lost_or_moved(one: str, other: str) -> None:
    left, right = marked(one, other)
    assert "".join(part.text for part in left) == one
    assert "".join(part.text for part in right) == other
    assert all(part.text for part in (*left, *right))
