"""Patience counts the time in which one was awake."""

from __future__ import annotations

from router.trial.patience import Patience


def test_looks_add_up_to_the_limit() -> None:
    moments = iter([0.0, 0.5, 1.0, 1.5, 2.0])
    patience = Patience(2.0, clock=lambda: next(moments))
    assert [patience.ended for _ in range(4)] == [False, False, False, True]


def test_a_suspended_machine_does_not_use_it_up() -> None:
    moments = iter([0.0, 500.0, 500.5, 501.0])
    patience = Patience(2.0, clock=lambda: next(moments))
    assert [patience.ended for _ in range(3)] == [False, False, True]


def test_it_begins_anew_when_something_moved() -> None:
    moments = iter([0.0, 0.9, 0.9, 1.8, 2.0])
    patience = Patience(1.0, clock=lambda: next(moments))
    assert not patience.ended
    patience.renew()
    assert [patience.ended for _ in range(2)] == [False, True]
