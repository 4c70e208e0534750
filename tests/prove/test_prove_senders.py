"""The senders of a proof resend the same bytes until they are acknowledged, one patient's messages in order."""

from __future__ import annotations

import asyncio
import random

from connectors.sandbox.mllp import control_id_of
from connectors.sandbox.people import population
from router.prove.ledger import REPORT_ID, Ledger
from router.prove.senders import Sender, Target


class Flaky:
    """Takes every message; answers AA, AR, or cuts the connection, by turns."""

    def __init__(self, wanted: int) -> None:
        self.seen: dict[str, set[bytes]] = {}
        self.order: dict[bytes, list[bytes]] = {}
        self.turn = 0
        self.wanted = wanted
        self.enough = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while frame := await reader.readuntil(b"\x1c\r"):
                message = frame[1:-2]
                control_id = control_id_of(message)
                self.seen.setdefault(control_id, set()).add(message)
                found = REPORT_ID.search(message)
                assert found is not None
                self.order.setdefault(found[1], []).append(found[2])
                self.turn += 1
                if self.turn >= self.wanted:
                    self.enough.set()
                if self.turn % 4 == 0:
                    return
                code = "AR" if self.turn % 5 == 0 else "AA"
                writer.write(f"\x0bMSH|^~\\&|\rMSA|{code}|{control_id}\r\x1c\r".encode())
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            writer.close()


async def test_resends_are_the_same_bytes_and_sequences_have_no_gap() -> None:
    receiver = Flaky(wanted=60)
    ledger = Ledger()
    server = await asyncio.start_server(receiver.serve, "127.0.0.1", 0)
    async with server:
        target = Target(f"127.0.0.1:{server.sockets[0].getsockname()[1]}")
        people = list(enumerate(population(4)))
        sender = Sender(target, ledger, people, random.Random(3))
        running = asyncio.create_task(sender.run(receiver.enough))
        await running
    assert all(len(messages) == 1 for messages in receiver.seen.values())
    assert ledger.acknowledged == set(ledger.attempts)
    assert ledger.resent > 0
    for places in receiver.order.values():
        numbers = [int(place) for place in places]
        assert sorted(set(numbers)) == list(range(1, max(numbers) + 1))
        assert numbers == sorted(numbers)


async def test_a_sender_follows_the_router_to_its_new_address() -> None:
    first, second = Flaky(wanted=3), Flaky(wanted=3)
    ledger = Ledger()
    one = await asyncio.start_server(first.serve, "127.0.0.1", 0)
    two = await asyncio.start_server(second.serve, "127.0.0.1", 0)
    target = Target(f"127.0.0.1:{one.sockets[0].getsockname()[1]}")
    sender = Sender(target, ledger, list(enumerate(population(1))), random.Random(3))
    async with one, two:
        running = asyncio.create_task(sender.run(second.enough))
        await first.enough.wait()
        target.address = f"127.0.0.1:{two.sockets[0].getsockname()[1]}"
        await running
    assert ledger.acknowledged == set(ledger.attempts)
    assert second.turn >= 3
