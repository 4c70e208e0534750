"""The receiver, a process of its own: `python -m router.bench.receiver`.

It takes FHIR transactions, answers each at once, and notes when the report of each message first arrived. One JSON
order a line on its input: `{"order": "count"}` gives `{"distinct": …, "again": …, "bundles": …, "last": …}` (`last`
is the moment of the last new report); `{"order": "record", "file": …}` writes the moments, one 64-bit integer a message
number, 0 for those that never came.
"""

from __future__ import annotations

import asyncio
import json
import sys
import threading
import time
from array import array
from pathlib import Path

from router.bench.generator import loop_factory
from router.bench.traffic import REPORT_ID
from router.trial.sink import port_of, serve_sink, transaction_response


class Arrivals:
    """When each report first arrived, in monotonic nanoseconds, by message number."""

    def __init__(self) -> None:
        self.moments = array("q", bytes(8 * 65_536))
        self.distinct = self.again = self.bundles = self.last = 0

    def take(self, _head: bytes, body: bytes) -> bytes:
        """Note a Bundle's reports and answer it."""
        now = time.monotonic_ns()
        self.bundles += 1
        for number in {int(found) for found in REPORT_ID.findall(body)}:
            while number >= len(self.moments):
                self.moments.extend(array("q", bytes(8 * len(self.moments))))
            if self.moments[number]:
                self.again += 1
            else:
                self.moments[number] = now
                self.distinct += 1
                self.last = now
        return transaction_response(body)

    def obey(self, order: dict[str, str]) -> dict[str, int]:
        """Carry out one order of the parent."""
        if order["order"] == "record":
            with Path(order["file"]).open("wb") as record:
                self.moments.tofile(record)
        return {"distinct": self.distinct, "again": self.again, "bundles": self.bundles, "last": self.last}


async def _serve(arrivals: Arrivals) -> None:
    server = await serve_sink(arrivals.take)
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()

    def converse() -> None:
        for line in sys.stdin:
            _say(arrivals.obey(json.loads(line)))
        loop.call_soon_threadsafe(ended.set)

    _say({"port": port_of(server)})
    threading.Thread(target=converse, daemon=True).start()
    await ended.wait()


def _say(answer: dict[str, int]) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        runner.run(_serve(Arrivals()))
