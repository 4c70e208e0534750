"""The gate's share of fuzzing: every target, a fixed number of inputs, the same ones each time (`docs/fuzzing.md`)."""

from __future__ import annotations

import time
from importlib.metadata import entry_points
from pathlib import Path

import pytest
from fuzz.judging import judge
from fuzz.mutators import CANARY, json, mime, raw, rows, words, xml
from fuzz.registry import Target, all_targets
from fuzz.running import inputs, keep, run_plain

COUNT = 25
"""Bent inputs a target, times its share: a check that the harness and the readers agree, not a search."""

KEPT = Path(__file__).parent / "kept"
"""Inputs that once showed a defect, by target: they are tried again for ever."""


@pytest.mark.parametrize("name", all_targets())
def test_bent_inputs_are_read_or_refused(name: str) -> None:
    target = all_targets()[name]
    findings = run_plain(target, "gate", int(COUNT * target.share))
    findings += [found for path in sorted((KEPT / name).glob("*")) if (found := judge(target, path.read_bytes()))]
    assert [str(found) for found in findings] == []


def test_every_format_and_every_kept_input_has_a_target() -> None:
    formats = {one.name for one in entry_points(group="passerelle.formats")}
    assert formats <= set(all_targets())
    assert {path.name for path in KEPT.iterdir()} <= set(all_targets())


class Wrong(Exception):
    pass


def planted(content: bytes) -> None:
    """A reader with one defect of each kind."""
    if content.startswith(b"index"):
        [].pop()
    if content.startswith(b"quote"):
        raise Wrong(content.decode())
    if content.startswith(b"chain"):
        try:
            raise ValueError(content.decode())
        except ValueError:
            raise Wrong("it is wrong") from None
    if content.startswith(b"context"):
        try:
            raise ValueError(content.decode())
        except ValueError:
            raise Wrong("it is wrong")  # noqa: B904 - the defect that is looked for
    if content.startswith(b"hang"):
        while True:
            pass
    if content.startswith(b"large"):
        bytearray(80 * 1024 * 1024)[::4096] = b"x" * (20 * 1024)
    raise Wrong("it is wrong")


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"fine", None),
        (b"index", "raised"),
        (b"quote " + CANARY.encode(), "health-data"),
        (b"quote TESTROSE", "health-data"),
        (b"context TESTROSE", "health-data"),
        (b"chain TESTROSE", None),
        (b"hang", "too-long"),
    ],
)
def test_planted_defects_are_found(content: bytes, kind: str | None) -> None:
    target = Target("planted", planted, lambda: (b"x",), (raw,), (Wrong,), seconds=0.2)
    found = judge(target, content)
    assert (found.kind if found is not None else None) == kind


def test_memory_that_grows_is_found() -> None:
    def grows(content: bytes) -> None:
        held.append(bytearray(len(content) * 150 * 1024 * 1024))
        held[-1][::4096] = b"x" * len(held[-1][::4096])

    held: list[bytearray] = []
    # What a process held before hides what grows below it: enough is taken to go past any peak of this one.
    found = None
    for _ in range(12):
        found = judge(Target("grows", grows, lambda: (b"x",), (raw,), (), megabytes=100), b"x")
        if found is not None:
            break
    held.clear()
    assert found is not None
    assert found.kind == "too-large"


def test_a_run_can_be_repeated_and_its_finding_kept(tmp_path: Path) -> None:
    target = Target(
        "planted", planted, lambda: (b"quote a b c d",), (raw, rows(b" "), words(b"index")), (Wrong,), seconds=0.5
    )
    assert list(inputs(target, "1", 50)) == list(inputs(target, "1", 50)) != list(inputs(target, "2", 50))
    findings = run_plain(target, "1", 300, until=time.monotonic() + 60)
    assert {found.kind for found in findings} == {"health-data", "raised"}
    path = keep(findings[0], tmp_path)
    assert judge(target, path.read_bytes()) is not None


@pytest.mark.parametrize(
    ("mutator", "seed"),
    [
        (xml, b'<a x="1"><b>TESTROSE</b></a>'),
        (json, b'{"a": [1, {"b": "TESTROSE"}]}'),
        (mime, b'Subject: a\r\nContent-Type: multipart/mixed; boundary="b"\r\n\r\n--b\r\n\r\nx\r\n--b--\r\n'),
        (rows(b"|^"), b"MSH|^~\\&|A\rPID|1||TESTROSE^MARIE\r"),
    ],
    ids=["xml", "json", "mime", "rows"],
)
def test_mutators_bend_and_mostly_keep_the_syntax(mutator: object, seed: bytes) -> None:
    import random

    chance = random.Random(1)
    made = {mutator(seed, chance, (seed,)) for _ in range(100)}  # type: ignore[operator]  # a Mutator
    assert len(made) > 40
    kept = {b"<": b"</a>", b"{": b"}", b"S": b"\r\n", b"M": b"MSH"}[seed[:1]]
    assert sum(kept in one for one in made) > len(made) / 2
