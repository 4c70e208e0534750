"""Which HL7 answer a message gets, ready to be written to the socket (fact sheet hl7v2-fr §2.1).

AA, or CA then AA in enhanced mode: it is on stable storage. AE: it will never be accepted, whatever the reason: French
senders do not send again after AE and do after AR, whose original meaning (a refused type or version) is therefore not
used. AR, CR: it cannot be kept now and should be sent again. In enhanced mode CE and CR are the standard's own: CR also
for a refused type, event, processing id or version. MSH-15 and MSH-16 may ask for silence.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import datetime

from connectors.mllp.codec import COMMIT_ACK, COMMIT_NAK, enframe
from mappings.hl7v2.ack import AckCode, build_ack
from mappings.hl7v2.header import HeaderCheck
from schemas.finding import Finding, Severity

REJECTED_BY_TYPE = range(200, 204)
"""Table 0357: message type, event, processing id, version. Enhanced mode answers CR to these (HL7 2.5 §2.9.3)."""

NOT_NOW = Finding(
    severity=Severity.ERROR,
    code="mllp.not_accepted",
    where="",
    message="the message cannot be kept now: send it again later",
)


def too_fast(wait: float) -> Finding:
    """Say that a message is one too many, and when to send it again."""
    told = f"too many messages: send it again in {math.ceil(wait)} s"
    return Finding(severity=Severity.ERROR, code="mllp.too_fast", where="", message=told)


class Answers:
    """Makes answers; `now` gives the time of their MSH-7, `next_control_id` their MSH-10."""

    def __init__(self, now: Callable[[], datetime], next_control_id: Callable[[], str], *, release_2: bool) -> None:
        self._now = now
        self._next_control_id = next_control_id
        self._release_2 = release_2

    def taken(self, header: HeaderCheck) -> bytes:
        """Answer a message that is on stable storage."""
        answer = COMMIT_ACK if self._release_2 else b""
        code = header.answer(accepted=True)
        if code is not None:
            answer += self._frame(header, code)
            if code is AckCode.CA and header.wants_application:
                answer += self._frame(header, AckCode.AA)
        return answer

    def rejected(self, header: HeaderCheck, finding: Finding, error_code: int) -> bytes:
        """Answer a message that is kept, and will never be processed."""
        answer = COMMIT_ACK if self._release_2 else b""
        by_type = header.enhanced and error_code in REJECTED_BY_TYPE
        code = header.answer(accepted=False, permanent=not by_type)
        return answer if code is None else answer + self._frame(header, code, finding, error_code)

    def later(self, header: HeaderCheck, finding: Finding = NOT_NOW) -> bytes:
        """Answer a message that was not kept, and may be sent again."""
        if self._release_2:
            return COMMIT_NAK
        code = header.answer(accepted=False, permanent=False)
        return b"" if code is None else self._frame(header, code, finding, 207)

    def _frame(
        self, header: HeaderCheck, code: AckCode, finding: Finding | None = None, error_code: int = 207
    ) -> bytes:
        return enframe(
            build_ack(
                header,
                code,
                now=self._now(),
                control_id=self._next_control_id(),
                finding=finding,
                error_code=error_code,
            )
        )
