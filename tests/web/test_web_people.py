"""Accounts: the page of people, one's own account, one-time codes from enrolment to a lost telephone."""

from __future__ import annotations

import re
from typing import Any

import pyotp
import pytest
from html_check import check
from web_journal import ADMIN, PASSWORD

from router.web.rights import Role

STEP = 30 * 1_000_000


def _secret(text: str) -> str:
    found = re.search(r'<code class="secret">([A-Z2-7 ]+)</code>', text)
    assert found is not None
    return found[1].replace(" ", "")


def _code(site: Any, secret: str, steps: int = 0) -> str:
    return pyotp.TOTP(secret).generate_otp(site.clock[0] // STEP + steps)


async def _enrolled(site: Any, browser: Any) -> tuple[str, list[str]]:
    """Enrol one-time codes; gives the secret and the recovery codes."""
    assert (await browser.post("/account/codes/begin", {"password": PASSWORD})).status == 303
    secret = _secret((await browser.get("/account")).text)
    answer = await browser.post("/account/codes/confirm", {"code": _code(site, secret)})
    assert answer.status == 200
    return secret, re.findall(r'<code class="secret">([a-z2-9-]{19})</code>', answer.text)


async def _password_then(site: Any, code: str) -> tuple[Any, Any]:
    """Sign in by password, then give a code."""
    browser = site.browser()
    answer = await browser.sign_in_only(ADMIN, PASSWORD)
    assert answer.location == "/login/code"
    form = await browser.get("/login/code")
    entry = re.search(r'name="entry" value="([^"]+)"', form.text)
    assert entry is not None
    return browser, await browser.post("/login/code", {"code": code, "entry": entry[1]})


async def test_codes_are_enrolled_and_asked_for(site: Any) -> None:
    browser = await site.signed_in()
    page = await browser.get("/account")
    assert check(page.text).wrong == []
    assert "qr-code" not in page.text
    secret, recovery = await _enrolled(site, browser)
    assert len(recovery) == len(set(recovery)) == 10
    kept = site.value("SELECT sealed_totp FROM account")
    assert secret.encode() not in kept, "the secret is sealed"
    assert site.value("SELECT count(*) FROM recovery_code") == 10

    site.clock[0] += STEP
    _, answer = await _password_then(site, _code(site, secret))
    assert (answer.status, answer.location) == (303, "/")
    assert site.audited("login")[-1] == (ADMIN, "dashboard", "10.0.0.9 code")
    assert site.value("SELECT count(*) FROM sign_in_step") == 0


async def test_the_drawing_is_shown_under_the_policy(site: Any) -> None:
    browser = await site.signed_in()
    await browser.post("/account/codes/begin", {"password": PASSWORD})
    page = await browser.get("/account")
    assert check(page.text).wrong == []
    drawn = re.search(r"<svg[^>]*class=\"qr\".*?</svg>", page.text, re.DOTALL)
    assert drawn is not None
    assert "style" not in drawn[0]
    assert "'unsafe-inline'" not in page.headers["content-security-policy"]


async def test_a_code_passes_once(site: Any) -> None:
    secret, _ = await _enrolled(site, await site.signed_in())
    _, answer = await _password_then(site, _code(site, secret))
    assert answer.status == 401, "the code of the enrolment was used"
    site.clock[0] += STEP
    code = _code(site, secret)
    assert (await _password_then(site, code))[1].status == 303
    assert (await _password_then(site, code))[1].status == 401, "replayed"
    assert (await _password_then(site, _code(site, secret, -1)))[1].status == 401, "older than the last one used"


@pytest.mark.parametrize(("steps", "status"), [(-2, 401), (-1, 303), (1, 303), (2, 401)])
async def test_a_telephone_may_be_a_step_off(site: Any, steps: int, status: int) -> None:
    secret, _ = await _enrolled(site, await site.signed_in())
    site.clock[0] += 10 * STEP
    assert (await _password_then(site, _code(site, secret, steps)))[1].status == status


async def test_a_recovery_code_passes_once(site: Any) -> None:
    _, recovery = await _enrolled(site, await site.signed_in())
    browser, answer = await _password_then(site, recovery[3].upper())
    assert answer.status == 303
    assert site.audited("use recovery code") == [(ADMIN, f"account {ADMIN}", "")]
    assert "9 codes de secours" in (await browser.get("/account")).plain
    assert (await _password_then(site, recovery[3]))[1].status == 401


async def test_wrong_codes_lock_as_wrong_passwords_do(site: Any) -> None:
    await _enrolled(site, await site.signed_in())
    site.clock[0] += STEP
    for number in range(5):
        if number % 2:
            assert (await site.browser().sign_in_only(ADMIN, "wrong password")).status == 401
        else:
            assert (await _password_then(site, "000000"))[1].status == 401
    assert site.value("SELECT locked_until FROM account") > site.clock[0]
    assert (await site.browser().sign_in_only(ADMIN, PASSWORD)).status == 401, "locked"


async def test_a_right_code_does_not_pass_while_the_account_is_locked(site: Any) -> None:
    secret, _ = await _enrolled(site, await site.signed_in())
    site.clock[0] += STEP
    browser = site.browser()
    await browser.sign_in_only(ADMIN, PASSWORD)
    for _ in range(5):
        await site.browser().sign_in_only(ADMIN, "wrong password")
    form = (await browser.get("/login/code")).text
    entry = re.search(r'name="entry" value="([^"]+)"', form)
    assert entry is not None
    answer = await browser.post("/login/code", {"code": _code(site, secret), "entry": entry[1]})
    assert answer.status == 401


async def test_a_code_needs_the_browser_that_gave_the_password_and_in_time(site: Any) -> None:
    secret, _ = await _enrolled(site, await site.signed_in())
    site.clock[0] += STEP
    stranger = site.browser()
    assert (await stranger.get("/login/code")).location == "/login"
    assert (await stranger.post("/login/code", {"code": _code(site, secret)})).location == "/login"
    browser = site.browser()
    await browser.sign_in_only(ADMIN, PASSWORD)
    site.clock[0] += 601 * 1_000_000
    assert (await browser.get("/login/code")).location == "/login"
    assert "passerelle_session" not in browser.cookies


async def test_a_role_that_must_enrol_sees_its_account_only(site: Any) -> None:
    site.require_totp(Role.ADMINISTRATOR)
    browser = await site.signed_in()
    assert (await browser.get("/messages")).location == "/account"
    assert (await browser.get("/api/v1/messages")).status == 403
    assert (await browser.post("/messages/1/replay")).location == "/account"
    page = await browser.get("/account")
    assert "Votre rôle exige un code" in page.plain
    assert 'href="/messages"' not in page.text
    await _enrolled(site, browser)
    assert (await browser.get("/messages")).status == 200, "the session showed a code"


async def test_codes_go_with_the_password_only(site: Any) -> None:
    browser = await site.signed_in()
    assert (await browser.post("/account/codes/begin", {"password": "guessed"})).location == "/account?problem=wrong"
    assert site.audited("password refused") == [(ADMIN, "dashboard", "10.0.0.9")]
    await _enrolled(site, browser)
    assert (await browser.post("/account/codes/begin", {"password": PASSWORD})).location == "/account"
    assert site.value("SELECT totp_at FROM account") is not None, "a second enrolment does not put the first out"
    assert (await browser.post("/account/codes/off", {"password": "guessed"})).location == "/account?problem=wrong"
    assert (await browser.post("/account/codes/off", {"password": PASSWORD})).location == "/account?done=off"
    assert site.value("SELECT sealed_totp FROM account") is None
    assert site.value("SELECT count(*) FROM recovery_code") == 0


async def test_a_password_is_changed_by_its_owner(site: Any) -> None:
    browser, other = await site.signed_in(), await site.signed_in()
    browser.csrf = str(site.value("SELECT csrf FROM session ORDER BY rowid"))
    new = "un tout autre mot de passe"
    fields = {"password": PASSWORD, "new": new, "again": new}
    assert (await browser.post("/account/password", {**fields, "again": "autre"})).location.endswith("differ")
    assert (await browser.post("/account/password", {**fields, "password": "guessed"})).location.endswith("wrong")
    assert (await browser.post("/account/password", {**fields, "new": "court", "again": "court"})).location.endswith(
        "short"
    )
    assert (await browser.post("/account/password", fields)).location == "/account?done=password"
    assert (await browser.get("/account")).status == 200
    assert (await other.get("/account")).status == 303, "the other sessions ended"
    assert (await site.browser().sign_in(ADMIN, new)).status == 303
    assert site.audited("change password") == [(ADMIN, f"account {ADMIN}", "")]


async def test_sessions_are_listed_and_ended_by_their_owner_only(site: Any) -> None:
    browser, other = await site.signed_in(), await site.signed_in()
    stranger = await site.signed_in_as(Role.AUDITOR)
    listed = re.findall(r'id="session-([0-9a-f]{16})"', (await other.get("/account")).text)
    assert len(listed) == 2
    for number in listed:
        assert (await stranger.post(f"/account/sessions/{number}/end")).status == 404
    other.csrf = str(site.value("SELECT csrf FROM session ORDER BY rowid LIMIT 1 OFFSET 1"))
    assert (await other.post("/account/sessions/end-others")).status == 303
    assert (await browser.get("/account")).status == 303
    assert (await other.get("/account")).status == 200


async def test_signing_in_again_ends_the_session_that_the_browser_had(site: Any) -> None:
    browser = site.browser()
    await browser.sign_in(ADMIN, PASSWORD)
    before = browser.cookies["passerelle_session"]
    await browser.sign_in(ADMIN, PASSWORD)
    assert browser.cookies["passerelle_session"] != before
    browser.cookies["passerelle_session"] = before
    assert (await browser.get("/account")).status == 303


async def test_an_administrator_keeps_accounts(site: Any) -> None:
    browser = await site.signed_in()
    assert check((await browser.get("/people")).text).wrong == []
    answer = await browser.post("/people/add", {"name": "claire", "role": "operator"})
    given = re.search(r'<code class="secret large">([^<]+)</code>', answer.text)
    assert given is not None
    claire = site.browser()
    assert (await claire.sign_in("claire", given[1])).status == 303
    assert (await browser.post("/people/role", {"name": "claire", "role": "read_only"})).status == 303
    assert (await claire.get("/messages/1/original")).status == 403, "it holds at once"
    assert (await browser.post("/people/lock", {"name": "claire"})).status == 303
    assert (await claire.get("/")).status == 303
    assert (await site.browser().sign_in_only("claire", given[1])).status == 401
    assert "verrouillé" in (await browser.get("/people")).plain
    await browser.post("/people/unlock", {"name": "claire"})
    assert (await site.browser().sign_in("claire", given[1])).status == 303
    reset = await browser.post("/people/password", {"name": "claire"})
    assert given[1] not in reset.text
    assert (await site.browser().sign_in_only("claire", given[1])).status == 401
    actions = ["add account", "change role", "lock account", "unlock account", "reset password"]
    assert [site.audited(action)[-1][:2] for action in actions] == [(ADMIN, "account claire")] * 5


@pytest.mark.parametrize(
    ("action", "fields", "problem"),
    [
        ("lock", {"name": ADMIN}, "last"),
        ("role", {"name": ADMIN, "role": "auditor"}, "last"),
        ("add", {"name": ADMIN, "role": "auditor"}, "taken"),
        ("add", {"name": "a b", "role": "auditor"}, "name"),
        ("lock", {"name": "nobody"}, "unknown"),
        ("key", {"name": "outil", "role": "auditor"}, "key_taken"),
        ("revoke", {"name": "nothing"}, "key_unknown"),
    ],
)
async def test_what_cannot_be_is_said(site: Any, action: str, fields: dict[str, str], problem: str) -> None:
    browser = await site.signed_in()
    answer = await browser.post(f"/people/{action}", fields)
    assert answer.location == f"/people?problem={problem}"
    assert 'role="alert"' in (await browser.get(answer.location)).text
    assert site.value("SELECT role FROM account WHERE disabled_at IS NULL") == "administrator"


async def test_keys_are_made_shown_once_and_withdrawn(site: Any) -> None:
    browser = await site.signed_in()
    answer = await browser.post("/people/key", {"name": "sonde", "role": "read_only", "days": "30"})
    key = re.search(r"pass_[\w-]+", answer.text)
    assert key is not None
    assert key[0] not in (await browser.get("/people")).text
    caller = site.browser()
    caller.headers["Authorization"] = f"Bearer {key[0]}"
    assert (await caller.get("/api/v1/flows")).status == 200
    assert (await caller.get("/api/v1/messages/1/content")).status == 403
    assert (await browser.post("/people/revoke", {"name": "sonde"})).status == 303
    assert (await caller.get("/api/v1/flows")).status == 401


async def test_pages_of_people_speak_english(site: Any) -> None:
    browser = await site.signed_in()
    browser.cookies["passerelle_language"] = "en"
    assert "Who may do what" in (await browser.get("/people")).text
    assert "One-time codes" in (await browser.get("/account")).text
