"""What the API takes and answers about local codes, as pydantic models. Times are ISO 8601 in UTC."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel

from mappings.concept_map import TermKind
from schemas.coding import LOCAL


class ProposalOut(BaseModel):
    """A target to propose: for LOINC with its French label and usual UCUM unit."""

    code: str
    label: str
    unit: str


class UnmappedOut(BaseModel):
    """A code or unit that no map answers, how often it was seen since `first_at`, and what stood beside it last."""

    sender: str
    kind: TermKind
    system: str
    code: str
    label: str
    unit: str
    seen: int
    first_at: datetime
    last_at: datetime
    last_message_id: int
    proposals: list[ProposalOut]


class CodeMapIn(BaseModel):
    """A mapping to keep: `target` is a LOINC code, or the UCUM code of a unit, unless `target_system` says another."""

    sender: str
    code: str
    target: str
    kind: TermKind = TermKind.CODE
    system: str = LOCAL
    target_system: str = ""
    display: str = ""


class CodeMapOut(BaseModel):
    """A mapping, by whom and when it was made."""

    id: int
    sender: str
    kind: TermKind
    system: str
    code: str
    target: str
    target_system: str
    display: str
    author: str
    at: datetime


class CodeMapsOut(BaseModel):
    """A page of mappings, newest first. `next` goes on from here as `before`; null at the end."""

    maps: list[CodeMapOut]
    next: int | None


class MappedOut(BaseModel):
    """Whether it is new or changed, and how many messages were read before without it (at least, if capped)."""

    changed: bool
    before: int
    before_capped: bool


class ImportedOut(BaseModel):
    """How many mappings are new or changed, how many were there, and a sentence for each line that was refused."""

    changed: int
    same: int
    problems: list[str]
