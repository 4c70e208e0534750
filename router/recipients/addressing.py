"""Who gets what, with everything that deciding looks at: the directory's index, the white list, the dossiers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from connectors.annuaire.directory import Directory
from connectors.annuaire.white_list import KeptWhiteList
from mappings.contracts import FormatError
from router.directory.places import directory_folder
from router.journal.sealing import Sealer
from router.journal.store import Store
from router.recipients.circles import Circles, DossierCircles
from router.recipients.deciding import Asked, Outcome, Policy, decide
from router.recipients.rules import Reason, Rules


@dataclass(frozen=True, slots=True)
class RecipientsPlan:
    """How one destination decides whom it writes to; `white_list` is whether the domain is looked at."""

    to: tuple[Reason, ...]
    rules: Rules
    patient_domain: str
    white_list: bool


class Addressing:
    """Decides whom an Item is written to. Not shared between threads."""

    def __init__(self, data: Path, store: Store, sealer: Sealer, circles: Circles | None = None) -> None:
        folder = directory_folder(data)
        self._directory = Directory(folder)
        self._white_list = KeptWhiteList(folder)
        self._circles = circles or DossierCircles(store, sealer)

    def decide(self, asked: Asked, plan: RecipientsPlan, now: datetime) -> Outcome:
        """Decide about one Item at this moment."""
        if asked.patient_id is not None:
            asked = replace(asked, circle=self._circles.of(asked.patient_id, asked.item, now))
        allowed = self._allowed() if plan.white_list else None
        return decide(asked, Policy(plan.to, plan.rules, plan.patient_domain, allowed), self._directory)

    def _allowed(self) -> Callable[[str], bool] | None:
        """Give what says whether a domain is one of MSSanté's; None where there never was a list."""
        try:
            kept = self._white_list.current()
        except FormatError:
            return lambda _address: False  # a kept list that was damaged lets nothing leave unseen
        return None if kept is None else kept.allowed
