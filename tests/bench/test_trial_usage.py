"""What processes consume is read from /proc, children included."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from router.trial.usage import PeakMemory, available, family, usage

pytestmark = pytest.mark.skipif(not available(), reason="this system has no /proc")

PARENT = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE)
print(child.pid, flush=True)
sys.stdin.read()
child.communicate()
"""


def test_a_family_is_a_process_and_its_descendants() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PARENT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        assert family(parent.pid) == (parent.pid, child)
        measured = usage(parent.pid)
        with PeakMemory(parent.pid, every=60) as memory:
            pass
        parent.communicate()
    assert measured is not None
    assert measured.processes == 2
    assert measured.rss_bytes > 1_000_000
    assert memory.peak > 1_000_000
    assert family(parent.pid) == ()
    gone = usage(parent.pid)
    assert gone is not None
    assert gone.processes == 0


def test_processor_time_grows_with_work() -> None:
    before = usage(os.getpid())
    sum(number * number for number in range(3_000_000))
    after = usage(os.getpid())
    assert before is not None
    assert after is not None
    assert after.cpu_seconds > before.cpu_seconds
