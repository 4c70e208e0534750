"""What settings and connectors mean, in the reader's language: the code says it in English, the catalogue in French."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from markupsafe import Markup, escape

from router.web.texts import Texts, catalogue


def setting_words(meaning: str, *, texts: Texts) -> Markup:
    """Give a description of the code in the reader's language; one that has no translation stays, marked as English."""
    if texts.language == "en" or not meaning:
        return escape(meaning)
    key = _keys().get(meaning)
    return texts.word("setting", key) if key is not None else Markup('<span lang="en">{}</span>').format(meaning)


@cache
def _keys() -> Mapping[str, str]:
    """Give the keys of the descriptions that the catalogue knows, by what the code says."""
    return {
        text: key.removeprefix("setting.")
        for key, text in catalogue("en").items()
        if key.startswith("setting.") and isinstance(text, str)
    }
