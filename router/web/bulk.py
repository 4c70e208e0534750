"""Asking for work on many rows: planned in the journal, with what would happen counted, before anybody confirms it."""

from __future__ import annotations

from collections.abc import Sequence

from router.bulk.jobs import MAPPINGS, BulkAction, Job, load_job
from router.bulk.planning import keep_preview, plan_job, preview_of
from router.journal.mapping_versions import mapping_version
from router.journal.view import View
from router.web.desk import Desk
from router.web.texts import LANGUAGES, Texts


def targets(desk: Desk) -> tuple[list[str], list[str]]:
    """Give where Items may be rerouted: the names of destinations, and those of routes."""
    destinations = [status.name for status in desk.context.flows() if status.side == "destination"]
    return destinations, [route.name for route in desk.context.routes()]


def known_target(desk: Desk, wanted: str) -> str:
    """Give a target as it was posted when there is such a destination or route, else an empty text."""
    destinations, routes = targets(desk)
    kind, _, name = wanted.partition(":")
    known = {"destination": destinations, "route": routes}.get(kind, [])
    return wanted if name in known else ""


async def known_mappings(desk: Desk, number: int) -> str:
    """Give the target that reads messages again with a version of the mappings, empty when there is no such one."""
    found = await desk.look(lambda view: mapping_version(view.connection, number))
    return f"{MAPPINGS}:{number}" if found is not None else ""


async def plan(
    desk: Desk,
    action: BulkAction,
    ids: Sequence[int],
    *,
    actor: str,
    back: str,
    more: bool = False,
    target: str = "",
    set_aside: bool = False,
    of_deliveries: bool = False,
) -> Job:
    """Plan an action on these rows, and count what it would do. Raises JournalFault."""
    change = plan_job(
        action,
        ids,
        actor=actor,
        now=desk.now(),
        back=back,
        more=more,
        target=target,
        set_aside=set_aside,
        of_deliveries=of_deliveries,
    )
    number = await desk.submit(change)
    routes = {route.name: route.to for route in desk.context.routes()}
    preview = await desk.look(lambda view: preview_of(view.connection, view.sealer, number, routes))
    await desk.submit(keep_preview(number, preview))

    def find(view: View) -> Job | None:
        return load_job(view.connection, number)

    job = await desk.look(find)
    assert job is not None  # noqa: S101 - it was just made
    return job


def confirmed(job: Job, word: str) -> bool:
    """Say whether what cannot be taken back was confirmed in words, in either language."""
    if not job.final:
        return True
    words = {str(Texts.of(language).say("bulk.word")).casefold() for language in LANGUAGES}
    return word.strip().casefold() in words
