"""Settings of the directory source and destination."""

from __future__ import annotations

import string
from pathlib import Path
from typing import Annotated, ClassVar, Literal, Self

from pydantic import AfterValidator, ByteSize, Field, model_validator

from connectors.contracts import Settings

MIB = 1024 * 1024
PLACEHOLDERS = frozenset({"filename", "stem", "extension", "identity", "delivery_id"})


def _known_placeholders(pattern: str) -> str:
    try:
        parts = list(string.Formatter().parse(pattern))
    except ValueError as failure:
        raise ValueError(f"not a name pattern: {failure}") from None
    used = {field for _, field, _, _ in parts if field is not None}
    if unknown := used - PLACEHOLDERS:
        known = ", ".join(f"{{{name}}}" for name in sorted(PLACEHOLDERS))
        raise ValueError(f"unknown placeholder {{{min(unknown)}}}; there are {known}")
    if any(spec or conversion for _, _, spec, conversion in parts):
        raise ValueError("placeholders take no format: write {filename}, not {filename:>10}")
    if not used & {"filename", "stem", "identity", "delivery_id"}:
        raise ValueError("the name must differ from one message to the next: use {filename} or {identity}")
    return pattern


def _plain_suffix(suffix: str) -> str:
    if not suffix or "/" in suffix or "\\" in suffix:
        raise ValueError("a suffix such as .ok")
    return suffix


NamePattern = Annotated[str, AfterValidator(_known_placeholders)]
ReadySuffix = Annotated[str, AfterValidator(_plain_suffix)]


class DirectorySourceSettings(Settings):
    """Reads the files that partners put in a folder, each once, never half written."""

    own_base: ClassVar[frozenset[str]] = frozenset({"archive", "error"})

    folder: Path = Field(description="Folder to watch; it must exist. Its sub-folders are not read.")
    patterns: tuple[str, ...] = Field(
        ("*",), min_length=1, description="Names to take, such as *.hpr; case does not matter."
    )
    ignore: tuple[str, ...] = Field(
        (),
        description="Names to leave, beside those always left: hidden files, *.tmp, *.part, *.filepart, *~.",
    )
    every: float = Field(5.0, gt=0, description="Seconds between two looks at the folder.")
    settle_seconds: float = Field(
        2.0, ge=0, description="A file is taken once its size and date have not moved for so many seconds; 0 when "
        "partners rename files into the folder, whole."
    )  # fmt: skip
    ready_suffix: ReadySuffix | None = Field(
        None,
        description="Take a file only when its marker is there: report.hpr.ok or report.ok for the suffix .ok. "
        "The marker is removed.",
    )
    companions: tuple[str, ...] = Field(
        (),
        description="Names of files that accompany messages, such as *.pdf (HPRIM FIC): passed with the message that "
        "names them and put away with it, never taken alone.",
    )
    companion_wait: float = Field(
        60.0, ge=0, description="Seconds to wait for a companion that a message names and that is not there yet."
    )
    after: Literal["archive", "delete"] = Field(
        "archive", description="What becomes of a file once its message is on stable storage."
    )
    archive: Path = Field(Path("archive"), description="Where files are archived; relative to the folder.")
    error: Path = Field(
        Path("error"), description="Where files that are refused go, each with a .reason file; relative to the folder."
    )
    max_file: ByteSize = Field(
        ByteSize(512 * MIB), ge=1024, description="Largest file; past it, a file goes to the error folder."
    )
    spool_threshold: ByteSize = Field(
        ByteSize(MIB), ge=1024, description="Files larger than this are handed over on disk, not in memory."
    )

    @model_validator(mode="after")
    def _folders_differ(self) -> Self:
        places = [self.folder, self.folder / self.archive, self.folder / self.error]
        if len({place.absolute() for place in places}) < len(places):
            raise ValueError("folder, archive and error are three different folders")
        return self


class DirectoryDestinationSettings(Settings):
    """Writes each message as a file, whole or not at all, and never over another."""

    folder: Path = Field(description="Folder to write into; it must exist.")
    filename: NamePattern = Field(
        "{filename}",
        description="Name of the file, made of {filename}, {stem}, {extension}, {identity}, {delivery_id}.",
    )
    ready_suffix: ReadySuffix | None = Field(
        None, description="Also write an empty marker after the file: its name and this suffix, such as .ok."
    )
    file_mode: str = Field("0640", pattern=r"^0?[0-7]{3}$", description="Permissions of the files, in octal.")
    concurrency: int = Field(2, ge=1, le=64, description="Files written at the same time.")
