"""`passerelle flow`: how sources, destinations and routes stand; pausing, resuming, testing them."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from router.cli.base import Failed, config_file, config_option
from router.cli.terminal import actor, apply, now

if TYPE_CHECKING:
    from router.config.load import Loaded
    from router.journal.operations import Operation
    from router.journal.pauses import FlowSide

R = TypeVar("R")

_SIDE = click.argument("side", type=click.Choice(["source", "destination", "route"]))


@click.group("flow")
def command_flow() -> None:
    """Pause, resume and test sources, destinations and routes, beside a running router or without one."""


@command_flow.command("list")
@config_option
def list_flows(config: Path) -> None:
    """List sources, destinations and routes, and what is paused of them."""
    from router.cli.journal import printed, shown_time
    from router.cli.terminal import opened
    from router.config.load import load
    from router.journal.pauses import FlowSide, load_pauses

    loaded = load(config_file(config))
    with opened(config) as store, store.reading() as connection:
        pauses = load_pauses(connection)
    rows = []
    for side, name in _flows(loaded):
        pause = pauses.pop((side, name), None)
        by_file = "paused by the configuration" if _paused_by_file(loaded, side, name) else ""
        said = by_file if pause is None else f"paused {shown_time(pause.at)} by {pause.actor}: {pause.reason}"
        rows.append((side.value, name, said))
    rows += [
        (FlowSide(one.side).value, one.name, f"paused, no longer configured: {one.reason}") for one in pauses.values()
    ]
    printed(("what", "name", "state"), rows)


@command_flow.command("pause")
@_SIDE
@click.argument("name")
@click.option("--reason", required=True, help="Why: whoever finds it paused tomorrow must know.")
@config_option
def pause(side: str, name: str, reason: str, config: Path) -> int:
    """Pause a source (its door is closed), a destination (deliveries wait) or a route (what it takes waits).

    \b
    Exit status: 0 paused, 1 it was already.
    \b
    Examples:
      passerelle flow pause source labo-sud --reason "laboratory moves to its new server" --config my-router
      passerelle flow pause route "laboratory results to the dossier" --reason "wrong codes"
    """
    from router.config.load import load
    from router.journal.pauses import FlowSide, pause_flow

    loaded, what = load(config_file(config)), FlowSide(side)
    if (what, name) not in set(_flows(loaded)):
        raise Failed(f"there is no {side} {name!r} in {loaded.path.name}")
    done = _apply(loaded, pause_flow(what, name, reason, actor=actor(), now=now()))
    click.echo(f"{side} {name} is paused." if done else f"{side} {name} was paused already.")
    return 0 if done else 1


@command_flow.command("resume")
@_SIDE
@click.argument("name")
@config_option
def resume(side: str, name: str, config: Path) -> int:
    """Let a source, destination or route go on.

    \b
    Exit status: 0 it goes on, 1 nobody had paused it.
    """
    from router.config.load import load
    from router.journal.pauses import FlowSide, resume_flow

    loaded, what = load(config_file(config)), FlowSide(side)
    done = _apply(loaded, resume_flow(what, name, actor=actor(), now=now()))
    if _paused_by_file(loaded, what, name):
        raise Failed(f"{side} {name} is paused by `paused = true` in {loaded.path.name}: change it there, and apply it")
    click.echo(f"{side} {name} goes on." if done else f"nobody had paused {side} {name}.")
    return 0 if done else 1


@command_flow.command("test")
@click.argument("side", type=click.Choice(["source", "destination"]))
@click.argument("name")
@config_option
def test(side: str, name: str, config: Path) -> int:
    """Test a connection: reach it, shake hands, ask what harms nothing. No message is sent.

    \b
    Exit status: 0 it answers, 1 it does not.
    """
    from router.config.load import load
    from router.probing import probe
    from router.web.texts import Texts

    loaded, texts = load(config_file(config)), Texts.of("en")
    found = asyncio.run(probe(loaded, side, name))
    for step in found.steps:
        sentence = texts.say(f"probe.{step.code.value}", detail=step.detail)
        click.echo(f"{'✔' if step.ok else '✘'} {sentence.striptags()}")
    return 0 if found.ok else 1


def _flows(loaded: Loaded) -> list[tuple[FlowSide, str]]:
    from router.journal.pauses import FlowSide

    found = [(FlowSide.SOURCE, one.name) for one in loaded.sources]
    found += [(FlowSide.DESTINATION, one.name) for one in loaded.destinations]
    return found + [(FlowSide.ROUTE, one.name) for one in loaded.configuration.routes]


def _paused_by_file(loaded: Loaded, side: FlowSide, name: str) -> bool:
    if side.value == "source":
        source = loaded.configuration.sources.get(name)
        return source is not None and source.paused
    destination = loaded.configuration.destinations.get(name) if side.value == "destination" else None
    return destination is not None and destination.paused


def _apply(loaded: Loaded, operation: Operation[R]) -> R:
    from router.journal.store import open_store

    store = open_store(loaded.place)
    try:
        return apply(store, operation)
    finally:
        store.close()
