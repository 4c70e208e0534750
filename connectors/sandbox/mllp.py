"""An MLLP sender that behaves as a hospital's: one connection, one message at a time, each acknowledgement read.

It is written apart from `connectors.mllp` on purpose, so that the two check each other.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Self

START = b"\x0b"
END = b"\x1c\x0d"
_LONGEST_ANSWER = 1 << 20


class NoAnswer(Exception):
    """The receiver left, refused the connection, or did not answer in time: send the same message again later."""


@dataclass(frozen=True, slots=True)
class Ack:
    """An acknowledgement: MSA-1 (AA, AE, AR, CA, CE, CR), MSA-2, ERR-3 when there is one, and the bytes received."""

    code: str
    control_id: str
    error: str
    content: bytes

    @property
    def accepted(self) -> bool:
        """True when the receiver took the message over: the sender may forget it."""
        return self.code in {"AA", "CA"}

    @property
    def worth_resending(self) -> bool:
        """True for AR and CR: the circumstances may change."""
        return self.code in {"AR", "CR"}


def read_ack(content: bytes) -> Ack:
    """Read an acknowledgement's MSA and first ERR; raises ValueError when there is no MSA with a code."""
    segments = content.decode("latin-1").replace("\n", "\r").split("\r")
    separator = segments[0][3:4] or "|"
    by_name: dict[str, list[str]] = {}
    for line in segments:
        fields = line.split(separator)
        by_name.setdefault(fields[0], fields)
    msa = by_name.get("MSA", [])
    if len(msa) < 2 or not msa[1].strip():
        raise ValueError("the answer has no MSA-1")
    err = by_name.get("ERR", [])
    return Ack(
        code=msa[1].strip(),
        control_id=msa[2] if len(msa) > 2 else "",
        error=err[3].split("^")[0].strip() if len(err) > 3 else "",
        content=content,
    )


class MllpSender:
    """A connection that opens when needed and is used for one message at a time.

    >>> async with MllpSender("127.0.0.1", 2575) as sender:
    ...     ack = await sender.send(message)

    `timeout` (seconds) bounds the connection and each answer.
    """

    def __init__(self, host: str, port: int, *, timeout: float = 30.0) -> None:
        self._host = host
        self._port = port
        self._timeout = timeout
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._turn = asyncio.Lock()

    @classmethod
    def to(cls, address: str, *, timeout: float = 30.0) -> Self:
        """Make a sender to `HOST:PORT`, with or without `mllp://` before it."""
        host, _, port = address.removeprefix("mllp://").rpartition(":")
        if not host or not port.isdecimal():
            raise ValueError(f"an MLLP address is HOST:PORT, not {address!r}")
        return cls(host.strip("[]"), int(port), timeout=timeout)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def send(self, message: bytes) -> Ack:
        """Send one message and wait for its acknowledgement.

        Raises NoAnswer when the connection or the answer fails; the connection is then closed, and the next call opens
        another. An answer to another control id is not ours: it counts as none.
        """
        async with self._turn:
            try:
                async with asyncio.timeout(self._timeout):
                    reader, writer = await self._open()
                    writer.write(START + message + END)
                    await writer.drain()
                    answer = await reader.readuntil(END)
                    ack = read_ack(answer[answer.rfind(START) + 1 : -len(END)])
            except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError) as error:
                await self.close()
                raise NoAnswer(f"no acknowledgement from {self._host}:{self._port}: {type(error).__name__}") from error
            except asyncio.CancelledError:
                await self.close()
                raise
            expected = control_id_of(message)
            if ack.control_id != expected:
                await self.close()
                raise NoAnswer(f"{self._host}:{self._port} acknowledged another message than the one sent")
            return ack

    async def close(self) -> None:
        """Close the connection, if one is open."""
        if self._streams is None:
            return
        writer = self._streams[1]
        self._streams = None
        writer.close()
        try:
            await writer.wait_closed()
        except OSError:
            return  # the peer was already gone: there is nothing left to close

    async def _open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._streams is None or self._streams[1].is_closing():
            self._streams = await asyncio.open_connection(self._host, self._port, limit=_LONGEST_ANSWER)
        return self._streams


async def send_until_answered(sender: MllpSender, message: bytes, *, attempts: int = 10) -> Ack:
    """Send a message until it is answered otherwise than «later» (AR, CR), the same bytes at each attempt.

    Attempts wait from 0.2 to 5 seconds. Gives the last answer; raises NoAnswer when the last attempt had none.
    """
    for attempt in range(1, attempts):
        try:
            ack = await sender.send(message)
            if not ack.worth_resending:
                return ack
        except NoAnswer:
            pass  # that is what attempts are for
        await asyncio.sleep(min(0.1 * 2**attempt, 5.0))
    return await sender.send(message)


def control_id_of(message: bytes) -> str:
    """Read MSH-10 of a message, without decoding the rest; empty when it has none."""
    header = message[: message.find(b"\r")] if b"\r" in message else message
    fields = header.split(header[3:4] or b"|")
    return fields[9].decode("latin-1") if len(fields) > 9 else ""
