"""The memory of pure functions."""

from __future__ import annotations

from mappings.recollection import Recollection
from schemas.coding import Coding


def coded(code: str) -> Coding:
    return Coding(system="urn:oid:2.999.67", code=code)


def test_it_is_found_by_the_object_and_by_what_another_one_says_alike() -> None:
    memory: Recollection[str] = Recollection(4)
    first = coded("A")
    assert memory.of(first, "x") is None
    assert memory.keep("made", first, "x") == "made"
    assert memory.of(first, "x") == "made"
    assert memory.of(coded("A"), "x") == "made"
    assert memory.of(coded("B"), "x") is None
    assert memory.of(first, "y") is None


def test_objects_that_come_and_go_are_never_taken_for_one_another() -> None:
    memory: Recollection[str] = Recollection(1000)
    for rank in range(2000):
        code = str(rank % 700)
        one = coded(code)  # the place of one that was forgotten may be given to the next
        assert memory.of(one) in (None, code)
        memory.keep(code, one)


def test_it_is_bounded_whether_objects_are_the_same_or_only_alike() -> None:
    memory: Recollection[str] = Recollection(3)
    for rank in range(10):
        memory.keep("x", coded(str(rank)))
    assert len(memory) <= 3
    same = [coded("9") for _ in range(10)]
    assert [memory.of(one) for one in same] == ["x"] * 10
    assert len(memory._by_object) <= 3
