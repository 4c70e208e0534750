"""What is given to a worker to project, and what it gives back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from router.dossier.store.drafts import Draft
from router.dossier.store.projection import CannotProject, Means, project_item, project_patient
from schemas.identity import PatientIdentity
from schemas.item import ITEM, Item


@dataclass(frozen=True, slots=True)
class ItemJob:
    """An Item to project for a patient: `body` is its canonical JSON, `received_at` microseconds since the epoch."""

    item_id: int
    patient: int
    body: bytes
    received_at: int


@dataclass(frozen=True, slots=True)
class PatientJob:
    """A patient whose own resource is to be made: `identity` is a PatientIdentity as JSON."""

    patient: int
    merged_into: int | None
    identity: bytes


@dataclass(frozen=True, slots=True)
class Projected:
    """What came of a job: the resources, or in `trouble` why there are none."""

    job: ItemJob | PatientJob
    drafts: tuple[Draft, ...] = ()
    trouble: str = ""


def project(
    jobs: Sequence[ItemJob | PatientJob], means: Means, now: datetime, whole: Callable[[Item], Item]
) -> list[Projected]:
    """Do jobs; `whole` brings an Item's large files back. Never raises for what an Item holds."""
    return [_project(job, means, now, whole) for job in jobs]


def _project(job: ItemJob | PatientJob, means: Means, now: datetime, whole: Callable[[Item], Item]) -> Projected:
    try:
        if isinstance(job, PatientJob):
            identity = PatientIdentity.model_validate_json(job.identity)
            return Projected(job, tuple(project_patient(identity, job.patient, job.merged_into, means)))
        item = whole(ITEM.validate_json(job.body))
        return Projected(job, tuple(project_item(item, job.patient, job.received_at, means, now)))
    except CannotProject as refused:
        return Projected(job, trouble=str(refused))
    except Exception as defect:
        # One Item must not stop the dossiers of all others; what happened is told as a notice, without its content.
        return Projected(job, trouble=f"defect of Passerelle ({type(defect).__name__})")
