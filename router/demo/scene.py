"""One thing that happens in the story, and everything that must come of it, wherever it is looked for."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Mailed:
    """A mail of a scene, and in `promise` what must be true of it in the end.

    One that comes: its `message_id`; `filed` among what was processed, `answered` to the sender who asked for it. One
    that leaves: `words` that it holds; `at the GP` in the practitioner's mailbox, and the state of its Delivery.
    """

    promise: str
    message_id: str = ""
    words: str = ""


@dataclass(frozen=True, slots=True)
class InDmp:
    """A document of a scene in the DMP by its uniqueId, and in `promise` what must be true of it in the end.

    The state of its entry there (`Approved`, `Deprecated`), and whether it `replaces` another; before it the state of
    its Delivery, where that is not acknowledged (`held`).
    """

    promise: str
    unique_id: str


@dataclass(frozen=True, slots=True)
class Scene:
    """One thing that happened, and what must come of it.

    `source` and `control_id` find its Message; `answer` is what the sender was told. `state` is the Message's end;
    `resources` the (type, identifier, status) that the coordination tool must have had at some moment, and must never
    have unless the Message was processed; a status may say that the resource `replaces` another. `copied` says that the
    general practitioner gets an HPRIM copy. `about_rose` is false of the scenes that play with others. `mail` and `dmp`
    are its mail and its document in the DMP, if any.
    """

    at: datetime
    who: str
    what: str
    source: str
    control_id: str
    answer: str
    state: str = "processed"
    resources: tuple[tuple[str, str, str], ...] = ()
    copied: bool = False
    about_rose: bool = True
    mail: Mailed | None = None
    dmp: InDmp | None = None
