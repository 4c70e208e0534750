"""The receiver of a proof: it notes every Bundle, and fails now and then in the ways that make senders repeat."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from router.prove.ledger import Ledger
from router.trial.sink import http_answer, idempotency_key, port_of, serve_sink, transaction_response

_UNAVAILABLE = http_answer(503, b'{"resourceType":"OperationOutcome"}', b"Retry-After: 1\r\n")


class UnreliableReceiver:
    """Takes transactions into the ledger.

    With probability `cut` it takes a Bundle and cuts the connection before its answer (the router cannot know, and must
    send it again under the same identity); with probability `unavailable` it takes nothing and answers 503.
    """

    def __init__(self, ledger: Ledger, draw: random.Random, *, cut: float = 0.02, unavailable: float = 0.01) -> None:
        self._ledger = ledger
        self._draw = draw
        self._cut = cut
        self._unavailable = unavailable
        self.cuts = 0
        self.refusals = 0

    def calm(self) -> None:
        """Fail no more, so that the end of the run can settle."""
        self._cut = self._unavailable = 0.0

    def take(self, head: bytes, body: bytes) -> bytes | None:
        """Answer one request."""
        chance = self._draw.random()
        if chance < self._unavailable:
            self.refusals += 1
            return _UNAVAILABLE
        self._ledger.arrived(idempotency_key(head), body)
        if chance < self._unavailable + self._cut:
            self.cuts += 1
            return None
        return transaction_response(body)

    @asynccontextmanager
    async def serving(self, host: str = "127.0.0.1") -> AsyncIterator[str]:
        """Listen while the block runs; gives the FHIR base."""
        server = await serve_sink(self.take, host)
        async with server:
            yield f"http://{host}:{port_of(server)}/fhir"
