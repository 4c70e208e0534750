from __future__ import annotations

import re
from pathlib import Path

import pytest

import connectors.dmp
from connectors.dmp.errors import meanings
from mappings.xds import guards
from router.web.peer_words import finding_text, in_words
from router.web.texts import Texts
from schemas.finding import Finding, Severity

FRENCH, ENGLISH = Texts.of("fr"), Texts.of("en")


def test_every_code_is_told_in_the_readers_language_and_kept() -> None:
    for meaning in meanings().values():
        said = f"held: {meaning.sentence}"
        assert in_words(said, ENGLISH) == said
        assert in_words(said, FRENCH) == f"held: {meaning.code} : {meaning.fr}"
    assert in_words("HTTP 502: a proxy", FRENCH) == "HTTP 502: a proxy"
    assert in_words("", FRENCH) == ""


def test_what_we_say_ourselves_is_told_in_the_readers_language() -> None:
    held = "held: the document does not conform (xsd.invalid: element <b>: it is (not) expected)"
    assert in_words(held, FRENCH) == "document non conforme : element <b>: it is (not) expected [xsd.invalid]"
    assert in_words(held[:-1], FRENCH) == "document non conforme : element <b>: it is (not) expected [xsd.invalid]"
    assert in_words(held, ENGLISH) == held
    assert in_words("taken by the operator", FRENCH) == "remis à l’opérateur"


def test_every_guard_is_told_in_the_readers_language() -> None:
    files = [Path(guards.__file__), *Path(connectors.dmp.__file__).parent.glob("*.py")]
    raised = {name for file in files for name in re.findall(r'\b_?guard\(\s*"(\w+)"', file.read_text(encoding="utf-8"))}
    assert len(raised) > 10
    for name in raised:
        finding = Finding(severity=Severity.ERROR, code=guards.PREFIX + name, where="dmp", message="<b>")
        assert finding_text(finding, FRENCH) == FRENCH.say(f"dmp_guard.{name}")
        assert finding_text(finding, ENGLISH) == "&lt;b&gt;"


@pytest.mark.parametrize(
    ("kept", "said"),
    [
        ("written, 1697 bytes", "écrit, 1697 octets"),
        ("no acknowledgement within 30 s", "aucun acquittement en 30 s"),
        ("HTTP 401: our credentials are not accepted", "HTTP 401 : nos identifiants ne sont pas acceptés"),
        ("the operator wants another login (535)", "l’opérateur veut une autre authentification (535)"),
        ("HTTP 200", "HTTP 200"),
        ("<b>its own words</b>", "<b>its own words</b>"),
    ],
)
def test_the_sentences_of_our_connectors_are_said_in_french(kept: str, said: str) -> None:
    assert in_words(kept, Texts.of("fr")) == said
    assert in_words(kept, Texts.of("en")) == kept
