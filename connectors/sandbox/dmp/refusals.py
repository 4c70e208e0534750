"""What the sandbox says no with, and why.

    Refused
    ├── NotSoap            the HTTP exchange itself is wrong: a status, one sentence
    ├── FaultRaised        a SOAP Fault: envelope, addressing, VIHF, rights
    └── RegistryRefused    a RegistryResponse of status Failure: one or more ebRS errors

The codes are those of IHE ITI (vol. 3, table 4.2.4.1-2); the DMP's own table is not public, so that its few known
codes, and ours where none is known, are open strings. No sentence holds a patient's identifier or a document's words.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RegistryProblem:
    """One `RegistryError`: its code, a sentence for the developer, the object's id, and whether it only warns."""

    code: str
    context: str
    location: str = ""
    warning: bool = False


class Refused(Exception):
    """The request is refused."""


class NotSoap(Refused):
    """Refused before there is a SOAP message to answer: `status` is the HTTP status."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


class FaultRaised(Refused):
    """A SOAP Fault. `side` is Sender, Receiver, VersionMismatch or MustUnderstand; `subcode` the DMP's code."""

    def __init__(self, text: str, *, subcode: str | None = None, side: str = "Sender") -> None:
        super().__init__(text)
        self.text, self.subcode, self.side = text, subcode, side


class RegistryRefused(Refused):
    """A Failure with its errors, at least one."""

    def __init__(self, problems: Sequence[RegistryProblem]) -> None:
        super().__init__("; ".join(f"{one.code}: {one.context}" for one in problems))
        self.problems = tuple(problems)


def refuse(code: str, context: str, location: str = "") -> RegistryRefused:
    """Make the refusal of a single error."""
    return RegistryRefused([RegistryProblem(code, context, location)])
