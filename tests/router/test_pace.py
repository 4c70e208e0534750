"""When the pipeline rests during a burst, on a clock of the test's own."""

from __future__ import annotations

from router.engine.pace import BURST, LONGEST_REST, WAITING, Pace


class Clock:
    """Seconds, moved by hand."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def run(per_second: float, speed: float, batches: int, *, stall_every: int = 0, stall: float = 0.0) -> tuple[int, int]:
    """Let messages arrive at one rate and be worked on at another; gives how often it rested, and what waits."""
    clock, batch, done, rests, waiting = Clock(), 32, 0, 0, 0
    pace = Pace(clock)
    for number in range(1, batches + 1):
        clock.now += batch / speed + (stall if stall_every and number % stall_every == 0 else 0.0)
        done += batch
        arrivals = int(clock.now * per_second)
        waiting = max(0, arrivals - done)
        rest = pace.worked(batch, arrivals, waiting)
        if rest:
            rests += 1
            clock.now += rest
            pace.rested()
    return rests, waiting


def test_it_rests_in_a_burst_that_it_cannot_follow() -> None:
    rests, waiting = run(per_second=8_000, speed=900, batches=60)
    assert rests > 40
    assert waiting > WAITING


def test_it_never_rests_under_a_load_that_it_can_nearly_follow() -> None:
    rests, waiting = run(per_second=1_000, speed=900, batches=400)
    assert rests == 0
    assert WAITING < waiting < 3_000


def test_a_stall_of_the_machine_is_no_burst() -> None:
    # One batch in twenty takes a fifth of a second longer: by itself it looks as if messages came seven times faster.
    rests, waiting = run(per_second=1_000, speed=900, batches=400, stall_every=20, stall=0.2)
    assert 32 / (32 / 900 + 0.2) * BURST < 1_000
    assert waiting > WAITING
    assert rests == 0


def test_it_rests_for_a_second_at_most_and_not_for_a_short_queue() -> None:
    clock = Clock()
    pace = Pace(clock)
    clock.now = 0.5
    assert pace.worked(32, 10_000, WAITING - 1) == 0.0
    clock.now = 1.0
    assert pace.worked(32, 20_000, WAITING) == LONGEST_REST
    pace.rested()


def test_after_a_burst_it_works_without_rest() -> None:
    clock = Clock()
    pace = Pace(clock)
    arrivals = 0
    for _ in range(20):
        clock.now += 0.035
        arrivals += 600
        if rest := pace.worked(32, arrivals, arrivals):
            clock.now += rest
            pace.rested()
    later = []
    for _ in range(30):
        clock.now += 0.035
        later.append(pace.worked(32, arrivals, arrivals))
    assert later[-1] == 0.0
    assert later.count(0.0) >= 20
