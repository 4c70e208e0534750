"""CDA data types to canonical values: II, CE, TS, IVL_TS, ED, AD, TEL, PN (cda-fr §1)."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

from mappings.cda.oids import code_from, code_system_of_oid, document_identity, identifier_of
from mappings.cda.reading.node import Node
from mappings.cda.reading.scribe import Scribe
from mappings.french_time import read_stamp
from schemas.actors import Address, Telecom
from schemas.coding import Coding, Identifier

_FRACTION = re.compile(r"(\d{14})\.(\d{1,6})\d*([+-]\d{4}|Z)?", re.ASCII)
_SHORT_OFFSET = re.compile(r"(\d{8,14}[+-])(\d{3})", re.ASCII)
_COG = re.compile(r"\d[0-9AB]\d{3}", re.ASCII)
_STREET = ("houseNumber", "houseNumberNumeric", "streetName", "streetNameType", "additionalLocator")
_KINDS = {"tel": "phone", "fax": "fax", "mailto": "email"}


class Concept(NamedTuple):
    """A CE or CD: its codings, the first being the code itself, and the words that name it."""

    codes: tuple[Coding, ...]
    text: str | None


class Span(NamedTuple):
    """An IVL_TS: its two ends; a single moment is both."""

    start: str | None
    end: str | None


def identifier(node: Node, kind: str | None = None) -> Identifier | None:
    """Read an II; None when it has no root (or a null flavour)."""
    root = node.get("root")
    if root is None:
        return None
    return identifier_of(root, node.get("extension"), kind, node.get("assigningAuthorityName"))


def identity(node: Node | None) -> str | None:
    """Read an II as a document's identity: `root` or `root^extension`."""
    root = node.get("root") if node is not None else None
    if node is None or root is None:
        return None
    return document_identity(root, node.get("extension"))


def concept(scribe: Scribe, node: Node) -> Concept:
    """Read a CE or CD with its translations; the words are the original text, else the name of the code."""
    codes: list[Coding] = []
    for one in (node, *node.all("translation")):
        code = one.get("code")
        if code is not None:
            codes.append(_coding(one, code))
    original = node.first("originalText")
    text = text_of(scribe, original) if original is not None else None
    if text is None and not codes:
        text = node.get("displayName")
    return Concept(tuple(codes), text or next((code.display for code in codes if code.display), None))


def _coding(node: Node, code: str) -> Coding:
    oid, name = node.get("codeSystem"), node.get("codeSystemName")
    return Coding(system=code_system_of_oid(oid, name), code=code_from(oid, code), display=node.get("displayName"))


def coding(scribe: Scribe, node: Node | None) -> Coding | None:
    """Read the code of a CE or CD, else its first translation; words alone become a code that is its own display."""
    if node is None:
        return None
    code = node.get("code")
    if code is not None:
        found = _coding(node, code)
        if found.display is not None:
            _take_same_words(scribe, node, found.display)
            return found
        words = concept(scribe, node).text if node.children else None
        return found.model_copy(update={"display": words}) if words else found
    read = concept(scribe, node)
    if read.codes:
        return read.codes[0]
    return Coding(code=read.text, display=read.text) if read.text else None


def _take_same_words(scribe: Scribe, node: Node, display: str) -> None:
    """Take an original text that only points to the name of the code, or to nothing; other words are left unread."""
    original = node.first("originalText")
    pointer = original.first("reference") if original is not None and not original.has_text else None
    target = pointer.peek("value") if pointer is not None else None
    if original is not None and target and target.startswith("#"):
        said = scribe.narrative.resolve(target)
        if said is None or said.casefold() == display.casefold():
            original.use()


def text_of(scribe: Scribe, node: Node) -> str | None:
    """Read an ED or ST that is a text: its own, else the narrative that its reference names.

    A reference that leads nowhere is a Finding; one to the outside is never followed.
    """
    if node.has_text and (own := node.text):
        return own
    pointer = node.first("reference")
    target = pointer.get("value") if pointer is not None else None
    if target is None:
        return None
    if not target.startswith("#") and "://" in target:
        scribe.notes.warning("cda.reference.external", "", "a reference to the outside is not followed")
        return None
    found = scribe.narrative.resolve(target)
    if found is None:
        scribe.notes.info("cda.reference.dangling", f"ID {target[:64]}", "a reference to a text that is not there")
    return found


@lru_cache(maxsize=8192)
def moment(raw: str, zone: ZoneInfo) -> str | None:
    """Read a TS as ISO 8601 at its own precision; without an offset it is legal time. None when it is no date."""
    if found := _FRACTION.fullmatch(raw):
        whole = read_stamp(found[1] + ("+0000" if found[3] == "Z" else found[3] or ""), zone)
        return f"{whole[:19]}.{found[2]}{whole[19:]}" if whole else None
    return read_stamp(raw.removesuffix("Z") + "+0000" if raw.endswith("Z") else raw, zone)


def time_of(scribe: Scribe, node: Node | None, where: str) -> str | None:
    """Read the value of a TS; one that cannot be read is a Finding, and stays unread."""
    raw = node.peek("value") if node is not None else None
    if node is None or not raw or not raw.strip():
        return None
    stripped = raw.strip()
    zone = scribe.context.timezone
    found = moment(stripped, zone)
    if found is None and (short := _SHORT_OFFSET.fullmatch(stripped)):
        found = moment(f"{short[1]}0{short[2]}", zone)
        if found is not None:
            scribe.notes.info("cda.time.offset", where, "the offset of a time has three digits; it was completed")
    if found is None:
        scribe.notes.warning("cda.time.invalid", where, "a date or time is not readable; it was left out")
        return None
    node.get("value")
    return found


def span(scribe: Scribe, node: Node | None, where: str) -> Span:
    """Read an IVL_TS: `low` and `high`, or a `value` that is both."""
    if node is None:
        return Span(None, None)
    at = time_of(scribe, node, where)
    if at is not None:
        return Span(at, at)
    start = time_of(scribe, node.first("low"), where)
    return Span(start, time_of(scribe, node.first("high"), where))


def point(scribe: Scribe, node: Node | None, where: str) -> str | None:
    """Read a TS or IVL_TS that stands for one moment: its value, else its end, else its start."""
    found = span(scribe, node, where)
    if found.end is not None and node is not None and found.start not in (None, found.end):
        return found.end
    return found.end or found.start


def address(node: Node) -> Address | None:
    """Read an AD, in lines or in parts; `unitID`, `postBox`, `precinct`… are lines of their own."""
    lines: list[str] = []
    street = [said for name in _STREET for part in node.all(name) if (said := part.text)]
    for part in node.children:
        if part.name in ("streetAddressLine", "unitID", "postBox", "precinct", "deliveryAddressLine", "careOf"):
            said = part.text
            if said:
                lines.append(said)
    if street:
        lines.insert(0, " ".join(street))
    if node.has_text and (own := node.text):
        lines.append(own)
    values = {name: _part(node, name) for name in ("city", "postalCode", "country", "county", "state")}
    insee = values["county"] if values["county"] and _COG.fullmatch(values["county"]) else None
    lines += [said for name in ("county", "state") if (said := values[name]) and said != insee]
    if not lines and not any(values.values()):
        return None
    return Address(
        lines=tuple(lines),
        city=values["city"],
        postal_code=values["postalCode"],
        country=values["country"],
        insee=insee,
        use=node.get("use"),
    )


def _part(node: Node, name: str) -> str | None:
    found = node.first(name)
    return found.text if found is not None else None


def addresses(node: Node) -> tuple[Address, ...]:
    """Read every AD of a role."""
    return tuple(found for one in node.all("addr") if (found := address(one)) is not None)


def first_address(node: Node) -> Address | None:
    """Read the first AD of a role that says something."""
    return next((found for one in node.all("addr") if (found := address(one)) is not None), None)


def telecom(node: Node) -> Telecom | None:
    """Read a TEL: `tel:`, `fax:`, `mailto:`…; an address of MSSanté is known by its domain."""
    value = node.get("value")
    if value is None:
        return None
    scheme, mark, rest = value.partition(":")
    use = node.get("use")
    kind = _KINDS.get(scheme.lower()) if mark else None
    if kind is None:
        if mark and scheme.isalpha():
            return Telecom(kind="other", value=value, use=use)
        kind, rest = ("email" if "@" in value else "phone"), value
    if kind == "email" and ".mssante." in rest.lower().replace("@", "."):
        kind = "mssante"
    if kind == "phone" and use == "MC":
        kind = "mobile"
    return Telecom(kind=kind, value=rest, use=use) if rest else None


def telecoms(node: Node) -> tuple[Telecom, ...]:
    """Read every TEL of a role."""
    return tuple(found for one in node.all("telecom") if (found := telecom(one)) is not None)
