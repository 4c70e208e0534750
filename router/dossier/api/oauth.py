"""The token endpoint, `POST /oauth/token`: client credentials (RFC 6749 §4.4), by secret or by private_key_jwt.

`on_behalf_of` in the request names the professional for whom the tool will ask; `scope` narrows the tool's scopes.
Errors are those of RFC 6749 §5.2.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from urllib.parse import parse_qs, unquote

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from router.dossier.api.authentication import certificate_of
from router.dossier.api.calls import media_type
from router.dossier.api.service import Service
from router.dossier.tools.assertions import WrongAssertion, check_assertion, claimed_tool
from router.dossier.tools.registry import Tool, find_tool, secret_is_right
from router.dossier.tools.tokens import MINUTES, WrongUser, issue, spend_assertion, users_of
from router.journal.actions import record_audit
from router.journal.store import JournalFault
from router.journal.view import View
from router.quotas import TooMany

_JWT = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
LARGEST_FORM = 20_000


class NoToken(Exception):
    """No token is given: the code of RFC 6749, and a sentence."""

    def __init__(self, code: str, sentence: str, status: int = 400) -> None:
        super().__init__(sentence)
        self.code = code
        self.status = status


@dataclass(frozen=True, slots=True)
class _Proof:
    """What the tool sent to prove who it is."""

    tool: str
    secret: str = ""
    assertion: str = ""


class TokenEndpoint:
    """Gives tokens."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        request = Request(scope, receive)
        peer = request.client.host if request.client is not None else ""
        headers = {"Cache-Control": "no-store", "Pragma": "no-cache"}
        try:
            self._service.proofs.check(peer)
            status, content = 200, await self._token(request)
        except TooMany as much:
            told = "Too much failed; wait as long as Retry-After says."
            status, content = 429, {"error": "temporarily_unavailable", "error_description": told}
            headers["Retry-After"] = str(much.seconds)
        except NoToken as refused:
            if refused.status == 401:
                self._service.proofs.spend(peer)
            status, content = refused.status, {"error": refused.code, "error_description": str(refused)}
        except JournalFault as fault:
            status, content = 503, {"error": "temporarily_unavailable", "error_description": f"{fault}."}
        if status == 401:
            headers["WWW-Authenticate"] = 'Basic realm="oauth"'
        response = Response(orjson.dumps(content), status, headers, media_type="application/json")
        await response(scope, receive, send)

    async def _token(self, request: Request) -> dict[str, object]:
        if request.scope["path"].removeprefix("/oauth") != "/token":
            raise NoToken("invalid_request", "The token endpoint is /oauth/token.", 404)
        if request.method != "POST":
            raise NoToken("invalid_request", "Tokens are asked for with POST.", 405)
        form = await _form(request)
        if form.get("grant_type") != "client_credentials":
            raise NoToken("unsupported_grant_type", "The only grant is client_credentials.")
        proof = _proof(request, form)
        now = self._service.journal.now()
        tool = await self._proven(request, proof, now)
        scopes = _narrowed(tool, form.get("scope", ""))
        try:
            users = users_of(form["on_behalf_of"]) if form.get("on_behalf_of") else ()
        except WrongUser:
            raise NoToken("invalid_request", "on_behalf_of is `system|value`, a professional's number.") from None
        sealer = await self._service.journal.look(lambda view: view.sealer.clone())
        token, change = issue(tool, scopes, users, sealer, now=now)
        await self._service.journal.submit(change)
        person = users[0].value if users else ""
        note = record_audit(f"tool:{tool.name}", "dossier token", person or "nobody named", now=now)
        await self._service.journal.submit(note)
        return {
            "access_token": token,
            "token_type": "Bearer",
            "expires_in": MINUTES * 60,
            "scope": " ".join(scopes),
        }

    async def _proven(self, request: Request, proof: _Proof, now: int) -> Tool:
        def find(view: View) -> tuple[Tool | None, bool]:
            right = not proof.assertion and secret_is_right(view.connection, proof.tool, proof.secret, now=now)
            return find_tool(view.connection, proof.tool), right

        tool, right = await self._service.journal.look(find)
        if tool is not None and proof.assertion and tool.keys is not None:
            right = await self._signed(request, proof.assertion, tool, now)
        if tool is None or not right or not tool.is_good(now):
            raise NoToken("invalid_client", "The tool is not known, or what it sent does not prove it.", 401)
        certificate = certificate_of(request)
        if tool.certificate is not None and tool.certificate != certificate:
            raise NoToken("invalid_client", "This tool must show its own client certificate.", 401)
        if self._service.settings.certificates and certificate is None:
            raise NoToken("invalid_client", "This server asks every tool for its client certificate.", 401)
        return tool

    async def _signed(self, request: Request, assertion: str, tool: Tool, now: int) -> bool:
        base = self._service.settings.url.removesuffix("/").removesuffix("/fhir")
        base = base or f"{request.url.scheme}://{request.headers.get('host', 'localhost')}"
        try:
            audiences = (f"{base}/oauth/token", base, f"{base}/fhir")
            found = check_assertion(assertion, tool.name, tool.keys or "", audiences, now / 1_000_000)
        except WrongAssertion:
            return False
        spent = spend_assertion(f"{tool.name} {found.id}", (found.expires_at + 120) * 1_000_000, now=now)
        return await self._service.journal.submit(spent)


async def _form(request: Request) -> dict[str, str]:
    if media_type(request.headers.get("content-type", "")) != "application/x-www-form-urlencoded":
        raise NoToken("invalid_request", "Send a form: application/x-www-form-urlencoded.")
    content = bytearray()
    async for chunk in request.stream():
        content += chunk
        if len(content) > LARGEST_FORM:
            raise NoToken("invalid_request", "The form is too long.", 413)
    try:
        found = parse_qs(content.decode(), strict_parsing=True, max_num_fields=30)
    except ValueError:
        raise NoToken("invalid_request", "The form cannot be read.") from None
    if any(len(values) > 1 for values in found.values()):
        raise NoToken("invalid_request", "A field of the form is there twice.")
    return {name: values[0] for name, values in found.items()}


def _proof(request: Request, form: dict[str, str]) -> _Proof:
    scheme, _, shown = request.headers.get("Authorization", "").partition(" ")
    if form.get("client_assertion"):
        if form.get("client_assertion_type") != _JWT:
            raise NoToken("invalid_request", f"client_assertion_type is {_JWT}.")
        try:
            return _Proof(claimed_tool(form["client_assertion"]), assertion=form["client_assertion"])
        except WrongAssertion:
            raise NoToken("invalid_client", "The assertion cannot be read.", 401) from None
    if scheme.lower() == "basic":
        try:
            name, _, secret = base64.b64decode(shown, validate=True).decode().partition(":")
        except (binascii.Error, ValueError):
            raise NoToken("invalid_client", "The Authorization header cannot be read.", 401) from None
        return _Proof(unquote(name), unquote(secret))
    if form.get("client_id") and form.get("client_secret"):
        return _Proof(form["client_id"], form["client_secret"])
    raise NoToken("invalid_client", "Send the tool's name and secret, or a signed assertion.", 401)


def _narrowed(tool: Tool, asked: str) -> tuple[str, ...]:
    wanted = tuple(dict.fromkeys(asked.split()))
    if not wanted:
        return tool.scopes
    beyond = [one for one in wanted if one not in tool.scopes and one.partition("/")[0] not in tool.scopes]
    if beyond:
        raise NoToken("invalid_scope", "The tool is not registered for all of these scopes.")
    return wanted
