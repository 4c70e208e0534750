"""An MLLP listener for the tests of its source: messages, what it is told, and how answers are read."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

from conformance import Running, SourceConformance

from connectors.mllp import CONNECTOR
from connectors.mllp.codec import enframe
from connectors.mllp.simulator import Sender
from mappings.hl7v2.ack import AckCode, AckReading, read_ack


def oru(
    number: int = 1, *, size: int = 0, kind: str = "ORU^R01^ORU_R01", more: str = "", version: str = "2.5"
) -> bytes:
    padding = "x" * max(0, size - 200)
    return (
        f"MSH|^~\\&|LAB|LABO|PASS|PASS|20260305081000||{kind}|CTRL{number:05d}|P|{version}{more}\r"
        f"PID|1||IPP-1||TESTROSE^MARIE\rOBR|1||L{number}|HB\rOBX|1|ST|HB||{padding}||||||F\r"
    ).encode()


def reading(answer: bytes | None) -> AckReading:
    assert answer is not None
    found = read_ack(answer)
    assert found is not None
    return found


class MllpListener(SourceConformance):
    connector = CONNECTOR

    def settings(self, folder: Path) -> dict[str, Any]:
        return {"listen": "127.0.0.1:0", "spool_threshold": 65_536}

    def content(self, number: int, size: int = 0) -> bytes:
        return oru(number, size=size)

    async def deliver(self, running: Running, content: bytes) -> bool:
        async with Sender(running.address) as sender:
            answer = reading(await sender.send(content))
        assert answer.code in (AckCode.AA, AckCode.AR)
        return answer.positive


class Bench(MllpListener):
    """Runs a source with settings of its own."""

    def __init__(self, **settings: Any) -> None:
        self._more = settings

    def settings(self, folder: Path) -> dict[str, Any]:
        return {**super().settings(folder), **self._more}


async def left_without(sender: Sender, content: bytes, *, framed: bool = True) -> bool:
    """Send to a listener that does not want us; True when it closed without an answer."""
    try:
        await sender.write(enframe(content) if framed else content)
        return await sender.receive() is None
    except (ConnectionError, ssl.SSLError):
        return True
