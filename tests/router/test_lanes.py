from __future__ import annotations

from collections import defaultdict

from hypothesis import given, strategies as st

from router.engine.lanes import PARKED_KEPT, Entry, Lanes


def entry(number: int, lane: int, due: int | None = None) -> Entry:
    return Entry(number, lane, f"id{number}", "text/plain", "f", None, 0, next_attempt_at=due)


def test_one_patient_is_sent_one_by_one_and_others_meanwhile() -> None:
    lanes = Lanes()
    for number, lane in ((1, 7), (2, 7), (3, 8)):
        lanes.add(entry(number, lane))
    first, other = lanes.take(), lanes.take()
    assert first is not None
    assert other is not None
    assert (first.id, other.id) == (1, 3)
    assert lanes.take() is None
    lanes.done(first)
    following = lanes.take()
    assert following is not None
    assert following.id == 2


def test_a_retry_parks_its_own_lane_only() -> None:
    lanes = Lanes()
    for number, lane in ((1, 7), (2, 7), (3, 8)):
        lanes.add(entry(number, lane))
    stuck = lanes.take()
    assert stuck is not None
    lanes.retry(stuck, until=100)
    other = lanes.take()
    assert other is not None
    assert other.id == 3
    assert lanes.take() is None
    assert lanes.next_unpark() == 100
    lanes.unpark(99)
    assert lanes.take() is None
    lanes.unpark(100)
    again = lanes.take()
    assert again is not None
    assert again.id == 1


def test_a_parked_lane_keeps_few_and_says_that_there_are_more() -> None:
    lanes = Lanes()
    lanes.add(entry(1, 7, due=50))
    for number in range(2, PARKED_KEPT + 20):
        lanes.add(entry(number, 7))
    assert len(lanes) == PARKED_KEPT
    lanes.unpark(50)
    for _ in range(PARKED_KEPT - 1):
        one = lanes.take()
        assert one is not None
        assert not lanes.done(one)
    last = lanes.take()
    assert last is not None
    assert lanes.done(last), "the rest of the lane is to be read from the journal"


@given(st.lists(st.tuples(st.integers(0, 3), st.sampled_from(["done", "retry"])), max_size=60))
def test_whatever_is_retried_each_lane_ends_in_order(plan: list[tuple[int, str]]) -> None:
    lanes = Lanes()
    for number, (lane, _) in enumerate(plan):
        lanes.add(entry(number, lane))
    fates = {number: fate for number, (_, fate) in enumerate(plan)}
    ended: dict[int, list[int]] = defaultdict(list)
    clock = 0
    while len(lanes):
        taken = []
        while (one := lanes.take()) is not None:
            taken.append(one)
        assert len({one.lane for one in taken}) == len(taken), "never two of one lane at once"
        for one in taken:
            if fates[one.id] == "retry":
                fates[one.id] = "done"
                lanes.retry(one, until=clock + 1)
            else:
                ended[one.lane].append(one.id)
                lanes.done(one)
        clock += 1
        lanes.unpark(clock)
    assert sum(map(len, ended.values())) == len(plan)
    assert all(numbers == sorted(numbers) for numbers in ended.values())
