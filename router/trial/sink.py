"""A lean FHIR receiver: HTTP/1.1 parsed by hand, so that measuring a router costs little beside it.

It takes what one known client sends (a POST with Content-Length, connections kept alive), not whatever HTTP allows:
`connectors.sandbox.coordination` is the receiver for that.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import lru_cache
from typing import cast

Taken = Callable[[bytes, bytes], bytes | None]
"""Called with a request's head and its body; gives the answer's bytes, or None to cut the connection."""

_HEAD_END = b"\r\n\r\n"
_LENGTH = b"\r\ncontent-length:"
_KEY = b"\r\nidempotency-key:"
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_BAD = b"HTTP/1.1 411 Length Required\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class FhirSink(asyncio.Protocol):
    """One connection. Requests are answered in order, as soon as they are whole."""

    __slots__ = ("_body_at", "_buffer", "_taken", "_transport", "_whole")

    def __init__(self, taken: Taken) -> None:
        self._taken = taken
        self._buffer = b""
        self._body_at = 0
        self._whole = 0
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Answer every whole request in what has come so far."""
        buffer = self._buffer + data if self._buffer else data
        while buffer:
            if not self._whole and not self._measured(buffer):
                break
            if len(buffer) < self._whole:
                break
            body_at, whole = self._body_at, self._whole
            self._whole = 0
            self._answer(buffer[:body_at], buffer[body_at:whole])
            buffer = buffer[whole:]
        self._buffer = buffer

    def _measured(self, buffer: bytes) -> bool:
        """Read where the body begins and ends; False while the head is not whole."""
        end = buffer.find(_HEAD_END)
        if end < 0:
            return False
        head = buffer[:end].lower()
        at = head.find(_LENGTH)
        if at < 0 and not head.startswith(b"get "):
            self._write(_BAD)
            if self._transport is not None:
                self._transport.close()
            return False
        length = int(head[at + len(_LENGTH) :].split(b"\r\n", 1)[0]) if at >= 0 else 0
        if b"\r\nexpect: 100-continue" in head:
            self._write(_CONTINUE)
        self._body_at = end + len(_HEAD_END)
        self._whole = self._body_at + length
        return True

    def _answer(self, head: bytes, body: bytes) -> None:
        answer = self._taken(head, body)
        if answer is not None:
            self._write(answer)
        elif self._transport is not None:
            self._transport.abort()

    def _write(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)


async def serve_sink(taken: Taken, host: str = "127.0.0.1", port: int = 0) -> asyncio.Server:
    """Listen and give every request to `taken`; port 0 takes a free one."""
    return await asyncio.get_running_loop().create_server(lambda: FhirSink(taken), host, port)


def port_of(server: asyncio.Server) -> int:
    """Give the port that a server listens on."""
    return int(server.sockets[0].getsockname()[1])


def idempotency_key(head: bytes) -> str:
    """Read Idempotency-Key from a request's head; empty when there is none."""
    at = head.lower().find(_KEY)
    return head[at + len(_KEY) :].split(b"\r\n", 1)[0].strip().decode("latin-1") if at >= 0 else ""


def transaction_response(body: bytes) -> bytes:
    """Give a minimal transaction-response, with one entry for each `request` of the Bundle."""
    return _response(body.count(b'"request"'))


@lru_cache(maxsize=1024)
def _response(entries: int) -> bytes:
    entry = b'{"response":{"status":"201 Created"}}'
    body = b'{"resourceType":"Bundle","type":"transaction-response","entry":[%b]}' % b",".join([entry] * entries)
    return http_answer(200, body)


def http_answer(status: int, body: bytes, extra: bytes = b"") -> bytes:
    """Write an answer of type application/fhir+json; `extra` is whole header lines."""
    return b"HTTP/1.1 %d Status\r\nContent-Type: application/fhir+json\r\nContent-Length: %d\r\n%b\r\n%b" % (
        status,
        len(body),
        extra,
        body,
    )
