"""Tasks: what somebody asks of somebody about a person (a request to the coordination, an orientation)."""

from __future__ import annotations

from enum import StrEnum

from schemas.actors import Organization, Professional
from schemas.base import Frozen, PartialDateTime
from schemas.coding import Coding, Identifier


class TaskState(StrEnum):
    """The states of FHIR R4 (`task-status`)."""

    DRAFT = "draft"
    REQUESTED = "requested"
    RECEIVED = "received"
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    READY = "ready"
    CANCELLED = "cancelled"
    IN_PROGRESS = "in-progress"
    ON_HOLD = "on-hold"
    FAILED = "failed"
    COMPLETED = "completed"
    ENTERED_IN_ERROR = "entered-in-error"

    @property
    def ended(self) -> bool:
        """Whether nothing more is to be done: its requester has an answer."""
        return self in {TaskState.REJECTED, TaskState.CANCELLED, TaskState.FAILED, TaskState.COMPLETED}


class Task(Frozen):
    """One request and how far it is. `number` is its identity at who made it.

    `requester` and `owner` are who asks and who answers, as persons or for their organisations; `changed_at` is when
    its state last changed, `due_at` until when an answer is wanted.
    """

    number: Identifier | None = None
    state: TaskState
    kind: Coding | None = None
    title: str | None = None
    reason: str | None = None
    urgent: bool | None = None
    requester: Professional | None = None
    requester_organization: Organization | None = None
    owner: Professional | None = None
    owner_organization: Organization | None = None
    authored_at: PartialDateTime | None = None
    changed_at: PartialDateTime | None = None
    due_at: PartialDateTime | None = None
    notes: tuple[str, ...] = ()
