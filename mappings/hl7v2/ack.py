"""Acknowledgements: the ones we give (`build_ack`) and the ones that we get (`read_ack`). HL7 2.5 §2.9, §2.13."""

from __future__ import annotations

import re
from datetime import datetime
from typing import NamedTuple

from mappings.hl7v2.charset import codec_of, label_of
from mappings.hl7v2.header import VERSIONS, AckCode, HeaderCheck
from mappings.hl7v2.syntax import STANDARD, Delimiters, delimiters_of, syntax_of
from schemas.finding import Finding, Severity

__all__ = ["ERROR_TEXTS", "AckCode", "AckReading", "build_ack", "read_ack"]

ERROR_TEXTS = {
    0: "Message accepted",
    100: "Segment sequence error",
    101: "Required field missing",
    102: "Data type error",
    103: "Table value not found",
    198: "Non-conformant cardinality",
    199: "Other HL7 error",
    200: "Unsupported message type",
    201: "Unsupported event code",
    202: "Unsupported processing id",
    203: "Unsupported version id",
    204: "Unknown key identifier",
    205: "Duplicate key identifier",
    206: "Application record locked",
    207: "Application internal error",
}
"""Table 0357, with the two codes (198, 199) of the ANS list."""

_PERMANENT_ERRORS = frozenset({200, 201, 202, 203})
_OLD = frozenset({"2.1", "2.2", "2.3", "2.3.1", "2.4"})
_SEVERITIES = {Severity.ERROR: "E", Severity.WARNING: "W", Severity.INFO: "I"}
_WHERE = re.compile(
    r"(?P<segment>[A-Z][A-Z0-9]{2})(?:\[(?P<nth>\d+)\])?"
    r"(?:-(?P<field>\d+)(?:\[(?P<rep>\d+)\])?(?:\.(?P<comp>\d+)(?:\.(?P<sub>\d+))?)?)?"
)
_LINES = re.compile(rb"[\r\n\x0b\x1c]+")


class AckReading(NamedTuple):
    """What a peer answered. `code` is MSA-1 (AE when it is not in table 0008), `control_id` MSA-2 verbatim.

    `error_codes` are the ERR-3 (or ERR-1.4) that are numbers. `text` joins what the peer wrote for people (MSA-3,
    ERR-3.2, ERR-8); it may hold health data, so it is shown to those who may see the message and never logged.
    """

    code: AckCode
    control_id: str
    error_codes: tuple[int, ...] = ()
    text: str = ""

    @property
    def positive(self) -> bool:
        """The peer took the message over (AA, CA)."""
        return self.code.positive

    @property
    def permanent(self) -> bool:
        """The peer would refuse the same message again: AE or CE, or any refusal for type, event, mode or version."""
        if self.code.positive:
            return False
        return self.code in (AckCode.AE, AckCode.CE) or not _PERMANENT_ERRORS.isdisjoint(self.error_codes)


def build_ack(
    header: HeaderCheck,
    code: AckCode,
    *,
    now: datetime,
    control_id: str,
    finding: Finding | None = None,
    error_code: int = 207,
) -> bytes:
    """Build the answer to the message of this header, in the sender's own delimiters and character set.

    `now` must know its zone. `control_id` becomes the answer's MSH-10. A negative `code` carries an ERR segment: the
    header's refusal (with its own error code) when `finding` is None, else `finding` with `error_code` (table 0357).
    A header of garbage gives a minimal legal ACK. Up to version 2.4 the error is told as ERR-1 and MSA-3.
    """
    if finding is None and header.refusal is not None:
        finding, error_code = header.refusal, header.error_code
    delimiters = header.delimiters
    join, parts = delimiters.field.join, delimiters.component.join
    version = header.version_field if header.version in VERSIONS else "2.5"
    encoding = "".join(mark for mark in delimiters[1:] if mark < "\ue000")
    msh = [
        "MSH",
        encoding,
        header.receiving_application,
        header.receiving_facility,
        header.sending_application,
        header.sending_facility,
        now.strftime("%Y%m%d%H%M%S%z"),
        "",
        parts(("ACK", header.event, "ACK")) if header.event else "ACK",
        control_id,
        header.processing_id or "P",
        version,
        "",
        "",
        "",
        "",
        "FRA",
        _charset(header),
    ]
    msa = ["MSA", code.value, header.control_id]
    segments = [msh, msa]
    if not code.positive:
        old = header.version in _OLD
        where = finding.where if finding is not None else ""
        message = _plain(finding.message, delimiters) if finding is not None else ""
        text = ERROR_TEXTS.get(error_code, ERROR_TEXTS[207])
        location = _WHERE.fullmatch(where)
        if old:
            if message:
                msa.append(message)
            error = delimiters.subcomponent.join((str(error_code), text, "HL70357"))
            at = (location["segment"], location["nth"] or "1", location["field"] or "") if location else ("", "", "")
            segments.append(["ERR", parts((*at, error))])
        else:
            severity = _SEVERITIES[finding.severity] if finding is not None else "E"
            reason = parts((finding.code, "", "99PASSERELLE")) if finding is not None else ""
            condition = parts((str(error_code), text, "HL70357"))
            err = ["ERR", "", _location(location, delimiters), condition, severity, reason, "", "", message]
            while not err[-1]:
                err.pop()
            segments.append(err)
    return "".join(join(segment) + "\r" for segment in segments).encode(header.codec, "backslashreplace")


def _charset(header: HeaderCheck) -> str:
    """Repeat the peer's MSH-18 when the answer is in it (an unknown 8-bit set is copied byte for byte)."""
    declared = codec_of(header.charset)
    fits = declared == header.codec or (header.codec == "iso8859-1" and (declared or "").startswith("iso8859"))
    return header.charset if fits else label_of(header.codec)


def read_ack(content: bytes) -> AckReading | None:
    """Read an answer, with or without its MLLP frame; None when there is no MSA in it."""
    delimiters, codec = STANDARD, "utf-8"
    code: AckCode | None = None
    acknowledged = ""
    errors: list[int] = []
    texts: list[str] = []
    for line in _LINES.split(content.removeprefix(b"\xef\xbb\xbf")):
        name = line[:3]
        if name not in (b"MSH", b"MSA", b"ERR"):
            continue
        try:
            text = line.decode(codec)
        except UnicodeDecodeError:
            codec = "iso8859-1"
            text = line.decode(codec)
        if name == b"MSH":
            if len(text) > 8:
                delimiters, _ = delimiters_of(text[3], text[4:].split(text[3], 1)[0])
            continue
        fields = text.split(delimiters.field)
        if name == b"MSA" and code is None:
            code = _ack_code(fields[1] if len(fields) > 1 else "")
            acknowledged = fields[2] if len(fields) > 2 else ""
            if len(fields) > 3 and fields[3].strip():
                texts.append(_readable(fields[3], delimiters, codec))
        elif name == b"ERR":
            number, said = _error_of(fields, delimiters, codec)
            errors.extend(number)
            texts.extend(said)
    if code is None:
        return None
    return AckReading(code, acknowledged, tuple(errors), " / ".join(dict.fromkeys(texts)))


def _ack_code(raw: str) -> AckCode:
    try:
        return AckCode(raw.strip().upper())
    except ValueError:
        return AckCode.AE


def _error_of(fields: list[str], delimiters: Delimiters, codec: str) -> tuple[list[int], list[str]]:
    condition = fields[3].split(delimiters.component) if len(fields) > 3 else []
    if not condition and len(fields) > 1:
        located = fields[1].split(delimiters.component)
        condition = located[3].split(delimiters.subcomponent) if len(located) > 3 else []
    numbers = [int(condition[0])] if condition and condition[0].strip().isdecimal() else []
    texts = condition[1:2] + [field for field in fields[8:9] if field]
    return numbers, [_readable(text, delimiters, codec) for text in texts if text.strip()]


def _readable(raw: str, delimiters: Delimiters, codec: str) -> str:
    return syntax_of(delimiters, codec).text(raw).strip()


def _location(found: re.Match[str] | None, delimiters: Delimiters) -> str:
    """Write a position (`PID-3[2].4`) as an ERL: segment, its sequence, field, repetition, component, subcomponent."""
    if found is None:
        return ""
    parts = [found["segment"], found["nth"] or "1", found["field"], found["rep"], found["comp"], found["sub"]]
    if found["comp"] and not found["rep"]:
        parts[3] = "1"
    return delimiters.component.join(part for part in parts if part)


def _plain(message: str, delimiters: Delimiters) -> str:
    """Escape our own sentence in the peer's delimiters."""
    escape = delimiters.escape
    letters = zip("FSRET", delimiters, strict=True)
    marks = {mark: f"{escape}{letter}{escape}" for letter, mark in letters}
    return "".join(marks.get(character, character) for character in message)
