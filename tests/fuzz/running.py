"""Running a target: for a count of inputs with mutators alone, or for a time guided by atheris' coverage."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from random import Random

from fuzz.judging import Finding, forget_peak, judge
from fuzz.registry import Target


def bent(target: Target, chance: Random, known: Sequence[bytes]) -> bytes:
    """Make one input: a good one, bent one to three times."""
    content = chance.choice(known)
    for _ in range(chance.choice((1, 1, 2, 3))):
        content = chance.choice(target.mutators)(content, chance, known)
    return content[: target.largest]


def inputs(target: Target, seed: str, count: int) -> Iterator[bytes]:
    """Give the seeds as they are, then `count` bent inputs; the same for the same seed."""
    known = target.seeds()
    yield from known
    yield b""
    chance = Random(f"{target.name} {seed}")
    for _ in range(count):
        yield bent(target, chance, known)


def run_plain(target: Target, seed: str, count: int, *, until: float | None = None) -> list[Finding]:
    """Try inputs, and give each defect once, with the shortest input that showed it."""
    found: dict[str, Finding] = {}
    forget_peak()
    for content in inputs(target, seed, count):
        _note(found, judge(target, content))
        if until is not None and time.monotonic() > until:
            break
    return list(found.values())


def _note(found: dict[str, Finding], finding: Finding | None) -> bool:
    if finding is None:
        return False
    before = found.get(finding.key)
    if before is None or len(finding.content) < len(before.content):
        found[finding.key] = finding
    return before is None


def run_guided(target: Target, folder: Path, seconds: int, seed: int, tell: Callable[[str], None]) -> None:
    """Let atheris steer by coverage for `seconds`; findings are written to `folder` as they come. Ends the process.

    Its own corpus is kept in `folder`, so that the next run goes on where this one ended.
    """
    import atheris

    corpus = folder / "corpus" / target.name
    corpus.mkdir(parents=True, exist_ok=True)
    known = [content[: target.largest] for content in target.seeds()]
    for content in known:
        (corpus / hashlib.sha256(content).hexdigest()[:24]).write_bytes(content)
    found: dict[str, Finding] = {}
    forget_peak()

    def one(content: bytes) -> None:
        finding = judge(target, content)
        if finding is not None and _note(found, finding):
            tell(str(finding))
            keep(finding, folder)

    def mutate(content: bytes, largest: int, number: int) -> bytes:
        chance = Random(number)
        if chance.random() < 0.25:
            return atheris.Mutate(content, largest)
        return chance.choice(target.mutators)(content, chance, known)[:largest]

    limits = [f"-max_total_time={seconds}", f"-max_len={target.largest}", f"-seed={seed}"]
    quiet = ["-verbosity=0", "-print_final_stats=0", "-rss_limit_mb=4096", f"-artifact_prefix={folder}/"]
    atheris.Setup(["fuzz", str(corpus), *limits, *quiet], one, custom_mutator=mutate)
    atheris.Fuzz()


def keep(finding: Finding, folder: Path) -> Path:
    """Write the input of a finding to a file that `--replay` takes."""
    place = folder / "findings" / finding.target
    place.mkdir(parents=True, exist_ok=True)
    path = place / f"{finding.key}.bin"
    if not path.exists() or path.stat().st_size > len(finding.content):
        path.write_bytes(finding.content)
        path.with_suffix(".txt").write_text(f"{finding}\n")
    return path
