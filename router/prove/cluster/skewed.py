"""Run a command of Passerelle with a wall clock that is wrong: `python -m router.prove.cluster.skewed SECONDS serve …`.

What is skewed is the present that the router gives to its parts (`router.engine.clock.utc_now`): what it writes into
the journal, when it is due to try again, what it shows. The system's own clock and the monotonic one, by which waits
are measured, are not: a Linux time namespace has no wall clock of its own.
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta

from router.engine import clock


def skew(seconds: float) -> None:
    """Make the present of everything that is imported after this call wrong by so much."""
    wrong = timedelta(seconds=seconds)

    def utc_now() -> datetime:
        """Give the present as a clock that was set wrong does."""
        return datetime.now(UTC) + wrong

    clock.utc_now = utc_now


def main() -> None:
    """Skew, then run the command line."""
    skew(float(sys.argv[1]))
    from router.cli.base import main as command_line

    command_line(sys.argv[2:])


if __name__ == "__main__":
    main()
