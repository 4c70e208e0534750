from __future__ import annotations

import csv
from pathlib import Path

import pytest

from schemas.value_sets import (
    FR_IDENTIFIER_TYPES,
    V2_IDENTIFIER_TYPES,
    abnormal_flags,
    code_system_oid,
    code_system_url,
    identifier_types,
)


def test_flags_have_their_interpretation() -> None:
    flags = abnormal_flags()
    assert {code for code, flag in flags.items() if flag.interpretation is None} == {"MS", "VS"}
    assert all(flag.interpretation in {None, code} for code, flag in flags.items())
    assert flags["HH"].fr == "supérieur au seuil critique"


def test_identifier_types_name_the_system_that_defines_them() -> None:
    types = identifier_types()
    assert types["PI"].system == V2_IDENTIFIER_TYPES
    assert types["RPPS"].system == FR_IDENTIFIER_TYPES


def test_code_systems_translate_both_ways() -> None:
    assert code_system_url("2.16.840.1.113883.6.1") == "http://loinc.org"
    assert code_system_url("urn:oid:2.16.840.1.113883.6.8") == "http://unitsofmeasure.org"
    assert code_system_url("urn:oid:2.999.1") == "urn:oid:2.999.1"
    assert code_system_oid("http://loinc.org") == "2.16.840.1.113883.6.1"
    assert code_system_oid("urn:oid:2.16.840.1.113883.6.1") == "2.16.840.1.113883.6.1"
    assert code_system_oid("http://example.org") is None


@pytest.mark.shared_data
def test_the_published_tables_are_covered(shared_data: Path) -> None:
    folder = shared_data / "dossier" / "terminology"
    with (folder / "FR_identifier_types_0203.csv").open(encoding="utf-8", newline="") as lines:
        published = {row["code"] for row in csv.DictReader(lines)}
    assert published == {code for code, kind in identifier_types().items() if kind.system == FR_IDENTIFIER_TYPES}
    with (folder / "HL7v2_tables.csv").open(encoding="utf-8", newline="") as lines:
        flags = {row["code"] for row in csv.DictReader(lines) if row["table"] == "0078"}
    assert flags == set(abnormal_flags())
