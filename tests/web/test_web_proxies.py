"""The client of a request behind proxies: believed of those that are named, of nobody else, whatever is written."""

from __future__ import annotations

from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
from web_client import Browser
from web_journal import ADMIN

from router.config.load import ConfigurationFault, load
from router.quotas import Quota
from router.web.proxies import Forwarded

TRUSTED = tuple(ip_network(one) for one in ("127.0.0.1", "10.1.0.0/24", "2001:db8:1::/64"))


async def asked(client: tuple[str, int] | None, *headers: tuple[bytes, bytes]) -> tuple[str, str]:
    seen: list[Any] = []

    async def app(scope: Any, _receive: Any, _send: Any) -> None:
        seen.append(scope)

    scope = {"type": "http", "client": client, "scheme": "http", "headers": list(headers)}
    await Forwarded(app, TRUSTED)(scope, None, None)  # type: ignore[arg-type]  # neither is called
    return (seen[0]["client"] or ("",))[0], seen[0]["scheme"]


@pytest.mark.parametrize(
    ("peer", "said", "client"),
    [
        ("10.1.0.7", [b"203.0.113.9"], "203.0.113.9"),
        ("10.1.0.7", [b"203.0.113.9, 10.1.0.8"], "203.0.113.9"),
        ("10.1.0.7", [b"203.0.113.9:4711"], "203.0.113.9"),
        ("2001:db8:1::7", [b"[2001:db8:2::1]:4711"], "2001:db8:2::1"),
        ("::ffff:10.1.0.7", [b"::ffff:203.0.113.9"], "203.0.113.9"),
        ("10.1.0.7", [b"10.1.0.9"], "10.1.0.9"),  # somebody on the machine of a proxy
        ("10.1.0.7", [], "10.1.0.7"),
        # A client that writes the header itself: what its proxy appended stands behind it.
        ("10.1.0.7", [b"198.51.100.1, 203.0.113.9"], "203.0.113.9"),
        ("10.1.0.7", [b"127.0.0.1", b"203.0.113.9"], "203.0.113.9"),
        ("203.0.113.9", [b"198.51.100.1"], "203.0.113.9"),
        ("::ffff:203.0.113.9", [b"10.1.0.7"], "203.0.113.9"),
        # What is no address is nobody.
        ("10.1.0.7", [b"unknown"], "10.1.0.7"),
        ("10.1.0.7", [b""], "10.1.0.7"),
        ("10.1.0.7", [b"203.0.113.9,"], "10.1.0.7"),
        ("10.1.0.7", [b"fe80::1%<script>"], "10.1.0.7"),
        ("10.1.0.7", [b"\xff\xfe, 10.1.0.8"], "10.1.0.8"),
        ("10.1.0.7", [b"198.51.100.1, " + b"10.1.0.8, " * 5000 + b"10.1.0.8"], "10.1.0.8"),
        ("10.1.0.7", [b"1" * 60_000], "10.1.0.7"),
    ],
)
async def test_the_last_address_that_a_trusted_proxy_vouches_for_is_the_client(
    peer: str, said: list[bytes], client: str
) -> None:
    headers = [(b"x-forwarded-for", one) for one in said]
    assert await asked((peer, 1), *headers) == (client, "http")


async def test_only_a_trusted_proxy_says_that_the_browser_came_by_tls() -> None:
    secure = (b"x-forwarded-proto", b"https")
    assert await asked(("10.1.0.7", 1), secure) == ("10.1.0.7", "https")
    assert await asked(("10.1.0.7", 1), (b"x-forwarded-proto", b"javascript")) == ("10.1.0.7", "http")
    assert await asked(("203.0.113.9", 1), secure) == ("203.0.113.9", "http")
    assert await asked(None, secure) == ("", "http")


async def test_each_client_behind_a_proxy_has_its_own_share_and_stands_in_the_audit(site: Any) -> None:
    site.desk.proofs = Quota(4)
    behind = Forwarded(site.app, (ip_network("10.0.0.9"),))  # the test client's own address

    async def sign_in(address: str) -> int:
        browser = Browser(behind, headers={"x-forwarded-for": f"198.51.100.1, {address}"})
        status: int = (await browser.sign_in(ADMIN, "wrong password")).status
        return status

    assert [await sign_in("203.0.113.9") for _ in range(5)] == [401] * 4 + [429]
    assert await sign_in("203.0.113.10") == 401
    refused = site.value("SELECT detail FROM audit WHERE action = 'login refused' ORDER BY id DESC LIMIT 1")
    assert "203.0.113.10" in refused


@pytest.mark.parametrize("said", ["0.0.0.0/0", "::/0", "10.0.0.7/8", "balancer"])
def test_a_proxy_is_an_address_or_a_network_and_never_everybody(tmp_path: Path, said: str) -> None:
    path = tmp_path / "passerelle.toml"
    path.write_text(f'[journal]\ndata = "."\n[web]\ntrusted_proxies = ["{said}"]\n')
    with pytest.raises(ConfigurationFault, match="trusted_proxies"):
        load(path)
