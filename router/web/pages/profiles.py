"""The profile of a source's week: what it usually sends, hour by hour, and how its last days were."""

from __future__ import annotations

from urllib.parse import quote, urlencode

from fastapi import APIRouter
from fastapi.responses import Response

from router.journal.view import View
from router.web.access import Office, Signed
from router.web.answers import Values, go, page
from router.web.faults import NotThere
from router.web.source_profile import source_profile

router = APIRouter()

plain = APIRouter()
"""Where links to flows lead while no other page has their address; included after all others."""


@router.get("/flows/sources/{name:path}/profile")
async def profile(name: str, desk: Office, visit: Signed) -> Response:
    """Show it."""

    def ask(view: View) -> Values:
        found = source_profile(desk, view, visit, name)
        if found is None:
            raise NotThere
        return {"profile": found}

    return await page(desk, visit, "profile.html", ask)


@plain.get("/flows")
async def flows(_visit: Signed) -> Response:
    """Lead to the table of all flows."""
    return go("/#flows-table")


@plain.get("/flows/sources/{name:path}")
async def source(name: str, _visit: Signed) -> Response:
    """Lead to what is known of a source."""
    return go(f"/flows/sources/{quote(name, safe='')}/profile")


@plain.get("/flows/destinations/{name:path}")
async def destination(name: str, _visit: Signed) -> Response:
    """Lead to what was sent to a destination."""
    return go("/deliveries?" + urlencode({"destination": name}))
