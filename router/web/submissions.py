"""What a person may do about a submission that is held."""

from __future__ import annotations

from collections.abc import Sequence

from mappings.xds.guards import INSISTABLE, PREFIX
from schemas.finding import Finding

OPPOSED = "pdsm.patient.opposed"


def may_insist(findings: Sequence[Finding]) -> bool:
    """Say whether a person may send it all the same; what may not is checked again, and held again if nothing changed.

    The destination decides: this only says it before the button is pressed.
    """
    return not any(
        one.code == OPPOSED or (one.code.startswith(PREFIX) and one.code not in INSISTABLE) for one in findings
    )
