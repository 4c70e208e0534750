"""Small repairs of text that came through mail and web forms: controls, HTML entities, typographic blanks."""

from __future__ import annotations

import html
import re

_CONTROLS = re.compile("[\0-\x08\x0b-\x1f\x7f\u0080-\u009f\ufeff]")
_ENTITY = re.compile(r"&(?:#\d{2,5}|#[xX][0-9a-fA-F]{2,4}|[a-zA-Z]{2,8}\d{0,2});")
_BLANKS = re.compile(r"\s+")


def without_controls(text: str) -> str:
    """Drop control characters, tabulations and line feeds excepted."""
    return text if text.isascii() and text.isprintable() else _CONTROLS.sub("", text)


def without_entities(text: str) -> str:
    """Replace HTML entities (`&eacute;`, `&#039;`) by their character; tags are not interpreted, they stay."""
    if "&" not in text or ";" not in text:
        return text
    return without_controls(_ENTITY.sub(lambda found: html.unescape(found.group()), text))


def has_entities(text: str) -> bool:
    """Tell whether `without_entities` would change the text."""
    return "&" in text and _ENTITY.search(text) is not None


def squeezed(text: str) -> str:
    """Make every run of blanks one blank, and strip."""
    return _BLANKS.sub(" ", text).strip()
