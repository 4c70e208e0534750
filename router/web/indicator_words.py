"""The names of indicators in a language."""

from __future__ import annotations

from collections.abc import Iterable

from mappings.xds.vocabulary import type_label
from router.dossier.indicators import DOCUMENTS_OF, Line
from router.web.texts import Texts

_ALERTS = "alerts_"


def words(texts: Texts, found: Iterable[Line]) -> dict[str, str]:
    """Give the name of each indicator; that of alerts holds what they tell of."""
    return {name: _word(texts, name) for name in {one.indicator for one in found}}


def _word(texts: Texts, name: str) -> str:
    if name.startswith(_ALERTS):
        event = texts.word("happening", name.removeprefix(_ALERTS))
        return str(texts.say("indicators.of", event=event).unescape())
    if name.startswith(DOCUMENTS_OF):
        code = name.removeprefix(DOCUMENTS_OF)
        return str(texts.say("indicators.documents_of", type=type_label(code) or code).unescape())
    return str(texts.word("indicator", name).unescape())
