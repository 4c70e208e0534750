"""Both ends of an MLLP exchange, for tests, demonstrations and integrators.

    async with Receiver() as receiver:              # a hospital system that acknowledges everything
        receiver.answer = answer_with("AE")         # … or refuses
        ...
    async with Sender(address) as sender:           # a laboratory that sends and waits
        acknowledgement = await sender.send(content)

They frame and parse with the connector's own codec; `connectors.sandbox` has peers written apart from it.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
from collections.abc import Callable
from typing import Self

from connectors.address import Address, parse_address
from connectors.mllp.codec import Frame, FrameDecoder, enframe
from connectors.mllp.destination import control_id_of

LARGEST = 256 * 1024 * 1024
READ_SIZE = 65536

Answer = Callable[[bytes], bytes | None]
"""What to write for a message received: raw bytes, framed or not; None to stay silent; b"" to hang up."""


def answer_with(code: str, *errors: int) -> Answer:
    """Answer each message with this MSA-1 and these ERR-3 codes."""

    def answer(content: bytes) -> bytes:
        control_id = control_id_of(content)
        lines = ["MSH|^~\\&|SIM|SIM|PASSERELLE|PASSERELLE|20260305081000||ACK|SIM1|P|2.5", f"MSA|{code}|{control_id}"]
        lines += [f"ERR|||{error}^^HL70357|E" for error in errors]
        return enframe("".join(f"{line}\r" for line in lines).encode())

    return answer


class Receiver:
    """Listens on a free port, keeps each message in `received`, and answers as `answer` says; AA to begin with."""

    def __init__(self, answer: Answer | None = None, tls: ssl.SSLContext | None = None, port: int = 0) -> None:
        self.answer: Answer = answer or answer_with("AA")
        self.received: list[bytes] = []
        self.connections = 0
        self.address = ""
        self._tls = tls
        self._port = port
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self._port, ssl=self._tls)
        host, port = self._server.sockets[0].getsockname()[:2]
        self.address = str(Address(host, port))
        return self

    async def __aexit__(self, *exc: object) -> None:
        if self._server is not None:
            self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        self.connections += 1
        decoder = FrameDecoder(LARGEST, LARGEST)
        try:
            while data := await reader.read(READ_SIZE):
                for event in decoder.feed(data):
                    if isinstance(event, Frame):
                        self.received.append(event.content)
                        answer = self.answer(event.content)
                        if answer == b"":
                            return
                        if answer is not None:
                            writer.write(answer)
                            await writer.drain()
        except ConnectionError:
            return  # the other end left: a simulator has nobody to tell
        finally:
            writer.close()


class Sender:
    """Connects and sends; `send` waits for the next frame, which is its answer."""

    def __init__(self, address: str, tls: ssl.SSLContext | None = None, server_name: str | None = None) -> None:
        self._address = parse_address(address)
        self._tls = tls
        self._server_name = server_name
        self._decoder = FrameDecoder(LARGEST, LARGEST)
        self._frames: list[bytes] = []
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def __aenter__(self) -> Self:
        self._reader, self._writer = await asyncio.open_connection(
            self._address.host, self._address.port, ssl=self._tls, server_hostname=self._server_name
        )
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.leave()

    async def send(self, content: bytes) -> bytes | None:
        """Send one message and give its answer; None when the peer closed without one."""
        await self.write(enframe(content))
        return await self.receive()

    async def write(self, data: bytes) -> None:
        """Write raw bytes, framed or not."""
        if self._writer is None:
            raise ConnectionError("not connected")
        self._writer.write(data)
        await self._writer.drain()

    async def receive(self) -> bytes | None:
        """Give the next frame; None when the peer closed."""
        while not self._frames:
            data = await self._reader.read(READ_SIZE) if self._reader is not None else b""
            if not data:
                return None
            self._frames += [event.content for event in self._decoder.feed(data) if isinstance(event, Frame)]
        return self._frames.pop(0)

    def vanish(self) -> None:
        """Break the connection off, as a machine that loses its power does."""
        if self._writer is not None:
            connected = self._writer.get_extra_info("socket")
            connected.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self._writer.transport.abort()

    async def leave(self) -> None:
        """Close, whatever is under way."""
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.close()
            try:
                await writer.wait_closed()
            except (ConnectionError, ssl.SSLError):
                return  # closed by the other end first: closed all the same
