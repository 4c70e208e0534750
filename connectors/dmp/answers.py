"""What the DMP may answer, as typed values.

Registered, Refusal        the registry's own word on a submission or a change
Listed                     what a search found
Retrieved                  one document, byte for byte
Existence                  TD0.2
Trouble                    no usable answer: of the network, of the way there, or a fault
"""

from __future__ import annotations

from dataclasses import dataclass, field

from connectors.dmp.errors import Kind, Meaning
from mappings.xds.model import DocumentEntry, Submission


@dataclass(frozen=True, slots=True)
class Registered:
    """It is done; `warnings` are what was remarked."""

    warnings: tuple[Meaning, ...] = ()
    partial: bool = False
    answer: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True)
class Refusal:
    """It was not done; `reasons` has one at least, the first decides."""

    reasons: tuple[Meaning, ...]
    answer: bytes = field(default=b"", repr=False)

    @property
    def kind(self) -> Kind:
        """What to do: the reason that asks for the most care decides."""
        kinds = {one.kind for one in self.reasons}
        order = (Kind.CALLER, Kind.NEVER, Kind.PATIENT, Kind.DEPOSITED, Kind.LATER)
        return next((kind for kind in order if kind in kinds), Kind.NEVER)

    @property
    def sentence(self) -> str:
        """Say why."""
        return "; ".join(dict.fromkeys(one.sentence for one in self.reasons if one.kind is not Kind.WARNING))


@dataclass(frozen=True, slots=True)
class Listed:
    """What a search found: whole objects, or names alone (`references`, entry UUIDs)."""

    submission: Submission = field(default_factory=Submission)
    references: tuple[str, ...] = ()
    sets: tuple[str, ...] = ()

    @property
    def entries(self) -> tuple[DocumentEntry, ...]:
        """The documents."""
        return self.submission.entries


@dataclass(frozen=True, slots=True)
class Retrieved:
    """A document as the repository has it."""

    unique_id: str
    media_type: str
    content: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Existence:
    """What TD0.2 says: is there a DMP, is it active, how are we authorised, are we the treating doctor."""

    exists: bool
    active: bool
    authorisation: str | None = None
    treating_doctor: bool | None = None

    @property
    def accepts(self) -> bool:
        """Whether documents may be submitted to it."""
        return self.exists and self.active


@dataclass(frozen=True, slots=True)
class Trouble:
    """No usable answer. `code` is stable, `detail` one sentence without health data.

    `kind` says what is to be done; `reached` is False where nothing was sent; `in_doubt` where the DMP may have done
    what was asked all the same. `after` seconds when it said when to come back.
    """

    code: str
    detail: str
    kind: Kind = Kind.LATER
    reached: bool = True
    in_doubt: bool = False
    after: float | None = None
    answer: bytes = field(default=b"", repr=False)
