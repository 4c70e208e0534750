"""A test sender: MLLP, HTTP or a folder, one message after the other, with the answer to each."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp

from mappings.contracts import FormatError, Splitter
from mappings.hl7v2.ack import read_ack
from mappings.registry import detect

START, END = b"\x0b", b"\x1c\r"


class CannotSend(Exception):
    """Nobody answers at the address, or the address makes no sense."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back for one message."""

    name: str
    verdict: str
    detail: str
    accepted: bool


async def send_all(
    contents: Sequence[tuple[str, bytes]],
    target: str,
    *,
    api_key: str | None,
    ca: Path | None,
    seconds: float,
    told: Callable[[Answer], None],
) -> None:
    """Send contents to `mllp://`, `mllps://`, `http(s)://` or a folder; `told` of each answer. Raises CannotSend."""
    parts = urlsplit(target)
    messages = [(name, message) for name, content in contents for message in _messages(content)]
    if parts.scheme in {"mllp", "mllps"}:
        if parts.hostname is None or parts.port is None:
            raise CannotSend("write the address as mllp://host:port")
        tls = ssl.create_default_context(cafile=ca) if parts.scheme == "mllps" else None
        await _mllp(messages, parts.hostname, parts.port, tls, seconds, told)
    elif parts.scheme in {"http", "https"}:
        await _http(messages, target, api_key, ca, seconds, told)
    else:
        await asyncio.to_thread(_drop_all, Path(target), contents, told)


def _messages(content: bytes) -> Sequence[bytes]:
    try:
        fmt = detect(content)
    except FormatError:
        return (content,)
    return fmt.split(content) if isinstance(fmt, Splitter) else (content,)


async def _mllp(
    messages: Sequence[tuple[str, bytes]],
    host: str,
    port: int,
    tls: ssl.SSLContext | None,
    seconds: float,
    told: Callable[[Answer], None],
) -> None:
    try:
        async with asyncio.timeout(seconds):
            reader, writer = await asyncio.open_connection(host, port, ssl=tls)
    except (OSError, TimeoutError) as problem:
        raise CannotSend(f"nobody answers at {host}:{port} ({type(problem).__name__})") from None
    try:
        for name, message in messages:
            wire = message if b"\r" in message else message.replace(b"\n", b"\r")
            writer.write(START + wire + END)
            try:
                async with asyncio.timeout(seconds):
                    await writer.drain()
                    frame = await reader.readuntil(END)
            except (OSError, TimeoutError, asyncio.IncompleteReadError):
                raise CannotSend(f"{host}:{port} gave no answer to {name}") from None
            ack = read_ack(frame.strip(b"\x0b\x1c\r"))
            if ack is None:
                told(Answer(name, "answer not understood", "", accepted=False))
                continue
            told(Answer(name, str(ack.code), ack.text or "", ack.positive))
    finally:
        writer.close()


async def _http(
    messages: Sequence[tuple[str, bytes]],
    url: str,
    api_key: str | None,
    ca: Path | None,
    seconds: float,
    told: Callable[[Answer], None],
) -> None:
    headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
    tls = ssl.create_default_context(cafile=ca) if ca is not None else True
    timeout = aiohttp.ClientTimeout(total=seconds)
    async with aiohttp.ClientSession(timeout=timeout, headers=headers) as session:
        for name, message in messages:
            try:
                async with session.post(url, data=message, ssl=tls, allow_redirects=False) as response:
                    text = (await response.text())[:300]
            except (aiohttp.ClientError, TimeoutError) as problem:
                raise CannotSend(f"nobody answers at {url} ({type(problem).__name__})") from None
            told(Answer(name, f"HTTP {response.status}", text, response.status < 300))


def _drop_all(folder: Path, contents: Sequence[tuple[str, bytes]], told: Callable[[Answer], None]) -> None:
    if not folder.is_dir():
        raise CannotSend(f"{folder} is neither mllp://…, http://… nor a folder that exists")
    for name, content in contents:
        told(_drop(folder, name, content))


def _drop(folder: Path, name: str, content: bytes) -> Answer:
    target = folder / name
    temporary = folder / f".{name}.part"
    temporary.write_bytes(content)
    temporary.rename(target)
    return Answer(name, "put into the folder", "", accepted=True)
