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

from connectors.sandbox.coordination import Coordination
from connectors.sandbox.fhir_store import Resource
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
        return not self.difference

    @property
    def difference(self) -> str:
        """Say what came of it otherwise than promised, place by place; nothing when all is as told."""
        scene = self.scene
        resources = scene.resources if scene.state == "processed" else ()
        places = (
            ("router", scene.state, self.state),
            ("tool", "; ".join(f"{kind}, {status}" for kind, _, status in resources), self.at_tool),
            ("copy for the GP", _whether(scene.copied), _whether(self.copied)),
            ("mail", scene.mail.promise if scene.mail is not None else "", self.mail),
            ("DMP", scene.dmp.promise if scene.dmp is not None else "", self.dmp),
        )
        return "; ".join(
            f"{place}: {promised or 'nothing'} was promised, there is {found or 'nothing'}"
            for place, promised, found in places
            if promised != found
        )


def _whether(copied: bool) -> str:
    return "one" if copied else ""


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
        statuses = [_status(version) for version in stage.tool.store.known_by(kind, identifier)]
        if statuses:
            found.append(f"{kind}, {wanted if wanted in statuses else statuses[-1]}")
    return "; ".join(found)


def _status(version: Resource) -> str:
    related = version.get("relatesTo")
    links = related if isinstance(related, list) else []
    replaces = any(isinstance(link, dict) and link.get("code") == "replaces" for link in links)
    return f"{version.get('status')}, replaces" if replaces else str(version.get("status"))


def _copied(scene: Scene, copies: Sequence[str]) -> bool:
    reports = [identifier for kind, identifier, _ in scene.resources if kind == "DiagnosticReport"]
    return any(identifier in copy for identifier in reports for copy in copies)


def _copies(folder: Path) -> list[str]:
    """Read the practitioner's files: the report's number is on line 9 of an HPRIM Médecin header."""
    return [path.read_bytes().decode("latin-1") for path in folder.iterdir() if path.is_file() and path.name[0] != "."]


def patients_at_tool(tool: Coordination, outcomes: Sequence[Outcome]) -> int:
    """Count the Patients that Mme Rose's reports and stays belong to at the tool: anything but 1 is a mix-up."""
    subjects = set()
    for outcome in outcomes:
        for kind, identifier, _ in outcome.scene.resources if outcome.at_tool and outcome.scene.about_rose else ():
            for version in tool.store.known_by(kind, identifier):
                subject = version.get("subject")
                subjects.add(str(subject.get("reference")) if isinstance(subject, dict) else "")
    return len(subjects)


def _in_words(at_tool: str) -> str:
    for kind, word in (("DiagnosticReport", "report"), ("DocumentReference", "document"), ("Encounter", "stay")):
        at_tool = at_tool.replace(kind, word)
    return at_tool


def _elsewhere(outcome: Outcome) -> str:
    said = (
        "copy" if outcome.copied else "",
        outcome.mail and f"mail {outcome.mail}",
        outcome.dmp and f"DMP: {outcome.dmp}",
    )
    return "; ".join(one for one in said if one)


def print_account(outcomes: Sequence[Outcome], patients: int, console: Console) -> None:
    """Print the table of what arrived where, and how many patients Mme Rose has become at the tool."""
    table = Table(title="What arrived where", title_justify="left", pad_edge=False, box=SIMPLE_HEAD)
    table.add_column("", no_wrap=True)
    table.add_column("When", no_wrap=True)
    table.add_column("What")
    table.add_column("Router", no_wrap=True)
    table.add_column("Coordination tool")
    table.add_column("GP, MSSanté, DMP")
    for outcome in outcomes:
        scene = outcome.scene
        table.add_row(
            "[green]✓[/green]" if outcome.as_told else "[bold red]✗[/bold red]",
            f"{scene.at:%a %H:%M}",
            scene.what,
            outcome.state,
            _in_words(outcome.at_tool) or "nothing",
            _elsewhere(outcome),
        )
    console.print(table)
    good = sum(outcome.as_told for outcome in outcomes)
    for outcome in outcomes:
        if not outcome.as_told:
            console.print(f"Not as told: {outcome.scene.at:%a %H:%M} {outcome.scene.what} ({outcome.difference}).")
    console.print(f"{good} of {len(outcomes)} scenes came out as told.")
    if patients == 1:
        console.print("Hospital and laboratory know Mme Rose by different numbers; at the tool she is one patient.")
    else:
        console.print(f"Mme Rose has become {patients} patients at the coordination tool.", style="bold red")


async def circle_settled(stage: Stage, seconds: float = 30.0) -> bool:
    """Wait until the circle's tools were told what the story promises, or time is up; gives whether they were."""
    patience = Patience(seconds)
    while stage.circle is not None and not stage.circle.as_told:
        if patience.ended or not stage.router.running:
            return False
        await asyncio.sleep(_POLL)
    return True


_EVENTS = {"ADM": "admission", "SOR": "discharge", "DOC": "document", "NOT": "note"}


def print_circle(stage: Stage, console: Console) -> None:
    """Print what the tools of the circle were told by webhook."""
    if stage.circle is None:
        return
    told = stage.circle.told()
    counted = ", ".join(f"{_EVENTS.get(event, event)} {count}" for event, count in sorted(told.items()))
    good = "[green]✓[/green]" if {"ADM", "SOR"} <= told.keys() else "[bold red]✗[/bold red]"
    said = f"{good} Nurse's tool, told by webhook: {counted or 'nothing'}. {stage.circle.nurse.address}"
    console.print(said, soft_wrap=True)
    leaked = stage.circle.leaked
    good = "[green]✓[/green]" if not leaked else "[bold red]✗[/bold red]"
    said = f"{leaked} things that are not hers" if leaked else "nothing"
    said = f"{good} Former nurse's tool, with the same subscriptions: {said}. {stage.circle.former.address}"
    console.print(said, soft_wrap=True)
