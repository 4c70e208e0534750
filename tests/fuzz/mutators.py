"""Mutators: how inputs are bent. All draw from one `Random`, so that a run can be repeated by its seed.

`raw` knows bytes only; the others know a syntax: lines of fields (HL7, HPRIM, CSV), XML, JSON, ZIP, mails, base64.
"""

from __future__ import annotations

import base64
import binascii
import io
import re
import struct
import warnings
import zipfile
import zlib
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

import orjson
from fuzz.registry import Mutator

CANARY = "KANARIENVOGEL"
"""Put where a value stands, as if it were health data: no exception may quote it."""

_ODD = (
    b"", b"\0", b"\xff", b"\xfe\xff", b"\xef\xbb\xbf", b"\xc3", b"\xc3\xa9", b"\xe2\x80\xa8", b"\xed\xa0\x80", b"\x85",
    b"\r", b"\n", b"\r\n", b"\t", b" ", b"\x0b", b"\x1c\r", b"\x1a", b"-1", b"0", b"99999999999999999999", b"1e999",
    b"NaN", b"00000000", b"20260231", b"24:61", b"%00", b"%s", b"{0}", b"../../etc/passwd", b"\\", b'"', b"'", b"&amp;",
    b"<", b">", b"&#x110000;", b"=?utf-8?b?", b"?=", b"true", b"null", b"[]", b"{}", "é".encode(), "İ".encode(),
    "\u202e".encode(), "𝟙".encode(), "²".encode(), "٣".encode(), CANARY.encode(),
)  # fmt: skip
_VALUE = re.compile(rb"[A-Za-z0-9.]{2,40}")


def raw(content: bytes, chance: Random, known: Sequence[bytes]) -> bytes:
    """Change bytes anywhere, a few times."""
    for _ in range(chance.choice((1, 1, 2, 4, 8))):
        at = chance.randrange(len(content) + 1)
        end = min(len(content), at + chance.choice((0, 1, 1, 4, 16, 64)))
        match chance.randrange(7):
            case 0:
                content = content[:at] + bytes([chance.randrange(256)]) + content[at + 1 :]
            case 1:
                content = content[:at] + content[end:]
            case 2:
                content = content[:at] + chance.choice(_ODD) + content[end:]
            case 3:
                content = content[:at] + content[at:end] * chance.choice((2, 3, 50)) + content[end:]
            case 4 if known:
                other = chance.choice(known)
                start = chance.randrange(len(other) + 1)
                content = content[:at] + other[start : start + chance.choice((8, 64, 512))] + content[end:]
            case 5:
                content = content[:at]
            case _:
                content = canary(content, chance, known)
    return content


def canary(content: bytes, chance: Random, _known: Sequence[bytes]) -> bytes:
    """Put the canary, or something odd, in the place of one word."""
    places = list(_VALUE.finditer(content))
    if not places:
        return content + CANARY.encode()
    place = chance.choice(places)
    odd = CANARY.encode() if chance.random() < 0.6 else chance.choice(_ODD)
    return content[: place.start()] + odd + content[place.end() :]


def rows(separators: bytes, ends: tuple[bytes, ...] = (b"\r", b"\n", b"\r\n")) -> Mutator:
    """Bend lines of fields: lines lost, doubled, moved, thousands of times; fields emptied, filled, repeated."""

    def mutate(content: bytes, chance: Random, known: Sequence[bytes]) -> bytes:
        end = next((one for one in sorted(ends, key=len, reverse=True) if one in content), ends[0])
        lines = content.split(end)
        for _ in range(chance.choice((1, 1, 2, 4))):
            at = chance.randrange(len(lines))
            match chance.randrange(8):
                case 0 if len(lines) > 1:
                    del lines[at]
                case 1:
                    lines.insert(chance.randrange(len(lines) + 1), lines[at])
                case 2:
                    lines.insert(at, chance.choice(chance.choice(known or (content,)).split(end)))
                case 3:
                    lines[at : at + 1] = [lines[at]] * chance.choice((3, 20, 300))
                case 4:
                    lines[at] = _bent_fields(lines[at], separators, chance, long=True)
                case 5:
                    lines[at] = raw(lines[at], chance, known)
                case _:
                    lines[at] = _bent_fields(lines[at], separators, chance)
        return end.join(lines)

    return mutate


def _bent_fields(line: bytes, separators: bytes, chance: Random, *, long: bool = False) -> bytes:
    separator = bytes([chance.choice(separators)])
    fields = line.split(separator)
    at = chance.randrange(len(fields))
    if long:
        fields[at] = fields[at] + separator * chance.choice((1, 30, 1000)) + chance.choice(_ODD)
    elif chance.random() < 0.3:
        fields[at] = bytes([chance.choice(separators)]).join([fields[at], chance.choice(_ODD), fields[at]])
    elif chance.random() < 0.2:
        other = chance.randrange(len(fields))
        fields[at], fields[other] = fields[other], fields[at]
    else:
        fields[at] = chance.choice(_ODD)
    return separator.join(fields)


_TAG = re.compile(rb"<[^<>]*>")
_ATTRIBUTE = re.compile(rb'\s([\w:.-]+)="([^"]*)"')
_DOCTYPE = b'<!DOCTYPE a [<!ENTITY x "KANARIENVOGEL"><!ENTITY y SYSTEM "file:///etc/hostname">]>'


def xml(content: bytes, chance: Random, known: Sequence[bytes]) -> bytes:
    """Bend XML: elements lost, doubled, nested; attributes lost or odd; texts odd; namespaces and DTDs."""
    for _ in range(chance.choice((1, 1, 2, 5))):
        tags = list(_TAG.finditer(content))
        if not tags:
            return raw(content, chance, known)
        tag = chance.choice(tags)
        name = re.match(rb"</?([\w:.-]+)", tag.group()) or re.match(rb"<(.?)", tag.group())
        assert name is not None
        match chance.randrange(11):
            case 0 | 1:  # an element with all it holds, lost or doubled
                closing = content.find(b"</" + name[1] + b">", tag.end())
                end = tag.end() if tag.group().endswith(b"/>") or closing < 0 else closing + len(name[1]) + 3
                whole = content[tag.start() : end]
                content = content[: tag.start()] + (whole * 2 if chance.random() < 0.4 else b"") + content[end:]
            case 2 | 3:
                attributes = list(_ATTRIBUTE.finditer(content, tag.start(), tag.end()))
                if attributes:
                    one = chance.choice(attributes)
                    odd = chance.choice(_ODD).replace(b"<", b"&lt;").replace(b'"', b"&quot;")
                    new = b"" if chance.random() < 0.3 else b" " + one[1] + b'="' + odd + b'"'
                    content = content[: one.start()] + new + content[one.end() :]
            case 4:
                content = content[: tag.end()] + chance.choice(_ODD) + content[tag.end() :]
            case 5:
                deep = chance.choice((3, 50, 199, 3000))
                content = content[: tag.end()] + b"<q>" * deep + b"</q>" * deep + content[tag.end() :]
            case 6:
                other = chance.choice(_TAG.findall(chance.choice(known or (content,))) or [b"<x/>"])
                content = content[: tag.start()] + other + content[tag.end() :]
            case 7 if chance.random() < 0.3:
                content = content[: tag.start()] + _DOCTYPE + content[tag.start() :]
            case 8:
                content = (
                    content[: tag.end()]
                    + b"<![CDATA["
                    + CANARY.encode()
                    + b"]]><!-- x --><?p i?>"
                    + content[tag.end() :]
                )
            case 9:
                many = chance.choice((10, 200, 2000))
                content = (
                    content[: tag.start()]
                    + b"<"
                    + name[1]
                    + b"/>" * 1
                    + (b"<" + name[1] + b"/>") * many
                    + content[tag.start() :]
                )
            case _:
                content = canary(content, chance, known)
    return content


_ODD_JSON: tuple[Any, ...] = (
    None, True, False, 0, -1, 1.5, 1e308, 2**53, "", " ", "\0", "\ud7ff", CANARY, [], {}, [[]], [None], {"": None},
    "2026-02-31", "2026-13-01T99:99:99+99:99", "P1Y", "http://[", "urn:oid:", "urn:uuid:", "#", "#x", "Patient/",
    "../x", "data:;base64,@@", "x" * 3000, ["a", 1, {}], {"resourceType": "Patient"}, {"value": {}}, {"extension": [1]},
)  # fmt: skip


def json(content: bytes, chance: Random, known: Sequence[bytes]) -> bytes:
    """Bend JSON: any node made odd, lost, doubled, moved, nested."""
    try:
        tree = orjson.loads(content)
    except ValueError:
        return raw(content, chance, known)
    for _ in range(chance.choice((1, 1, 2, 4))):
        tree = _bent_node(tree, chance)
    try:
        return orjson.dumps(tree)
    except (TypeError, RecursionError, ValueError):
        return content


def _bent_node(tree: Any, chance: Random) -> Any:
    holders: list[tuple[Any, Any]] = []
    _collect(tree, holders)
    if not holders:
        return chance.choice(_ODD_JSON)
    holder, key = chance.choice(holders)
    match chance.randrange(9):
        case 0 if isinstance(holder, dict):
            del holder[key]
        case 1 if isinstance(holder, list):
            holder.insert(key, holder[key])
        case 2:
            holder[key] = [holder[key]]
        case 3:
            holder[key] = {"value": holder[key]}
        case 4:
            other, at = chance.choice(holders)
            holder[key] = _copy(other[at]) if at in other or (isinstance(other, list) and at < len(other)) else None
        case 5:
            deep: Any = None
            for _ in range(chance.choice((5, 60, 150))):
                deep = [deep]
            holder[key] = deep
        case _:
            holder[key] = _copy(chance.choice(_ODD_JSON))
    return tree


def _copy(node: Any) -> Any:
    try:
        return orjson.loads(orjson.dumps(node))
    except (TypeError, ValueError):  # nested too deeply to be written
        return None


def _collect(node: Any, holders: list[tuple[Any, Any]]) -> None:
    waiting = [node]
    while waiting:
        one = waiting.pop()
        children = one.items() if isinstance(one, dict) else enumerate(one) if isinstance(one, list) else ()
        for key, child in children:
            holders.append((one, key))
            waiting.append(child)


def zipped(inner: Callable[[str], Mutator]) -> Mutator:
    """Bend archives: entries by their own mutator, names, numbers of the headers, entries twice, archives inside."""

    def mutate(content: bytes, chance: Random, known: Sequence[bytes]) -> bytes:
        try:
            with zipfile.ZipFile(io.BytesIO(content)) as opened:
                entries = [(one.filename, opened.read(one)) for one in opened.infolist()]
        except (zipfile.BadZipFile, ValueError, EOFError, zlib.error, OSError, NotImplementedError, RuntimeError):
            return raw(content, chance, known)
        if not entries:
            return raw(content, chance, known)
        at = chance.randrange(len(entries))
        name, held = entries[at]
        match chance.randrange(9):
            case 0:
                return _with_number(content, chance)
            case 1:
                entries[at] = (chance.choice(("../x", "/x", "C:\\x", "a/" * 200 + "x", "", "é\0x", CANARY)), held)
            case 2:
                del entries[at]
            case 3:
                entries.append(entries[at])
            case 4:
                entries.append((name + ".zip", content))
            case 5:
                entries[at] = (name, b"\0" * chance.choice((1_000, 3_000_000)))
            case _:
                entries[at] = (name, inner(name)(held, chance, known))
        return _archive(entries, chance)

    return mutate


def _archive(entries: list[tuple[str, bytes]], chance: Random) -> bytes:
    made = io.BytesIO()
    method = chance.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))
    with warnings.catch_warnings(), zipfile.ZipFile(made, "w", method) as archive:
        warnings.simplefilter("ignore", UserWarning)  # names that stand twice are meant
        for name, held in entries:
            archive.writestr(zipfile.ZipInfo(name, (2026, 1, 1, 0, 0, 0)), held, method)
    return made.getvalue()


def _with_number(content: bytes, chance: Random) -> bytes:
    """Change a number in a header of the archive."""
    marks = [found.start() for found in re.finditer(rb"PK(\x01\x02|\x03\x04|\x05\x06)", content)]
    if not marks:
        return content
    at = chance.choice(marks) + chance.randrange(4, 44, 2)
    number = struct.pack("<I", chance.choice((0, 1, 8, 9, 0xFFFF, 0xFFFFFFFF, 0x7FFFFFFF, len(content))))
    return content[:at] + number[: chance.choice((2, 4))] + content[at + 4 :]


_BLOCK = re.compile(rb"(?:[A-Za-z0-9+/]{16,}={0,2}(?:\r?\n)?)+")


def inside_base64(inner: Mutator) -> Mutator:
    """Decode a block of base64, bend what it holds, and put it back: attachments, ED values, parts of mails."""

    def mutate(content: bytes, chance: Random, known: Sequence[bytes]) -> bytes:
        blocks = list(_BLOCK.finditer(content))
        if not blocks:
            return raw(content, chance, known)
        block = chance.choice(blocks)
        try:
            held = base64.b64decode(block.group().replace(b"\r", b"").replace(b"\n", b""), validate=True)
        except (binascii.Error, ValueError):
            return raw(content, chance, known)
        return content[: block.start()] + base64.b64encode(inner(held, chance, known)) + content[block.end() :]

    return mutate


_HEAD_LINE = re.compile(rb"(?m)^([A-Za-z-]+):[ \t]*(.*?)\r?$")


def mime(content: bytes, chance: Random, known: Sequence[bytes]) -> bytes:
    """Bend a mail: header fields lost, doubled, odd; boundaries lost; parts inside one another."""
    found = list(_HEAD_LINE.finditer(content))
    boundary = re.search(rb'boundary="?([^"\r\n;]+)', content)
    match chance.randrange(6):
        case 0 if boundary is not None:
            return content.replace(b"--" + boundary[1], chance.choice((b"--", b"", b"--" + boundary[1] + b"x")), 1)
        case 1 if boundary is not None:
            nest = b"--" + boundary[1] + b"\r\nContent-Type: message/rfc822\r\n\r\n"
            at = content.find(b"--" + boundary[1])
            return content[:at] + nest * chance.choice((1, 5, 60)) + content[at:]
        case 2 | 3 | 4 if found:
            line = chance.choice(found)
            new = chance.choice((
                b"", line.group() + b"\r\n" + line.group(), line[1] + b": " + chance.choice(_ODD),
                line[1] + b": =?utf-8?q?=ZZ?= =?x?b?////?=", line[1] + b":" + b" (" * chance.choice((1, 300)) + line[2],
                line[1] + b": " + b"<a@b>, " * chance.choice((1, 500)), line[1] + b": " + line[2] + b'; name*0*="\xff',
                b"Content-Transfer-Encoding: " + chance.choice((b"base64", b"quoted-printable", b"x-uuencode")),
            ))  # fmt: skip
            return content[: line.start()] + new + content[line.end() :]
        case _:
            return raw(content, chance, known)


def words(*vocabulary: bytes) -> Mutator:
    """Bend a text of a small language: its words put anywhere, brackets nested."""

    def mutate(content: bytes, chance: Random, known: Sequence[bytes]) -> bytes:
        for _ in range(chance.choice((1, 2, 4))):
            at = chance.randrange(len(content) + 1)
            end = min(len(content), at + chance.choice((0, 0, 1, 5)))
            word = chance.choice(vocabulary)
            if chance.random() < 0.05:
                word *= chance.choice((20, 500))
            content = content[:at] + word + content[end:]
        return content

    return mutate
