"""XML as text: escaping, attributes, elements. Fast, and the same Item always gives the same bytes.

Elements are written by hand in the order of the schema, so a tree would only be built to be taken apart again.
"""

from __future__ import annotations

import re

_NOT_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")
_ESCAPED = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "\r": "&#13;"})
_IN_ATTRIBUTE = str.maketrans(
    {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "\n": "&#10;", "\r": "&#13;", "\t": "&#9;"}
)
NULL = ' nullFlavor="UNK"'


def clean(text: str) -> str:
    """Leave out what XML cannot hold (control characters, lone surrogates) or should not (C1 controls)."""
    return _NOT_XML.sub("", text)


def escaped(text: str) -> str:
    """Write a text as the content of an element; line ends are line feeds."""
    return _NOT_XML.sub("", text.replace("\r\n", "\n")).translate(_ESCAPED)


def attribute(name: str, value: str | None) -> str:
    """Write ` name="value"`; nothing for None, or when XML can hold nothing of the value: no attribute may be empty."""
    written = _NOT_XML.sub("", value).translate(_IN_ATTRIBUTE) if value else ""
    return f' {name}="{written}"' if written else ""


def element(name: str, content: str) -> str:
    """Write an element around content that is already XML; nothing when it has none."""
    return f"<{name}>{content}</{name}>" if content else ""


def text_element(name: str, text: str | None) -> str:
    """Write an element that holds a text on one line; nothing when there is none."""
    stripped = " ".join(clean(text).split()) if text else ""
    return f"<{name}>{stripped.translate(_ESCAPED)}</{name}>" if stripped else ""


def templates(*roots: str) -> str:
    """Write one templateId for each root."""
    return "".join(f'<templateId root="{root}"/>' for root in roots)
