"""The profile of a source's week: what it usually sends, hour by hour, and how its last days were."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import Response

from router.journal.view import View
from router.web.access import Looking, Office
from router.web.answers import Values, page
from router.web.faults import NotThere
from router.web.source_profile import source_profile

router = APIRouter()


@router.get("/flows/sources/{name:path}/profile")
async def profile(name: str, desk: Office, visit: Looking) -> Response:
    """Show it."""

    def ask(view: View) -> Values:
        found = source_profile(desk, view, visit, name)
        if found is None:
            raise NotThere
        return {"profile": found}

    return await page(desk, visit, "profile.html", ask)
