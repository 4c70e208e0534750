"""The load generator, a process of its own: `python -m router.bench.generator`.

It reads one JSON order a line from its input and answers one JSON line. Every message's due, sent and acknowledged
moments (monotonic nanoseconds, one clock for all processes of a machine) are written to the file that the order names,
as three arrays of 64-bit integers one after the other; an acknowledgement that never came is 0.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from array import array
from collections import deque
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import cast

from router.bench.traffic import Traffic, accepted

_END = b"\x1c\r"
_PATIENCE = 60.0
"""Seconds that a router has, after the load, to answer what was sent."""


@dataclass(frozen=True, slots=True)
class Order:
    """One load: over `connections` to `host:port`, numbers from `first` on, for `seconds`.

    `rate` 0 is closed loop (each connection sends as soon as it was answered); else messages fall due at `rate` a
    second, and wait for a free connection when there is none. A closed loop ends before its time once it has sent
    `most` messages, where that is not 0.
    """

    host: str
    port: int
    connections: int
    seconds: float
    first: int
    rate: float
    record: str
    most: int = 0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a load: messages `sent`, positively acknowledged, refused (anything but AA), connections lost.

    `began` and `ended` are the moments of the first message and of the last acknowledgement.
    """

    sent: int
    acknowledged: int
    refused: int
    lost: int
    began: int
    ended: int


class _Load:
    """The state that the connections of one load share."""

    def __init__(self, order: Order, traffic: Traffic, done: asyncio.Future[None]) -> None:
        self.order = order
        self.traffic = traffic
        self.done = done
        self.loop = asyncio.get_running_loop()
        self.due = array("q")
        self.sent = array("q")
        self.answered = array("q")
        self.acknowledged = self.refused = self.lost = 0
        self.idle: deque[_Connection] = deque()
        self.busy = 0
        self.began = time.monotonic_ns()
        self.until = self.began + int(order.seconds * 1e9)
        self.paced = order.rate > 0

    def open(self, connections: list[_Connection]) -> None:
        """Begin, now that every connection stands."""
        self.began = time.monotonic_ns()
        self.until = self.began + int(self.order.seconds * 1e9)
        self.loop.call_later(self.order.seconds + _PATIENCE, self._give_up)
        if self.paced:
            self.idle.extend(connections)
            self._pace()
        else:
            for connection in connections:
                self.free(connection)

    def free(self, connection: _Connection) -> None:
        """Give a connection its next message, or let it rest."""
        now = time.monotonic_ns()
        if self.paced:
            due = self._next_due()
            if due > now or due >= self.until:
                self.idle.append(connection)
                self._finish()
                return
        elif now >= self.until or self._has_sent_enough():
            self._finish()
            return
        else:
            due = now
        number = len(self.sent)
        self.due.append(due)
        self.sent.append(now)
        self.answered.append(0)
        self.busy += 1
        connection.send(number, self.traffic.frame(self.order.first + number))

    def answer(self, number: int, positive: bool) -> None:
        """Note an answer."""
        self.busy -= 1
        if positive:
            self.answered[number] = time.monotonic_ns()
            self.acknowledged += 1
        else:
            self.refused += 1

    def cut(self, waiting: bool) -> None:
        """Note a connection that the router closed."""
        self.lost += 1
        if waiting:
            self.busy -= 1
        self._finish()

    def _has_sent_enough(self) -> bool:
        return 0 < self.order.most <= len(self.sent)

    def _next_due(self) -> int:
        return self.began + round(len(self.sent) * 1e9 / self.order.rate)

    def _pace(self) -> None:
        now = time.monotonic_ns()
        while self.idle:
            due = self._next_due()
            if due > now or due >= self.until:
                break
            self.free(self.idle.popleft())
        if now < self.until and self.lost < self.order.connections:
            self.loop.call_later(0.001, self._pace)
        else:
            self._finish()

    def _give_up(self) -> None:
        if not self.done.done():
            self.done.set_result(None)

    def _finish(self) -> None:
        over = time.monotonic_ns() >= self.until or self.lost >= self.order.connections or self._has_sent_enough()
        if self.paced and self.lost < self.order.connections:
            over = over and self._next_due() >= self.until
        if over and self.busy == 0 and not self.done.done():
            self.done.set_result(None)


class _Connection(asyncio.Protocol):
    """One MLLP connection with at most one message under way."""

    __slots__ = ("_buffer", "_expected", "_load", "_number", "_transport")

    def __init__(self, load: _Load) -> None:
        self._load = load
        self._buffer = b""
        self._number = -1
        self._expected = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def send(self, number: int, frame: bytes) -> None:
        self._number = number
        self._expected = accepted(self._load.order.first + number)
        if self._transport is not None:
            self._transport.write(frame)

    def data_received(self, data: bytes) -> None:
        buffer = self._buffer + data if self._buffer else data
        if not buffer.endswith(_END):
            self._buffer = buffer
            return
        self._buffer = b""
        number, self._number = self._number, -1
        self._load.answer(number, self._expected in buffer)
        self._load.free(self)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._load.done.done():
            self._load.cut(self._number >= 0)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()


async def load(order: Order, traffic: Traffic) -> Outcome:
    """Carry out one order; raises OSError when the router cannot be reached."""
    loop = asyncio.get_running_loop()
    state = _Load(order, traffic, loop.create_future())
    connections = [
        (await loop.create_connection(lambda: _Connection(state), order.host, order.port))[1]
        for _ in range(order.connections)
    ]
    state.open(connections)
    await state.done
    for connection in connections:
        connection.close()
    with Path(order.record).open("wb") as record:  # noqa: ASYNC230 - the load is over: nothing waits for this loop
        for moments in (state.due, state.sent, state.answered):
            moments.tofile(record)
    return Outcome(
        sent=len(state.sent),
        acknowledged=state.acknowledged,
        refused=state.refused,
        lost=state.lost,
        began=state.began,
        ended=max(state.answered, default=state.began),
    )


def read_record(path: Path, sent: int) -> tuple[array[int], array[int], array[int]]:
    """Read back the due, sent and acknowledged moments of a load of `sent` messages."""
    moments = (array("q"), array("q"), array("q"))
    with path.open("rb") as record:
        for values in moments:
            values.fromfile(record, sent)
    return moments


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Give uvloop's loop where it exists: the generator must not be what is measured."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


def main() -> None:
    """Serve orders until the input ends. The first line says how many patients, and the seed."""
    setup = json.loads(sys.stdin.readline())
    traffic = Traffic(int(setup["patients"]), int(setup["seed"]))
    _say({"ready": True})
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        for line in sys.stdin:
            try:
                _say(asdict(runner.run(load(Order(**json.loads(line)), traffic))))
            except OSError as problem:
                _say({"error": f"the load could not be sent: {type(problem).__name__}"})


def _say(answer: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
