"""Local codes: what no map answers, the mappings, new ones (one as JSON, many as CSV), and their replay."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from mappings.concept_map import LONGEST_CODE, MapEntry, Term, TermKind, target_of
from mappings.concept_map_csv import read_maps, write_maps
from router.bulk.jobs import BATCH, MOST
from router.codes.changes import map_terms, unmap_term
from router.codes.maps import load_entries
from router.codes.proposals import label_of, proposals
from router.codes.worklist import Unmapped, affected, count_affected, decided_codes, find_decided, unmapped_codes
from router.journal.actions import replay_messages
from router.journal.view import View
from router.web.access import Office, Operator, Watcher
from router.web.answers import download
from router.web.api.models import DoneOut, at
from router.web.api.models_codes import (
    CodeMapIn,
    CodeMapOut,
    CodeMapsOut,
    ImportedOut,
    MappedOut,
    ProposalOut,
    UnmappedOut,
)
from router.web.api.problems import Refused
from router.web.faults import NotThere

router = APIRouter(tags=["codes"])


@router.get("/codes")
async def list_unmapped(
    desk: Office, _caller: Watcher, sender: str | None = None, limit: Annotated[int, Query(ge=1, le=1000)] = 200
) -> list[UnmappedOut]:
    """List codes and units that no map answers, the most frequent first, with examples and proposals."""

    def ask(view: View) -> list[Unmapped]:
        desk.codes.refresh(view.connection)
        return unmapped_codes(view, desk.codes, sender=sender, limit=limit)

    found = await desk.look(ask)
    return await desk.work(lambda: [_unmapped(one) for one in found])


@router.get("/codes/maps")
async def list_maps(
    desk: Office,
    _caller: Watcher,
    sender: str | None = None,
    before: int | None = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 200,
) -> CodeMapsOut:
    """List the mappings that persons made, newest first; `before` is the `next` of the page above."""
    found = await desk.look(lambda view: decided_codes(view, sender=sender, after=before, limit=limit + 1))
    maps = [
        CodeMapOut(
            id=one.id,
            sender=one.entry.sender,
            kind=one.entry.term.kind,
            system=one.entry.term.system,
            code=one.entry.term.code,
            target=one.entry.target.code,
            target_system=one.entry.target.system or "",
            display=one.entry.target.display or "",
            author=one.author,
            at=at(one.at),
        )
        for one in found[:limit]
    ]
    return CodeMapsOut(maps=maps, next=maps[-1].id if len(found) > limit else None)


@router.post("/codes/maps", status_code=201)
async def map_code(given: CodeMapIn, desk: Office, caller: Operator) -> MappedOut:
    """Say what a code or unit of a sender means; `before` counts the messages that were read without it."""
    term = Term(given.kind, "" if given.kind is TermKind.UNIT else given.system, given.code.strip())
    sender = given.sender.strip()
    if not sender or not term.code or max(map(len, (sender, term.system, term.code))) > LONGEST_CODE:
        raise Refused(422, f"Sender and code have 1 to {LONGEST_CODE} characters.")
    try:
        target = target_of(given.kind, given.target, given.target_system, given.display or label_of(given.target))
    except ValueError as problem:
        raise Refused(422, f"{problem}.") from None
    entry = MapEntry(sender, term, target)
    changed = await desk.submit(map_terms([entry], actor=caller.name, now=desk.now()))
    before = await desk.look(lambda view: count_affected(view, sender, term, target, cap=MOST))
    return MappedOut(changed=bool(changed), before=before.count, before_capped=before.more)


@router.post("/codes/maps/import", status_code=201, openapi_extra={"requestBody": {"content": {"text/csv": {}}}})
async def import_maps(request: Request, desk: Office, caller: Operator) -> ImportedOut:
    """Bring many mappings as CSV; lines that are right are kept even when others are refused."""
    content = await request.body()
    read = await desk.work(lambda: read_maps(content))
    changed = await desk.submit(map_terms(read.entries, actor=caller.name, now=desk.now(), action="import codes"))
    return ImportedOut(changed=changed, same=len(read.entries) - changed, problems=list(read.problems))


@router.get("/codes/maps.csv", response_class=Response)
async def export_maps(desk: Office, _caller: Watcher) -> Response:
    """Give the mappings that persons made as CSV, as the import reads it."""
    text = await desk.look(lambda view: write_maps(entry for _, entry in load_entries(view.connection)))
    return download(text.encode(), "codes.csv", "text/csv")


@router.delete("/codes/maps/{number}")
async def unmap_code(number: int, desk: Office, caller: Operator) -> DoneOut:
    """Take a mapping back."""
    if not await desk.submit(unmap_term(number, actor=caller.name, now=desk.now())):
        raise NotThere
    return DoneOut(changed=1)


@router.post("/codes/maps/{number}/replay", status_code=202)
async def replay(number: int, desk: Office, caller: Operator) -> DoneOut:
    """Read again the messages that were read before a code had its mapping, 10,000 at most."""
    made = await desk.look(lambda view: find_decided(view, number))
    if made is None:
        raise NotThere
    sender, term, target = made.entry
    found = await desk.look(lambda view: affected(view, sender, term, target, limit=MOST))
    changed = 0
    for start in range(0, len(found.ids), BATCH):
        batch = found.ids[start : start + BATCH]
        changed += await desk.submit(replay_messages(batch, actor=caller.name, now=desk.now()))
    desk.changed()
    return DoneOut(changed=changed)


def _unmapped(one: Unmapped) -> UnmappedOut:
    return UnmappedOut(
        sender=one.sender,
        kind=one.term.kind,
        system=one.term.system,
        code=one.term.code,
        label=one.label,
        unit=one.unit,
        seen=one.seen,
        first_at=at(one.first_at),
        last_at=at(one.last_at),
        last_message_id=one.last_message_id,
        proposals=[ProposalOut(code=two.code, label=two.label, unit=two.unit) for two in proposals(one)],
    )
