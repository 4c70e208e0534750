"""What arrived where, compared with the story.

It is looked for in the journal, at the tool, in the practitioner's folder, in the mailboxes and in the DMP.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from sqlalchemy import Engine, select

from router.demo.account_outside import Sent, of_dmp, of_mail
from router.demo.scene import Scene
from router.demo.stage import Stage
from router.journal import tables
from router.journal.sealing import Sealer, file_control_id, read_key_file
from router.journal.store import JournalPlace, connect
from router.trial.patience import Patience

_POLL = 0.1


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one scene, and the verdict.

    The Message's state, what the tool has, whether the copy is there, what is said of its mail and of its document in
    the DMP.
    """

    scene: Scene
    state: str
    at_tool: str
    copied: bool
    mail: str = ""
    dmp: str = ""

    @property
    def as_told(self) -> bool:
        """True when everything that the story promised, and nothing else, came of it."""
        resources = self.scene.resources if self.scene.state == "processed" else ()
        promised = "; ".join(f"{kind}, {status}" for kind, _, status in resources)
        mail = self.scene.mail.promise if self.scene.mail is not None else ""
        dmp = self.scene.dmp.promise if self.scene.dmp is not None else ""
        told = (self.scene.state, promised, self.scene.copied, mail, dmp)
        return (self.state, self.at_tool, self.copied, self.mail, self.dmp) == told


async def settled(stage: Stage, scenes: Sequence[Scene], seconds: float = 60.0) -> list[Outcome]:
    """Wait until every scene came out as told, or time is up; gives what is there then."""
    patience = Patience(seconds)
    while True:
        outcomes = await asyncio.to_thread(outcomes_of, stage, scenes)
        if all(outcome.as_told for outcome in outcomes) or patience.ended or not stage.router.running:
            return outcomes
        await asyncio.sleep(_POLL)


def outcomes_of(stage: Stage, scenes: Sequence[Scene]) -> list[Outcome]:
    """Look everywhere."""
    known = _known(stage.folder / "data")
    sealer = Sealer(read_key_file(stage.folder / "data" / "journal.key"))
    copies = _copies(stage.practitioner)
    found = []
    for scene in scenes:
        message = _message(known, sealer, scene)
        mail, dmp = scene.mail, scene.dmp
        found.append(
            Outcome(
                scene,
                state=message.state,
                at_tool=_at_tool(stage, scene),
                copied=_copied(scene, copies),
                mail=of_mail(stage.outside, mail, message.sent) if mail is not None else "",
                dmp=of_dmp(stage.outside, dmp, message.sent) if dmp is not None else "",
            )
        )
    return found


@dataclass(frozen=True, slots=True)
class _Known:
    """What the journal has of a Message: its state, and the states of its Deliveries by destination."""

    state: str
    sent: Sent


def _message(known: Mapping[tuple[str, str], _Known], sealer: Sealer, scene: Scene) -> _Known:
    # The journal shows a file by a digest of its name.
    for control_id in (scene.control_id, file_control_id(sealer, scene.control_id)):
        if (scene.source, control_id) in known:
            return known[scene.source, control_id]
    return _Known("absent", {})


def _known(data: Path) -> dict[tuple[str, str], _Known]:
    engine: Engine = connect(JournalPlace.at(data))
    message, delivery = tables.message.c, tables.delivery.c
    try:
        with engine.connect() as connection:
            sent: dict[int, dict[str, str]] = {}
            for row in connection.execute(select(delivery.message_id, delivery.destination, delivery.state)):
                sent.setdefault(row.message_id, {})[row.destination] = str(row.state)
            messages = connection.execute(select(message.id, message.source, message.control_id, message.state))
            return {(row.source, row.control_id): _Known(str(row.state), sent.get(row.id, {})) for row in messages}
    finally:
        engine.dispose()


def _at_tool(stage: Stage, scene: Scene) -> str:
    """Say what the tool has of a scene: the wanted status if it had it at any moment, else the last one."""
    found = []
    for kind, identifier, wanted in scene.resources:
        statuses = [str(version.get("status")) for version in stage.tool.store.known_by(kind, identifier)]
        if statuses:
            found.append(f"{kind}, {wanted if wanted in statuses else statuses[-1]}")
    return "; ".join(found)


def _copied(scene: Scene, copies: Sequence[str]) -> bool:
    reports = [identifier for kind, identifier, _ in scene.resources if kind == "DiagnosticReport"]
    return any(identifier in copy for identifier in reports for copy in copies)


def _copies(folder: Path) -> list[str]:
    """Read the practitioner's files: the report's number is on line 9 of an HPRIM Médecin header."""
    return [path.read_bytes().decode("latin-1") for path in folder.iterdir() if path.is_file() and path.name[0] != "."]


def patients_at_tool(stage: Stage, outcomes: Sequence[Outcome]) -> int:
    """Count the Patients that Mme Rose's reports and stays belong to at the tool: anything but 1 is a mix-up."""
    subjects = set()
    for outcome in outcomes:
        for kind, identifier, _ in outcome.scene.resources if outcome.at_tool and outcome.scene.about_rose else ():
            for version in stage.tool.store.known_by(kind, identifier):
                subject = version.get("subject")
                subjects.add(str(subject.get("reference")) if isinstance(subject, dict) else "")
    return len(subjects)


def _in_words(at_tool: str) -> str:
    for kind, word in (("DiagnosticReport", "report"), ("DocumentReference", "document"), ("Encounter", "stay")):
        at_tool = at_tool.replace(kind, word)
    return at_tool


def _outside(outcome: Outcome) -> str:
    said = [f"mail {outcome.mail}"] if outcome.mail else []
    return "; ".join([*said, f"DMP: {outcome.dmp}"] if outcome.dmp else said)


def print_account(outcomes: Sequence[Outcome], patients: int, console: Console) -> None:
    """Print the table of what arrived where, and how many patients Mme Rose has become at the tool."""
    table = Table(title="What arrived where", title_justify="left", pad_edge=False, box=SIMPLE_HEAD)
    table.add_column("When", no_wrap=True)
    table.add_column("What", min_width=20)
    for heading in ("Answer", "Router", "Tool", "GP", "MSSanté, DMP", ""):
        table.add_column(heading)
    for outcome in outcomes:
        scene = outcome.scene
        table.add_row(
            f"{scene.at:%a %H:%M}",
            scene.what,
            scene.answer,
            outcome.state,
            _in_words(outcome.at_tool) or "nothing",
            "copy" if outcome.copied else "",
            _outside(outcome),
            "[green]✓[/green]" if outcome.as_told else "[bold red]not as told[/bold red]",
        )
    console.print(table)
    good = sum(outcome.as_told for outcome in outcomes)
    console.print(f"{good} of {len(outcomes)} scenes came out as told.")
    if patients == 1:
        console.print("Hospital and laboratory know Mme Rose by different numbers; at the tool she is one patient.")
    else:
        console.print(f"Mme Rose has become {patients} patients at the coordination tool.", style="bold red")
