"""The web application: pages, live stream, files, API, and what is answered when something is not right."""

from __future__ import annotations

from urllib.parse import quote

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import PlainTextResponse, Response, StreamingResponse
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp

from router.dossier.api.app import FhirApp
from router.dossier.api.oauth import TokenEndpoint
from router.dossier.api.service import Service
from router.journal.sealing import KeyFault
from router.journal.store import JournalFault
from router.quotas import TooMany
from router.web import assets, metrics
from router.web.access import Looking, Office
from router.web.answers import go, plain
from router.web.apart import Apart
from router.web.api import health, mount_api
from router.web.api.problems import Refused, problem
from router.web.context import WebContext
from router.web.desk import Desk, desk_of
from router.web.faults import NotAllowed, NotEnrolled, NotEntitled, NotSignedIn, NotThere
from router.web.guard import Guard
from router.web.pages import (
    account,
    alarms,
    audit,
    bulk,
    codes,
    configuration,
    deliveries,
    directory,
    dmp,
    dossiers,
    downloads,
    exports,
    flows,
    identities,
    identities_insi,
    identities_merges,
    identities_tasks,
    indicators,
    login,
    login_oidc,
    mail,
    mailboxes,
    mappings,
    message,
    messages,
    nodes,
    overview,
    people,
    profiles,
    records,
    replaying,
    searches,
    side,
    trying,
    views,
    whatif,
)
from router.web.visits import visit_of


def create_app(context: WebContext) -> FastAPI:
    """Make the application for a router. It starts nothing until it is asked, and needs no lifespan events."""
    app = FastAPI(
        title="Passerelle",
        version=context.version or "0",
        docs_url=None,
        redoc_url=None,
        openapi_url="/api/v1/openapi.json",
        redirect_slashes=False,
    )
    desk = Desk(context)
    app.state.desk = desk
    for module in (
        assets,
        login,
        login_oidc,
        overview,
        exports,
        searches,
        messages,
        side,
        replaying,
        message,
        downloads,
        views,
        deliveries,
        identities_merges,
        identities_tasks,
        identities,
        identities_insi,
        dossiers,
        indicators,
        bulk,
        codes,
        mappings,
        directory,
        mailboxes,
        mail,
        dmp,
        alarms,
        profiles,
        flows,
        configuration,
        trying,
        whatif,
        nodes,
        records,
        account,
        people,
        audit,
        metrics,
    ):
        app.include_router(module.router, include_in_schema=False)
    app.add_api_route("/events", events, include_in_schema=False)
    mount_api(app)
    app.add_middleware(Apart, apart=dossier_apart(desk))
    for kind, handler in (
        (NotSignedIn, _not_signed_in),
        (NotAllowed, _not_allowed),
        (NotEnrolled, _not_enrolled),
        (NotThere, _not_there),
        (OverflowError, _not_there),  # SQLite's driver: a number that no row can have
        (Refused, _refused),
        (TooMany, _too_many),
        (HTTPException, _http),
        (RequestValidationError, _invalid),
        (JournalFault, _journal),
        (KeyFault, _journal),
    ):
        app.add_exception_handler(kind, handler)
    app.add_middleware(Guard, report=desk.report, body_seconds=context.limits.body_seconds)
    return app


def create_watched(context: WebContext) -> FastAPI:
    """Make the application of a node of a cluster without pages: whether it lives and is ready, and its figures."""
    app = FastAPI(title="Passerelle", docs_url=None, redoc_url=None, openapi_url=None, redirect_slashes=False)
    desk = Desk(context)
    app.state.desk = desk
    for module in (metrics, health):
        app.include_router(module.router, include_in_schema=False)
    for kind in (NotSignedIn, NotAllowed, NotEnrolled):
        app.add_exception_handler(kind, _not_here)
    app.add_exception_handler(JournalFault, _journal)
    app.add_middleware(Guard, report=desk.report)
    return app


async def _not_here(_request: Request, _fault: Exception) -> Response:
    answer = problem(401, "Send a valid API key as `Authorization: Bearer …`.")
    answer.headers["WWW-Authenticate"] = "Bearer"
    return answer


def dossier_apart(desk: Desk) -> dict[str, ASGIApp]:
    """Give the dossier's FHIR API and its token endpoint by their paths, where the router serves them."""
    offer = desk.context.dossier
    if offer is None:
        return {}
    blobs = desk.context.store.blobs
    service = Service(desk, offer.door, blobs, offer.settings, offer.changed, desk.proofs, desk.calls)
    return {"/fhir": FhirApp(service, desk.context.version), "/oauth": TokenEndpoint(service)}


async def events(desk: Office, _visit: Looking) -> Response:
    """Tell a page, as server-sent events, when something changed."""
    if desk.live.is_full:
        return PlainTextResponse("Too many live pages.", 503, headers={"Retry-After": "30"})
    headers = {"X-Accel-Buffering": "no"}
    return StreamingResponse(desk.live.stream(), media_type="text/event-stream", headers=headers)


def _is_api(request: Request) -> bool:
    return request.url.path.startswith("/api/") or request.url.path == "/metrics"


async def _not_signed_in(request: Request, _fault: Exception) -> Response:
    if _is_api(request):
        answer = problem(401, "Send a valid API key as `Authorization: Bearer …`, or sign in.")
        answer.headers["WWW-Authenticate"] = "Bearer"
        return answer
    if request.headers.get("HX-Request") == "true":
        return Response(status_code=401, headers={"HX-Redirect": "/login"})
    if request.method != "GET" or request.url.path == "/events":
        return Response(status_code=401) if request.url.path == "/events" else go("/login")
    onward = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    return go("/login" if onward == "/" else f"/login?next={quote(onward, safe='/')}")


async def _not_allowed(request: Request, fault: Exception) -> Response:
    if isinstance(fault, NotEntitled):
        if _is_api(request):
            return problem(403, "The role of this account does not allow it.")
        return await _page(request, 403, "problem.role")
    if _is_api(request):
        return problem(403, "A session must send its CSRF token as `X-CSRF-Token`; use an API key instead.")
    return await _page(request, 403, "problem.forbidden")


async def _not_enrolled(request: Request, _fault: Exception) -> Response:
    if request.headers.get("HX-Request") == "true":
        return Response(status_code=401, headers={"HX-Redirect": "/account"})
    return go("/account")


async def _not_there(request: Request, _fault: Exception) -> Response:
    if _is_api(request):
        return problem(404, "There is no such thing.")
    return await _page(request, 404, "problem.missing")


async def _refused(_request: Request, fault: Exception) -> Response:
    return problem(fault.status, fault.sentence) if isinstance(fault, Refused) else problem(500, "Refused.")


async def _too_many(_request: Request, fault: Exception) -> Response:
    answer = problem(429, "Too much was asked; wait as long as Retry-After says.")
    answer.headers["Retry-After"] = str(fault.seconds if isinstance(fault, TooMany) else 60)
    return answer


async def _http(request: Request, fault: Exception) -> Response:
    status = fault.status_code if isinstance(fault, HTTPException) else 500
    if _is_api(request):
        return problem(status, "There is no such thing." if status == 404 else "This cannot be asked in that way.")
    return await _page(request, status, "problem.missing" if status == 404 else "problem.method")


async def _invalid(request: Request, fault: Exception) -> Response:
    if _is_api(request):
        # Only where and which rule: what was sent may be health data.
        places = {".".join(str(part) for part in error["loc"]) for error in getattr(fault, "errors", list)()}
        return problem(422, f"These fields are missing or malformed: {', '.join(sorted(places))}.")
    return await _page(request, 404, "problem.missing")


async def _journal(request: Request, fault: Exception) -> Response:
    if _is_api(request):
        return problem(503, f"{fault}.")
    return await _page(request, 503, "problem.journal", str(fault))


async def _page(request: Request, status: int, key: str, detail: str = "") -> Response:
    desk = desk_of(request)
    visit = visit_of(request, now=desk.now(), zone=desk.context.timezone)
    return await plain(desk, visit, "problem.html", {"key": key, "detail": detail, "status": status}, status=status)
