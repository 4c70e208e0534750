"""A very cheap look at MSH, before the acknowledgement: who sends what, how it wants to be answered, what is refused.

`check_header` reads nothing beyond MSH, so that its cost does not depend on the size of the message. The refusals
are those of HL7 2.5 §2.9: nothing that it lets through is promised to be readable to the end.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import NamedTuple

from mappings.contracts import Environment
from mappings.hl7v2.charset import LABELS, codec_of, wide_codec
from mappings.hl7v2.syntax import STANDARD, Delimiters, delimiters_of
from mappings.hl7v2.triggers import message_types, trigger_of
from schemas.finding import Finding, Severity

HEAD = 65_536
"""An MSH that does not end within this many bytes is not one."""

VERSIONS = frozenset(
    (
        "2.1",
        "2.2",
        "2.3",
        "2.3.1",
        "2.4",
        "2.5",
        "2.5.1",
        "2.6",
        "2.7",
        "2.7.1",
        "2.8",
        "2.8.1",
        "2.8.2",
        "2.9",
        "2.9.1",
    )
)
"""Every published version of HL7v2 is read alike; a national suffix (`2.5^FRA^2.11`) is not part of it."""

_MSH = re.compile(rb"(?:^|[\r\n\x0b])[ \t\x00]*(?:\xef\xbb\xbf)?(MSH)(?=[^A-Za-z0-9\s]|\Z)")
_EVN = re.compile(rb"[\r\n]EVN.([A-Z][0-9A-Z]{2})")
_TEST_MODES = ("T", "D")
_ABSENT = [""] * 21


class AckCode(StrEnum):
    """Table 0008. AE and CE are worth no resend; AR and CR may be worth one later."""

    AA = "AA"
    AE = "AE"
    AR = "AR"
    CA = "CA"
    CE = "CE"
    CR = "CR"

    @property
    def positive(self) -> bool:
        """The receiver took the message over."""
        return self in (AckCode.AA, AckCode.CA)


class Wish(StrEnum):
    """Table 0155: when the sender wants an acknowledgement of one level (MSH-15, MSH-16)."""

    ALWAYS = "AL"
    NEVER = "NE"
    ERROR = "ER"
    SUCCESS = "SU"

    def asks(self, *, accepted: bool) -> bool:
        """Say whether an answer is wanted in this case."""
        return self is Wish.ALWAYS or self is (Wish.SUCCESS if accepted else Wish.ERROR)


class HeaderCheck(NamedTuple):
    """What MSH says. Raw fields (`sender`, `receiver`, `version_field`…) are as written, in the peer's delimiters.

    `refusal` is why the message must not be accepted, with `error_code` (table 0357) and `permanent` (it would be
    refused again tomorrow); None, 0 and False otherwise. `charset` is MSH-18 as written. `profile` is MSH-21.
    """

    control_id: str = ""
    message_type: str = ""
    structure: str = ""
    sending_application: str = ""
    sending_facility: str = ""
    receiving_application: str = ""
    receiving_facility: str = ""
    version: str = ""
    version_field: str = ""
    processing_id: str = ""
    charset: str = ""
    profile: str = ""
    accept: Wish = Wish.NEVER
    application: Wish = Wish.ALWAYS
    enhanced: bool = False
    delimiters: Delimiters = STANDARD
    codec: str = "ascii"
    refusal: Finding | None = None
    error_code: int = 0
    permanent: bool = False

    @property
    def event(self) -> str:
        """The trigger event alone (`R01`)."""
        return self.message_type.partition("^")[2]

    @property
    def wants_accept(self) -> bool:
        """Enhanced mode: a commit answer (CA) is wanted when the message is accepted."""
        return self.accept.asks(accepted=True)

    @property
    def wants_application(self) -> bool:
        """An application answer (AA) is wanted when the message is accepted; always so in original mode."""
        return self.application.asks(accepted=True)

    def answer(self, *, accepted: bool, permanent: bool = True) -> AckCode | None:
        """Choose the code to send at once on the same connection; None when the sender wants no answer there.

        `permanent` matters only when not `accepted`: AE/CE (never) or AR/CR (not now). When the sender asks for a
        commit answer, that is the one; its application answer, if it asks for one, is a message of its own, later.
        """
        if self.enhanced and self.accept is not Wish.NEVER:
            if not self.accept.asks(accepted=accepted):
                return None
            return AckCode.CA if accepted else AckCode.CE if permanent else AckCode.CR
        if not self.application.asks(accepted=accepted):
            return None
        return AckCode.AA if accepted else AckCode.AE if permanent else AckCode.AR


def check_header(content: bytes, environment: Environment | None = None) -> HeaderCheck:
    """Read MSH and judge it; never raises. `environment`, when given, refuses messages of the other one (MSH-11)."""
    head, start = content[:HEAD], 0
    if head[:3] != b"MSH":
        found = find_header(content)
        if found is None:
            return _refused(HeaderCheck(), 100, "no_msh", "MSH", "there is no MSH segment")
        head, start = found
    end = end_of_line(head, start)
    line, codec = _text(head[start:end].rstrip(b"\x1c"))
    if len(line) < 8 or line[3].isalnum() or line[3].isspace():
        return _refused(HeaderCheck(), 100, "no_msh", "MSH", "the MSH segment is not readable")
    fields = line.split(line[3])
    fields += _ABSENT[len(fields) :]
    delimiters, _ = delimiters_of(line[3], fields[1])
    component = delimiters.component

    kinds = fields[8].split(component)
    kind = kinds[0].strip()
    event = kinds[1].strip() if len(kinds) > 1 else ""
    if not event and "_" in kind:
        kind, _, event = kind.partition("_")
    if not event and kind == "ADT" and (evn := _EVN.search(head, end)):
        event = evn[1].decode("ascii")
    accept = fields[14].strip()
    application = fields[15].strip()
    version_field = fields[11]
    version = version_field.split(component, 1)[0].strip()
    charset = fields[17].split(delimiters.repetition, 1)[0].strip()
    enhanced = bool(accept or application)
    control_id = fields[9]
    processing_id = fields[10].split(component, 1)[0].strip()

    refusal: Finding | None = None
    error_code = 0
    if trigger_of(kind, event) is None or not control_id.strip() or (version and version not in VERSIONS):
        error_code, refusal = _judge(kind, event, control_id)
    elif environment is not None and (processing_id in _TEST_MODES) is (environment is Environment.PRODUCTION):
        error_code = 202
        refusal = _error("hl7v2.header.processing_id", "MSH-11", "test and production messages do not mix here")
    return HeaderCheck(
        control_id,
        f"{kind}^{event}" if event else kind,
        kinds[2].strip() if len(kinds) > 2 else "",
        fields[2],
        fields[3],
        fields[4],
        fields[5],
        version,
        version_field,
        processing_id,
        charset,
        fields[20],
        _WISHES.get(accept, Wish.ALWAYS) if accept else Wish.NEVER,
        _WISHES.get(application, Wish.ALWAYS) if application else (Wish.NEVER if enhanced else Wish.ALWAYS),
        enhanced,
        delimiters,
        codec if codec != "ascii" else _answerable(charset),
        refusal,
        error_code,
        refusal is not None,
    )


_WISHES = {wish.value: wish for wish in Wish}


def _answerable(charset: str) -> str:
    """Keep the declared codec when an answer can be written in it: one where ASCII stays ASCII."""
    codec = codec_of(charset)
    return codec if codec in LABELS else "ascii"


def _judge(kind: str, event: str, control_id: str) -> tuple[int, Finding]:
    if not kind:
        return 101, _error("hl7v2.header.no_message_type", "MSH-9", "the message type is missing")
    if kind not in message_types():
        return 200, _error("hl7v2.message.unsupported", "MSH-9.1", "this message type is not supported")
    if trigger_of(kind, event) is None:
        return 201, _error("hl7v2.message.unsupported", "MSH-9.2", "this trigger event is not supported")
    if not control_id.strip():
        return 101, _error("hl7v2.header.no_control_id", "MSH-10", "the message has no control id")
    return 203, _error("hl7v2.header.version", "MSH-12", "this version of HL7 is not known")


def _refused(header: HeaderCheck, error_code: int, code: str, where: str, message: str) -> HeaderCheck:
    return header._replace(
        refusal=_error(f"hl7v2.header.{code}", where, message), error_code=error_code, permanent=True
    )


def _error(code: str, where: str, message: str) -> Finding:
    return Finding(severity=Severity.ERROR, code=code, where=where, message=message)


def find_header(content: bytes) -> tuple[bytes, int] | None:
    """Look for MSH in the first bytes, past any wrapping; give those bytes (UTF-16 turned into UTF-8) and its place."""
    head = content[:HEAD]
    if wide := wide_codec(head):
        head = head.decode(wide, "ignore").lstrip("\ufeff").encode("utf-8")
    found = _MSH.search(head)
    return (head, found.start(1)) if found is not None else None


def end_of_line(head: bytes, start: int = 0) -> int:
    """Find where the line that begins at `start` ends, whichever the line end."""
    end = head.find(b"\r", start)
    if end < 0:
        end = head.find(b"\n", start)
    elif (lone := head.find(b"\n", start, end)) >= 0:
        end = lone
    return len(head) if end < 0 else end


def _text(line: bytes) -> tuple[str, str]:
    """Decode MSH itself in a codec that gives the same bytes back, so that MSA-2 repeats MSH-10 verbatim."""
    if line.isascii():
        return line.decode("ascii"), "ascii"
    try:
        return line.decode("utf-8"), "utf-8"
    except UnicodeDecodeError:
        return line.decode("iso8859-1"), "iso8859-1"
