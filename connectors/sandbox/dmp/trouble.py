"""What goes wrong on demand, once or several times, for one transaction or any."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from enum import StrEnum


class Trouble(StrEnum):
    """One way in which a DMP has been seen to fail, or could."""

    BUSY = "busy"
    """XDSRepositoryBusy or XDSRegistryBusy, nothing kept."""
    NO_ANSWER = "no_answer"
    """Everything is kept, then no answer comes until the client leaves."""
    CUT_UPLOAD = "cut_upload"
    """The connection ends while the request arrives; nothing is kept."""
    CUT_ANSWER = "cut_answer"
    """The connection ends in the middle of the answer; what was asked is done."""
    WARNING = "warning"
    """Success, with a warning."""
    PARTIAL = "partial"
    """PartialSuccess, although everything was done."""
    BAD_GATEWAY = "bad_gateway"
    """HTTP 502 and a page of a proxy, nothing kept."""
    WRONG_RELATES_TO = "wrong_relates_to"
    """The answer to somebody else's message."""
    LATIN_1 = "latin_1"
    """The SOAP part in ISO-8859-1, declared."""
    ENCODED_CID = "encoded_cid"
    """Every sign of the cid percent-encoded, hexadecimal in lower case."""
    MULTIPART = "multipart"
    """A multipart answer where one part was enough."""
    BOUNDARY = "boundary"
    """Preamble, blanks after the delimiter, folded headers, the root part last, an epilogue."""
    INVALID_UTF8 = "invalid_utf8"
    """A byte in the SOAP part that is no UTF-8."""
    SOAP_11 = "soap_11"
    """The answer in a SOAP 1.1 envelope."""


@dataclass(slots=True)
class _Planned:
    trouble: Trouble
    transaction: str
    times: int


class Troubles:
    """What is planned. Taken from any thread; the first that fits is used."""

    def __init__(self) -> None:
        self._planned: list[_Planned] = []
        self._lock = threading.Lock()

    def plan(self, trouble: Trouble, *, transaction: str = "", times: int = 1) -> None:
        """Plan a trouble for the next calls of a transaction (`ITI-41`, `TD0.2`…), or of any."""
        with self._lock:
            self._planned.append(_Planned(trouble, transaction, times))

    def take(self, transaction: str) -> Trouble | None:
        """Give the trouble of this call."""
        with self._lock:
            for one in self._planned:
                if one.transaction in ("", transaction):
                    one.times -= 1
                    if one.times <= 0:
                        self._planned.remove(one)
                    return one.trouble
        return None

    def clear(self) -> None:
        """Forget what is planned."""
        with self._lock:
            self._planned.clear()

    def planned(self) -> list[tuple[Trouble, str, int]]:
        """List what is planned."""
        with self._lock:
            return [(one.trouble, one.transaction, one.times) for one in self._planned]
