"""Importing patients: what is registered, what is refused rather than guessed, and what a person should look at."""

from __future__ import annotations

import itertools
from pathlib import Path

import orjson
import pytest
from click.testing import CliRunner
from sqlalchemy import func, select

from router.cli.people import command_patients
from router.identity.import_report import ImportReport, import_patients
from router.identity.importing import COLUMNS, read_patients
from router.identity.patients import remember_former
from router.journal import tables
from router.journal.store import Store
from router.journal.unit import Unit

TEST = "1.2.250.1.213.1.4.10"
ROSE = "CH-FICTIF,IPP-1,,,TESTROSE,MARIE JEANNE,,1931-03-05,F,75056"


def csv_of(*rows: str) -> bytes:
    return "\n".join((",".join(COLUMNS), *rows)).encode()


def run(store: Store, *rows: str) -> ImportReport:
    ticks = itertools.count(1)
    return import_patients(store, read_patients(csv_of(*rows)).entries, in_coordination=True, now=lambda: next(ticks))


def told(report: ImportReport) -> list[tuple[str, str, bool, str]]:
    return [(note.entry, note.code, note.refused, note.other) for note in report.notes]


def count(store: Store) -> int:
    with store.reading() as connection:
        found: int = connection.execute(select(func.count()).select_from(tables.patient)).scalar_one()
    return found


def test_the_same_file_twice_updates_and_doubles_nobody(store: Store) -> None:
    rows = (ROSE, "CH-FICTIF,IPP-2,,,TESTPAUL,PAUL,,1980-01-05,M,75056")
    first, again = run(store, *rows), run(store, *rows)
    assert (first.registered, first.updated, first.notes) == (2, 0, [])
    assert (again.registered, again.updated, again.notes) == (0, 2, [])
    assert count(store) == 2


def test_an_entry_that_repeats_a_number_is_refused_and_named(store: Store) -> None:
    report = run(
        store,
        ROSE,
        ROSE,
        f"CH-FICTIF,IPP-4,180017505600004,{TEST},TESTPAUL,PAUL,,1980-01-05,M,75056",
        f"CH-FICTIF,IPP-5,180017505600004,{TEST},TESTJEAN,JEAN,,1980-01-05,M,75056",
    )
    assert told(report) == [
        ("line 3", "same_identifier", True, "line 2"),
        ("line 5", "same_matricule", True, "line 4"),
    ]
    assert (report.registered, report.refused, count(store)) == (2, 2, 2)


def test_numbers_of_two_patients_or_of_one_who_contradicts_are_refused(store: Store) -> None:
    run(store, ROSE, f",,180017505600004,{TEST},TESTPAUL,PAUL,,1980-01-05,M,75056")
    report = run(
        store,
        f"CH-FICTIF,IPP-1,180017505600004,{TEST},TESTROSE,MARIE,,1931-03-05,F,75056",
        "CH-FICTIF,IPP-1,,,TESTROSE,MARIE,,1932-03-05,F,75056",
    )
    assert told(report) == [
        ("line 2", "several_patients", True, "patient 1, patient 2"),
        ("line 3", "trait_mismatch", True, "patient 1"),
    ]
    assert (report.updated, count(store)) == (0, 2)


def test_a_known_identifier_with_another_matricule_is_refused(store: Store) -> None:
    known = f"CH-FICTIF,IPP-4,180017505600004,{TEST},TESTPAUL,PAUL,,1980-01-05,M,75056"
    run(store, known)
    report = run(store, known.replace("180017505600004", "185107505600097"))
    assert told(report) == [("line 2", "other_matricule", True, "patient 1")]


def test_people_who_resemble_are_registered_beside_each_other_and_reported(store: Store) -> None:
    run(store, ROSE)
    report = run(
        store,
        "CH-FICTIF,IPP-8,,,Test-Rosé,MARIE,,1931-03-05,F,75056",
        "CH-FICTIF,IPP-9,,,Testrosé,MARIE,,1931-03-05,F,",
    )
    assert told(report) == [("line 3", "same_traits", False, "patient 1")]
    assert (report.registered, report.refused, count(store)) == (2, 0, 3)


def test_a_matricule_that_does_not_verify_is_left_out_and_one_that_says_otherwise_is_kept(store: Store) -> None:
    report = run(
        store,
        f"CH-FICTIF,IPP-3,180017505600005,{TEST},TESTPAUL,PAUL,,1980-01-05,M,75056",
        f"CH-FICTIF,IPP-4,180017505600004,{TEST},TESTLOUISE,LOUISE,,1981-01-05,F,13055",
        f",,180017505600005,{TEST},TESTJEAN,JEAN,,1980-01-05,M,75056",
    )
    assert told(report) == [
        ("line 2", "ins_unusable", False, ""),
        ("line 3", "nir_contradicts_traits", False, ""),
        ("line 4", "unusable", True, ""),
    ]
    assert report.notes[1].message.endswith("sex, year, place")
    with store.reading() as connection:
        kinds = connection.execute(
            select(tables.patient_token.c.patient_id).where(tables.patient_token.c.kind == "ins")
        )
        assert list(kinds.scalars()) == [2]


def test_a_former_matricule_of_somebody_else_is_reported(store: Store) -> None:
    run(store, ROSE)
    with store.writing() as connection:
        remember_former(1, ["180017505600004"]).apply(Unit(connection, store.sealer))
    report = run(store, f",,180017505600004,{TEST},TESTPAUL,PAUL,,1980-01-05,M,75056")
    assert told(report) == [("line 2", "historic_matricule", False, "patient 1")]


def test_a_bundle_reports_what_its_reader_would_not_use(store: Store) -> None:
    patient = {
        "resourceType": "Patient",
        "identifier": [
            {"system": "urn:oid:1.2.3", "value": "IPP-1"},
            {
                "system": f"urn:oid:{TEST}",
                "value": "180017505600005",
                "type": {"coding": [{"code": "INS-NIR-TEST"}]},
            },
        ],
        "name": [{"use": "official", "family": "TESTROSE", "given": ["MARIE"]}],
    }
    bundle = {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": patient}, {"resource": patient}]}
    entries = read_patients(orjson.dumps(bundle)).entries
    report = import_patients(store, entries, in_coordination=True, now=lambda: 1)
    assert told(report) == [
        ("patient 1", "ins_unusable", False, ""),
        ("patient 2", "same_identifier", True, "patient 1"),
    ]


@pytest.mark.parametrize("as_json", [False, True])
def test_the_command_prints_the_report_and_says_by_its_status_that_some_were_refused(
    tmp_path: Path, store: Store, as_json: bool
) -> None:
    listed, config = tmp_path / "patients.csv", tmp_path / "passerelle.toml"
    listed.write_bytes(csv_of(ROSE, ROSE))
    config.write_text(f'[journal]\ndata = "."\nurl = "{store.place.url}"\n', encoding="utf-8")
    arguments = ["import", str(listed), "--config", str(config), *(["--json"] if as_json else [])]
    done = CliRunner().invoke(command_patients, arguments, standalone_mode=False)
    assert done.return_value == 1
    assert "TESTROSE" not in done.output
    if as_json:
        found = orjson.loads(done.stdout)
        assert (found["registered"], found["refused"], found["notes"][0]["code"]) == (1, 1, "same_identifier")
    else:
        assert "same_identifier" in done.stdout
        assert "1 registered, 0 updated, 1 refused." in done.stdout
