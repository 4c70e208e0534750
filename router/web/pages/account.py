"""One's own account: password, one-time codes, sessions. What a stolen session could misuse asks for the password."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import Response
from markupsafe import Markup

from router.journal.view import View
from router.web.access import Office, Own, OwnAsked
from router.web.accounts import AccountFault, find_account, note_failure, password_is_right
from router.web.answers import Values, go, page
from router.web.desk import Desk
from router.web.entering import peer_of
from router.web.faults import NotThere
from router.web.people import end_session_of, end_sessions, forget_totp, reset_password
from router.web.sessions import sessions_of
from router.web.totp import (
    begin_enrolment,
    confirm_enrolment,
    drawing,
    enrolling_secret,
    provisioning,
    recovery_left,
)
from router.web.visits import Visit

router = APIRouter()

PATH = "/account"
PROBLEMS = frozenset({"wrong", "differ", "short", "same", "code"})
DONE = frozenset({"password", "sessions", "off"})


@router.get(PATH)
async def account(request: Request, desk: Office, visit: Own) -> Response:
    """Show one's own account."""
    return await _show(desk, visit, request.query_params.get("problem", ""), request.query_params.get("done", ""))


@router.post(PATH + "/password")
async def change_password(request: Request, desk: Office, visit: OwnAsked) -> Response:
    """Change one's own password; one's other sessions end."""
    new = visit.posted("new")
    if new != visit.posted("again"):
        return go(f"{PATH}?problem=differ")
    if not await _proves(request, desk, visit):
        return go(f"{PATH}?problem=wrong")
    try:
        async with desk.checks:
            change = await desk.work(
                lambda: reset_password(visit.account, new, actor=visit.account, now=desk.now(), keep=visit.key)
            )
        await desk.submit(change)
    except AccountFault as fault:
        return go(f"{PATH}?problem={fault.code}")
    return go(f"{PATH}?done=password")


@router.post(PATH + "/codes/begin")
async def begin_codes(request: Request, desk: Office, visit: OwnAsked) -> Response:
    """Begin to enrol one-time codes: a secret is made, and drawn on the page until a code of it is given."""
    found = await desk.look(lambda view: find_account(view.connection, visit.account))
    if found is None or found.totp:
        return go(PATH)
    if not await _proves(request, desk, visit):
        return go(f"{PATH}?problem=wrong")
    await desk.submit(begin_enrolment(visit.account, actor=visit.account, now=desk.now()))
    return go(f"{PATH}#codes")


@router.post(PATH + "/codes/confirm")
async def confirm_codes(request: Request, desk: Office, visit: OwnAsked) -> Response:
    """Put one-time codes in force, and show the recovery codes this once."""
    code = "".join(visit.posted("code").split())[:40]
    codes = await desk.submit(confirm_enrolment(visit.account, code, session=visit.key, now=desk.now()))
    if not codes:
        return go(f"{PATH}?problem=code#codes")
    return await page(desk, visit, "account_codes.html", lambda _view: {"codes": codes})


@router.post(PATH + "/codes/off")
async def end_codes(request: Request, desk: Office, visit: OwnAsked) -> Response:
    """Ask for one-time codes no more, or give up an enrolment."""
    if not await _proves(request, desk, visit):
        return go(f"{PATH}?problem=wrong")
    await desk.submit(forget_totp(visit.account, actor=visit.account, now=desk.now()))
    return go(f"{PATH}?done=off")


@router.post(PATH + "/sessions/end-others")
async def end_others(desk: Office, visit: OwnAsked) -> Response:
    """End one's other sessions."""
    await desk.submit(end_sessions(visit.account, actor=visit.account, now=desk.now(), but=visit.key))
    return go(f"{PATH}?done=sessions")


@router.post(PATH + "/sessions/{number}/end")
async def end_one(number: str, desk: Office, visit: OwnAsked) -> Response:
    """End one of one's sessions."""
    if not await desk.submit(end_session_of(visit.account, number, actor=visit.account, now=desk.now())):
        raise NotThere
    return go(f"{PATH}?done=sessions")


async def _show(desk: Desk, visit: Visit, problem: str, done: str) -> Response:
    def ask(view: View) -> Values:
        found = find_account(view.connection, visit.account)
        secret = enrolling_secret(view.connection, view.sealer, visit.account)
        title = desk.context.title or "Passerelle"
        return {
            "account": found,
            "sessions": sessions_of(view.connection, visit.account, now=visit.now, rules=desk.rules),
            "secret": secret,
            "qr": Markup(drawing(provisioning(secret, visit.account, title))) if secret else "",  # noqa: S704 - segno's own drawing
            "recovery": recovery_left(view.connection, visit.account),
            "required": found is not None and found.role in desk.rules.require_totp,
            "problem": problem if problem in PROBLEMS else "",
            "done": done if done in DONE else "",
        }

    return await page(desk, visit, "account.html", ask)


async def _proves(request: Request, desk: Desk, visit: Visit) -> bool:
    """Say whether the password that was posted is one's own; failures count as at login."""
    async with desk.checks:

        def check(view: View) -> bool:
            found = find_account(view.connection, visit.account)
            return password_is_right(found, visit.posted("password"), now=desk.now())

        if await desk.look(check):
            return True
    await desk.submit(note_failure(visit.account, now=desk.now()))
    await desk.audit(visit.account, "password refused", "dashboard", peer_of(request))
    return False
