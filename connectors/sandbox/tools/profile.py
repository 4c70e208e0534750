"""What distinguishes one coordination tool from another: its words, what it asks to be told, and its rhythm."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from connectors.sandbox.tools.client import ToolFault


class PlanKind(BaseModel):
    """A plan of the tool: its title and, as a document, its type (LOINC) and class."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: str
    type: str
    category: str


class ToolProfile(BaseModel):
    """One tool. `notes`, `plans` and `evaluations` go from its own words to codes; `words` from types to its words."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[a-z0-9-]+$")
    label: str
    region: str
    system: str = Field(pattern=r"^urn:oid:[0-9.]+$", description="Authority of the numbers that it gives.")
    rhythm: Literal["webhook", "poll"] = "webhook"
    every: float = Field(60.0, gt=0, description="Seconds between two pulls.")
    content: Literal["empty", "id-only", "full-resource"] = "id-only"
    topics: tuple[str, ...] = ()
    follows: tuple[str, ...] = Field(("DocumentReference",), description="Resource types that it pulls.")
    page: int = Field(50, ge=1, le=1000)
    words: dict[str, str] = Field(description="What its users call what it pulls, by resource type; `note` for notes.")
    notes: dict[str, str] = Field(description="Its kinds of notes, to the types of TRE_R234.")
    plans: dict[str, PlanKind] = {}
    evaluations: dict[str, str] = Field({}, description="Its grids, to the canonical URL of their questionnaire.")

    def note_type(self, word: str) -> str:
        """Give the type of a kind of note. Raises ToolFault for a word that the tool does not have."""
        if word not in self.notes:
            raise ToolFault(f"{self.label} has no kind of note called {word!r}; it has {', '.join(self.notes)}")
        return self.notes[word]

    def word(self, kind: str) -> str:
        """Give what the tool's users call a resource of this type."""
        return self.words.get(kind, kind)


def profiles() -> tuple[str, ...]:
    """Give the names of the tools that are there, in order."""
    return tuple(sorted(one.name.removesuffix(".toml") for one in _folder().iterdir() if one.name.endswith(".toml")))


@cache
def profile(name: str) -> ToolProfile:
    """Give a tool's profile. Raises ToolFault where there is none of that name."""
    if name not in profiles():
        raise ToolFault(f"there is no tool called {name!r}; there are {', '.join(profiles())}")
    values = tomllib.loads(_folder().joinpath(f"{name}.toml").read_text(encoding="utf-8"))
    return ToolProfile(name=name, **values)


def _folder() -> Traversable:
    return files("connectors.sandbox.tools").joinpath("profiles")
