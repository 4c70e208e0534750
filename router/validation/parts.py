"""What is in the folder of a validation package. Quick: nothing is loaded, so that a configuration can be checked."""

from __future__ import annotations

import os
from pathlib import Path

from router.validation.faults import PackageFault

SCHEMA = "cda_extended.xsd"
HEADER = "min"
PROFILES = {
    HEADER: "asip-struct-min-strucmin.sch",
    "mod": "ci-sis_modelesdecontenuscda.sch",
    "ihe": "ihe.sch",
    "ans": "ci-sis_modeles_ans.sch",
}
"""Schematrons that are not one model's: the name in findings' codes (`schematron.min`), and the file's."""

FILES = 20_000
"""Files of a folder that is still taken for a package."""


def find_parts(folder: Path) -> dict[str, Path]:
    """Find schemas and schematrons at any depth, by name in lower case; the nearest to the top wins.

    Raises PackageFault when the folder holds no CDA schema or no schematron of the header.
    """
    if not folder.is_dir():
        raise PackageFault(f"{folder} is not a folder")
    found: dict[str, Path] = {}
    seen = 0
    for place, folders, names in os.walk(folder):
        folders.sort()
        seen += len(names)
        if seen > FILES:
            raise PackageFault(f"{folder} has too many files to be a CDA validation package")
        for name in sorted(names):
            lower = name.casefold()
            if lower == SCHEMA or lower.endswith(".sch"):
                path = Path(place) / name
                known = found.get(lower)
                if known is None or len(path.parts) < len(known.parts):
                    found[lower] = path
    if SCHEMA not in found:
        raise PackageFault(f"{folder} is not a CDA validation package: there is no CDA_extended.xsd in it")
    if PROFILES[HEADER] not in found:
        raise PackageFault(f"{folder} is not a CDA validation package: the schematron of the header is not in it")
    return found
