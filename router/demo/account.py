"""What arrived where, compared with the story, from three places: the journal, the tool, the practitioner's folder."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table
from sqlalchemy import Engine, select

from router.demo.stage import Stage
from router.demo.story import Scene
from router.journal import tables
from router.journal.sealing import Sealer, file_control_id, read_key_file
from router.journal.store import JournalPlace, connect
from router.trial.patience import Patience

_POLL = 0.1


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one scene: the Message's state, what the tool has, whether the copy is there, and the verdict."""

    scene: Scene
    state: str
    at_tool: str
    copied: bool

    @property
    def as_told(self) -> bool:
        """True when everything that the story promised, and nothing else, came of it."""
        resources = self.scene.resources if self.scene.state == "processed" else ()
        promised = "; ".join(f"{kind}, {status}" for kind, _, status in resources)
        return self.state == self.scene.state and self.at_tool == promised and self.copied == self.scene.copied


async def settled(stage: Stage, scenes: Sequence[Scene], seconds: float = 60.0) -> list[Outcome]:
    """Wait until every scene came out as told, or time is up; gives what is there then."""
    patience = Patience(seconds)
    while True:
        outcomes = await asyncio.to_thread(outcomes_of, stage, scenes)
        if all(outcome.as_told for outcome in outcomes) or patience.ended or not stage.router.running:
            return outcomes
        await asyncio.sleep(_POLL)


def outcomes_of(stage: Stage, scenes: Sequence[Scene]) -> list[Outcome]:
    """Look in the three places."""
    states = _states(stage.folder / "data")
    sealer = Sealer(read_key_file(stage.folder / "data" / "journal.key"))
    copies = _copies(stage.practitioner)
    return [
        Outcome(
            scene,
            state=_state(states, sealer, scene),
            at_tool=_at_tool(stage, scene),
            copied=_copied(scene, copies),
        )
        for scene in scenes
    ]


def _state(states: Mapping[tuple[str, str], str], sealer: Sealer, scene: Scene) -> str:
    # The journal shows a file by a digest of its name.
    for control_id in (scene.control_id, file_control_id(sealer, scene.control_id)):
        if (scene.source, control_id) in states:
            return states[scene.source, control_id]
    return "absent"


def _states(data: Path) -> dict[tuple[str, str], str]:
    engine: Engine = connect(JournalPlace.at(data))
    try:
        with engine.connect() as connection:
            columns = (tables.message.c.source, tables.message.c.control_id, tables.message.c.state)
            return {(row.source, row.control_id): str(row.state) for row in connection.execute(select(*columns))}
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


def print_account(outcomes: Sequence[Outcome], patients: int, console: Console) -> None:
    """Print the table of what arrived where, and how many patients Mme Rose has become at the tool."""
    table = Table(title="What arrived where", title_justify="left", pad_edge=False)
    for heading in ("When", "What", "Answer", "Router", "Coordination tool", "GP", ""):
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
            "[green]✓[/green]" if outcome.as_told else "[bold red]not as told[/bold red]",
        )
    console.print(table)
    good = sum(outcome.as_told for outcome in outcomes)
    console.print(f"{good} of {len(outcomes)} scenes came out as told.")
    if patients == 1:
        console.print("Hospital and laboratory know Mme Rose by different numbers; at the tool she is one patient.")
    else:
        console.print(f"Mme Rose has become {patients} patients at the coordination tool.", style="bold red")
