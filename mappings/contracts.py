"""The contract between a wire format and everything that uses it.

A `Format` is pure: bytes and a context in, values out. It raises nothing but `FormatError`, and keeps no state.

    FormatError            the content is not this format, or nothing can be made of it
      WriteRefused         the format cannot carry this kind of Item
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple, Protocol, runtime_checkable
from zoneinfo import ZoneInfo

from schemas.finding import Finding, Unread
from schemas.item import Item, ItemKind

PARIS = ZoneInfo("Europe/Paris")


class FormatError(Exception):
    """The content cannot be read (or the Item cannot be written): a stable code, where, and one sentence.

    The sentence never quotes the content: it may be health data.
    """

    def __init__(self, code: str, where: str, message: str) -> None:
        super().__init__(f"{where}: {message}" if where else message)
        self.code = code
        self.where = where
        self.message = message


class WriteRefused(FormatError):
    """This format has no way to carry this kind of Item."""


class Environment(StrEnum):
    """Which INS OIDs and processing ids are acceptable: production and test never mix."""

    PRODUCTION = "production"
    TEST = "test"


@dataclass(frozen=True, slots=True)
class ReadContext:
    """What a reader may know beside the bytes.

    `charset` forces a decoding (a Python codec name); None lets the reader detect it. `siblings` are the files that
    travelled beside the content (HPRIM FIC), by name. `options` are per-partner settings of the format, `keys` the
    contents of files that it needs (keys, certificates, trust anchors), by name.
    """

    source: str = ""
    timezone: ZoneInfo = PARIS
    charset: str | None = None
    environment: Environment | None = None
    received_at: datetime | None = None
    filename: str | None = None
    siblings: Mapping[str, bytes] = field(default_factory=dict)
    options: Mapping[str, str] = field(default_factory=dict)
    keys: Mapping[str, bytes] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class WriteContext:
    """What a writer needs beside the Item.

    `now` and `identity` are injected: the same Item, `now` and `identity` give the same bytes. `identity` becomes the
    control id, file name or Bundle identifier, so that a retry is recognisable. `options` are per-partner settings,
    `keys` the contents of files that the format needs (keys, certificates), by name.
    """

    now: datetime
    identity: str
    timezone: ZoneInfo = PARIS
    charset: str | None = None
    environment: Environment | None = None
    options: Mapping[str, str] = field(default_factory=dict)
    keys: Mapping[str, bytes] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Correspondence:
    """The head of a mail: who writes to whom, about what, and in which conversation.

    `message_id`, `thread` (the first mail of its conversation) and `in_reply_to` have no angle brackets. Addresses and
    subject may name a patient: whoever keeps them seals them.
    """

    message_id: str | None
    thread: str | None = None
    in_reply_to: str | None = None
    sender: str = field(default="", repr=False)
    sender_name: str = field(default="", repr=False)
    recipients: tuple[str, ...] = field(default=(), repr=False)
    subject: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Reading:
    """What a reader made of some bytes.

    `control_id` is the message's own identity at its sender (MSH-10, H.2…). `test` is True when the message says that
    it is a test (MSH-11 T or D). `unread` lists what the reader did not use. `correspondence` is that of a mail which
    somebody wrote: reports about mails have none.
    """

    items: tuple[Item, ...] = ()
    findings: tuple[Finding, ...] = ()
    unread: tuple[Unread, ...] = ()
    control_id: str | None = None
    message_type: str | None = None
    charset: str | None = None
    test: bool | None = None
    correspondence: Correspondence | None = None


@dataclass(frozen=True, slots=True)
class Rendition:
    """Bytes ready for a destination, with what the format could not carry said in `findings`.

    `filename` is safe by construction (letters, digits, `-_.`). `attachments` are the files that must travel beside.
    `correspondence` is the head of a mail, None for any other format.
    """

    content: bytes
    media_type: str
    filename: str
    findings: tuple[Finding, ...] = ()
    attachments: Mapping[str, bytes] = field(default_factory=dict)
    correspondence: Correspondence | None = None


class Position(NamedTuple):
    """One addressable piece of a content: its name in the format's own terms, and its byte span."""

    where: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Piece:
    """One line of a human reading: a field with its official name, type and decoded text (`show`, dashboard)."""

    where: str
    name: str
    text: str
    type: str = ""
    depth: int = 0
    children: tuple[Piece, ...] = ()


class Format(Protocol):
    """A wire format. `reads` and `writes` say which kinds of Item it carries."""

    @property
    def name(self) -> str:
        """The registered name (`hl7v2`)."""

    @property
    def media_type(self) -> str:
        """The media type of what `write` makes."""

    @property
    def extension(self) -> str:
        """The usual file extension, with its dot."""

    @property
    def reads(self) -> frozenset[ItemKind]:
        """Kinds that `read` may produce."""

    @property
    def writes(self) -> frozenset[ItemKind]:
        """Kinds that `write` accepts."""

    def sniff(self, content: bytes) -> float:
        """How sure it is, from 0 to 1, that this content is its own. Cheap: it looks at the first bytes."""

    def read(self, content: bytes, context: ReadContext) -> Reading:
        """Read the content into Items. Raises FormatError only when nothing at all can be made of it."""

    def write(self, item: Item, context: WriteContext) -> Rendition:
        """Write the Item. Raises WriteRefused when the format cannot carry its kind."""

    def positions(self, content: bytes) -> Sequence[Position]:
        """List the smallest addressable pieces that hold a value, in order; used by `explain`."""

    def pieces(self, content: bytes) -> Sequence[Piece]:
        """Give a human reading of the content, piece by piece with official names; used by `show` and the dashboard."""


@runtime_checkable
class Splitter(Protocol):
    """A format whose files may hold several messages, each of which should be a Message of its own."""

    def split(self, content: bytes) -> Sequence[bytes]:
        """Cut a file or batch into messages, byte for byte."""


def item_id(content: bytes, ordinal: int) -> str:
    """Name the `ordinal`-th Item of a content: 32 hex digits, the same for the same bytes."""
    return hashlib.blake2b(content, digest_size=14).hexdigest() + f"{ordinal:04x}"
