"""Testing a connection: reach the peer, shake hands, ask one thing that changes nothing. Nothing of a patient is sent.

A probe gives steps, in the order in which they were made; the first that fails is the last. `detail` of a step is a
place or a reason in a few words, without secrets and without health data.
"""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from secrets import token_hex
from typing import Any
from urllib.parse import urlsplit

import orjson

from connectors.address import Address, parse_address
from connectors.contracts import Retry
from connectors.outbound_http import HttpPeer, HttpPeerSettings
from connectors.tls import ClientTls

SECONDS = 10.0
"""Time for a connection that has no patience of its own."""

EVERYWHERE = frozenset({"0.0.0.0", "::"})  # noqa: S104 - compared with, never bound


class ProbeCode(StrEnum):
    """What a step found."""

    CONNECTED = "connected"
    UNREACHABLE = "unreachable"
    TLS = "tls"
    TLS_REFUSED = "tls_refused"
    ANSWERED = "answered"
    ANSWER_REFUSED = "answer_refused"
    CAPABLE = "capable"
    LOGGED_IN = "logged_in"
    LOGIN_REFUSED = "login_refused"
    LISTENING = "listening"
    NOT_LISTENING = "not_listening"
    READABLE = "readable"
    NOT_READABLE = "not_readable"
    WRITABLE = "writable"
    NOT_WRITABLE = "not_writable"
    UNKNOWN = "unknown"


GOOD = frozenset(
    {
        ProbeCode.CONNECTED,
        ProbeCode.TLS,
        ProbeCode.ANSWERED,
        ProbeCode.CAPABLE,
        ProbeCode.LOGGED_IN,
        ProbeCode.LISTENING,
        ProbeCode.READABLE,
        ProbeCode.WRITABLE,
    }
)


@dataclass(frozen=True, slots=True)
class ProbeStep:
    """One thing that was tried."""

    code: ProbeCode
    detail: str = ""

    @property
    def ok(self) -> bool:
        """Whether it went well."""
        return self.code in GOOD


@dataclass(frozen=True, slots=True)
class Probe:
    """What testing a connection came to."""

    steps: tuple[ProbeStep, ...]

    @property
    def ok(self) -> bool:
        """Whether all went well."""
        return bool(self.steps) and all(step.ok for step in self.steps)


Prober = Callable[[Any, datetime], Awaitable[Probe]]
"""Tests the connection that validated settings describe, at a moment. Never raises for what a peer or network did."""


async def reach(host: str, port: int, tls: ClientTls | None, seconds: float = SECONDS) -> Probe:
    """Connect, and shake hands if TLS is wanted."""
    shown = str(Address(host, port))
    try:
        async with asyncio.timeout(seconds):
            _, plain = await asyncio.open_connection(host, port)
    except TimeoutError:
        return Probe((ProbeStep(ProbeCode.UNREACHABLE, f"{shown}: no connection within {seconds:g} s"),))
    except socket.gaierror:
        return Probe((ProbeStep(ProbeCode.UNREACHABLE, f"{shown}: no such host"),))
    except OSError as failure:
        # asyncio's own words for a refused connection repeat the address; several addresses have no number at all.
        said = os.strerror(failure.errno) if failure.errno else type(failure).__name__
        return Probe((ProbeStep(ProbeCode.UNREACHABLE, f"{shown}: {said}"),))
    try:
        connected = ProbeStep(ProbeCode.CONNECTED, shown)
        if tls is None:
            return Probe((connected,))
        try:
            context = await asyncio.to_thread(tls.context)
            async with asyncio.timeout(seconds):
                await plain.start_tls(context, server_hostname=tls.server_name or host)
        except (OSError, ssl.SSLError, ValueError) as failure:
            return Probe((connected, ProbeStep(ProbeCode.TLS_REFUSED, _tls_reason(failure))))
        tunnel = plain.get_extra_info("ssl_object")
        return Probe((connected, ProbeStep(ProbeCode.TLS, tunnel.version() if tunnel is not None else "TLS")))
    finally:
        plain.close()
        with suppress(OSError, ssl.SSLError):
            await plain.wait_closed()


async def listener(listen: str) -> Probe:
    """See whether our own door is open, as seen from this machine."""
    host, port = parse_address(listen)
    host = "127.0.0.1" if host in EVERYWHERE else host
    found = await reach(host, port, None)
    code = ProbeCode.LISTENING if found.ok else ProbeCode.NOT_LISTENING
    return Probe((ProbeStep(code, found.steps[0].detail),))


async def http_door(url: str, tls: ClientTls | None, seconds: float) -> Probe:
    """Connect to the host of an address; the system's authorities are trusted where none are named."""
    parts = urlsplit(url)
    secure = parts.scheme == "https"
    port = parts.port or (443 if secure else 80)
    return await reach(parts.hostname or "", port, (tls or ClientTls()) if secure else None, seconds)


async def fhir_server(settings: HttpPeerSettings, now: datetime) -> Probe:
    """Ask a FHIR server what it can do (`GET /metadata`), with our credentials."""
    door = await _door_of(settings)
    if not door.ok:
        return door
    peer = HttpPeer(settings, {"User-Agent": "passerelle", "Accept": "application/fhir+json"})
    try:
        answer = await peer.request("GET", peer.url / "metadata", None, {}, now)
    finally:
        await peer.close()
    if isinstance(answer, Retry):
        return Probe((*door.steps, ProbeStep(ProbeCode.ANSWER_REFUSED, answer.detail)))
    if answer.status != 200:
        return Probe((*door.steps, ProbeStep(ProbeCode.ANSWER_REFUSED, f"HTTP {answer.status}")))
    try:
        said = orjson.loads(answer.body)
        kind, version = str(said["resourceType"]), str(said.get("fhirVersion", ""))
    except (orjson.JSONDecodeError, TypeError, KeyError):
        kind, version = "", ""
    if kind != "CapabilityStatement":
        return Probe((*door.steps, ProbeStep(ProbeCode.ANSWER_REFUSED, "no CapabilityStatement")))
    return Probe((*door.steps, ProbeStep(ProbeCode.CAPABLE, f"FHIR {version[:16]}".strip())))


async def webhook(settings: HttpPeerSettings, now: datetime) -> Probe:
    """Ask a webhook which methods it takes (`OPTIONS`): whatever it answers, but a refusal of who we are, will do."""
    door = await _door_of(settings)
    if not door.ok:
        return door
    peer = HttpPeer(settings, {"User-Agent": "passerelle"})
    try:
        answer = await peer.request("OPTIONS", peer.url, None, {}, now)
    finally:
        await peer.close()
    if isinstance(answer, Retry):
        return Probe((*door.steps, ProbeStep(ProbeCode.ANSWER_REFUSED, answer.detail)))
    refused = answer.status in (401, 403, 407) or answer.status >= 500
    code = ProbeCode.ANSWER_REFUSED if refused else ProbeCode.ANSWERED
    return Probe((*door.steps, ProbeStep(code, f"HTTP {answer.status}")))


async def _door_of(settings: HttpPeerSettings) -> Probe:
    # Behind a proxy the door is the proxy's, and it alone can open the other one.
    target = settings.proxy if settings.proxy is not None else settings.url
    return await http_door(str(target), None if settings.proxy is not None else settings.tls, settings.connect_timeout)


def readable(folder: Path) -> ProbeStep:
    """See whether a folder can be listed."""
    try:
        next(folder.iterdir(), None)
    except OSError as failure:
        return ProbeStep(ProbeCode.NOT_READABLE, f"{folder}: {failure.strerror or type(failure).__name__}")
    return ProbeStep(ProbeCode.READABLE, str(folder))


def writable(folder: Path) -> ProbeStep:
    """See whether a file can be made in a folder: a hidden, empty one, taken away at once."""
    path = folder / f".passerelle-{token_hex(6)}.tmp"
    try:
        path.touch(exist_ok=False)
        path.unlink()
    except OSError as failure:
        return ProbeStep(ProbeCode.NOT_WRITABLE, f"{folder}: {failure.strerror or type(failure).__name__}")
    return ProbeStep(ProbeCode.WRITABLE, str(folder))


def _tls_reason(failure: Exception) -> str:
    if isinstance(failure, ssl.SSLCertVerificationError):
        return f"the peer's certificate: {failure.verify_message}"
    if isinstance(failure, ssl.SSLError):
        return (failure.reason or "").replace("_", " ").lower() or type(failure).__name__
    return getattr(failure, "strerror", None) or type(failure).__name__
