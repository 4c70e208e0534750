from __future__ import annotations

import csv
from pathlib import Path

import pytest

from schemas.units import known_ucum, ucum_of


@pytest.mark.parametrize(
    ("raw", "ucum"),
    [
        ("g/dL", "g/dL"),
        ("g/dl", "g/dL"),
        ("g/100 ml", "g/dL"),
        ("G/L", "10*9/L"),
        ("g/L", "g/L"),
        ("g/l", "g/L"),
        ("T/L", "10*12/L"),
        ("10^9/L", "10*9/L"),
        ("10E9/l", "10*9/L"),
        ("10⁹/L", "10*9/L"),
        ("x10^9/L", "10*9/L"),
        ("10^3/mm³", "10*9/L"),
        ("/mm3", "/uL"),
        ("µmol/L", "umol/L"),
        ("μmol/l", "umol/L"),
        ("µUI/mL", "m[IU]/L"),
        ("UI / L", "[IU]/L"),
        ("ml/mn/1,73m²", "mL/min/{1.73_m2}"),
        ("mm 1re heure", "mm/h"),
        ("mEq/l", "meq/L"),
        ("µm3", "fL"),
        ("MG/L", "mg/L"),
        ("MMOL/L", "mmol/L"),
        ("Cel", "Cel"),
        ("\u202f% ", "%"),
    ],
)
def test_a_french_spelling_has_its_ucum_code(raw: str, ucum: str) -> None:
    assert ucum_of(raw) == ucum


@pytest.mark.parametrize("raw", ["", "  ", "Mg/L", "109/L", "10", "unités", "mg/foo", "g:L", "¤"])
def test_what_is_not_certain_has_no_ucum_code(raw: str) -> None:
    assert ucum_of(raw) is None


def test_every_ucum_code_means_itself() -> None:
    assert {code: ucum_of(code) for code in known_ucum()} == {code: code for code in known_ucum()}


@pytest.mark.shared_data
def test_every_published_spelling_is_known(shared_data: Path) -> None:
    """The published list gives `G/L` to two codes, names meq by a code UCUM does not have, and equals by number."""
    differs = {"G/L", "= 10*9/L", "mEq/L", "mEq/l"}
    equal_by_number = {"ng/mL": "ng/mL", "pg/mL": "pg/mL"}
    with (shared_data / "dossier" / "ucum_fr_units.csv").open(encoding="utf-8", newline="") as lines:
        for row in csv.DictReader(lines):
            for variant in [row["ucum"], *row["french_source_variants"].split(" ; ")]:
                spelling = variant.split(" (", maxsplit=1)[0]
                if spelling not in differs:
                    assert ucum_of(spelling) == equal_by_number.get(spelling, row["ucum"]), spelling
