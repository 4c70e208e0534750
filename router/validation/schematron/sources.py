"""Reading a schema with all that it includes.

Packages are written on systems where `E_Directive.sch` and `e_directive.SCH` are one file: names are looked up without
regard to case. Nothing outside the package's folder is read.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import NewType

from lxml import etree

from router.validation.faults import PackageFault

SCH = "{http://purl.oclc.org/dsdl/schematron}"

Schema = NewType("Schema", "etree._Element")
"""The root of a schema, without comments, in which every `include` was replaced."""

DEPTH = 20
"""Includes inside one another at most: a schema that includes itself must end."""


@dataclass(slots=True)
class Folder:
    """The folder of a package: finds files without regard to case, and remembers which were read."""

    root: Path
    _listings: dict[Path, dict[str, Path]] = field(default_factory=dict)

    def find(self, base: Path, name: str) -> Path | None:
        """Give the file that `name` means from the folder `base`, or None when there is none inside the package."""
        wanted = Path(os.path.normpath(base / name.replace("\\", "/")))
        root = Path(os.path.normpath(self.root))
        if not wanted.is_relative_to(root):
            return None
        place = root
        for part in wanted.relative_to(root).parts:
            found = self._entry(place, part)
            if found is None:
                return None
            place = found
        return place

    def _entry(self, folder: Path, name: str) -> Path | None:
        exact = folder / name
        if exact.exists():
            return exact
        if folder not in self._listings:
            try:
                self._listings[folder] = {one.name.casefold(): one for one in sorted(folder.iterdir())}
            except OSError:
                self._listings[folder] = {}
        return self._listings[folder].get(name.casefold())


def read_schema(folder: Folder, path: Path) -> Schema:
    """Read a schema and what it includes. Raises PackageFault naming the file that is wrong."""
    root = _parse(folder, path)
    if root.tag != f"{SCH}schema":
        raise PackageFault(f"{_shown(folder, path)} is not a Schematron schema")
    _include(folder, root, path.parent, DEPTH)
    return Schema(root)


def _include(folder: Folder, element: etree._Element, base: Path, depth: int) -> None:
    for one in list(element.iter(f"{SCH}include")):
        if depth == 0:
            raise PackageFault(f"{_shown(folder, base)}: includes are more than {DEPTH} deep")
        href = one.get("href", "")
        path = folder.find(base, href)
        if path is None:
            raise PackageFault(f"{_shown(folder, base)}: the included file {href} is not in the package")
        included = _parse(folder, path)
        _include(folder, included, path.parent, depth - 1)
        parent = one.getparent()
        if parent is None:
            raise PackageFault(f"{_shown(folder, path)}: an include cannot be a whole file")
        parent.replace(one, included)


def _parse(folder: Folder, path: Path) -> etree._Element:
    # Comments go before anything else: they would cut the text of an assertion in pieces.
    parser = etree.XMLParser(resolve_entities=False, no_network=True, remove_comments=True, remove_pis=True)
    try:
        return etree.fromstring(path.read_bytes(), parser)
    except OSError as problem:
        raise PackageFault(f"{_shown(folder, path)} cannot be read: {problem.strerror}") from None
    except etree.XMLSyntaxError as problem:
        line = problem.position[0] if problem.position else 0
        raise PackageFault(f"{_shown(folder, path)}, line {line}: this is not well-formed XML") from None


def _shown(folder: Folder, path: Path) -> str:
    return str(path.relative_to(folder.root)) if path.is_relative_to(folder.root) else path.name
