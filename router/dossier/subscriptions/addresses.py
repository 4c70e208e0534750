"""Where notifications may go: the public internet over https, and what an administrator allows beside it.

An address that a tool gives is somebody else's choice: it must not make the router talk to the hospital's own
machines. Names are resolved by our own resolver at each connection, so that one which changes its mind between the
check and the connection (DNS rebinding) is refused as well. Redirects are never followed.
"""

from __future__ import annotations

import socket
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from urllib.parse import urlsplit

from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver

Network = IPv4Network | IPv6Network
LONGEST_URL = 1000


class Forbidden(Exception):
    """An address that notifications may not go to: one sentence."""


class ForbiddenAddress(OSError):
    """A name that resolves to an address that notifications may not go to."""


@dataclass(frozen=True, slots=True)
class AddressPolicy:
    """What is allowed beside public addresses over https: `networks`, and plain http."""

    networks: tuple[Network, ...] = ()
    http: bool = False

    @classmethod
    def of(cls, networks: Sequence[str], *, http: bool) -> AddressPolicy:
        """Make one from the configuration's texts. Raises ValueError."""
        return cls(tuple(ip_network(one) for one in networks), http)

    def check(self, url: str) -> None:
        """Check an endpoint as far as it can be told without asking for its name. Raises Forbidden."""
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            raise Forbidden("The endpoint is not a URL.") from None
        if len(url) > LONGEST_URL or any(ord(char) < 33 or ord(char) > 126 for char in url):
            raise Forbidden("The endpoint is not a URL.")
        if parts.scheme != "https" and not (self.http and parts.scheme == "http"):
            raise Forbidden("The endpoint is an https address.")
        if parts.username is not None or parts.password is not None or parts.fragment:
            raise Forbidden("The endpoint holds no credentials and no fragment; send them as headers.")
        if not parts.hostname or port == 0:
            raise Forbidden("The endpoint names no machine.")
        literal = _literal(parts.hostname)
        if literal is not None and not self.allows(literal):
            raise Forbidden("The endpoint is an inside address; ask the administrator to allow it.")
        if literal is None and _is_local(parts.hostname):
            raise Forbidden("The endpoint is an inside address; ask the administrator to allow it.")

    def allows(self, address: IPv4Address | IPv6Address) -> bool:
        """Say whether an address may be talked to."""
        plain = _unwrapped(address)
        if any(plain in network for network in self.networks if network.version == plain.version):
            return True
        return plain.is_global and not plain.is_multicast


def _literal(host: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(host.partition("%")[0])
    except ValueError:
        pass
    try:
        # As the C library reads them: 127.1, 0x7f000001, 2130706433.
        return IPv4Address(socket.inet_aton(host))
    except OSError:
        return None


def _is_local(host: str) -> bool:
    bare = host.rstrip(".").lower()
    return "." not in bare or bare.endswith((".local", ".localhost", ".internal", ".lan", ".intranet"))


def _unwrapped(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """Take an IPv4 address out of the IPv6 forms that carry one (mapped, 6to4, NAT64)."""
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return address.ipv4_mapped
        if address.sixtofour is not None:
            return address.sixtofour
        if address in IPv6Network("64:ff9b::/96"):
            return IPv4Address(int(address) & 0xFFFFFFFF)
    return address


class CheckedResolver(AbstractResolver):
    """Resolves a name for one connection, and gives only addresses that may be talked to."""

    def __init__(self, policy: AddressPolicy, inner: AbstractResolver | None = None) -> None:
        self._policy = policy
        self._inner = inner or ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Resolve. Raises ForbiddenAddress when one of the addresses is an inside one: such a name is not trusted."""
        found = await self._inner.resolve(host, port, family)
        for one in found:
            if not self._policy.allows(ip_address(one["host"].partition("%")[0])):
                raise ForbiddenAddress("the name leads to an inside address")
        return found

    async def close(self) -> None:
        """Release what the inner resolver holds."""
        await self._inner.close()
