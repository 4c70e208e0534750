"""The targets: every function of ours that is given bytes by somebody else, by name.

A target's `run` takes any bytes and may raise nothing but its `faults`. `seeds` gives good examples, all made up;
`mutators` bend them as the wire format is bent in the field.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random

Mutator = Callable[[bytes, Random, Sequence[bytes]], bytes]
"""Bends an input; the third argument is what else is known, to splice with."""


@dataclass(frozen=True, slots=True)
class Target:
    """One reader under test.

    `seconds` of processor time and `megabytes` of growth are the most that one input of `largest` bytes may take.
    `share` scales the fixed count of the gate: readers whose single run takes long get fewer. `may_quote` are words
    that its faults may repeat: whoever writes a configuration is told which word of it is wrong.
    """

    name: str
    run: Callable[[bytes], object]
    seeds: Callable[[], Sequence[bytes]]
    mutators: tuple[Mutator, ...]
    faults: tuple[type[Exception], ...] = ()
    seconds: float = 5.0
    megabytes: int = 200
    largest: int = 64 * 1024
    share: float = 1.0
    may_quote: tuple[str, ...] = ()


TARGETS: dict[str, Target] = {}


def register(target: Target) -> None:
    """Take a target in; two of one name are a mistake."""
    if target.name in TARGETS:
        raise ValueError(f"two targets are called {target.name}")
    TARGETS[target.name] = target


def all_targets() -> dict[str, Target]:
    """Give every target; the modules that make them are imported now, so that they can be instrumented before."""
    from fuzz import (  # noqa: F401 - importing registers
        targets_connectors,
        targets_fhir_api,
        targets_formats,
        targets_router,
        targets_tokens,
    )

    return TARGETS
