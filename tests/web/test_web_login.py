"""Signing in: the form is ours, failures are counted, sessions end, nothing leads away."""

from __future__ import annotations

import hashlib
import re
from typing import Any

import pytest
from argon2 import PasswordHasher
from web_client import Browser
from web_journal import ADMIN, MINUTE, PASSWORD

SESSION = "passerelle_session"


async def test_pages_ask_who_it_is_and_come_back(site: Any) -> None:
    browser = site.browser()
    answer = await browser.get("/messages?state=held")
    assert (answer.status, answer.location) == (303, "/login?next=/messages%3Fstate%3Dheld")
    assert 'value="/messages?state=held"' in (await browser.get(answer.location)).text


async def test_signing_in_starts_a_session(site: Any) -> None:
    browser = site.browser()
    answer = await browser.sign_in(ADMIN, PASSWORD)
    assert (answer.status, answer.location) == (303, "/")
    cookie = next(line for line in answer.cookies if line.startswith(SESSION))
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert "Secure" not in cookie
    assert (await browser.get("/")).status == 200
    assert site.audited("login") == [(ADMIN, "dashboard", "10.0.0.9")]
    kept = site.value("SELECT token_hash FROM session")
    assert kept == hashlib.sha256(browser.cookies[SESSION].encode()).digest(), "the token itself is not kept"


def test_passwords_are_as_dear_to_guess_as_owasp_asks(real_hasher: PasswordHasher) -> None:
    assert real_hasher.hash(PASSWORD).startswith("$argon2id$v=19$m=19456,t=2,p=1$")


async def test_cookies_are_secure_over_tls(site: Any) -> None:
    browser = Browser(site.app, scheme="https")
    answer = await browser.sign_in(ADMIN, PASSWORD)
    assert "Secure" in next(line for line in answer.cookies if line.startswith(SESSION))
    assert "strict-transport-security" in (await browser.get("/")).headers


@pytest.mark.parametrize(("name", "password"), [(ADMIN, "wrong password"), ("nobody", PASSWORD), ("", "")])
async def test_a_wrong_login_says_the_same_whoever_it_is(site: Any, name: str, password: str) -> None:
    answer = await site.browser().sign_in(name, password)
    assert answer.status == 401
    assert "Nom ou mot de passe incorrect" in answer.text
    assert password not in answer.text or not password


async def test_an_account_is_locked_after_failures_and_opens_again(site: Any) -> None:
    for _ in range(5):
        assert (await site.browser().sign_in(ADMIN, "wrong password")).status == 401
    assert (await site.browser().sign_in(ADMIN, PASSWORD)).status == 401, "locked, although the password is right"
    site.clock[0] += 31 * 1_000_000
    assert (await site.browser().sign_in(ADMIN, PASSWORD)).status == 303
    assert site.value("SELECT failures FROM account") == 0
    assert len(site.audited("login refused")) == 6


async def test_the_lock_doubles(site: Any) -> None:
    for _ in range(5):
        await site.browser().sign_in(ADMIN, "wrong password")
    for seconds in (30, 60, 120, 240, 480, 900, 900):
        assert site.value("SELECT locked_until FROM account") == site.clock[0] + seconds * 1_000_000
        await site.browser().sign_in(ADMIN, "while it is locked")
        assert site.value("SELECT locked_until FROM account") == site.clock[0] + seconds * 1_000_000
        site.clock[0] += seconds * 1_000_000
        await site.browser().sign_in(ADMIN, "wrong password")


async def test_the_login_form_must_be_ours(site: Any) -> None:
    browser = site.browser()
    answer = await browser.post("/login", {"name": ADMIN, "password": PASSWORD, "entry": "guessed"})
    assert answer.status == 403
    assert SESSION not in browser.cookies
    form = await browser.get("/login")
    entry = re.search(r'name="entry" value="([^"]+)"', form.text)
    assert entry is not None
    browser.headers["Sec-Fetch-Site"] = "cross-site"
    assert (await browser.post("/login", {"name": ADMIN, "password": PASSWORD, "entry": entry[1]})).status == 403


@pytest.mark.parametrize(
    "onward", ["//evil.example", "https://evil.example", "/\\evil.example", "javascript:alert(1)", ""]
)
async def test_signing_in_never_leads_away(site: Any, onward: str) -> None:
    browser = site.browser()
    form = await browser.get("/login")
    entry = re.search(r'name="entry" value="([^"]+)"', form.text)
    assert entry is not None
    fields = {"name": ADMIN, "password": PASSWORD, "entry": entry[1], "next": onward}
    assert (await browser.post("/login", fields)).location == "/"


async def test_a_session_ends_by_idleness(site: Any) -> None:
    browser = await site.signed_in()
    site.clock[0] += 29 * MINUTE
    assert (await browser.get("/")).status == 200
    site.clock[0] += 29 * MINUTE
    assert (await browser.get("/")).status == 200, "the use was written"
    site.clock[0] += 31 * MINUTE
    assert (await browser.get("/")).status == 303


async def test_live_refreshes_are_no_use_of_a_session(site: Any) -> None:
    browser = await site.signed_in()
    for _ in range(7):
        site.clock[0] += 5 * MINUTE
        answer = await browser.live("/")
    assert (answer.status, answer.headers["hx-redirect"]) == (401, "/login")


async def test_a_session_ends_by_age(site: Any) -> None:
    browser = await site.signed_in()
    for _ in range(12 * 3):
        site.clock[0] += 20 * MINUTE
        await browser.get("/")
    assert (await browser.get("/")).status == 200
    site.clock[0] += MINUTE
    assert (await browser.get("/")).status == 303


async def test_signing_out_ends_the_session_for_good(site: Any) -> None:
    browser = await site.signed_in()
    token = browser.cookies[SESSION]
    assert (await browser.post("/logout")).location == "/login"
    assert SESSION not in browser.cookies
    browser.cookies[SESSION] = token
    assert (await browser.get("/")).status == 303


async def test_a_new_password_ends_the_sessions(site: Any) -> None:
    from router.web.accounts import add_account

    browser = await site.signed_in()
    assert add_account(site.journal.store, ADMIN, "un autre mot de passe") is False
    assert (await browser.get("/")).status == 303


async def test_forms_need_the_token(site: Any) -> None:
    browser = await site.signed_in()
    for token in ("", "guessed"):
        answer = await browser.post("/messages/1/replay", csrf=token)
        assert answer.status == 403
    browser.headers["Origin"] = "https://evil.example"
    assert (await browser.post("/messages/1/replay")).status == 403
    browser.headers["Origin"] = "http://router.test"
    assert (await browser.post("/messages/1/replay")).status == 303
    assert site.value("SELECT replays FROM message WHERE id = 1") == 1


async def test_language_and_colours_are_remembered(site: Any) -> None:
    browser = site.browser()
    assert "Connexion" in (await browser.get("/login")).text
    answer = await browser.post("/preferences", {"language": "en", "theme": "dark", "next": "/login"})
    assert answer.location == "/login"
    page = await browser.get("/login")
    assert '<html lang="en" data-theme="dark">' in page.text
    assert "Sign in" in page.text
    await browser.post("/preferences", {"language": "xx", "theme": "<b>"})
    assert '<html lang="en" data-theme="dark">' in (await browser.get("/login")).text


async def test_odd_cookies_are_ignored(site: Any) -> None:
    browser = site.browser()
    browser.cookies = {"passerelle_language": "../../etc", "passerelle_zone": "../../etc/passwd", SESSION: "x" * 5000}
    assert (await browser.get("/login")).status == 200
    assert (await browser.get("/")).status == 303
