"""Presets: a first configuration for each coordination tool, made of parts that can each be switched off.

None of these tools publishes its interface. A preset holds what is publicly known: which systems feed it, what leaves
its dossiers, who does what in it, in its own words. It is a start to be completed with the structure's own addresses,
certificates and numbers; nothing in it works against a real service as it is, and nothing pretends to.

PresetFault      there is no preset of that name
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from types import MappingProxyType

from pydantic import BaseModel, ConfigDict, Field

from connectors.sandbox.tools import ToolProfile, profile
from router.dossier.matrix import Matrix, default_matrix, read_matrix, write_matrix
from router.dossier.notices import default_rules_text
from router.faults import Fault
from schemas.circle import RoleFamily
from schemas.habilitation import DataCategory


class PresetFault(Fault):
    """There is no such preset."""


class Served(BaseModel):
    """A function of the tool: what feeds it, what leaves it, and what nobody could verify."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    feature: str
    feeds: str = ""
    leaves: str = ""
    unverified: str = ""


class Preset(BaseModel):
    """One tool. `matrix` are the cells that differ from the default; `roles` go from its words to columns of it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    label: str
    region: str
    version: str = Field(description="When what is known of the tool was last looked at.")
    tool: str = Field(description="The value of `tools` of a dossier.")
    summary: str
    parts: tuple[str, ...]
    roles: dict[str, RoleFamily]
    matrix: dict[DataCategory, dict[RoleFamily, str]] = {}
    rules: str = ""
    served: tuple[Served, ...]

    @property
    def vocabulary(self) -> ToolProfile:
        """The tool's own words, and how it works; its sandbox speaks them too."""
        return profile(self.name)


@dataclass(frozen=True, slots=True)
class PresetFiles:
    """What `passerelle init --preset` writes: file names to texts."""

    texts: Mapping[str, str]


@cache
def presets() -> tuple[Preset, ...]:
    """Give every preset, by name."""
    names = sorted(one.name.removesuffix(".toml") for one in _folder().iterdir() if one.name.endswith(".toml"))
    return tuple(
        Preset(name=name, **tomllib.loads(_folder().joinpath(f"{name}.toml").read_text(encoding="utf-8")))
        for name in names
    )


def preset(name: str) -> Preset:
    """Give a preset. Raises PresetFault with the names that there are."""
    for one in presets():
        if one.name == name:
            return one
    raise PresetFault(f"there is no preset {name!r}; there are {', '.join(one.name for one in presets())}")


def matrix_of(one: Preset) -> Matrix:
    """Give the habilitation matrix of a preset: the default, with the cells that the tool has otherwise."""
    if not one.matrix:
        return default_matrix()
    head, *lines = write_matrix(default_matrix()).splitlines()
    families = head.split(",")[1:]
    rows = [head]
    for line in lines:
        category, *cells = line.split(",")
        changed = one.matrix.get(DataCategory(category), {})
        rows.append(
            ",".join(
                [category, *(changed.get(RoleFamily(name), cell) for name, cell in zip(families, cells, strict=True))]
            )
        )
    return read_matrix("\n".join(rows) + "\n")


def files_of(one: Preset) -> PresetFiles:
    """Give the files of a router's folder: the configuration, the rules of notices, the matrix."""
    head = _folder().joinpath("parts", "head.toml").read_text(encoding="utf-8")
    head = head.replace("{label}", one.label).replace("{name}", one.name).replace("{version}", one.version)
    parts = [_folder().joinpath("parts", f"{part}.toml").read_text(encoding="utf-8") for part in one.parts]
    rules = default_rules_text()
    if one.rules:
        rules += f"\n# What {one.label} has beside these.\n\n{one.rules.strip()}\n"
    return PresetFiles(
        MappingProxyType(
            {
                "passerelle.toml": "\n".join([head, *parts]),
                "notices.toml": rules,
                "matrix.csv": write_matrix(matrix_of(one)),
            }
        )
    )


def _folder() -> Traversable:
    return files("router.presets")
