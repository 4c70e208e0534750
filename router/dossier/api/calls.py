"""One request to the API, understood: who asks, for what, in which form; and the answer to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl

import orjson
from starlette.requests import Request
from starlette.responses import Response

from router.dossier.api.outcomes import Refused
from router.dossier.store.elements import Json, NotJson, Resource, loaded
from router.dossier.tools.tokens import Pass

FHIR_JSON = "application/fhir+json"
_JSON_TYPES = frozenset({FHIR_JSON, "application/json", "text/json", "json"})
_FORM = "application/x-www-form-urlencoded"
_PATCHES = frozenset({"application/json-patch+json", *_JSON_TYPES})

LARGEST_BODY = 32_000_000
"""Bytes of a request."""


@dataclass(frozen=True, slots=True)
class Call:
    """A request. `pairs` are its parameters, of the URL and of a form; `base` is the URL of the API, without a slash.

    `now` is microseconds since the epoch.
    """

    method: str
    path: tuple[str, ...]
    pairs: tuple[tuple[str, str], ...]
    headers: Mapping[str, str]
    body: bytes
    base: str
    now: int
    may: Pass

    def require(self, action: str, kind: str) -> None:
        """Refuse what the tool's scopes do not allow at all."""
        if not self.may.may(action, kind):
            raise Refused(403, f"The scopes of this tool do not let it {action} {kind}.")

    @property
    def strict_total(self) -> bool:
        """Whether the client wants its answers to be minimal."""
        return "return=minimal" in self.headers.get("prefer", "")


def parameters_of(request: Request, body: bytes) -> tuple[tuple[str, str], ...]:
    """Give the parameters of a URL, and of the form where one was sent (POST _search). Raises Refused."""
    query = request.scope.get("query_string", b"").decode("ascii", "replace")
    try:
        pairs = parse_qsl(query, keep_blank_values=True, max_num_fields=200)
    except ValueError:
        raise Refused(400, "An address has at most 200 parameters.") from None
    sent = media_type(request.headers.get("content-type", ""))
    if body and sent != _FORM and request.scope["path"].endswith("/_search"):
        raise Refused(415, f"Send the parameters of a search as {_FORM}.")
    if sent == _FORM:
        try:
            pairs += parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=200)
        except ValueError:
            raise Refused(400, "The form of this search cannot be read.") from None
    return tuple(pairs)


def media_type(header: str) -> str:
    """Give a media type without its parameters."""
    return header.partition(";")[0].strip().lower()


def accepts_fhir(headers: Mapping[str, str], pairs: tuple[tuple[str, str], ...]) -> None:
    """Refuse a client that takes no JSON. Raises Refused (406)."""
    wanted = [value for name, value in pairs if name == "_format"]
    asked = wanted or headers.get("accept", "*/*").split(",")
    types = {media_type(one).replace(" ", "+") for one in asked if "q=0" not in one.replace("q=0.", "")}
    if not types & {*_JSON_TYPES, "*/*", "application/*", ""}:
        raise Refused(406, f"This server answers in {FHIR_JSON} alone.")


def resource_of(call: Call, kind: str = "") -> Resource:
    """Read the resource in the body, of this type. Raises Refused."""
    sent = media_type(call.headers.get("content-type", ""))
    if sent not in _JSON_TYPES:
        raise Refused(415, f"Send resources as {FHIR_JSON}; this server reads no other form.")
    found = _parsed(call.body)
    if not isinstance(found, dict):
        raise Refused(400, "The body is not a FHIR resource in JSON.")
    if kind and found.get("resourceType") != kind:
        raise Refused(400, f"The body is not a {kind}.")
    return found


def patch_of(call: Call) -> Json:
    """Read a patch: a JSON Patch (RFC 6902), or a FHIRPath Patch as Parameters. Raises Refused."""
    if media_type(call.headers.get("content-type", "")) not in _PATCHES:
        raise Refused(415, "Send a patch as application/json-patch+json, or as FHIR Parameters.")
    return _parsed(call.body)


def _parsed(body: bytes) -> Json:
    try:
        return loaded(body)
    except NotJson:
        raise Refused(400, "The body is not JSON, or nests too deep.") from None


@dataclass(slots=True)
class Answer:
    """What is answered: a resource, or the bytes of a file."""

    status: int = 200
    resource: Resource | None = None
    content: bytes = b""
    media_type: str = FHIR_JSON
    headers: dict[str, str] = field(default_factory=dict)

    def response(self) -> Response:
        """Make the response of the web server."""
        content = self.content if self.resource is None else orjson.dumps(self.resource)
        headers = {"Cache-Control": "no-store", **self.headers}
        if self.status in {204, 304}:
            return Response(None, self.status, headers)
        kind = f"{FHIR_JSON}; charset=utf-8" if self.media_type == FHIR_JSON else self.media_type
        return Response(content, self.status, headers, media_type=kind)
