"""What happened outside, in the reader's language: codes stay as they came, our sentences are translated."""

from __future__ import annotations

import re
from functools import cache

from markupsafe import Markup, escape

from connectors.dmp.errors import meanings
from mappings.xds.guards import PREFIX
from router.web.texts import Texts, catalogue
from schemas.finding import Finding

_NOT_CONFORMING = re.compile(
    r"held: the document does not conform \((?P<code>[^\s:]+): (?P<message>.*?)\)?\Z", re.DOTALL
)
_OURS = {
    "taken by the operator": "said.taken",
    "acknowledged by the recipient": "said.acknowledged",
    "held: it could not be checked": "said.unchecked",
}
_MAIL_CODE = re.compile(r"(?<![\d.])(?:[45]\.\d{1,3}\.\d{1,3}|90[0-6])(?![\d.]*\d)")
"""Enhanced status codes of mail servers (RFC 3463), and the codes of applications that read a mail."""


def in_words(text: str, texts: Texts) -> str:
    """Give a detail with the sentences of known codes in the reader's language; the rest stays as it is."""
    if texts.language != "fr":
        return text
    refused = _NOT_CONFORMING.match(text)
    if refused is not None:
        return texts.say("said.not_conforming", code=refused["code"], message=refused["message"]).unescape()
    if text in _OURS:
        return texts.say(_OURS[text]).unescape()
    if worded := family_words("detail", text, texts):
        return worded
    for english, french in _sentences():
        if english in text:
            text = text.replace(english, french)
    return text


def family_words(family: str, text: str, texts: Texts) -> str:
    """Give a sentence of ours, kept in English, in the reader's language; empty for one that a family does not have."""
    for name, pattern in _sentences_of(family):
        if found := pattern.fullmatch(text):
            places: dict[str, object] = {**found.groupdict()}
            return texts.say(f"{family}.{name}", None, **places).unescape()
    return ""


def finding_text(finding: Finding, texts: Texts) -> Markup:
    """Give the sentence of a finding: for a guard of the DMP, in the reader's language."""
    if texts.language == "fr" and finding.code.startswith(PREFIX):
        name = finding.code.removeprefix(PREFIX)
        if texts.has(f"dmp_guard.{name}"):
            return texts.word("dmp_guard", name)
    said = in_words(finding.message, texts)
    if texts.language == "fr" and said == finding.message:
        return Markup('<span lang="en">{}</span>').format(said)  # readers write English: a screen reader is told so
    return escape(said)


def refusal_words(detail: str, texts: Texts) -> tuple[tuple[str, Markup], ...]:
    """Give the codes of a refused mail that are known, each with its sentence: `5.1.1`, `903`."""
    found = dict.fromkeys(_MAIL_CODE.findall(detail))
    return tuple((code, texts.say(f"mail_code.{key}")) for code in found if (key := _mail_key(code, texts)))


def _mail_key(code: str, texts: Texts) -> str:
    """Give the key of a code's sentence: its own, or that of its class (`5.1.x`, `4.x`)."""
    own = code.replace(".", "_")
    classes = (own, own.rpartition("_")[0] + "_x", own.partition("_")[0] + "_x")
    return next((key for key in classes if texts.has(f"mail_code.{key}")), "")


@cache
def _sentences_of(family: str) -> tuple[tuple[str, re.Pattern[str]], ...]:
    """Give the sentences of a family as patterns: the English text of each is what is kept in the journal."""
    english = catalogue("en")
    return tuple(
        (key.removeprefix(f"{family}."), re.compile(_places(text), re.DOTALL))
        for key, text in english.items()
        if key.startswith(f"{family}.") and isinstance(text, str)
    )


def _places(text: str) -> str:
    parts = re.split(r"\{(\w+)\}", text)
    return "".join(f"(?P<{part}>.+)" if rank % 2 else re.escape(part) for rank, part in enumerate(parts))


@cache
def _sentences() -> tuple[tuple[str, str], ...]:
    return tuple((one.sentence, f"{one.code} : {one.fr}") for one in meanings().values())
