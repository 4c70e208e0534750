"""Network addresses as they are written in the configuration: `host:port`, `[ipv6]:port`."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Annotated, NamedTuple

from pydantic import AfterValidator

HIGHEST_PORT = 65535


class Address(NamedTuple):
    """A host name or IP address, and a TCP port; port 0 asks the system for a free one."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_address(text: str) -> Address:
    """Split `host:port`; raises ValueError with a sentence that says what is wrong."""
    host, colon, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not colon or not host:
        raise ValueError("write it host:port, such as 0.0.0.0:2575 or [::]:2575")
    if not (port.isascii() and port.isdigit() and int(port) <= HIGHEST_PORT):
        raise ValueError(f"the port is a number from 0 to {HIGHEST_PORT}")
    return Address(host, int(port))


def _listen(text: str) -> str:
    return str(parse_address(text))


def _peer(text: str) -> str:
    address = parse_address(text)
    if address.port == 0:
        raise ValueError("port 0 means any free port: it can be listened on, not connected to")
    return str(address)


ListenAddress = Annotated[str, AfterValidator(_listen)]
"""`host:port` to listen on; port 0 takes a free one, told through `Services.ready`."""

PeerAddress = Annotated[str, AfterValidator(_peer)]
"""`host:port` to connect to."""


def peer_host(name: object) -> str:
    """Give the host of a socket's peer name (`("192.0.2.1", 40312)`), or "" when the socket has none."""
    return str(name[0]) if isinstance(name, tuple) and name else ""


def on_this_machine(host: str) -> bool:
    """Say whether a host is this machine (loopback): what goes there crosses no network."""
    if host == "localhost":
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
