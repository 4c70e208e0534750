"""Who asks: a bearer token of ours, or a tool's own secret as an API key; with the certificate where one is due."""

from __future__ import annotations

import hashlib
import hmac

from starlette.requests import Request

from router.dossier.api.service import Service
from router.dossier.tools.tokens import Pass, WrongUser, find_pass, users_of
from router.journal.view import View

CERTIFICATE = "client_certificate"
"""Where the web server leaves the client's certificate (`router.web.tls`)."""

USER_HEADER = "On-Behalf-Of"


class Unknown(Exception):
    """Nobody who is known: one sentence that says what to send."""


async def authenticated(service: Service, request: Request, now: int) -> Pass:
    """Let pass who proves who they are. Raises Unknown, TooMany."""
    peer = request.client.host if request.client is not None else ""
    service.proofs.check(peer)
    try:
        found = await _proven(service, request, now)
    except Unknown:
        service.proofs.spend(peer)
        raise
    service.calls.take(f"tool:{found.reader.name}")
    return found


async def _proven(service: Service, request: Request, now: int) -> Pass:
    scheme, _, shown = request.headers.get("Authorization", "").partition(" ")
    shown = shown.strip() if scheme.lower() == "bearer" else request.headers.get("X-API-Key", "").strip()
    if not shown or len(shown) > 400:
        raise Unknown("Send `Authorization: Bearer …` with a token of /oauth/token, or the tool's key in X-API-Key.")
    named = request.headers.get(USER_HEADER, "")
    try:
        users = users_of(named) if named else ()
    except WrongUser:
        raise Unknown(f"{USER_HEADER} is `system|value`, a professional's number.") from None

    def find(view: View) -> Pass | None:
        return find_pass(view.connection, view.sealer, shown, users, now)

    found = await service.journal.look(find)
    if found is None:
        raise Unknown("The token or key is not valid (any more), or was made for another person.")
    certificate = certificate_of(request)
    if service.settings.certificates and certificate is None:
        raise Unknown("This server asks every tool for its client certificate.")
    if found.certificate is not None and not hmac.compare_digest(found.certificate, certificate or b""):
        raise Unknown("This tool must show its own client certificate.")
    return found


def certificate_of(request: Request) -> bytes | None:
    """Give the SHA-256 of the client's certificate, None without one: the TLS layer has verified it."""
    shown = request.scope.get("state", {}).get(CERTIFICATE)
    return hashlib.sha256(shown).digest() if shown else None
