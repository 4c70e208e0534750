"""The web server's protocol: how many connections are held, how long a request's head may take, who shows what.

The TLS layer asks for a certificate and verifies it; which tool may show which is decided by the dossier's API.
"""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass
from typing import ClassVar

from uvicorn.protocols.http.h11_impl import H11Protocol

STATE = "client_certificate"
"""Where a request's scope holds the certificate (DER), in its `state`: nothing that a client sends gets there."""


@dataclass(frozen=True, slots=True)
class Held:
    """Connections held at the same time, of all and of one address (None: no limit); seconds for a request's head."""

    connections: int = 1000
    of_one: int | None = None
    head_seconds: float = 10.0


class HeldProtocol(H11Protocol):
    """HTTP/1.1 that lets nobody hold connections for nothing, and notes the client's certificate for each request."""

    held: ClassVar[Held] = Held()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Take a connection, or close it at once; note its certificate."""
        secured = transport.get_extra_info("ssl_object")
        shown = secured.getpeercert(binary_form=True) if isinstance(secured, ssl.SSLObject) else None
        if shown:
            self.app_state = {**self.app_state, STATE: shown}
        self._late: asyncio.TimerHandle | None = None
        super().connection_made(transport)
        if self._is_one_too_many():
            transport.abort()
        else:
            self._expect_head()

    def data_received(self, data: bytes) -> None:
        """Take bytes; those of a head must be whole in time, however steadily they drip."""
        if self._waits_for_head and self._late is None:
            self._expect_head()
        super().data_received(data)
        if self._late is not None and not self._waits_for_head:
            self._late.cancel()
            self._late = None

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        if self._late is not None:
            self._late.cancel()
            self._late = None
        super().connection_lost(exc)

    @property
    def _waits_for_head(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _is_one_too_many(self) -> bool:
        held = self.held
        if len(self.connections) > held.connections:
            return True
        address = self.client[0] if self.client is not None else ""
        of_one = sum(1 for one in self.connections if (getattr(one, "client", None) or ("",))[0] == address)
        return held.of_one is not None and of_one > held.of_one

    def _expect_head(self) -> None:
        self._late = self.loop.call_later(self.held.head_seconds, self._head_is_late)

    def _head_is_late(self) -> None:
        self._late = None
        if self._waits_for_head:
            self.transport.abort()


def holding(held: Held) -> type[HeldProtocol]:
    """Give the protocol with these limits, as uvicorn takes it: a class."""
    return type("HeldProtocol", (HeldProtocol,), {"held": held})
