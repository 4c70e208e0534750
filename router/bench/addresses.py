"""Every page of the dashboard that a bench opens, and what it searches for, on a journal filled by a bench."""

from __future__ import annotations

from collections.abc import Iterator
from html import unescape

from router.bench.patients import person
from router.web.places import PLACES

SEARCHES = "search by {}"
"""How a page of what was found is called."""


def addresses(messages: int, offered: frozenset[str] | None = None) -> Iterator[tuple[str, str]]:
    """Give each page, by name and address, for a journal of so many messages; `offered` is what is configured."""
    for _, places in PLACES:
        for place in places:
            if offered is None or not place.needs or place.needs in offered:
                yield place.href, place.href
    for path in ("/identities/decisions", "/identities/merges", "/indicators", "/bulk", "/api", "/metrics"):
        yield path, path
    number = messages // 2
    for tab in ("", "/understood", "/original", "/sent", "/why", "/findings"):
        yield f"one message{tab}", f"/messages/{number}{tab}"
    for wish in (
        "state=held",
        "state=rejected",
        "state=processed",
        "source=hopital",
        "source=boite",
        "kind=stay",
        "kind=document",
        "type=ADT%5EA03",
        "type=MDM%5ET02",
        "format=hl7v2",
        "worst=warning",
        "worst=error",
        f"control=CTRL{messages // 5:09d}",
        f"control=CTRL{messages // 5_000:05d}*",
        "sender=LABO-FICTIF",
        "period=hour",
        "period=week",
        "period=week&kind=stay&source=hopital&worst=error",
        f"before={messages // 2}",
        f"before={messages // 2}&kind=stay",
    ):
        yield f"messages, {unescape(wish)}", f"/messages?{wish}"
    for wish in (
        "state=dead",
        "state=dead&destination=spico",
        "state=held",
        "state=cancelled",
        "state=pending",
        "state=pending&destination=spico",
        "state=acknowledged",
        "state=delivered&destination=medecin",
        "destination=medecin",
        "destination=partage",
        f"before={messages // 2}",
    ):
        yield f"deliveries, {wish}", f"/deliveries?{wish}"
    yield "notices, errors", "/notices?severity=error"
    yield "audit, one actor", "/audit?actor=officier"
    yield "audit, nobody", "/audit?actor=personne"


def searches(messages: int, known: int | None = None) -> dict[str, str]:
    """Give what is searched for, by what it is; `known` is how many people can be found by name."""
    one = person(max(2, messages // 100 if known is None else known // 5))
    ipp = next(iter(one.identifiers)).value
    return {
        "a family name": one.birth_name or "",
        "a whole name": f"{one.birth_name} {one.first_given_name}",
        "a name and a birth date": f"{one.birth_name} {one.birth_date}",
        "an INS": one.ins.matricule if one.ins is not None else "",
        "an IPP": ipp,
        "a control id": f"CTRL{messages // 3:09d}",
        "a report's number": f"NUM{messages // 4:09d}",
        "nothing": "PERSONNE DE CE NOM",
    }
