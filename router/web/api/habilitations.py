"""The habilitation matrix and the ceilings of structures, tools and professionals, for administrators."""

from __future__ import annotations

from fastapi import APIRouter

from router.dossier.habilitations import end_habilitation, grant, habilitations
from router.dossier.keeping import By
from router.dossier.matrices import bring_matrix, matrix_history, matrix_now
from router.dossier.matrix import MatrixFault, differences, read_matrix, write_matrix
from router.web.access import Called, Keeper, Office
from router.web.api.dossiers import refused
from router.web.api.models_dossiers import (
    CellOut,
    DoneOut,
    HabilitationIn,
    HabilitationOut,
    MatrixIn,
    MatrixOut,
    VersionOut,
    WhyIn,
    cell_out,
    habilitation_out,
    version_out,
)
from router.web.api.problems import Refused

router = APIRouter(tags=["habilitations"])


@router.get("/matrix")
async def matrix(desk: Office, _caller: Called) -> MatrixOut:
    """Give the matrix that holds, as CSV."""
    return MatrixOut(matrix=await desk.look(lambda view: write_matrix(matrix_now(view.connection))), changes=[])


@router.put("/matrix")
async def bring(given: MatrixIn, desk: Office, caller: Keeper) -> MatrixOut:
    """Let a matrix hold from now on, for every dossier."""
    try:
        change = bring_matrix(given.matrix, by=By(caller.name, desk.now(), given.why.strip()))
    except MatrixFault as fault:
        raise _wrong(fault) from None
    changes = await desk.submit(change)
    return MatrixOut(matrix=write_matrix(read_matrix(given.matrix)), changes=[cell_out(one) for one in changes])


@router.post("/matrix/check")
async def check(given: MatrixIn, desk: Office, _caller: Called) -> list[CellOut]:
    """Say which cells a matrix would change. Nothing is written."""
    try:
        wanted = read_matrix(given.matrix)
    except MatrixFault as fault:
        raise _wrong(fault) from None
    return [cell_out(one) for one in await desk.look(lambda view: differences(matrix_now(view.connection), wanted))]


@router.get("/matrix/history")
async def versions(desk: Office, _caller: Called) -> list[VersionOut]:
    """List the matrices that were brought, newest first, with what each changed."""
    return [version_out(one) for one in await desk.look(lambda view: matrix_history(view.connection))]


@router.get("/habilitations")
async def list_habilitations(desk: Office, _caller: Called) -> list[HabilitationOut]:
    """List the habilitations, ended ones included."""
    found = await desk.look(lambda view: habilitations(view.connection, view.sealer))
    return [habilitation_out(one, desk.now()) for one in found]


@router.post("/habilitations", status_code=201)
async def grant_one(given: HabilitationIn, desk: Office, caller: Keeper) -> DoneOut:
    """Grant a habilitation."""
    done = await desk.submit(grant(given.habilitation, by=By(caller.name, desk.now(), given.why.strip())))
    if done.refusal is not None:
        raise refused(done.refusal)
    return DoneOut(number=done.number or 0, version=None)


@router.post("/habilitations/{number}/end")
async def end(number: int, given: WhyIn, desk: Office, caller: Keeper) -> DoneOut:
    """End a habilitation now."""
    done = await desk.submit(end_habilitation(number, by=By(caller.name, desk.now(), given.why.strip())))
    if done.refusal is not None:
        raise refused(done.refusal)
    return DoneOut(number=number, version=None)


def _wrong(fault: MatrixFault) -> Refused:
    return Refused(422, "; ".join(fault.problems)[:2000])
