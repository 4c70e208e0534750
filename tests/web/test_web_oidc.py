"""Signing in through an OpenID provider: what passes, and every way in which it is refused."""

from __future__ import annotations

import base64
import json
import re
import tomllib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from joserfc.jwk import RSAKey
from oidc_provider import CLIENT, ISSUER, FakeProvider
from web_client import Answer, Browser

from router.config.oidc import OidcSection
from router.web.app import create_app
from router.web.context import WebContext
from router.web.oidc.tokens import LOGOUT_EVENT
from router.web.rights import Role

SETTINGS: dict[str, Any] = {
    "title": "Keycloak du CH",
    "issuer": ISSUER,
    "client_id": CLIENT,
    "client_secret": "a secret",
    "roles": {"passerelle-admin": "administrator", "passerelle-ops": "operator"},
}
DOCS = Path(__file__).parents[2] / "docs"
BACK = "/login/oidc/keycloak/callback"
AT_LOGOUT = {"sub": "s-1", "events": {LOGOUT_EVENT: {}}, "jti": "1"}


class Realm:
    """The application with a provider to sign in through."""

    def __init__(self, site: Any) -> None:
        self.site = site
        self.provider = FakeProvider(site.clock)
        self.desks: list[Any] = []
        self.serve()

    def serve(self, **changes: Any) -> None:
        """Make the application, with changed settings of the provider."""
        site = self.site
        section = OidcSection.model_validate({**SETTINGS, **changes})
        self.app = create_app(
            WebContext(
                store=site.journal.store,
                submit=site.journal.submit,
                now=lambda: datetime.fromtimestamp(site.clock[0] / 1_000_000, UTC),
                providers={"keycloak": section, "autre": section},
                provider_http=self.provider.client,
            )
        )
        self.desks.append(self.app.state.desk)

    async def begin(self, browser: Browser, onward: str = "/messages") -> str:
        """Send a browser to the provider; gives the state."""
        answer = await browser.get(f"/login/oidc/keycloak?next={onward}")
        assert answer.status == 303
        return self.provider.begun(answer.location)

    async def sign_in(self, browser: Browser, **changes: str) -> Answer:
        """Go there and come back, with changed parameters."""
        state = await self.begin(browser)
        given = {"state": state, "code": "c-1", **changes}
        return await browser.get(f"{BACK}?" + "&".join(f"{name}={value}" for name, value in given.items()))

    async def refused(self, browser: Browser | None = None, **changes: str) -> str:
        """Sign in, be refused; gives the code that the audit keeps, and what was shown."""
        at = browser or Browser(self.app)
        answer = await self.sign_in(at, **changes)
        assert answer.status == 303
        assert "passerelle_session" not in at.cookies
        assert (await at.get(answer.location)).text.count('role="alert"') == 1
        shown = answer.location.removeprefix("/login?refused=")
        return f"{self.site.audited('login refused')[-1][2].split(' ', 2)[2]}, {shown}"


@pytest.fixture
def realm(site: Any) -> Iterator[Realm]:
    made = Realm(site)
    yield made
    for desk in made.desks:
        desk.live.close()
        desk.close()


async def test_somebody_signs_in_as_what_the_claims_say(realm: Realm) -> None:
    browser = Browser(realm.app)
    assert "Entrer par Keycloak du CH" in (await browser.get("/login")).plain
    answer = await realm.sign_in(browser)
    assert answer.location == "/messages"
    cookie = next(line for line in answer.cookies if line.startswith("passerelle_session"))
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert (await browser.get("/messages")).status == 200
    assert (await browser.get("/audit")).status == 403
    site = realm.site
    assert site.audited("login") == [("camille.fictive@keycloak", "dashboard", "10.0.0.9 keycloak")]
    row = "SELECT role || ' ' || issuer || ' ' || subject FROM account WHERE issuer IS NOT NULL"
    assert site.value(row) == f"operator {ISSUER} s-1"
    assert site.value("SELECT count(*) FROM sign_in_step") == 0
    assert "client_secret" not in realm.provider.asked[1].content.decode(), "the secret is in the header only"


async def test_the_role_follows_the_claims_and_their_end_ends_the_sessions(realm: Realm) -> None:
    browser = Browser(realm.app)
    await realm.sign_in(browser)
    realm.provider.userinfo["groups"] = ["passerelle-ops", "passerelle-admin"]
    await realm.sign_in(browser)
    assert realm.site.value("SELECT role FROM account WHERE issuer IS NOT NULL") == "administrator"
    assert (await browser.get("/people")).status == 200
    realm.provider.userinfo["groups"] = ["somebody else"]
    assert await realm.refused() == "role, role"
    assert (await browser.get("/messages")).status == 303
    assert realm.site.value("SELECT count(*) FROM account WHERE issuer IS NOT NULL") == 1


async def test_an_account_is_bound_to_issuer_and_subject_never_to_a_name(realm: Realm) -> None:
    await realm.sign_in(Browser(realm.app))
    realm.provider.claims["sub"] = realm.provider.userinfo["sub"] = "s-2"
    await realm.sign_in(Browser(realm.app))
    names = realm.site.value("SELECT group_concat(name, ' ') FROM account WHERE issuer IS NOT NULL")
    assert len(set(str(names).split())) == 2
    realm.provider.claims |= {"sub": "s-3", "preferred_username": "admin"}
    realm.provider.userinfo["sub"] = "s-3"
    await realm.sign_in(Browser(realm.app))
    assert realm.site.value("SELECT issuer FROM account WHERE name = 'admin'") is None
    assert realm.site.value("SELECT name FROM account WHERE subject = 's-3'") == "admin@keycloak"


async def test_a_bound_account_has_no_password(realm: Realm) -> None:
    await realm.sign_in(Browser(realm.app))
    for password in ("", "a secret"):
        assert (await Browser(realm.app).sign_in_only("camille.fictive@keycloak", password)).status == 401


async def test_a_locked_account_stays_out(realm: Realm) -> None:
    from router.web.people import lock_account

    browser = Browser(realm.app)
    await realm.sign_in(browser)
    realm.site.journal.apply(lock_account("camille.fictive@keycloak", actor="admin", now=realm.site.clock[0]))
    assert (await browser.get("/messages")).status == 303
    assert await realm.refused() == "locked, locked"


@pytest.mark.parametrize(
    ("claims", "code"),
    [
        ({"iss": "https://evil.example"}, "iss"),
        ({"aud": "another"}, "aud"),
        ({"aud": [CLIENT, "another"]}, "aud"),
        ({"azp": "another"}, "aud"),
        ({"aud": None}, "aud"),
        ({"exp": 1}, "exp"),
        ({"exp": None}, "exp"),
        ({"exp": True}, "exp"),
        ({"iat": 99_999_999_999}, "iat"),
        ({"iat": None}, "iat"),
        ({"nonce": "another"}, "nonce"),
        ({"nonce": None}, "nonce"),
        ({"at_hash": "AAAA"}, "at_hash"),
        ({"sub": None}, "sub"),
        ({"sub": "x" * 256}, "sub"),
        ({"sub": "s-2"}, "userinfo"),
    ],
)
async def test_an_id_token_that_says_otherwise_is_refused(realm: Realm, claims: dict[str, Any], code: str) -> None:
    realm.provider.claims = claims
    assert await realm.refused() == f"{code}, untrusted"
    assert realm.site.value("SELECT count(*) FROM account WHERE issuer IS NOT NULL") == 0


def _unsigned(claims: dict[str, Any], header: dict[str, Any]) -> str:
    parts = [base64.urlsafe_b64encode(json.dumps(one).encode()).rstrip(b"=").decode() for one in (header, claims)]
    return ".".join([*parts, ""])


@pytest.mark.parametrize(
    ("encoded", "code"),
    [
        (_unsigned({"sub": "s-1"}, {"alg": "none"}), "alg"),
        (_unsigned({"sub": "s-1"}, {"alg": "HS256", "kid": "k1"}), "alg"),
        (_unsigned({"sub": "s-1"}, {"alg": "RS256", "kid": "k1"}), "signature"),
        (_unsigned({"sub": "s-1"}, {"alg": "RS256", "kid": "k1", "crit": ["b64"]}), "malformed"),
        ("not a token", "malformed"),
        ("a.b.c", "malformed"),
    ],
)
async def test_a_token_that_is_not_signed_as_it_must_be_is_refused(realm: Realm, encoded: str, code: str) -> None:
    realm.provider.encoded = encoded
    assert await realm.refused() == f"{code}, untrusted"


async def test_an_algorithm_that_is_not_allowed_is_refused(realm: Realm) -> None:
    realm.serve(algorithms=["PS256"])
    assert await realm.refused() == "alg, untrusted"


async def test_a_key_that_is_unknown_is_refused_and_a_rotated_one_is_found(realm: Realm) -> None:
    browser = Browser(realm.app)
    await realm.sign_in(browser)
    rotated = RSAKey.generate_key(2048, {"kid": "k1-new", "use": "sig"})
    realm.provider.published = [realm.provider.key]
    old, realm.provider.key = realm.provider.key, rotated
    sign = realm.provider.signed
    realm.provider.signed = lambda claims, **header: sign(claims, kid="k1-new")  # type: ignore[method-assign]
    assert await realm.refused() == "key, untrusted"
    realm.provider.published = [old, rotated]
    for provider in realm.app.state.desk.providers.values():
        provider._keys.at -= 60  # ten seconds and more have passed since the keys were asked for
    assert (await realm.sign_in(Browser(realm.app))).location == "/messages"


async def test_an_answer_is_good_for_one_time_and_for_the_browser_that_asked(realm: Realm) -> None:
    browser = Browser(realm.app)
    state = await realm.begin(browser)
    cookies = dict(browser.cookies)
    stranger = Browser(realm.app)
    assert (await stranger.get(f"{BACK}?state={state}&code=c")).location == "/login?refused=expired"
    assert (await browser.get(f"{BACK}?state=guessed&code=c")).location == "/login?refused=expired"
    browser.cookies = cookies
    assert (await browser.get(f"{BACK}?state={state}&code=c")).location == "/login?refused=expired", "tried already"
    state = await realm.begin(browser)
    cookies = dict(browser.cookies)
    assert (await browser.get(f"{BACK}?state={state}&code=c")).location == "/messages"
    browser.cookies = cookies
    assert (await browser.get(f"{BACK}?state={state}&code=c")).location == "/login?refused=expired", "replayed"
    state = await realm.begin(browser)
    realm.site.clock[0] += 601 * 1_000_000
    assert (await browser.get(f"{BACK}?state={state}&code=c")).location == "/login?refused=expired", "too late"


async def test_an_answer_of_another_provider_is_a_mix_up(realm: Realm) -> None:
    assert await realm.refused(iss="https://evil.example") == "mix-up, untrusted"
    assert (await realm.sign_in(Browser(realm.app), iss=ISSUER)).location == "/messages"
    browser = Browser(realm.app)
    state = await realm.begin(browser)
    answer = await browser.get(f"/login/oidc/autre/callback?state={state}&code=c")
    assert answer.location == "/login?refused=untrusted"
    realm.provider.changes["authorization_response_iss_parameter_supported"] = True
    realm.serve()
    assert await realm.refused() == "mix-up, untrusted", "it promised to say who it is"


async def test_what_the_provider_refuses_is_said(realm: Realm) -> None:
    assert await realm.refused(error="access_denied") == "denied, denied"
    assert await realm.refused(code="") == "code, denied"
    realm.provider.token_status = 400
    assert await realm.refused() == "exchange, denied"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"issuer": "https://evil.example"}, "issuer"),
        ({"authorization_endpoint": "http://sso.example.test/auth"}, "authorization_endpoint"),
        ({"authorization_endpoint": "javascript:alert(1)"}, "authorization_endpoint"),
    ],
)
async def test_metadata_that_cannot_be_is_refused(realm: Realm, changes: dict[str, Any], code: str) -> None:
    realm.provider.changes = changes
    browser = Browser(realm.app)
    assert (await browser.get("/login/oidc/keycloak")).location == "/login?refused=unreachable"
    assert realm.site.audited("login refused")[-1][2] == f"10.0.0.9 keycloak {code}"


async def test_a_provider_that_does_not_answer_is_said(realm: Realm) -> None:
    import httpx

    def fail(_request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("no route")

    for provider in realm.app.state.desk.providers.values():
        provider._http = lambda: httpx.AsyncClient(transport=httpx.MockTransport(fail))
    browser = Browser(realm.app)
    answer = await browser.get("/login/oidc/keycloak")
    assert answer.location == "/login?refused=unreachable"
    assert "ne répond pas" in (await browser.get(answer.location)).plain
    assert (await browser.get("/login/oidc/nobody")).status == 404


async def test_the_strength_and_age_of_authentication_are_held_to(realm: Realm) -> None:
    realm.serve(acr_values=["eidas1"], max_age=3600)
    assert await realm.refused() == "acr, untrusted"
    realm.serve(acr_values=["eidas1"], max_age=3600, acr_optional=True)
    assert await realm.refused() == "auth_time, untrusted", "no strength is stated"
    realm.provider.claims = {"acr": "eidas0"}
    assert await realm.refused() == "acr, untrusted"
    realm.provider.claims = {"acr": "eidas1"}
    assert await realm.refused() == "auth_time, untrusted"
    realm.provider.claims["auth_time"] = realm.site.clock[0] // 1_000_000 - 4000
    assert await realm.refused() == "auth_time, untrusted"
    realm.provider.claims["auth_time"] += 1000
    browser = Browser(realm.app)
    assert (await realm.sign_in(browser)).location == "/messages"
    asked = parse_qs(urlsplit((await browser.get("/login/oidc/keycloak")).location).query)
    assert (asked["acr_values"], asked["max_age"]) == (["eidas1"], ["3600"])


async def test_pro_sante_connect_gives_a_role_by_its_number(realm: Realm) -> None:
    realm.serve(
        role_claim="SubjectNameID",
        roles={"899700000001": "identity_officer"},
        name_claim="SubjectNameID",
        scope=["openid", "scope_all"],
    )
    realm.provider.userinfo = {
        "sub": "s-1",
        "SubjectNameID": "899700000001",
        "SubjectRole": ["10^1.2.250.1.213.1.1.5.5"],
    }
    for signed in (False, True):
        realm.provider.userinfo_jwt = signed
        assert (await realm.sign_in(Browser(realm.app))).location == "/messages"
    row = "SELECT name || ' ' || role FROM account WHERE issuer IS NOT NULL"
    assert realm.site.value(row) == "899700000001@keycloak identity_officer"


@pytest.mark.parametrize("changes", [{"iss": "https://evil.example"}, {"aud": "another"}, {"sub": "s-2"}])
async def test_signed_userinfo_is_held_to_its_issuer_and_audience(realm: Realm, changes: dict[str, Any]) -> None:
    realm.provider.userinfo_jwt = True
    realm.provider.userinfo |= changes
    assert await realm.refused() == "userinfo, untrusted"


async def test_a_key_of_ours_proves_who_we_are(realm: Realm, tmp_path: Any) -> None:
    from joserfc import jwt

    ours = RSAKey.generate_key(2048)
    (tmp_path / "client.pem").write_bytes(ours.as_pem(private=True))
    realm.serve(authentication="private_key_jwt", client_key=str(tmp_path / "client.pem"), client_key_id="nous")
    await realm.sign_in(Browser(realm.app))
    request = next(one for one in realm.provider.asked if one.url.path.endswith("/token"))
    form = parse_qs(request.content.decode())
    assert "authorization" not in request.headers
    found = jwt.decode(form["client_assertion"][0], ours, algorithms=["RS256"])
    assert found.header["kid"] == "nous"
    assert (found.claims["iss"], found.claims["sub"]) == (CLIENT, CLIENT)
    assert found.claims["aud"] == f"{ISSUER}/protocol/token"
    assert found.claims["exp"] - found.claims["iat"] == 60


async def test_leaving_ends_the_session_at_the_provider_too(realm: Realm) -> None:
    browser = Browser(realm.app)
    await realm.sign_in(browser)
    browser.csrf = str(realm.site.value("SELECT csrf FROM session ORDER BY rowid DESC"))
    answer = await browser.post("/logout")
    assert answer.status == 200
    assert answer.headers["refresh"] == "0; url=/login/oidc/keycloak/leave"
    assert "form-action 'self'" in answer.headers["content-security-policy"]
    assert "passerelle_session" not in browser.cookies
    away = await browser.get("/login/oidc/keycloak/leave")
    asked = parse_qs(urlsplit(away.location).query)
    assert away.location.startswith(f"{ISSUER}/protocol/logout?")
    assert asked["post_logout_redirect_uri"] == ["http://router.test/login"]
    assert asked["id_token_hint"][0].count(".") == 2
    assert (await browser.get("/login/oidc/keycloak/leave")).location == "/login", "once"
    assert realm.site.value("SELECT count(*) FROM session") == 0


@pytest.mark.parametrize("change", [{"sid": "session-1", "sub": None}, {"sid": None}])
async def test_the_provider_ends_a_session_from_behind(realm: Realm, change: dict[str, Any]) -> None:
    browser = Browser(realm.app)
    await realm.sign_in(browser)
    now = realm.site.clock[0] // 1_000_000
    claims = {"iss": ISSUER, "aud": CLIENT, "iat": now, "exp": now + 60, **AT_LOGOUT, **change}
    token = realm.provider.signed({name: value for name, value in claims.items() if value is not None})
    answer = await Browser(realm.app).post("/login/oidc/keycloak/backchannel", {"logout_token": token})
    assert answer.status == 200
    assert (await browser.get("/messages")).status == 303


@pytest.mark.parametrize(
    "change",
    [{"events": {}}, {"nonce": "n"}, {"aud": "another"}, {"sub": None}, {"iat": 1}, {"iss": "https://evil.example"}],
)
async def test_a_logout_token_that_is_none_ends_nothing(realm: Realm, change: dict[str, Any]) -> None:
    browser = Browser(realm.app)
    await realm.sign_in(browser)
    claims = {"iss": ISSUER, "aud": CLIENT, "iat": realm.site.clock[0] // 1_000_000, **AT_LOGOUT, **change}
    token = realm.provider.signed({name: value for name, value in claims.items() if value is not None})
    answer = await Browser(realm.app).post("/login/oidc/keycloak/backchannel", {"logout_token": token})
    assert (answer.status, answer.json()) == (400, {"error": "invalid_request"})
    assert (await browser.get("/messages")).status == 200


def test_a_role_needs_a_claim_that_fits() -> None:
    from router.web.oidc.mapping import role_of_claims

    section = OidcSection.model_validate({**SETTINGS, "role_claim": "realm_access.roles"})
    assert role_of_claims({"realm_access": {"roles": ["passerelle-ops"]}}, section) is Role.OPERATOR
    assert role_of_claims({"realm_access.roles": "passerelle-admin"}, section) is Role.ADMINISTRATOR
    for claims in (
        {},
        {"realm_access": None},
        {"realm_access": {"roles": [True, None, {}]}},
        {"email": "passerelle-ops"},
    ):
        assert role_of_claims(claims, section) is None


@pytest.mark.parametrize(
    "change",
    [
        {"issuer": "http://sso.example"},
        {"client_secret": None},
        {"authentication": "private_key_jwt"},
        {"roles": {}},
        {"algorithms": ["none"]},
        {"algorithms": ["HS256"]},
        {"scope": ["profile"]},
    ],
)
def test_settings_that_would_not_be_safe_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"https|needs|at least|Input should|openid"):
        OidcSection.model_validate({**SETTINGS, **change})


def test_what_the_documentation_shows_can_be_configured(tmp_path: Path) -> None:
    shown = re.findall(r"```toml\n(.*?)```", (DOCS / "people.md").read_text(encoding="utf-8"), re.DOTALL)
    assert len(shown) == 2
    found = {name: section for text in shown for name, section in tomllib.loads(text)["web"]["oidc"].items()}
    assert set(found) == {"keycloak", "psc"}
    for section in found.values():
        assert OidcSection.model_validate(section).roles


def test_a_key_that_is_not_there_is_said_when_the_configuration_is_checked(tmp_path: Path) -> None:
    from router.config.load import ConfigurationFault, load

    text = (
        '[web.oidc.sso]\ntitle = "SSO"\nissuer = "https://sso.example"\nclient_id = "p"\n'
        'authentication = "private_key_jwt"\nclient_key = "gone.pem"\nroles = { a = "auditor" }\n'
    )
    (tmp_path / "passerelle.toml").write_text(text, encoding="utf-8")
    with pytest.raises(ConfigurationFault, match=r"line 6.*gone\.pem cannot be read"):
        load(tmp_path / "passerelle.toml")
