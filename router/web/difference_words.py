"""Where two readings differ, in the reader's language: codes and places of a format stay, our own words are said."""

from __future__ import annotations

import re
from collections.abc import Iterable

from markupsafe import Markup, escape

from router.web.peer_words import in_words
from router.web.texts import Texts
from router.whatif.differences import Aspect, Difference

_COUNTED = re.compile(r"(\d+) (\w+)")


def place_words(difference: Difference, *, texts: Texts) -> Markup:
    """Say the place of a difference, or what became what."""
    where = difference.where
    match difference.aspect:
        case Aspect.STATE:
            return _became(texts.word("state.message", one) for one in where.split(" → "))
        case Aspect.REASON:
            return _became(texts.word("reason", one) for one in where.split(" → "))
        case Aspect.PATIENT:
            return _became(texts.word("whose", one.replace(" ", "_")) for one in where.split(" → "))
        case Aspect.ITEMS:
            return _became(_counted(one, texts) for one in where.split(" → "))
        case Aspect.GAINED | Aspect.LOST:
            return texts.word("kind", where)
        case Aspect.REFUSED:
            return (
                texts.say("whose.written_again") if where == "can be written again" else escape(in_words(where, texts))
            )
        case Aspect.CONTENT:
            return texts.word("difference_place", where)
        case Aspect.FINDINGS | Aspect.FORMAT | Aspect.FILES:
            return escape(where)


def _became(sides: Iterable[Markup]) -> Markup:
    return Markup(" → ").join(sides)


def _counted(side: str, texts: Texts) -> Markup:
    if side == "nothing":
        return texts.say("difference_place.nothing")
    found = (Markup("{} {}").format(match[1], texts.word("kind", match[2])) for match in _COUNTED.finditer(side))
    return Markup(", ").join(found)
