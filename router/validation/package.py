"""A validation package as the ANS publishes it: what is in the folder, which parts a document calls for, the check.

every document      CDA_extended.xsd, then MIN (the header)
structured body     and MOD, IHE, ANS (sections and entries), and the schematron of the document's model
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from mappings.contracts import FormatError
from router.validation.cache import StylesheetCache, default_cache, fingerprint
from router.validation.clinical import Clinical, clinical_document
from router.validation.faults import PackageFault
from router.validation.parts import HEADER, PROFILES, SCHEMA, find_parts
from router.validation.schematron.expansion import expand
from router.validation.schematron.sources import Folder, read_schema
from router.validation.schematron.stylesheet import write_stylesheet
from router.validation.xsd import XmlSchema
from schemas.finding import Finding, Severity

if TYPE_CHECKING:
    from router.validation.saxon import Compiled, Saxon

LABORATORY = "BIO-CR-BIO"
FINDINGS = 500
"""Findings kept for one document."""


class Package:
    """A package that was found to be usable. Its schematrons are compiled when a document first needs them.

    Not shared between threads.
    """

    def __init__(self, folder: Path, cache: Path) -> None:
        self.folder = folder
        self._files = find_parts(folder)
        self._xsd = XmlSchema(self._files[SCHEMA])
        self._sources = Folder(folder)
        self._cache = StylesheetCache(cache)
        self._key: str | None = None
        self._saxon: Saxon | None = None
        self._compiled: dict[str, Compiled] = {}

    def validate(self, content: bytes) -> list[Finding]:
        """Check a document: schema first, then the schematrons that it calls for.

        The findings name elements by XPath and quote rules, never a value of the document. Raises PackageFault when a
        schematron of the package is broken.
        """
        try:
            document = clinical_document(content)
        except FormatError as problem:
            return [Finding(severity=Severity.ERROR, code=problem.code, where=problem.where, message=problem.message)]
        found = list(islice(self._check(document), FINDINGS + 1))
        if len(found) > FINDINGS:
            found[FINDINGS] = Finding(
                severity=Severity.ERROR, code="validation.more", where="", message="there is more that is not listed"
            )
        return found

    def warm_up(self) -> None:
        """Compile what every document of the laboratory needs, the header's schematron first."""
        for code in PROFILES:
            if PROFILES[code] in self._files:
                self._schematron(PROFILES[code])

    def _check(self, document: Clinical) -> Iterator[Finding]:
        yield from self._xsd.check(document.root)
        wanted = [(HEADER, PROFILES[HEADER])]
        if document.structured:
            for code, file in PROFILES.items():
                if file not in self._files:
                    yield _unchecked(f"the package has no schematron {code.upper()}")
                elif code != HEADER:
                    wanted.append((code, file))
            model = self._model(document)
            if model is None:
                yield _unchecked("the package has no schematron for the model of this document")
            else:
                wanted.append((model.removeprefix("ci-sis_").removesuffix(".sch"), model))
        schematrons = [(code, self._schematron(file)) for code, file in wanted]
        node = self._engine().document(document.root)
        for code, schematron in schematrons:
            yield from schematron.check(node, f"schematron.{code}")

    def _model(self, document: Clinical) -> str | None:
        """Give the file of the model's schematron: the version that the document says, else the newest."""
        models = _models()
        for template, extension in document.templates:
            name = models.get(template)
            if name is None:
                continue
            # CR-BIO of 2021 has no extension; later ones that forgot theirs have the copy that 2024 asks for.
            if name == LABORATORY and not extension and not document.has_pdf_copy:
                extension = "2021.01"
            return self._version(name, extension)
        return None

    def _version(self, model: str, extension: str) -> str | None:
        start = f"ci-sis_{model}_".casefold()
        versions = sorted(name for name in self._files if name.startswith(start))
        exact = f"{start}{extension.casefold()}.sch"
        # A schematron may be published without its parts: another version then judges as well as can be.
        for name in ([exact] if exact in versions else []) + versions[::-1]:
            try:
                self._schematron(name)
            except PackageFault:
                if name == versions[0]:
                    raise
            else:
                return name
        return None

    def _schematron(self, name: str) -> Compiled:
        if name not in self._compiled:
            path = self._files[name]
            if self._key is None:
                parts = sorted(
                    p for p in self.folder.rglob("*") if p.suffix.lower() in (".sch", ".xml") and p.is_file()
                )
                self._key = fingerprint(self.folder, parts)
            stylesheet = self._cache.get(f"{self._key}-{path.stem}", lambda: self._translate(path))
            self._compiled[name] = self._engine().compile(stylesheet, path.name)
        return self._compiled[name]

    def _translate(self, path: Path) -> bytes:
        schema = expand(read_schema(self._sources, path), path.name)
        return write_stylesheet(schema, self._sources, path.parent, path.name)

    def _engine(self) -> Saxon:
        if self._saxon is None:
            # Here and not above: whoever only opens a package, or serves, must not load Saxon.
            from router.validation.saxon import Saxon

            self._saxon = Saxon()
        return self._saxon


def open_package(folder: Path, cache: Path | None = None) -> Package:
    """Open a package. `cache` keeps stylesheets (default: the user's cache folder). Raises PackageFault."""
    return Package(folder.resolve(), cache if cache is not None else default_cache())


@lru_cache(maxsize=1)
def _models() -> dict[str, str]:
    with (Path(__file__).parent / "data" / "models.csv").open(encoding="utf-8", newline="") as file:
        return {row["template_id"]: row["model"] for row in csv.DictReader(file)}


def _unchecked(what: str) -> Finding:
    return Finding(severity=Severity.WARNING, code="validation.not_checked", where="", message=what)
