"""The bench's own processes: started from their module, spoken to by one JSON line at a time."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Self

from router.bench.generator import Order, Outcome
from router.trial.process import TrialFault


class Child:
    """A process that answers each line with a line; it ends when its input does."""

    def __init__(self, module: str, *arguments: str) -> None:
        self._module = module
        self._process = subprocess.Popen(  # noqa: S603 - our own module, under our own interpreter
            [sys.executable, "-m", module, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()

    def ask(self, order: dict[str, object] | None) -> dict[str, object]:
        """Send an order (None: only listen) and give the answer; raises TrialFault when the process ended."""
        assert self._process.stdin is not None  # noqa: S101 - both are pipes by construction
        assert self._process.stdout is not None  # noqa: S101 - the same
        if order is not None:
            self._process.stdin.write(json.dumps(order) + "\n")
            self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise TrialFault(f"{self._module} ended in the middle of the bench")
        answer = json.loads(line)
        if "error" in answer:
            raise TrialFault(str(answer["error"]))
        return dict(answer)


class Generator(Child):
    """The load generator."""

    def __init__(self, patients: int, seed: int) -> None:
        super().__init__("router.bench.generator")
        self.ask({"patients": patients, "seed": seed})

    def load(self, order: Order) -> Outcome:
        """Carry out a load."""
        answer = self.ask(asdict(order))
        return Outcome(**{name: int(str(value)) for name, value in answer.items()})


class Receiver(Child):
    """The FHIR receiver; `url` is its base."""

    def __init__(self) -> None:
        super().__init__("router.bench.receiver")
        self.url = f"http://127.0.0.1:{self.ask(None)['port']}/fhir"

    def count(self) -> dict[str, int]:
        """Count what arrived: `distinct` reports, reports that came `again`, `bundles`, moment of the `last`."""
        return {name: int(str(value)) for name, value in self.ask({"order": "count"}).items()}

    def record(self, file: Path) -> None:
        """Write when each report arrived."""
        self.ask({"order": "record", "file": str(file)})


class Floor(Child):
    """The bare acknowledger; `port` is where it listens."""

    def __init__(self, database: Path) -> None:
        super().__init__("router.bench.floor", str(database))
        self.port = int(str(self.ask(None)["port"]))
