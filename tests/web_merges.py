"""Two patients of the register who are merged by a message, for the pages, the API and the command line."""

from __future__ import annotations

from sqlalchemy import func, select
from web_journal import Journal, report, rose

from router.identity.flows_keeping import patient_now
from router.identity.flows_merge import merge
from router.identity.flows_published import Cause
from router.identity.patients import register
from router.journal import tables
from router.journal.operations import Change
from router.journal.unit import Unit
from schemas.identity import IdentityStatus


def unite(journal: Journal, survivor: int, absorbed: int, now: int, item_id: int | None = None) -> int:
    """Merge two patients, as an A40 does; gives the number of the merge."""

    def change(unit: Unit) -> int:
        one, other = patient_now(unit, survivor), patient_now(unit, absorbed)
        assert one is not None
        assert other is not None
        merge(unit, one, other, [], Cause(now, "merged", item_id))
        return int(unit.connection.execute(select(func.max(tables.patient_merge.c.id))).scalar_one())

    return journal.apply(Change(change, note="merge"))


def wrongly_merged(journal: Journal, now: int, *, came: bool = True) -> tuple[int, int]:
    """Merge somebody new into patient 1, with a report about them that came since; gives the merge and who it is."""
    survivor = 1
    other = rose("IPP-AUTRE", birth_name="TESTAUTRE", first_given_name="LUCIE", status=IdentityStatus.PROVISIONAL)
    absorbed = journal.apply(register(other, in_coordination=True, now=now)).patient_id
    number = unite(journal, survivor, absorbed, now, item_id=1)
    if came:
        message = journal.message(now + 1, control="SINCE")
        since = journal.item(report(other, "e" * 32), line="CRP", patient_id=survivor, to=("spico",))
        journal.read(message, now + 2, [since])
    return number, absorbed
