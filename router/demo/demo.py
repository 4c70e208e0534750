"""The run of the demonstration: set the stage, play the story, then either account for it or let life go on."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import tempfile
from collections.abc import Callable
from pathlib import Path

from rich.console import Console

from connectors.sandbox.laboratory import paris_now
from connectors.sandbox.mllp import NoAnswer
from router.demo.account import circle_settled, patients_at_tool, print_account, print_circle, settled
from router.demo.gentle import traffic
from router.demo.officer import Officer
from router.demo.scene import Scene
from router.demo.stage import ADMINISTRATOR, Stage, staged
from router.demo.story import Story, last_thursday
from router.trial.process import TrialFault

_WATCH = 1.0


def run_demo(*, once: bool, port: int = 8080, folder: Path | None = None, say: Callable[[str], None] = print) -> int:
    """Play the demonstration; gives the exit status.

    With `once`, the table of what arrived where is printed, and the status is 0 only when all of it did. Without, the
    address and the login are printed and traffic goes on until SIGINT or SIGTERM. `port` is the dashboard's, a free
    one if it is taken. `folder` keeps the router's folder; without it, it is temporary. Raises TrialFault when the
    router cannot be run.
    """
    with tempfile.TemporaryDirectory(prefix="passerelle-demo-") as scratch:
        return asyncio.run(_run(once=once, port=port, folder=folder or Path(scratch) / "router", say=say))


async def _run(*, once: bool, port: int, folder: Path, say: Callable[[str], None]) -> int:
    say("Setting the stage: a hospital, a laboratory, a coordination tool, and a router in a fresh folder.")
    async with staged(folder, port) as stage:
        if not once:
            _welcome(stage, say)
        async with Officer(stage.listening.web, ADMINISTRATOR, stage.password, leave=not once) as officer:
            scenes = await _play(stage, officer, say)
        outcomes = await settled(stage, scenes)
        patients = patients_at_tool(stage.tool, outcomes)
        console = Console()
        print_account(outcomes, patients, console)
        circle = await circle_settled(stage)
        print_circle(stage, console)
        if once:
            return 0 if patients == 1 and circle and all(outcome.as_told for outcome in outcomes) else 1
        return await _live(stage, say)


async def _play(stage: Stage, officer: Officer, say: Callable[[str], None]) -> list[Scene]:
    scenes: list[Scene] = []
    say("The story of Mme Rose:")
    try:
        async with contextlib.aclosing(Story(stage, last_thursday(paris_now()), officer).play()) as told:
            async for scene in told:
                say(f"  {scene.at:%A %H:%M}  {scene.who}: {scene.what}  [{scene.answer}]")
                scenes.append(scene)
    except NoAnswer as problem:
        raise TrialFault(f"{problem}; the router says: {stage.router.last_words()}") from None
    return scenes


def _welcome(stage: Stage, say: Callable[[str], None]) -> None:
    say("")
    say(f"  Dashboard   {stage.listening.web}")
    say(f"  Login       {ADMINISTRATOR}")
    say(f"  Password    {stage.password}")
    if stage.circle is not None:
        say("")
        say(f"  Nurse's tool         {stage.circle.nurse.address}  (open it: what the hospital says appears there)")
        say(f"  Former nurse's tool  {stage.circle.former.address}  (is told nothing)")
    say("")


async def _live(stage: Stage, say: Callable[[str], None]) -> int:
    """Let traffic go on until a signal asks to stop, or the router ends by itself."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        # Where signal handlers do not exist (Windows), Ctrl-C cancels this task, which stops everything as well.
        with contextlib.suppress(NotImplementedError):
            loop.add_signal_handler(number, stop.set)
    nurse = f" Nurse's tool: {stage.circle.nurse.address}." if stage.circle is not None else ""
    say(
        f"Traffic goes on, gently. Dashboard: {stage.listening.web} ({ADMINISTRATOR} / {stage.password}).{nurse} "
        "Ctrl-C stops."
    )
    life = asyncio.create_task(traffic(stage))
    stopping = asyncio.create_task(stop.wait())
    while stage.router.running and not life.done():
        done, _ = await asyncio.wait({life, stopping}, timeout=_WATCH, return_when=asyncio.FIRST_COMPLETED)
        if stopping in done:
            break
    ended_well = stopping.done()
    stopping.cancel()
    life.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await life
    if not ended_well:
        raise TrialFault(f"the router ended by itself: {stage.router.last_words()}")
    say("Stopping: what is under way is finished first.")
    return 0
