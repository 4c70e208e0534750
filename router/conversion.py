"""One-shot translation of a content, as `passerelle convert` and the API do it: recognise, read, write."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import cast
from uuid import UUID, uuid5

from mappings.contracts import (
    Format,
    FormatError,
    ReadContext,
    Reading,
    Rendition,
    Splitter,
    WriteContext,
    item_id,
)
from mappings.registry import detect, format_named
from schemas.finding import Finding, Severity
from schemas.item import ItemSet

CONVERSION_NAMESPACE = UUID("e2b6a2f0-64ce-5d12-8f5c-504153534552")
"""Namespace of the identities of converted files: the same content and format give the same one."""

SIBLING_SUFFIXES = frozenset({".pdf", ".tif", ".tiff", ".jpg", ".jpeg", ".png", ".rtf", ".txt"})
SIBLING_BYTES = 64 * 1024 * 1024
"""Files of these kinds and up to this size, beside a file, may be what it refers to (HPRIM FIC)."""


@dataclass(frozen=True, slots=True)
class Conversion:
    """What became of one content."""

    renditions: tuple[Rendition, ...]
    findings: tuple[Finding, ...]
    failed: bool


def recognise(content: bytes, name: str | None) -> Format:
    """Give the named format, else the one that recognises the content."""
    return format_named(name) if name else detect(content)


@cache
def _splits(kind: type) -> bool:
    # Asking whether a class keeps to a protocol takes longer than splitting a message.
    return issubclass(kind, Splitter)


def read_content(fmt: Format, content: bytes, context: ReadContext) -> Reading:
    """Read a content that may hold several messages. Raises FormatError when none can be read."""
    parts = cast("Splitter", fmt).split(content) if _splits(type(fmt)) else (content,)
    if len(parts) <= 1:
        return fmt.read(content, context)
    readings: list[Reading] = []
    refused: list[Finding] = []
    for rank, part in enumerate(parts, start=1):
        try:
            readings.append(fmt.read(part, context))
        except FormatError as problem:
            where = f"message {rank}, {problem.where}"
            refused.append(Finding(severity=Severity.ERROR, code=problem.code, where=where, message=problem.message))
    if not readings:
        raise FormatError(refused[0].code, refused[0].where, refused[0].message)
    return Reading(
        items=tuple(item for reading in readings for item in reading.items),
        findings=(*(finding for reading in readings for finding in reading.findings), *refused),
        unread=tuple(one for reading in readings for one in reading.unread),
        control_id=readings[0].control_id,
        message_type=readings[0].message_type,
        charset=readings[0].charset,
        test=readings[0].test,
    )


class Converter:
    """Translates contents into one format."""

    def __init__(self, writer: Format, *, now: datetime, options: Mapping[str, str]) -> None:
        self._writer = writer
        self._now = now
        self._options = options

    def convert(self, content: bytes, source_format: str | None, context: ReadContext) -> Conversion:
        """Translate one content; an Item that the target cannot carry is an error Finding."""
        fmt = recognise(content, source_format)
        reading = read_content(fmt, content, context)
        findings = list(reading.findings)
        if self._writer.name == "canonical":
            text = ItemSet(items=reading.items, findings=reading.findings).model_dump_json().encode()
            whole = Rendition(text, self._writer.media_type, f"items{self._writer.extension}")
            return Conversion((whole,), tuple(findings), _errors(findings))
        renditions = []
        for rank, item in enumerate(reading.items):
            identity = str(uuid5(CONVERSION_NAMESPACE, f"{self._writer.name}/{item_id(content, rank)}"))
            write = WriteContext(now=self._now, identity=identity, options=self._options)
            try:
                rendition = self._writer.write(item, write)
            except FormatError as refused:
                findings.append(
                    Finding(severity=Severity.ERROR, code=refused.code, where=refused.where, message=refused.message)
                )
                continue
            renditions.append(rendition)
            findings += rendition.findings
        if not reading.items:
            findings.append(
                Finding(
                    severity=Severity.WARNING,
                    code="convert.nothing",
                    where="content",
                    message="the content was read and says nothing that can be carried on",
                )
            )
        return Conversion(tuple(renditions), tuple(findings), _errors(findings))

    def write_into(self, folder: Path, origin: Path, conversion: Conversion) -> None:
        """Write the results into a folder, named after their origin; nothing is overwritten."""
        folder.mkdir(parents=True, exist_ok=True)
        stem = "".join(char if char.isalnum() or char in "-_" else "-" for char in origin.stem) or "content"
        for rank, rendition in enumerate(conversion.renditions, start=1):
            suffix = f"-{rank}" if len(conversion.renditions) > 1 else ""
            _write_new(folder, f"{stem}{suffix}", self._writer.extension, rendition.content)
            for name, data in rendition.attachments.items():
                attached = Path(name)
                _write_new(folder, attached.stem, attached.suffix, data)


def siblings_of(path: Path) -> Mapping[str, bytes]:
    """Give the small files beside a file that it may refer to by name."""
    found: dict[str, bytes] = {}
    for one in sorted(path.parent.iterdir()):
        if one == path or one.suffix.lower() not in SIBLING_SUFFIXES or not one.is_file():
            continue
        if one.stat().st_size <= SIBLING_BYTES:
            found[one.name] = one.read_bytes()
    return found


def pairs(options: Sequence[str]) -> dict[str, str]:
    """Read `KEY=VALUE` options. Raises FormatError for one without `=`."""
    found: dict[str, str] = {}
    for option in options:
        key, equals, value = option.partition("=")
        if not equals:
            raise FormatError("option.form", option, "write options as KEY=VALUE")
        found[key] = value
    return found


def _errors(findings: Sequence[Finding]) -> bool:
    return any(finding.severity is Severity.ERROR for finding in findings)


def _write_new(folder: Path, stem: str, suffix: str, content: bytes) -> None:
    number = 0
    while True:
        name = f"{stem}{f'.{number}' if number else ''}{suffix}"
        try:
            with (folder / name).open("xb") as out:
                out.write(content)
        except FileExistsError:
            number += 1
            continue
        return
