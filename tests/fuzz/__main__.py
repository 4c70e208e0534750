"""`make fuzz`: every target for a count, or one for a time. Exit status 1 when anything was found."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from pathlib import Path

FOLDER = Path("build/fuzz")


def main() -> int:
    asked = _arguments()
    names = asked.target
    if asked.seconds and not asked.plain:
        return _guided(names, asked.seconds, asked.seed)
    from fuzz.judging import judge
    from fuzz.registry import all_targets
    from fuzz.running import keep, run_plain

    targets = all_targets()
    if asked.replay is not None:
        finding = judge(targets[names[0]], asked.replay.read_bytes())
        _say(str(finding or "nothing is wrong with it"))
        return int(finding is not None)
    status = 0
    for name in names or targets:
        findings = run_plain(targets[name], str(asked.seed), max(1, int(asked.count * targets[name].share)))
        _say(f"{name}: {len(findings)} found")
        for finding in findings:
            _say(f"  {finding}\n  {keep(finding, FOLDER)}")
            status = 1
    return status


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make fuzz", description=__doc__)
    parser.add_argument(
        "--target", action="append", default=[], help="Name of a target; may be repeated; all otherwise."
    )
    parser.add_argument("--count", type=int, default=500, help="Inputs for each target, scaled by its share.")
    parser.add_argument("--seconds", type=int, default=0, help="Guided by coverage for this long, instead of a count.")
    parser.add_argument("--seed", type=int, default=1, help="The same seed gives the same inputs.")
    parser.add_argument("--plain", action="store_true", help="Never guided by coverage.")
    parser.add_argument("--replay", type=Path, help="Judge the content of this file, for the one target that is named.")
    return parser.parse_args()


def _guided(names: list[str], seconds: int, seed: int) -> int:
    """Run targets one after the other, each in a child: atheris ends the process that it runs in."""
    import atheris

    logging.disable(logging.INFO)  # one line for each module that is instrumented
    with atheris.instrument_imports(include=["schemas", "mappings", "connectors", "router"]):
        from fuzz.registry import all_targets

        targets = all_targets()
    from fuzz.running import run_guided

    status = 0
    for name in names or targets:
        _say(f"{name}: {seconds} s, guided by coverage")
        child = os.fork()
        if child == 0:
            run_guided(targets[name], FOLDER, seconds, seed, _say)
            os._exit(0)
        _, ended = os.waitpid(child, 0)
        found = sorted((FOLDER / "findings" / name).glob("*.bin"))
        _say(f"{name}: {len(found)} found" + "".join(f"\n  {path}" for path in found))
        status = 1 if found or ended else status
    return status


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
