"""Names of traces and spans, derived from the journal's rows and its key.

Nothing is stored: whichever process asks, before or after a restart, a message has one trace, and a span that is told
twice has one name. Being keyed, a name says nothing about the journal to who sees it.
"""

from __future__ import annotations

from router.journal.sealing import Sealer


class TraceNames:
    """Gives the names of one journal. Not shared between threads."""

    def __init__(self, sealer: Sealer) -> None:
        self._sealer = sealer

    def trace(self, message_id: int) -> int:
        """Name a message's trace: 128 bits, never zero."""
        return int.from_bytes(self._sealer.digest(b"trace", str(message_id).encode())[:16]) or 1

    def span(self, kind: str, *numbers: int) -> int:
        """Name a span by what it is about (`attempt` of Delivery 12, the 2nd): 64 bits, never zero."""
        parts = (str(number).encode() for number in numbers)
        return int.from_bytes(self._sealer.digest(b"span", kind.encode(), *parts)[:8]) or 1

    def traceparent(self, message_id: int, delivery_id: int, attempt: int) -> str:
        """Give the header that hands one sending's trace on (W3C Trace Context, version 00, sampled)."""
        return f"00-{self.trace(message_id):032x}-{self.span('attempt', delivery_id, attempt):016x}-01"
