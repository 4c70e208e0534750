"""JSON contents by position: where each value stands in the bytes, and a human reading of them.

Shared by the formats that are JSON. Paths are written `items[0].content.status`; a span covers a text without its
quotes, so that a change inside it leaves the JSON well formed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence

from mappings.contracts import FormatError, Piece, Position
from mappings.pieces_limit import check_values

_TYPE_NAMES: dict[type, str] = {dict: "object", list: "array", str: "text", bool: "boolean"}
_TOKEN = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"|[{}\[\],:]|[^\s{}\[\],:"]+', re.DOTALL)
_BOM = b"\xef\xbb\xbf"

JsonNode = dict[str, "JsonNode"] | list["JsonNode"] | str | bool | None
"""A parsed JSON value whose numbers are kept as the text that was written."""


def load(content: bytes) -> JsonNode:
    """Parse JSON without losing the digits of a number (`13.20` stays `13.20`, as text).

    Raises FormatError when the content is not UTF-8, not JSON, of too many values,
    nested beyond reason, or holds half a surrogate pair.
    """
    check_values(content)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as problem:
        raise FormatError("json.charset", f"byte {problem.start}", "JSON must be UTF-8") from None
    try:
        document: JsonNode = json.loads(text, parse_float=str, parse_int=str, parse_constant=_no_constant)
    except json.JSONDecodeError as problem:
        where = f"line {problem.lineno} column {problem.colno}"
        raise FormatError("json.syntax", where, "this is not well-formed JSON") from None
    except RecursionError:
        raise FormatError("json.depth", "content", "the JSON is nested too deeply") from None
    if "\\ud" in text or "\\uD" in text:
        _refuse_lone_surrogates(document)
    return document


def _no_constant(name: str) -> str:
    raise FormatError("json.syntax", name, "NaN and Infinity are not JSON")


def _refuse_lone_surrogates(document: JsonNode) -> None:
    try:
        json.dumps(document, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        raise FormatError("json.surrogate", "content", "a text holds half a surrogate pair") from None


def positions(content: bytes) -> list[Position]:
    """List every text, number and boolean of a JSON content with its byte span, in order; null holds no value.

    Works on what it is given: after a syntax error the list simply ends.
    """
    return list(_scan(content))


def _scan(content: bytes) -> Iterator[Position]:
    path: list[str | int] = []  # one entry per open container: the key (objects) or the index (arrays) in hand
    kinds: list[bytes] = []
    awaiting_key = False
    start = len(_BOM) if content.startswith(_BOM) else 0
    for token in _TOKEN.finditer(content, start):
        text = token.group()
        first = text[:1]
        if first in b"{[":
            kinds.append(first)
            path.append("" if first == b"{" else 0)
            awaiting_key = first == b"{"
        elif first in b"}]":
            if not kinds:
                return
            kinds.pop()
            path.pop()
            awaiting_key = False
        elif first == b",":
            if not kinds:
                return
            last = path[-1]
            if isinstance(last, int):
                path[-1] = last + 1
            else:
                awaiting_key = True
        elif first == b":":
            awaiting_key = False
        elif awaiting_key and first == b'"':
            path[-1] = _key(text)
        elif first == b'"':
            if len(text) > 2:
                yield Position(_written(path), token.start() + 1, token.end() - 1)
        elif text != b"null":
            yield Position(_written(path), token.start(), token.end())


def _key(token: bytes) -> str:
    plain = token[1:-1].decode("utf-8", "replace")
    if "\\" not in plain:
        return plain
    try:
        return str(json.loads(f'"{plain}"', strict=False))
    except json.JSONDecodeError:
        return plain


def _written(path: Sequence[str | int]) -> str:
    out = ""
    for step in path:
        if isinstance(step, int):
            out += f"[{step}]"
        else:
            out += f".{step}" if out else step
    return out


def leaves(document: JsonNode) -> list[tuple[str, str]]:
    """List the values of a parsed JSON document with their paths; null and empty containers hold none."""
    found: list[tuple[str, str]] = []
    _collect(document, "", found)
    return found


def _collect(node: JsonNode, path: str, found: list[tuple[str, str]]) -> None:
    if isinstance(node, dict):
        for key, value in node.items():
            if value is not None and value != "":
                _collect(value, f"{path}.{key}" if path else key, found)
    elif isinstance(node, list):
        for index, value in enumerate(node):
            if value is not None and value != "":
                _collect(value, f"{path}[{index}]", found)
    elif isinstance(node, bool):
        found.append((path, "true" if node else "false"))
    elif node is not None and node != "":
        found.append((path, node))


def pieces(document: JsonNode, path: str = "", depth: int = 0) -> tuple[Piece, ...]:
    """Give a human reading of a parsed JSON document: one piece a key, containers holding theirs."""
    if isinstance(document, dict):
        entries = [(f"{path}.{key}" if path else key, key, value) for key, value in document.items()]
    elif isinstance(document, list):
        entries = [(f"{path}[{index}]", f"{index + 1}.", value) for index, value in enumerate(document)]
    else:
        entries = []
    found = []
    for where, name, value in entries:
        if value is None or value in ("", [], {}):
            continue
        children = pieces(value, where, depth + 1)
        kind = _TYPE_NAMES.get(type(value), "")
        text = "" if isinstance(value, (dict, list)) else str(value).lower() if isinstance(value, bool) else value
        found.append(Piece(where=where, name=name, text=text, type=kind, depth=depth, children=children))
    return tuple(found)
