"""Asks pip-audit what is known of the locked packages. Says loudly when it could not be asked: that is no good news.

Exit status: 0 nothing is wrong, or nothing could be asked; 1 an advisory that is not accepted, or an acceptance that
has ended; 2 with --strict when not everything was asked.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tomllib
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
LONGEST = 92
"""Days for which an advisory may be accepted: then somebody looks again."""


@dataclass
class Asked:
    """What was found out: advisories as (package, version, ids, fixed in), and who was not asked about."""

    advisories: list[tuple[str, str, set[str], str]] = field(default_factory=list)
    audited: int = 0
    skipped: list[str] = field(default_factory=list)
    failure: str = ""


def main(words: list[str] | None = None) -> int:
    """Ask, judge, tell."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lock", type=Path, default=HERE.parent / "requirements.lock")
    parser.add_argument("--accepted", type=Path, default=HERE / "accepted.toml")
    parser.add_argument("--strict", action="store_true", help="Fail when not everything could be asked.")
    parser.add_argument("--seconds", type=float, default=120.0, help="Time for pip-audit.")
    parser.add_argument("--command", default="", help="Instead of pip-audit: a file that prints what it would (tests).")
    parser.add_argument("--today", type=date.fromisoformat, default=date.today())  # noqa: DTZ011 - a day of the calendar
    asked = parser.parse_args(words)
    accepted, problems = read_accepted(asked.accepted, asked.today)
    found = ask(asked.lock, asked.seconds, asked.command)
    open_ones = [one for one in found.advisories if not any((one[0], each) in accepted for each in one[2])]
    for name, version, ids, fixed in open_ones:
        problems.append(
            f"{name} {version}: {', '.join(sorted(ids))}; {f'mended in {fixed}' if fixed else 'not mended yet'}"
        )
    if found.audited:
        known = {(name, each) for name, _, ids, _ in found.advisories for each in ids}
        for name, each in sorted(accepted - known):
            sys.stdout.write(f"audit: {each} of {name} is accepted and no longer found: take it out of accepted.toml\n")
    for problem in problems:
        sys.stderr.write(f"audit: {problem}\n")
    whole = not found.failure and not found.skipped
    if whole:
        borne = len(found.advisories) - len(open_ones)
        sys.stdout.write(
            f"audit: {found.audited} packages asked about, {len(open_ones)} advisories, {borne} accepted\n"
        )
    else:
        _shout(found)
    return 1 if problems else 2 if asked.strict and not whole else 0


def read_accepted(path: Path, today: date) -> tuple[set[tuple[str, str]], list[str]]:
    """Give what is accepted today, and what is wrong with the list."""
    accepted: set[tuple[str, str]] = set()
    problems: list[str] = []
    entries: list[dict[str, Any]] = tomllib.loads(path.read_text(encoding="utf-8")).get("accepted", [])
    for number, entry in enumerate(entries, start=1):
        lacking = [key for key in ("id", "package", "reason", "until") if not str(entry.get(key, "")).strip()]
        until = entry.get("until")
        if lacking or not isinstance(until, date):
            problems.append(f"{path.name}, entry {number}: lacks {', '.join(lacking) or 'a date in until'}")
        elif until < today:
            problems.append(f"{path.name}: {entry['id']} of {entry['package']} was accepted until {until}: look again")
        elif (until - today).days > LONGEST:
            problems.append(f"{path.name}: {entry['id']} is accepted for more than {LONGEST} days: look again sooner")
        else:
            accepted.add((entry["package"], entry["id"]))
    return accepted, problems


def ask(lock: Path, seconds: float, command: str) -> Asked:
    """Run pip-audit on the lock: it resolves and installs nothing."""
    arguments = [sys.executable, command] if command else [sys.executable, "-m", "pip_audit"]
    arguments += ["-r", str(lock), "--disable-pip", "--require-hashes", "--format", "json", "--progress-spinner", "off"]
    try:
        ran = subprocess.run(arguments, check=False, capture_output=True, timeout=seconds)  # noqa: S603 - our own words
        told = json.loads(ran.stdout)["dependencies"]
    except subprocess.TimeoutExpired:
        return Asked(failure=f"no answer within {seconds:.0f} s")
    except (ValueError, KeyError, TypeError):
        return Asked(failure="pip-audit could not ask the index")
    found = Asked()
    for one in told:
        if "skip_reason" in one:
            found.skipped.append(one["name"])
            continue
        found.audited += 1
        for advisory in one["vulns"]:
            ids = {advisory["id"], *advisory.get("aliases", ())}
            found.advisories.append((one["name"], one["version"], ids, ", ".join(advisory.get("fix_versions", ()))))
    return found


def _shout(found: Asked) -> None:
    if found.failure or not found.audited:
        why = found.failure or "the index that is configured here serves no advisories"
        said = f"THE AUDIT OF THE DEPENDENCIES DID NOT RUN: {why}. Run `make audit` where it can."
    else:
        said = f"THE AUDIT IS NOT WHOLE: nothing is known of {', '.join(found.skipped)}."
    line = "!" * 100
    sys.stdout.write(f"{line}\n{said}\n{line}\n")


if __name__ == "__main__":
    sys.exit(main())
