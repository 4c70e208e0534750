"""Reading what INSi answers, tolerantly: by local name, in any order, without a schema; nothing is guessed.

The service sends prefixed or default namespaces, a second prefix for the body, dates before numbers, the current
matricule again among the former ones, keys that do not verify. What would make two persons of one reply, or a person
without a usable number, is no answer.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from lxml import etree

from connectors.ins.answers import CertifiedTraits, Found, Matricule, NoAnswer, NotFound, Rejected, Reply, Several
from connectors.ins.faults import read_fault
from mappings.contracts import FormatError
from mappings.xml_source import parse_xml
from schemas.identifiers import MatriculeVerdict, check_matricule, ins_authority
from schemas.identity import Ins

LIMIT = 1024 * 1024
"""Bytes of a reply at most; a real one has about two thousand."""

_NUMBER = re.compile(r"\d{6}[A-Z0-9]\d{6}", re.ASCII)
_KEY = re.compile(r"\d{2}", re.ASCII)

REFUSING_STATUSES = frozenset({400, 401, 403, 404, 405, 410, 415, 495, 496})
"""HTTP statuses that say that the caller or its address is wrong, whoever is asked about."""


class _Unusable(Exception):
    """The reply says 00 but nobody can be made of it; the text is the code's last part."""


def read_reply(status: int, content: bytes) -> Reply:
    """Read an HTTP answer; never raises. `status` counts only where the content is no SOAP message."""
    try:
        root = parse_xml(content, code="insi.reply", limit=LIMIT)
    except FormatError:
        return _not_soap(status)
    bodies = [child for child in root if _local(child) == "Body"]
    if _local(root) != "Envelope" or len(bodies) != 1:
        return _not_soap(status)
    fault = next(_named(bodies[0], "Fault"), None)
    if fault is not None:
        return read_fault(fault)
    results = list(_named(bodies[0], "RESULTAT"))
    if len(results) != 1:
        return _not_soap(status)
    try:
        return _result(results[0], content)
    except _Unusable as problem:
        return NoAnswer(f"insi.reply.{problem}", f"the reply of INSi cannot be used ({problem})", again=False)


def _not_soap(status: int) -> Reply:
    if status in REFUSING_STATUSES:
        return Rejected(f"http.{status}", f"HTTP {status} instead of an answer: address, certificate or rights", True)
    return NoAnswer("insi.reply.not_soap", f"HTTP {status} without a SOAP answer")


def _result(result: etree._Element, content: bytes) -> Reply:
    report = _one(result, "CR")
    code = _word(report, "CodeCR") if report is not None else None
    persons = list(_named(result, "INDIVIDU"))
    if code == "00":
        if len(persons) != 1:
            raise _Unusable("several_persons" if persons else "no_person")
        return _person(persons[0], content)
    if persons:
        raise _Unusable("person_without_00")
    if code == "01":
        return NotFound()
    if code == "02":
        return Several()
    raise _Unusable("unknown_code")


def _person(person: etree._Element, content: bytes) -> Found:
    active, traits = _one(person, "INSACTIF"), _one(person, "TIQ")
    if active is None or traits is None:
        raise _Unusable("incomplete")
    warnings: list[str] = []
    current = _matricule(active, warnings)
    history: list[Matricule] = []
    for former in _named(person, "INSHISTO"):
        try:
            known = _matricule(former, warnings)
        except _Unusable as problem:
            warnings.append(f"insi.history.{problem}")
            continue
        if known.ins != current.ins:
            history.append(known)
    certified = CertifiedTraits(
        birth_name=_word(traits, "NomNaissance"),
        first_given_name=_word(traits, "Prenom"),
        given_names=_word(traits, "ListePrenom"),
        sex=_word(traits, "Sexe"),
        birth_date=_word(traits, "DateNaissance"),
        birth_place=_word(traits, "LieuNaissance"),
    )
    return Found(current, certified, tuple(history), tuple(dict.fromkeys(warnings)), content)


def _matricule(holder: etree._Element, warnings: list[str]) -> Matricule:
    number = _one(holder, "IdIndividu")
    body = (_word(number, "NumIdentifiant") or "").upper() if number is not None else ""
    oid = _word(holder, "OID") or ""
    if not _NUMBER.fullmatch(body):
        raise _Unusable("number")
    if ins_authority(oid) is None:
        raise _Unusable("oid")
    computed = check_matricule(body)
    key = _word(number, "Cle") if number is not None else None
    if key is None:
        key = computed.key
    if key is None or not _KEY.fullmatch(key):
        raise _Unusable("key")
    if check_matricule(body + key).verdict is not MatriculeVerdict.OK:
        # INSi's own number is kept as it came; public replies have keys that do not verify.
        warnings.append("insi.matricule.unverified")
    return Matricule(Ins(matricule=body + key, oid=oid), _word(holder, "DateDeb"), _word(holder, "DateFin"))


def _local(element: etree._Element) -> str:
    return etree.QName(element).localname


def _named(parent: etree._Element, name: str) -> Iterator[etree._Element]:
    return (child for child in parent if _local(child) == name)


def _one(parent: etree._Element, name: str) -> etree._Element | None:
    found = list(_named(parent, name))
    if len(found) > 1:
        raise _Unusable("repeated")
    return found[0] if found else None


def _word(parent: etree._Element, name: str) -> str | None:
    element = _one(parent, name)
    if element is None:
        return None
    return "".join(str(part) for part in element.itertext()).strip() or None
