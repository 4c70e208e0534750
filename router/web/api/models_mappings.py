"""What the API takes and gives about versions of the mappings."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, Field

from mappings.concept_map import TermKind


class MappingVersionOut(BaseModel):
    """A set of mappings: since when messages were read with it, and by which version of Passerelle.

    Another version of the software than the one that runs cannot be run again: its mappings can.
    """

    id: int
    at: datetime
    software: str
    of_this_software: bool


class EndMappingsOut(BaseModel):
    """How a source is read, or a destination written."""

    connector: str
    format: str
    charset: str
    options: dict[str, str]


class MappingLineOut(BaseModel):
    """What a sender's code or unit means."""

    sender: str
    kind: TermKind
    system: str
    code: str
    target_system: str
    target: str
    display: str


class MappingsOut(MappingVersionOut):
    """A version, whole."""

    timezone: str
    sources: dict[str, EndMappingsOut]
    destinations: dict[str, EndMappingsOut]
    maps: list[MappingLineOut]


class ReplayIn(BaseModel):
    """How a message is read again: `mappings` is the number of a version, null is today's."""

    mappings: int | None = Field(default=None, ge=1, le=2**31)


class DifferenceOut(BaseModel):
    """One difference: what (`aspect`), of which source or destination, and where, or what became what."""

    aspect: str
    subject: str
    where: str


class ValueChangeOut(BaseModel):
    """One canonical value that would be another."""

    path: str
    before: str
    after: str


class RereadingOut(BaseModel):
    """What would change; `more` values are not listed. `other_software`: the version is of another Passerelle."""

    same: bool
    differences: list[DifferenceOut]
    values: list[ValueChangeOut]
    more: int
    other_software: bool
