"""What pages need before the first of them can be drawn, read while nobody waits: templates and texts.

Read on demand they cost the first visitor after a start over a second of processor time.
"""

from __future__ import annotations

import asyncio
from functools import partial

from router.web.desk import Desk
from router.web.texts import LANGUAGES, Texts

PAUSE = 0.03
"""Seconds between two of them: a router that has just started has messages to acknowledge."""


async def warm(desk: Desk, *, pause: float = PAUSE) -> None:
    """Read every text and template in a thread of the dashboard, one after the other."""
    for language in LANGUAGES:
        await desk.work(partial(Texts.of, language))
        await asyncio.sleep(pause)
    for name in desk.pages.names():
        await desk.work(partial(desk.pages.prepare, name))
        await asyncio.sleep(pause)
