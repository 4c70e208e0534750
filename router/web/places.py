"""The pages of the menu, by group; those of what is not configured are left out, and those that a role may not open."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from router.web.visits import Visit


@dataclass(frozen=True, slots=True)
class Place:
    """A page of the menu. `key` follows `g` on the keyboard; `needs` is what must be configured, `right` the role's."""

    name: str
    href: str
    icon: str
    key: str
    needs: str = ""
    right: str = "look"


PLACES: tuple[tuple[str, tuple[Place, ...]], ...] = (
    ("", (Place("today", "/", "today", "o"),)),
    (
        "flows",
        (
            Place("flows", "/flows", "flows", "x"),
            Place("messages", "/messages", "messages", "m"),
            Place("deliveries", "/deliveries", "deliveries", "d"),
            Place("mail", "/mail", "mail", "e", needs="mail"),
            Place("mailboxes", "/mailboxes", "mailbox", "b", needs="mail"),
            Place("dmp", "/dmp", "dmp", "s", needs="dmp"),
        ),
    ),
    (
        "patients",
        (
            Place("identities", "/identities", "held", "i", right="read"),
            Place("dossiers", "/dossiers", "dossiers", "f", right="read"),
        ),
    ),
    (
        "settings",
        (
            Place("codes", "/codes", "codes", "c"),
            Place("directory", "/directory", "directory", "r", needs="directory"),
            Place("configuration", "/configuration", "configuration", "p", needs="configuration", right="configure"),
            Place("try", "/try", "try", "t", needs="try", right="operate"),
            Place("whatif", "/whatif", "whatif", "w", right="configure"),
        ),
    ),
    (
        "watch",
        (
            Place("alarms", "/alarms", "alarm", "l"),
            Place("notices", "/notices", "health", "n"),
            Place("nodes", "/nodes", "nodes", "h", needs="nodes"),
            Place("audit", "/audit", "audit", "a", right="audit"),
            Place("people", "/people", "people", "u", right="people"),
        ),
    ),
)


def places_for(visit: Visit, offered: frozenset[str]) -> Iterator[tuple[str, list[Place]]]:
    """Give the groups of the menu, without what there is not; a group without pages is none."""
    for heading, entries in PLACES:
        shown = [place for place in entries if (not place.needs or place.needs in offered) and visit.may(place.right)]
        if shown:
            yield heading, shown
