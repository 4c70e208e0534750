"""Reading requirements.lock: which packages, of which versions, with which hashes, asked for by whom."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

_PACKAGE = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)==([^\s;\\]+)")
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")
_ASKED = re.compile(r"^\s+#\s+(?:via\s+)?([A-Za-z0-9][A-Za-z0-9._-]*)(?:\s|$)")


@dataclass
class Locked:
    """One line of the lock."""

    name: str
    version: str
    hashes: list[str] = field(default_factory=list)
    asked_by: list[str] = field(default_factory=list)

    @property
    def purl(self) -> str:
        """Its package URL."""
        return f"pkg:pypi/{self.name.lower().replace('_', '-')}@{self.version}"


def read_lock(path: Path) -> list[Locked]:
    """Give the packages in the order of the lock. Raises ValueError when one has no hash."""
    found: list[Locked] = []
    for line in path.read_text(encoding="utf-8").splitlines():
        if package := _PACKAGE.match(line):
            found.append(Locked(package[1], package[2]))
        if found:
            found[-1].hashes += _HASH.findall(line)
            if (asked := _ASKED.match(line)) and asked[1] != "via":
                found[-1].asked_by.append(asked[1])
    if not found:
        raise ValueError(f"{path.name}: nothing is locked")
    bare = [one.name for one in found if not one.hashes]
    if bare:
        raise ValueError(f"{path.name}: {', '.join(bare)} has no hash; make lock")
    return found
