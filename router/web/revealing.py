"""Showing who somebody is: noted first, with a reason where the role owes one, else with the page it was asked on.

An auditor looks at what is no task of theirs, so each name that they are shown has a reason of theirs beside it.
"""

from __future__ import annotations

import re
from enum import StrEnum
from urllib.parse import urlsplit

from fastapi import Request
from fastapi.responses import HTMLResponse

from router.web.desk import Desk
from router.web.rights import Role
from router.web.visits import Visit

ASKED_WHY = frozenset({Role.AUDITOR})
"""Roles that say why before a name is shown to them."""

_PAGE = re.compile(r"^/[a-z-]*")


class Why(StrEnum):
    """Reasons to see a name."""

    PATIENT = "patient_asks"
    CONTROL = "control"
    INCIDENT = "incident"
    COMPLAINT = "complaint"


async def noted(desk: Desk, visit: Visit, request: Request, action: str, target: str) -> HTMLResponse | None:
    """Note a reveal in the audit; gives the question to ask instead where a reason is missing."""
    said = visit.posted("why")
    if visit.session is not None and visit.session.role in ASKED_WHY:
        if said not in frozenset(Why):
            values = {"path": request.url.path, "reasons": list(Why)}
            return HTMLResponse(await desk.work(lambda: desk.pages.draw(visit, "reveal_why.html", values)))
    else:
        # Only the kind of page: its address may hold a search.
        found = _PAGE.match(urlsplit(request.headers.get("HX-Current-URL", "")).path)
        said = found[0] if found is not None else ""
    await desk.audit(visit.account, action, target, said)
    return None
