"""The invented people are plausible to every check that a real person passes, and can never be real."""

from __future__ import annotations

import csv
import io
import json
import random
from datetime import datetime

import pytest

from connectors.sandbox.analyses import NFS, PANELS
from connectors.sandbox.laboratory import PARIS
from connectors.sandbox.people import (
    BIOLOGIST,
    PRESCRIBER,
    ROSE,
    STRANGER,
    ins_key,
    population,
)
from connectors.sandbox.registration import IMPORT_COLUMNS, import_bundle, import_file
from connectors.sandbox.reports import draw_report
from schemas.identifiers import MatriculeVerdict, NumberVerdict, check_matricule, check_rpps
from schemas.units import ucum_of

AT = datetime(2026, 3, 5, 9, 30, tzinfo=PARIS)


@pytest.mark.parametrize(
    ("body", "key"),
    [("1800175056000", "04"), ("280012A004000", "19"), ("280012B033000", "49"), ("1851075056000", "97")],
)
def test_key_follows_the_published_algorithm(body: str, key: str) -> None:
    assert ins_key(body) == key


def test_population_is_distinct_valid_and_the_same_for_a_seed() -> None:
    people = population(2000, seed=7)
    assert people == population(2000, seed=7)
    assert people != population(2000, seed=8)
    assert people[0] is ROSE
    assert len({person.ipp for person in people}) == len({person.matricule for person in people}) == 2000
    for person in (*people, STRANGER):
        assert check_matricule(person.matricule).verdict is MatriculeVerdict.OK
        assert person.birth_name.startswith("TEST")
        assert person.matricule[10:13] == "000"


def test_population_has_bounds() -> None:
    assert population(0) == ()
    with pytest.raises(ValueError, match="90,000"):
        population(90_001)


def test_professionals_pass_the_rpps_key() -> None:
    assert check_rpps(PRESCRIBER.rpps).verdict is check_rpps(BIOLOGIST.rpps).verdict is NumberVerdict.VALID


def test_import_file_has_the_header_and_one_line_a_person() -> None:
    rows = list(csv.DictReader(io.StringIO(import_file(population(5)))))
    assert tuple(rows[0]) == IMPORT_COLUMNS
    assert [row["ipp"] for row in rows] == [f"IPP{number:06d}" for number in range(1, 6)]
    assert rows[0]["birth_given_names"] == "ROSE MARIE"


def test_import_bundle_gives_each_patient_its_three_numbers() -> None:
    bundle = import_bundle(population(3), "urn:x-authority:LABFIC")
    entries = bundle["entry"]
    assert isinstance(entries, list)
    patient = entries[0]["resource"]
    assert [number["value"] for number in patient["identifier"]] == [ROSE.matricule, ROSE.ipp, ROSE.laboratory_number]
    assert (patient["birthDate"], patient["gender"]) == ("1938-05-12", "female")
    json.dumps(bundle)


def test_every_unit_of_the_catalogue_is_one_that_laboratories_write() -> None:
    units = {analysis.unit for panel in PANELS for analysis in panel.analyses}
    assert {unit for unit in units if ucum_of(unit) is None} == set()


def test_reports_are_drawn_the_same_for_a_seed_and_flagged_by_their_bounds() -> None:
    first = draw_report(random.Random(5), ROSE, 1, AT)
    assert first == draw_report(random.Random(5), ROSE, 1, AT)
    assert first.collected_at < first.issued_at
    for seed in range(50):
        for measure in draw_report(random.Random(seed), ROSE, 1, AT, panels=PANELS).measures:
            low, high = measure.analysis.low, measure.analysis.high
            value = float(measure.number)
            if measure.flag == "L":
                assert low is not None
                assert value < float(low)
            elif measure.flag == "H":
                assert high is not None
                assert value > float(high)
            else:
                assert low is None or value >= float(low)
                assert high is None or value <= float(high)


def test_correction_changes_one_result_and_the_status() -> None:
    report = draw_report(random.Random(1), ROSE, 1, AT, panels=(NFS,))
    corrected = report.corrected("HB", "9.1", issued_at=AT, comment="Contrôlé")
    assert corrected.report_id == report.report_id
    assert corrected.status == "C"
    changed = [after for before, after in zip(report.measures, corrected.measures, strict=True) if before != after]
    assert [(measure.analysis.code, measure.text, measure.flag, measure.status) for measure in changed] == [
        ("HB", "9.1", "L", "C")
    ]
    with pytest.raises(KeyError):
        report.corrected("NOPE", "1", issued_at=AT)
