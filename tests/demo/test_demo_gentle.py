"""What goes on after the story goes every way: letters, mails, notes, deposits."""

from __future__ import annotations

import random
from pathlib import Path

from connectors.http.simulator import WebReceiver
from connectors.sandbox.coordination import Coordination
from connectors.sandbox.hospital import Hospital
from connectors.sandbox.mail_people import ROUTER
from connectors.sandbox.mllp import Ack, MllpSender, control_id_of
from router.demo.gentle_outside import Correspondence
from router.demo.stage import Stage
from router.demo.stage_outside import Outside
from router.trial.process import Listening, RouterProcess


class Link(MllpSender):
    """A router that acknowledges everything, without a network."""

    def __init__(self) -> None:
        super().__init__("127.0.0.1", 1)
        self.kinds: list[str] = []

    async def send(self, message: bytes) -> Ack:
        self.kinds.append(message.split(b"|")[8].split(b"^")[1].decode())
        return Ack("AA", control_id_of(message), "", b"")


async def test_each_kind_comes_once_a_round(tmp_path: Path, services: Outside, tool: WebReceiver) -> None:
    listening = Listening(1, "", {"dossier": f"{tool.url}/notes"})
    stage = Stage(tmp_path, RouterProcess(tmp_path), listening, Coordination(), services, "secret", "key of notes")
    link = Link()
    correspondence = Correspondence(stage, Hospital(link), random.Random(1))
    for _ in range(10):
        await correspondence.next()
    mailbox = services.operator.opened(ROUTER)
    assert mailbox is not None
    mails = mailbox.contents()
    assert [b"XDM/1.0/DDM" in one for one in mails].count(True) == 2
    assert [b".hpm" in one for one in mails].count(True) == 2
    assert len(tool.received) == 2
    assert [kind for kind in link.kinds if kind != "T10"] == ["A01", "A03", "T02"] * 2
    assert len({entry.unique_id for entry in services.dmp.store.entries()}) == 4  # two reports, each with its signature
