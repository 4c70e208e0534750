"""The accounts of a proof see what is lost, out of order, or repeated under another identity."""

from __future__ import annotations

import io
import random
from dataclasses import replace

import pytest
from hypothesis import given, strategies as st
from prove_accounts import GOOD, body
from rich.console import Console

from router.prove.ledger import Ledger, increasing
from router.prove.receiver import UnreliableReceiver
from router.prove.verdict import judge, print_verdict


def test_what_was_acknowledged_and_never_arrived_is_lost() -> None:
    ledger = Ledger()
    for mark in ((1, 1), (1, 2)):
        ledger.sending(mark)
        ledger.acknowledged.add(mark)
    ledger.arrived("a", body((1, 1)))
    assert ledger.lost == [(1, 2)]
    assert ledger.never_sent == []
    ledger.arrived("b", body((9, 9)))
    assert ledger.never_sent == [(9, 9)]


def test_a_repeat_is_recognisable_only_with_its_key_and_bytes() -> None:
    ledger = Ledger()
    ledger.arrived("a", body((1, 1)))
    ledger.arrived("a", body((1, 1)))
    assert (ledger.duplicates, ledger.unrecognisable) == (1, 0)
    ledger.arrived("b", body((1, 1)))
    ledger.arrived("a", body((1, 1), note="changed"))
    assert (ledger.duplicates, ledger.unrecognisable) == (3, 2)
    ledger.arrived("", body((2, 1)))
    ledger.arrived("", body((2, 1)))
    assert ledger.unrecognisable == 3


def test_order_is_by_first_arrival_of_each_patient() -> None:
    ledger = Ledger()
    for key, mark in enumerate([(1, 1), (2, 1), (1, 2), (1, 1), (2, 3), (2, 2)]):
        ledger.arrived(str(key), body(mark))
    assert ledger.order == {1: [1, 2], 2: [1, 3, 2]}
    assert ledger.out_of_order == [2]


def test_resends_are_the_attempts_beyond_the_first() -> None:
    ledger = Ledger()
    for mark in ((1, 1), (1, 1), (1, 1), (2, 1)):
        ledger.sending(mark)
    assert ledger.resent == 2


@given(st.lists(st.integers(1, 50)))
def test_increasing_is_strict(places: list[int]) -> None:
    assert increasing(places) == (places == sorted(set(places)))


def test_a_good_verdict_holds_and_says_so() -> None:
    assert judge(GOOD) == []
    out = io.StringIO()
    print_verdict(GOOD, Console(file=out, width=120))
    assert "nothing acknowledged was lost" in out.getvalue()
    assert GOOD.as_json()["holds"] is True


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"lost": ["PROVE-0001-000001"]}, "never arrived"),
        ({"never_sent": ["PROVE-0009-000001"]}, "nobody sent"),
        ({"refused": 1}, "refused"),
        ({"acknowledged": 2}, "never acknowledged"),
        ({"out_of_order": [4]}, "out of order"),
        ({"unrecognisable": 1}, "another identity"),
        ({"messages": {"processed": 2, "received": 1}}, "processed messages"),
        ({"deliveries": {"delivered": 2, "dead": 1}}, "delivered were expected"),
        ({"deliveries": {"delivered": 4}}, "delivered were expected"),
        ({"recognised": 9}, "recognised more"),
        ({"stopped_with": None}, "graceful stop"),
    ],
)
def test_each_flaw_has_its_reason(changes: dict[str, object], reason: str) -> None:
    flawed = replace(GOOD, **changes)  # type: ignore[arg-type]  # each case names fields of the dataclass
    reasons = judge(flawed)
    assert len(reasons) == 1
    assert reason in reasons[0]
    out = io.StringIO()
    print_verdict(replace(flawed, reasons=reasons), Console(file=out, width=200))
    assert "It does not hold" in out.getvalue()


def test_the_receiver_takes_what_it_cuts_and_not_what_it_refuses() -> None:
    ledger = Ledger()
    head = b"POST / HTTP/1.1\r\nIdempotency-Key: k"
    cutting = UnreliableReceiver(ledger, random.Random(1), cut=1.0, unavailable=0.0)
    assert cutting.take(head, body((1, 1))) is None
    refusing = UnreliableReceiver(ledger, random.Random(1), cut=0.0, unavailable=1.0)
    answer = refusing.take(head, body((1, 2)))
    assert answer is not None
    assert answer.startswith(b"HTTP/1.1 503")
    refusing.calm()
    answer = refusing.take(head, body((1, 1)))
    assert answer is not None
    assert answer.startswith(b"HTTP/1.1 200")
    assert (cutting.cuts, refusing.refusals, list(ledger.arrivals), ledger.unrecognisable) == (1, 1, [(1, 1)], 0)
