"""What happened outside, in the reader's language: codes stay as they came, our sentences are translated."""

from __future__ import annotations

import re
from functools import cache

from markupsafe import Markup, escape

from connectors.dmp.errors import meanings
from mappings.xds.guards import PREFIX
from router.web.texts import Texts
from schemas.finding import Finding

_NOT_CONFORMING = re.compile(
    r"held: the document does not conform \((?P<code>[^\s:]+): (?P<message>.*?)\)?\Z", re.DOTALL
)
_OURS = {
    "taken by the operator": "said.taken",
    "acknowledged by the recipient": "said.acknowledged",
    "held: it could not be checked": "said.unchecked",
}


def in_words(text: str, texts: Texts) -> str:
    """Give a detail with the sentences of known codes in the reader's language; the rest stays as it is."""
    if texts.language != "fr":
        return text
    refused = _NOT_CONFORMING.match(text)
    if refused is not None:
        return texts.say("said.not_conforming", code=refused["code"], message=refused["message"]).unescape()
    if text in _OURS:
        return texts.say(_OURS[text]).unescape()
    for english, french in _sentences():
        if english in text:
            text = text.replace(english, french)
    return text


def finding_text(finding: Finding, texts: Texts) -> Markup:
    """Give the sentence of a finding: for a guard of the DMP, in the reader's language."""
    if texts.language == "fr" and finding.code.startswith(PREFIX):
        name = finding.code.removeprefix(PREFIX)
        if texts.has(f"dmp_guard.{name}"):
            return texts.word("dmp_guard", name)
    return escape(in_words(finding.message, texts))


@cache
def _sentences() -> tuple[tuple[str, str], ...]:
    return tuple((one.sentence, f"{one.code} : {one.fr}") for one in meanings().values())
