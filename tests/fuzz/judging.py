"""What counts as a finding: anything raised but the reader's own fault, too long, too large, health data in a text."""

from __future__ import annotations

import contextlib
import hashlib
import signal
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from fuzz.mutators import CANARY
from fuzz.registry import Target

HEALTH_WORDS = (CANARY, "TESTROSE", "FICTIVE", "279035121518989", "199017599999948")
"""Words that stand in the seeds, or are put there by mutators, as a patient's name or number would."""

_STATUS = Path("/proc/self/status")


class TooLong(BaseException):
    """The time of one input is over. No `except Exception` of a reader can take it for something else."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something to mend. `key` is the same for two inputs that show the same defect."""

    target: str
    kind: str
    detail: str
    place: str
    content: bytes

    @property
    def key(self) -> str:
        """Name the defect, short and safe as a file name."""
        told = f"{self.target} {self.kind} {self.detail.partition(':')[0]} {self.place}"
        return f"{self.kind}-{hashlib.sha256(told.encode()).hexdigest()[:12]}"

    def __str__(self) -> str:
        return f"{self.target}: {self.kind}: {self.detail} at {self.place} ({len(self.content)} bytes)"


def judge(target: Target, content: bytes) -> Finding | None:
    """Run a target on one input, and say what is wrong if anything is."""
    before = peak_megabytes()
    try:
        with _patience(target.seconds):
            target.run(content)
    except TooLong as late:
        place = _place(late)
        return Finding(target.name, "too-long", f"more than {target.seconds} s of processor time", place, content)
    except target.faults as fault:
        told = _told(fault)
        if (
            word := next((one for one in HEALTH_WORDS if one in told and one not in target.may_quote), None)
        ) is not None:
            return Finding(target.name, "health-data", f"{type(fault).__name__} quotes {word}", _place(fault), content)
    except Exception as defect:
        detail = f"{type(defect).__name__}: {defect}"[:300]
        return Finding(target.name, "raised", detail, _place(defect), content)
    if peak_megabytes() - before > target.megabytes:
        return Finding(target.name, "too-large", f"more than {target.megabytes} MB", "the whole run", content)
    return None


def forget_peak() -> None:
    """Let the kernel measure the peak of memory anew; where it cannot, growth below the old peak is not seen."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def peak_megabytes() -> float:
    """Give the most memory that this process has held."""
    with contextlib.suppress(OSError):
        for line in _STATUS.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    return 0.0


def _told(fault: BaseException | None) -> str:
    """Give every text that a traceback of this exception would print."""
    texts = []
    while fault is not None:
        texts.append(str(fault))
        fault = fault.__cause__ or (None if fault.__suppress_context__ else fault.__context__)
    return "\n".join(texts)


def _place(problem: BaseException) -> str:
    frames = traceback.extract_tb(problem.__traceback__)
    own = [one for one in frames if "site-packages" not in one.filename and "/fuzz/" not in one.filename]
    own = [one for one in own if "/lib/python" not in one.filename] or frames
    return f"{Path(own[-1].filename).name}:{own[-1].lineno}" if own else "an unknown place"


@contextlib.contextmanager
def _patience(seconds: float) -> Iterator[None]:
    """Raise TooLong in the middle of what is done, once it has taken this much time of the processor."""

    def over(_signal: int, _frame: FrameType | None) -> None:
        raise TooLong

    former = signal.signal(signal.SIGPROF, over)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, former)
