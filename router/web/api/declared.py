"""What the OpenAPI document says beside what FastAPI finds out by itself: how callers prove who they are, and problems.

Every refusal is a problem (RFC 9457), whichever layer refuses: the document says so for each operation, so that a
client made from it knows all that it may be answered.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from fastapi import FastAPI

PROBLEM_TYPE = "application/problem+json"
_ANY = (401, 403, 404, 422, 429, 503)
_WITH_BODY = (408, 413)
_CHANGES = (409,)
_READS = frozenset({"get", "head"})
_METHODS = frozenset({"get", "head", "post", "put", "patch", "delete"})
_MEANS = {
    400: "The body cannot be read.",
    401: "Nobody who is known: send a key, or sign in.",
    403: "The account's role does not allow it, or a session did not send its CSRF token.",
    404: "There is no such thing.",
    408: "The request did not arrive in time.",
    409: "It cannot be done as things stand.",
    413: "The request is too large.",
    415: "The body is of a type that is not taken here.",
    422: "Something that was sent is missing, malformed, or refused by a rule.",
    429: "Too much was asked, or shown in vain; wait as long as `Retry-After` says.",
    503: "The journal does not answer, or something that this needs is not there; ask again later.",
}
_PROBLEM = {
    "type": "object",
    "title": "Problem",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "One sentence, without anybody's data."},
    },
}
_KEY = {"type": "http", "scheme": "bearer", "description": "A key of `passerelle users api-key`."}
_SESSION = {
    "type": "apiKey",
    "in": "cookie",
    "name": "passerelle_session",
    "description": "Somebody who is signed in; what changes anything carries `X-CSRF-Token` as well.",
}


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Declare refusals that one operation has beside those of all."""
    return {status: _declared(status) for status in statuses}


def declare_problems(app: FastAPI) -> None:
    """Let an application's OpenAPI document be whole."""
    plain = app.openapi

    def whole() -> dict[str, Any]:
        if app.openapi_schema is None:
            _complete(plain())
        return app.openapi_schema or {}

    app.openapi = whole  # type: ignore[method-assign]  # as FastAPI documents it


def _complete(document: dict[str, Any]) -> None:
    parts = document.setdefault("components", {})
    schemas = parts.setdefault("schemas", {})
    schemas["Problem"] = _PROBLEM
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    parts["securitySchemes"] = {"key": _KEY, "session": _SESSION}
    document["security"] = [{"key": []}, {"session": []}]
    for operations in document["paths"].values():
        for method, operation in operations.items():
            if method in _METHODS:
                _complete_one(method, operation)


def _complete_one(method: str, operation: dict[str, Any]) -> None:
    responses = operation["responses"]
    responses.pop("422", None)
    statuses = _ANY if method in _READS else (*_ANY, *_WITH_BODY, *_CHANGES)
    responses.update({str(status): _declared(status) for status in statuses if str(status) not in responses})


def _declared(status: int) -> dict[str, Any]:
    return {
        "description": _MEANS.get(status, HTTPStatus(status).phrase),
        "content": {PROBLEM_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
