"""The white list of MSSanté domains (`listeblanchemssante.xml`): which domains there are, and by whom they are run.

Read strictly: one that is cut, empty, or otherwise than it should be is refused whole, and the last good one stays. One
domain stands in it once for each operator's certificate.

    white_list.not_xml, .doctype, .too_large, .too_deep   what the hardened parser says
    white_list.root          the root is no white list
    white_list.entry         a domain without name or operator, or whose name is no domain
    white_list.empty         no domain at all
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from lxml import etree

from mappings.contracts import FormatError
from mappings.xml_source import parse_xml

NAMESPACE = "https://listeblanche.mssante.fr/schema"
FOLDER = "annuaire"
"""Name of the folder, beside the journal, that keeps the directory and the white list."""

FILE = "white-list.xml"
LIMIT = 32 << 20
_DOMAIN = re.compile(r"(?=.{1,253}$)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)+")


@dataclass(frozen=True, slots=True)
class WhiteList:
    """Domains with the distinguished names of their operators' certificates; `generated_at` as it is written."""

    generated_at: str
    domains: Mapping[str, frozenset[str]]

    def allowed(self, domain: str) -> bool:
        """Say whether a domain, or that of an address, is one of MSSanté's."""
        return domain_of(domain) in self.domains

    def operators(self, domain: str) -> frozenset[str]:
        """Give the operators' names of a domain, none when it is not in the list."""
        return self.domains.get(domain_of(domain), frozenset())


def domain_of(address: str) -> str:
    """Give the domain of an address, or a domain as the list writes it."""
    return address.rpartition("@")[2].strip().rstrip(".").lower()


def read_white_list(content: bytes) -> WhiteList:
    """Read a white list. Raises FormatError."""
    root = parse_xml(content, code="white_list", limit=LIMIT)
    if root.tag != f"{{{NAMESPACE}}}ListeBlancheMSSante":
        raise FormatError("white_list.root", "root", "this is not the white list of MSSanté domains")
    domains: dict[str, set[str]] = {}
    for rank, element in enumerate(root.iterfind(f"{{{NAMESPACE}}}ListeDomaines/{{{NAMESPACE}}}Domaine"), start=1):
        name, operator = _text(element, "Nom").lower(), _text(element, "DNCertificatOperateur")
        if not operator or _DOMAIN.fullmatch(name) is None:
            raise FormatError("white_list.entry", f"domain {rank}", "a domain has no valid name, or no operator")
        domains.setdefault(name, set()).add(operator)
    if not domains:
        raise FormatError("white_list.empty", "root", "the list has no domain: it is not taken")
    generated_at = (root.findtext(f"{{{NAMESPACE}}}DateDeGeneration") or "").strip()
    try:
        datetime.fromisoformat(generated_at)
    except ValueError:
        raise FormatError("white_list.entry", "DateDeGeneration", "the list does not say when it was made") from None
    return WhiteList(generated_at, {name: frozenset(operators) for name, operators in domains.items()})


class KeptWhiteList:
    """The last good white list of a folder, read again when it was replaced."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE
        self._kept: tuple[tuple[int, int], WhiteList] | None = None

    def current(self) -> WhiteList | None:
        """Give the list, None when there never was a good one. Raises FormatError when the kept file was damaged."""
        try:
            stat = self._path.stat()
        except FileNotFoundError:
            return None
        identity = (stat.st_ino, stat.st_mtime_ns)
        if self._kept is None or self._kept[0] != identity:
            self._kept = (identity, read_white_list(self._path.read_bytes()))
        return self._kept[1]

    def replace(self, content: bytes) -> WhiteList:
        """Check a new list and keep it, whole or not at all. Raises FormatError; the last good one then stays."""
        found = read_white_list(content)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        new = self._path.with_suffix(".new")
        with new.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        new.replace(self._path)
        return found


def _text(element: etree._Element, name: str) -> str:
    return (element.findtext(f"{{{NAMESPACE}}}{name}") or "").strip()
