"""The directory of professionals, structures and mailboxes, and the white list of MSSanté domains."""

from __future__ import annotations

from collections.abc import Iterable

from fastapi import APIRouter
from pydantic import BaseModel

from connectors.annuaire.directory import Query
from connectors.annuaire.entries import Correspondent
from router.directory.service import DirectoryService, DirectoryStatus, LookedUp
from router.web.access import Office, Operator, Watcher
from router.web.api.problems import Refused
from router.web.desk import Desk

router = APIRouter(tags=["directory"])


class MailboxOut(BaseModel):
    """A mailbox: `kind` is PER, ORG, APP or CAB."""

    address: str
    kind: str
    structure: str
    structure_name: str
    service: str


class PlaceOut(BaseModel):
    """Where somebody acts: `structure` is a FINESS number where there is one."""

    structure: str
    name: str
    postal_code: str
    city: str


class CorrespondentOut(BaseModel):
    """A professional (with `rpps`), or a structure."""

    rpps: str
    name: str
    professions: tuple[str, ...]
    specialties: tuple[str, ...]
    places: tuple[PlaceOut, ...]
    mailboxes: tuple[MailboxOut, ...]


class FoundOut(BaseModel):
    """Who was found; `trouble` says why the national API could not be asked as well."""

    found: list[CorrespondentOut]
    trouble: str = ""


class PartOut(BaseModel):
    """The index or the white list: last try, last good one, what was wrong with the last try."""

    tried_at: str
    good_at: str
    code: str
    trouble: str


class ProgressOut(BaseModel):
    """A refresh under way."""

    doing: str
    percent: int | None


class StatusOut(BaseModel):
    """How the directory is. `report` is that of the last import: texts, counts, what moved."""

    configured: bool
    api: bool
    index: PartOut
    progress: ProgressOut | None
    report: dict[str, object] | None
    white_list: PartOut
    domains: int


class DomainOut(BaseModel):
    """Whether a domain is in the white list, and the names of its operators' certificates."""

    domain: str
    allowed: bool
    operators: list[str]


class RefreshOut(BaseModel):
    """What a refresh came to: the report of the import (None when nothing had changed), and what went wrong."""

    report: dict[str, object] | None
    domains: int | None
    troubles: list[str]


@router.get("/directory")
async def search(
    desk: Office,
    _caller: Watcher,
    rpps: str = "",
    finess: str = "",
    address: str = "",
    name: str = "",
    place: str = "",
) -> FoundOut:
    """Look up by RPPS, by FINESS, by address, or by beginnings of names and of a commune or postal code.

    Mailboxes of the red list are given to who asks for that very RPPS or address, and never listed.
    """
    service = _service(desk)
    if rpps:
        looked = await service.person(rpps)
    elif address:
        looked = await service.at(address)
    elif finess:
        looked = await service.structure(finess)
    elif name or place:
        looked = LookedUp(tuple(await desk.work(lambda: service.directory.search(Query(name, place)))))
    else:
        raise Refused(422, "Say what to look for: rpps, finess, address, name or place.")
    trouble = looked.trouble.detail if looked.trouble is not None else ""
    return FoundOut(found=list(_correspondents(looked.found)), trouble=trouble)


@router.get("/directory/status")
async def status(desk: Office, _caller: Watcher) -> StatusOut:
    """Say how the directory is: last refresh, one under way, counts, what moved."""
    return _status(await desk.work(_service(desk).status))


@router.get("/directory/moved")
async def moved(desk: Office, _caller: Watcher, how: str = "", limit: int = 200) -> list[tuple[str, str]]:
    """List mailboxes that moved with the last import: address, and `added`, `gone` or `changed`."""
    service = _service(desk)
    return await desk.work(lambda: service.directory.moved(how, limit=max(1, min(limit, 10_000))))


@router.get("/directory/white-list")
async def white_list(desk: Office, _caller: Watcher, domain: str) -> DomainOut:
    """Say whether a domain (or that of an address) is in the white list of MSSanté."""
    found = await desk.work(_service(desk).white_list)
    if found is None:
        raise Refused(404, "There is no white list yet: configure it in [annuaire].")
    return DomainOut(domain=domain, allowed=found.allowed(domain), operators=sorted(found.operators(domain)))


@router.post("/directory/refresh")
async def refresh(desk: Office, caller: Operator, force: bool = False) -> RefreshOut:
    """Refresh now, and wait for it. `force` takes an extraction that has far fewer mailboxes than the last."""
    service = _service(desk)
    await desk.audit(caller.name, "refresh directory", "directory", "force" if force else "")
    done = await service.refresh(force=force)
    if done is None:
        raise Refused(409, "A refresh is under way already.")
    report = done.report.as_json() if done.report is not None else None
    return RefreshOut(report=report, domains=done.domains, troubles=[one.message for one in done.troubles])


def _service(desk: Desk) -> DirectoryService:
    if desk.context.directory is None:
        raise Refused(404, "This router has no directory.")
    return desk.context.directory


def _correspondents(found: Iterable[Correspondent]) -> Iterable[CorrespondentOut]:
    for one in found:
        yield CorrespondentOut(
            rpps=one.rpps,
            name=one.name,
            professions=one.professions,
            specialties=one.specialties,
            places=tuple(
                PlaceOut(structure=place.structure, name=place.name, postal_code=place.postal_code, city=place.city)
                for place in one.places
            ),
            mailboxes=tuple(
                MailboxOut(
                    address=box.address,
                    kind=box.kind,
                    structure=box.structure,
                    structure_name=box.structure_name,
                    service=box.service,
                )
                for box in one.mailboxes
            ),
        )


def _status(status: DirectoryStatus) -> StatusOut:
    index, listed, progress = status.state.index, status.state.white_list, status.progress
    return StatusOut(
        configured=status.configured,
        api=status.api,
        index=PartOut(tried_at=index.tried_at, good_at=index.good_at, code=index.code, trouble=index.trouble),
        progress=ProgressOut(doing=progress.doing, percent=progress.percent) if progress is not None else None,
        report=status.report,
        white_list=PartOut(tried_at=listed.tried_at, good_at=listed.good_at, code=listed.code, trouble=listed.trouble),
        domains=len(status.white_list.domains) if status.white_list is not None else 0,
    )
