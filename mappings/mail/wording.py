"""Whether the text of a mail that carries documents says something of its own, or only that they are enclosed."""

from __future__ import annotations

import re

_PARAGRAPH = re.compile(r"\n\s*\n")
_SIGNATURE = re.compile(r"^--\s*$", re.MULTILINE)
_WORDS = re.compile(r"\w+")
_CLOSING = re.compile(
    r"^\s*(?:bien\s+|très\s+|avec\s+)?(?:cordialement|confraternellement|sincèrement|respectueusement|amicalement|"
    r"cdlt\b|salutations|(?:mes|nos)\s+(?:meilleures|sincères|respectueuses)?\s*salutations|"
    r"(?:veuillez|je vous prie|nous vous prions)\s+(?:d['’])?(?:agréer|croire|recevoir))",
    re.IGNORECASE,
)
_PERSON = (
    r"(?i:(?:mon\s+|ma\s+|mes\s+)?(?:ch(?:er|ère)s?|madame|monsieur|mesdames|messieurs|mme|mr|docteure?|dr|pr|confrères?|"
    r"consœurs?|consoeurs?|collègues?|amie?s?)\b\.?)"
)
_GREETING = re.compile(
    rf"^\s*(?:(?i:(?:re)?bonjour|bonsoir)\b(?i:\s+à\s+(?:tous|toutes|vous)\b)?|{_PERSON})"
    rf"(?:[\s,]*(?:et\s+)?{_PERSON}){{0,6}}(?:\s+[A-ZÀ-Ý][\w-]*\.?){{0,3}}\s*(?:[,!.]|$)"
)
"""«Bonjour», «Cher confrère,», «Bonjour Docteur Testrose,»: what it stands before is looked at without it."""
_FORMULA = re.compile(
    r"^\s*(?:"
    r"(?:vous\s+trouverez|veuillez\s+(?:trouver|recevoir)|merci\s+de\s+(?:trouver|prendre\s+connaissance)|"
    r"je\s+vous\s+(?:adresse|transmets|envoie|prie)|nous\s+vous\s+(?:adressons|transmettons|envoyons|prions)|"
    r"ci[- ]joints?|ci[- ]jointes?|en\s+pièces?\s+jointes?)\b[^\n]{0,250}?"
    r"(?:joint|jointe|joints|jointes|annexe|ci-dessous|ci-après|document|résultats?|compte[- ]rendu|courrier|lettre)\b"
    r"[^.!?\n]{0,120}|"
    r"(?:les?\s+|vos?\s+|des\s+)?(?:résultats?|resultats?|documents?|comptes?[- ]rendus?|pièces?)\s+"
    r"(?:est\s+|sont\s+)?(?:ci[- ])?(?:joints?|jointes?)[^.!?\n]{0,80}|"
    r"(?:ceci\s+est|il\s+s['’]agit\s+d['’]|ce)\s*(?:un\s+)?(?:message|courriel|mail|courrier)\s+(?:est\s+)?(?:généré\s+|envoyé\s+)?"
    r"automati\w+[^\n]{0,160}|"
    r"(?:merci\s+de\s+ne\s+pas|ne\s+pas|veuillez\s+ne\s+pas|prière\s+de\s+ne\s+pas)\s+(?:y\s+)?répondre[^\n]{0,120}|"
    r"ce\s+document\s+(?:annule\s+et\s+remplace|est\s+retiré)[^\n]{0,160}|"
    r"(?:bonne\s+(?:réception|journée|lecture|soirée))[^\n]{0,60}|merci\s+d['’]avance|"
    r"(?:ce|le\s+présent)\s+(?:message|courriel|document)[^\n]{0,200}(?:confidentiel|destinataire)[^\n]{0,400}"
    r")\s*[.!,:;…]*\s*$",
    re.IGNORECASE,
)
_SENTENCE = re.compile(r"(?<=[.!?…])\s+|\n")
_WRAPPED = re.compile(r"(?<![.,;:!?…\n])\n(?=\S)")
"""The end of a line that is not the end of a sentence."""


def says_something(text: str, sender: str) -> bool:
    """Say whether anything is left once greetings, «veuillez trouver ci-joint», closings and signatures are gone.

    `sender` is the name of who writes: a line made of it is a signature. In doubt it says something.
    """
    body = _SIGNATURE.split(text, maxsplit=1)[0]
    own = _folded(sender)
    for paragraph in _PARAGRAPH.split(body[:20_000]):
        lines = paragraph.split("\n")
        for rank, line in enumerate(lines):
            if _CLOSING.match(line):
                return any(_says(one, own) for one in lines[:rank])
        if any(_says(line, own) for line in _SENTENCE.split(_WRAPPED.sub(" ", paragraph))):
            return True
    return len(body) > 20_000


def _says(line: str, own: frozenset[str]) -> bool:
    line = _GREETING.sub("", line, count=1)
    words = _folded(line)
    return bool(words) and not words <= own and _FORMULA.match(line) is None


def _folded(text: str) -> frozenset[str]:
    return frozenset(word.lower() for word in _WORDS.findall(text.replace("_", " ")))
