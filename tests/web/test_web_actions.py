"""The table of the dashboard's actions is whole."""

from __future__ import annotations

import re
from typing import Any

from fastapi.routing import iter_route_contexts
from web_actions import ACTS, ELSEWHERE


def test_every_place_that_is_posted_to_is_in_the_table(site: Any) -> None:
    kinds = [act.kind for act in ACTS]
    left = []
    for route in iter_route_contexts(site.app.routes):
        path = route.path or ""
        if "POST" not in (route.methods or ()) or path.startswith(("/api/", "/fhir", "/oauth")):
            continue
        pattern = re.compile(
            "^" + re.sub(r"\{[^}]+\}", "[^?]+", path.replace("{side}s", "#").replace("/{name:path}", "")) + "$"
        )
        if path not in ELSEWHERE and not any(pattern.match(kind) for kind in kinds):
            left.append(path)
    assert left == []
