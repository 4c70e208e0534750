"""Quiet traffic that goes on: busier by day than by night, with the small accidents of real life."""

from __future__ import annotations

import asyncio
import math
import random
import time
from collections.abc import Callable

from connectors.sandbox import hospital, laboratory
from connectors.sandbox.coordination import Mood
from connectors.sandbox.hospital import HospitalSettings
from connectors.sandbox.laboratory import LaboratorySettings
from connectors.sandbox.people import STRANGER
from router.demo.gentle_outside import correspond
from router.demo.stage import Stage

DAY_SECONDS = 900.0
"""A whole day and night of traffic passes in a quarter of an hour."""

_NUMBERS_FROM = 1000
"""The story's reports and visits have the numbers below."""

_NIGHT = 4.0
"""How many times rarer messages are in the middle of the night."""

_WELL = (120.0, 300.0)
_UNWELL = (10.0, 25.0)
"""The coordination tool is well, then unavailable, for a while between these bounds, in seconds."""


def rhythm(elapsed: float) -> float:
    """Give what intervals are multiplied by: 1 at noon, `_NIGHT` in the middle of the night; `elapsed` 0 is noon."""
    darkness = (1 - math.cos(2 * math.pi * elapsed / DAY_SECONDS)) / 2
    return 1 + (_NIGHT - 1) * darkness


async def traffic(stage: Stage, *, clock: Callable[[], float] = time.monotonic) -> None:
    """Send and fail, gently, until cancelled."""
    began = clock()

    def now() -> float:
        return rhythm(clock() - began)

    # One message in a few dozen is about somebody whom the dossier does not know.
    people = (*stage.people, *stage.people, STRANGER)
    async with asyncio.TaskGroup() as group:
        group.create_task(
            laboratory.run(
                LaboratorySettings(
                    mllp=stage.listening.sources["laboratoire"],
                    folder=stage.inbox,
                    every=4.0,
                    rhythm=now,
                    seed=2,
                    prefix="VIE",
                    first=_NUMBERS_FROM,
                    people=people,
                )
            )
        )
        group.create_task(
            hospital.run(
                HospitalSettings(
                    mllp=stage.listening.sources["hopital"],
                    every=7.0,
                    rhythm=now,
                    seed=3,
                    prefix="VIEADT",
                    first=_NUMBERS_FROM,
                    people=stage.people,
                )
            )
        )
        group.create_task(_moods(stage, random.Random(4)))
        group.create_task(correspond(stage, random.Random(5), now))


async def _moods(stage: Stage, draw: random.Random) -> None:
    while True:
        stage.tool.mood = Mood.OK
        await asyncio.sleep(draw.uniform(*_WELL))
        stage.tool.mood = Mood.UNAVAILABLE
        await asyncio.sleep(draw.uniform(*_UNWELL))
