"""States as a person sees them: each has a word, a colour and a shape, so that no one of them is needed alone."""

from __future__ import annotations

from typing import NamedTuple


class Mark(NamedTuple):
    """The colour (`tone`, a class of the style sheet) and the shape (a symbol of the sprite) of a state."""

    tone: str
    shape: str


UNKNOWN = Mark("grey", "ring")

MARKS: dict[str, dict[str, Mark]] = {
    "message": {
        "received": Mark("grey", "ring"),
        "processed": Mark("green", "dot"),
        "held": Mark("violet", "diamond"),
        "rejected": Mark("red", "square"),
    },
    "item": {
        "routed": Mark("green", "dot"),
        "unrouted": Mark("grey", "box"),
        "held": Mark("violet", "diamond"),
        "refused": Mark("grey", "box"),
        "replaced": Mark("grey", "box"),
    },
    "delivery": {
        "pending": Mark("blue", "quarter"),
        "retrying": Mark("amber", "again"),
        "delivered": Mark("green", "dot"),
        "acknowledged": Mark("green", "check"),
        "held": Mark("violet", "diamond"),
        "dead": Mark("red", "square"),
        "cancelled": Mark("grey", "box"),
    },
    "attempt": {
        "delivered": Mark("green", "dot"),
        "acknowledged": Mark("green", "check"),
        "retry": Mark("amber", "again"),
        "unreachable": Mark("amber", "again"),
        "refused": Mark("red", "square"),
        "held": Mark("violet", "diamond"),
    },
    "receipt": {
        "accepted": Mark("green", "dot"),
        "published": Mark("green", "check"),
        "delivered": Mark("green", "dot"),
        "read": Mark("green", "check"),
        "refused": Mark("red", "square"),
    },
    "mail": {
        "received": Mark("grey", "ring"),
        "sending": Mark("blue", "quarter"),
        "held": Mark("violet", "diamond"),
        "taken": Mark("green", "dot"),
        "arrived": Mark("green", "dot"),
        "read": Mark("green", "check"),
        "refused": Mark("red", "square"),
        "cancelled": Mark("grey", "box"),
    },
    "flow": {
        "listening": Mark("green", "dot"),
        "watching": Mark("green", "dot"),
        "connected": Mark("green", "dot"),
        "degraded": Mark("amber", "triangle"),
        "refused": Mark("red", "square"),
        "standby": Mark("grey", "pause"),
        "ready": Mark("green", "dot"),
        "waiting": Mark("green", "dot"),
        "starting": Mark("blue", "quarter"),
        "retrying": Mark("amber", "again"),
        "unreachable": Mark("red", "square"),
        "failed": Mark("red", "square"),
        "paused": Mark("grey", "pause"),
        "stopped": Mark("grey", "box"),
    },
    "severity": {
        "info": Mark("grey", "ring"),
        "warning": Mark("amber", "triangle"),
        "error": Mark("red", "square"),
    },
}

DOWN = frozenset({"failed", "unreachable", "stopped"})
"""Words of a flow that does not flow."""


def mark(family: str, value: str) -> Mark:
    """Give the mark of a value; a grey ring for one that is not known."""
    return MARKS.get(family, {}).get(value, UNKNOWN)
