"""Answers of a partner (context ERR): what it refused, as Findings (hprim 3.10)."""

from __future__ import annotations

import re

from mappings.hprim_sante.exchange import Exchange
from mappings.hprim_sante.tree import Tree
from mappings.hprim_tables import field_names

CHAPTERS = {7: "H", 8: "P", 9: "OBR", 10: "OBX", 12: "C", 14: "L"}
"""Chapters of the recommendation: `10.12` is the twelfth place of a line OBX, the name being the first: OBX.11."""

_POSITION = re.compile(r"(\d{1,2})\.(\d{1,2})")


def read_answer(tree: Tree, exchange: Exchange) -> None:
    """Note what the partner answered. No segment ERR, or only informations: everything was accepted.

    Texts and values of the answer may be health data: they stay among the unread fields.
    """
    refused = False
    for segment in tree.errors:
        severity = segment.text_of(4).upper()
        place = our_position(segment.text_of(7))
        about = f" (field {place})" if place else ""
        if severity == "I":
            exchange.notes.info("hprim.answer.information", segment.address, f"the partner informs{about}")
            continue
        refused = True
        if severity == "T":
            message = f"the partner refused the whole message{about}"
            exchange.notes.error("hprim.answer.refused", segment.address, message)
        elif severity == "P":
            exchange.notes.error("hprim.answer.refused_in_part", segment.address, f"the partner refused a line{about}")
        else:
            message = f"the partner reports an error of unknown severity{about}"
            exchange.notes.error("hprim.answer.unknown_severity", segment.address, message)
    if not refused:
        exchange.notes.info("hprim.answer.accepted", "ERR", "the partner accepted the message")


def our_position(text: str) -> str | None:
    """Turn a position of the recommendation (`8.3`) into the field as everybody counts (`P.2`), with its name."""
    found = _POSITION.fullmatch(text.strip())
    name = CHAPTERS.get(int(found[1])) if found else None
    if found is None or name is None or int(found[2]) < 2:
        return None
    number = int(found[2]) - 1
    known = field_names("hprim_sante").get(f"{name}-{number}")
    return f"{name}.{number}, {known.both}" if known else f"{name}.{number}"
