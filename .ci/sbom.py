"""Writes what Passerelle runs with as a CycloneDX document, from the lock; refuses licences that it may not have.

No network: names, versions and hashes are the lock's, licences those that the installed packages state.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

from licences import Rules
from lock_file import Locked, read_lock

HERE = Path(__file__).parent
ROOT = "passerelle"


def main(words: list[str] | None = None) -> int:
    """Write the document; exit status 1 when a licence is not allowed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lock", type=Path, default=HERE.parent / "requirements.lock")
    parser.add_argument("--project", type=Path, default=HERE.parent / "pyproject.toml")
    parser.add_argument("--licences", type=Path, default=HERE / "licences.toml")
    parser.add_argument("--out", type=Path, default=HERE.parent / "build" / "sbom.cdx.json")
    asked = parser.parse_args(words)
    try:
        locked, rules = read_lock(asked.lock), Rules.read(asked.licences)
    except (OSError, ValueError, KeyError) as problem:
        sys.stderr.write(f"sbom: {problem}\n")
        return 1
    found = {one.name: rules.licence_of(one.name) for one in locked}
    problems = [problem for one in locked if (problem := rules.problem(one.name, found[one.name])) is not None]
    if problems:
        sys.stderr.write("".join(f"licence: {problem}\n" for problem in problems))
        return 1
    document = _listed(asked.lock, asked.project)
    _complete(document, locked, found)
    asked.out.parent.mkdir(parents=True, exist_ok=True)
    asked.out.write_text(json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8")
    sys.stdout.write(f"sbom: {len(locked)} packages in {asked.out.name}, each with a licence that is allowed\n")
    return 0


def _listed(lock: Path, project: Path) -> dict[str, Any]:
    """Let cyclonedx-bom list the lock: the form of the document is its affair."""
    command = [
        sys.executable,
        "-W",
        "ignore",
        "-m",
        "cyclonedx_py",
        "requirements",
        str(lock),
        "--pyproject",
        str(project),
    ]
    more = ["--output-reproducible", "--no-validate", "--of", "JSON"]
    made = subprocess.run([*command, *more], check=True, capture_output=True)  # noqa: S603 - our own words
    document: dict[str, Any] = json.loads(made.stdout)
    return document


def _complete(document: dict[str, Any], locked: list[Locked], licences: dict[str, str | None]) -> None:
    """Add licences and who depends on whom; leave out the lines of the lock, which say nothing more."""
    by_name = {one.name: one for one in locked}
    for component in document["components"]:
        one = by_name[component["name"]]
        component.pop("description", None)
        component["bom-ref"] = one.purl
        for reference in component.get("externalReferences", ()):
            reference.get("hashes", []).sort(key=lambda each: str(each["content"]))
        licence = licences[one.name]
        if licence is not None:
            spdx = {"expression": licence} if " " in licence else {"license": {"id": licence}}
            component["licenses"] = [spdx]
    document["components"].sort(key=lambda component: component["purl"])
    root = document["metadata"]["component"]
    version = tomllib.loads((HERE.parent / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    root.update({"bom-ref": ROOT, "version": root.get("version", version)})
    needs: dict[str, set[str]] = {ROOT: set(), **{one.purl: set() for one in locked}}
    for one in locked:
        for asker in one.asked_by:
            # What is asked for by nobody of the lock is asked for by the project itself.
            needs[by_name[asker].purl if asker in by_name else ROOT].add(one.purl)
    document["dependencies"] = [{"ref": ref, "dependsOn": sorted(on)} for ref, on in sorted(needs.items())]


if __name__ == "__main__":
    sys.exit(main())
