"""Whether what runs has a licence that it may have: SPDX expressions against `licences.toml`."""

from __future__ import annotations

import importlib.metadata
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_SPDX = re.compile(r"[A-Za-z0-9.+-]+")


@dataclass(frozen=True)
class Rules:
    """What is allowed: of all, and of one package only; and what packages state that do not state it in SPDX."""

    allowed: frozenset[str]
    exceptions: dict[str, str]
    stated: dict[str, str]

    @classmethod
    def read(cls, path: Path) -> Rules:
        """Read them. Raises ValueError when an exception does not say why."""
        found: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
        exceptions = found.get("exceptions", {})
        silent = [name for name, one in exceptions.items() if not str(one.get("why", "")).strip()]
        if silent:
            raise ValueError(f"{path.name}: the exception of {', '.join(silent)} does not say why")
        licences = {name: one["licence"] for name, one in exceptions.items()}
        return cls(frozenset(found["allowed"]), licences, found.get("stated", {}))

    def licence_of(self, name: str) -> str | None:
        """Give a package's licence as an SPDX expression; None when it says none that is understood."""
        if name in self.stated:
            return self.stated[name]
        try:
            told = importlib.metadata.metadata(name)
        except importlib.metadata.PackageNotFoundError:
            return None
        expression = told.get("License-Expression") or told.get("License") or ""
        known = {*self.allowed, *self.exceptions.values()}
        ids = [one for one in _SPDX.findall(expression) if one not in {"AND", "OR", "WITH"}]
        return expression if ids and (told.get("License-Expression") or set(ids) <= known) else None

    def problem(self, name: str, licence: str | None) -> str | None:
        """Say why a package may not run, None when it may."""
        if licence is None:
            return f"{name} states no licence that is understood: look at it, and say which in licences.toml"
        if self.exceptions.get(name) == licence or self._allows(licence):
            return None
        return f"{name} is under {licence}, which is not allowed at run time"

    def _allows(self, expression: str) -> bool:
        words = iter(re.findall(r"[()]|[A-Za-z0-9.+-]+", expression))
        return self._any(words)

    def _any(self, words: Iterator[str]) -> bool:
        """Read `a OR b`, `a AND b`, brackets; AND binds more tightly, as SPDX has it."""
        holds, together = False, self._one(words)
        for word in words:
            if word == "OR":
                holds, together = holds or together, self._one(words)
            elif word == "AND":
                other = self._one(words)
                together = together and other
            else:
                break
        return holds or together

    def _one(self, words: Iterator[str]) -> bool:
        word = next(words, "")
        return self._any(words) if word == "(" else word in self.allowed
