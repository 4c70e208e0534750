"""Who really asks, where a proxy or balancer stands in front: told by those that are trusted, and believed of no other.

Each proxy appends to `X-Forwarded-For` the address that it was asked from: read from the end, addresses are vouched for
as long as who wrote them is trusted. What a client has put there itself stands before that, and is never reached. From
here on the client of a request is that address for all: limits, sessions, audit and logs.
"""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

from starlette.types import ASGIApp, Receive, Scope, Send

Networks = Sequence[IPv4Network | IPv6Network]

MOST_PROXIES = 16
"""Proxies one behind the other that are followed; a longer chain is nobody's."""

_LONGEST_ADDRESS = 64


class Forwarded:
    """Gives each request the client and the scheme that trusted proxies tell of."""

    def __init__(self, app: ASGIApp, trusted: Networks) -> None:
        self._app = app
        self._trusted = trusted

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        if scope["type"] in {"http", "websocket"} and scope.get("client"):
            scope = self._behind(scope)
        await self._app(scope, receive, send)

    def _behind(self, scope: Scope) -> Scope:
        peer, port = scope["client"]
        address = parse(peer)
        if address is None:
            return scope
        if not is_trusted(address, self._trusted):
            return {**scope, "client": (str(address), port)}
        said = [value for name, value in scope["headers"] if name == b"x-forwarded-for"]
        protocols = [value for name, value in scope["headers"] if name == b"x-forwarded-proto"]
        behind = {**scope, "client": (str(client_of(address, said, self._trusted)), 0)}
        protocol = protocols[-1].rpartition(b",")[2].strip() if protocols else b""
        if scope["type"] == "http" and protocol in {b"http", b"https"}:
            behind["scheme"] = protocol.decode()
        return behind


def client_of(peer: IPv4Address | IPv6Address, said: Sequence[bytes], trusted: Networks) -> IPv4Address | IPv6Address:
    """Give the last address that a trusted proxy vouches for; `said` are the headers `X-Forwarded-For`, in their order.

    What is no address ends the chain: who wrote it is then the client.
    """
    client = peer
    for hop in reversed(b",".join(said).rsplit(b",", MOST_PROXIES)[-MOST_PROXIES:]):
        found = parse(hop.strip().decode("latin-1")) if is_trusted(client, trusted) else None
        if found is None:
            break
        client = found
    return client


def is_trusted(address: IPv4Address | IPv6Address, trusted: Networks) -> bool:
    """Say whether an address is that of a proxy that is believed."""
    return any(address in network for network in trusted)


def parse(text: str) -> IPv4Address | IPv6Address | None:
    """Read an address, with or without a port; None for anything else. IPv4 in IPv6 is the IPv4 address."""
    if len(text) > _LONGEST_ADDRESS or "%" in text:  # a zone may be any text
        return None
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address
