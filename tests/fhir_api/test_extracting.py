"""Extraction for a structure: what it may read as a member and nothing else, noted before it is written."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import orjson
import pytest
from dossier_scene import document, home_help, stay

from mappings.fhir.check import check_with_fhirclient
from router.dossier.circle_door import CircleDoor
from router.dossier.extracting import Extraction, NotEmpty, extract_of, keep_extract, reader_for
from router.journal import tables
from router.journal.view import viewing

Rig = Any


def extracted(rig: Rig, finess: str, folder: Path) -> Extraction:
    store, now = rig.scene.journal.store, rig.scene.now
    reader, door = reader_for(finess, "claire"), CircleDoor()
    extraction = Extraction(folder)
    with viewing(store) as view:
        for patient in door.patients(view, reader):
            found = extract_of(view, door, reader, patient, now=now)
            if found is not None:
                rig.scene.journal.apply(keep_extract(found, finess, "claire", now=now))
                extraction.add(view, found)
    return extraction


async def test_a_structure_gets_what_it_may_read_and_it_is_noted(rig: Rig, tmp_path: Path) -> None:
    rig.scene.add(home_help())
    rig.scene.receive(stay("a" * 32))
    rig.scene.receive(document("d" * 32))
    await rig.follow()
    extraction = extracted(rig, "670000002", tmp_path / "out")
    bundle = (tmp_path / "out" / "dossier-1" / "bundle.json").read_bytes()
    assert check_with_fhirclient(bundle) == ()
    kinds = {entry["resource"]["resourceType"] for entry in orjson.loads(bundle)["entry"]}
    assert {"Patient", "Encounter", "CareTeam"} <= kinds
    assert "DocumentReference" not in kinds, "the matrix gives medical documents to no social member"
    with (tmp_path / "out" / "resources.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter=";"))
    assert len(rows) == extraction.resources
    assert {row["type"] for row in rows} >= {"Encounter"}
    assert (tmp_path / "out" / "dossier-1" / "bundle.json").stat().st_mode & 0o077 == 0
    noted = [row for row in rig.rows(tables.dossier_access) if row.reader.startswith("extraction for 670000002")]
    assert {row.allowed for row in noted} == {True}
    assert [row.target for row in rig.rows(tables.audit) if row.action == "extract dossiers"] == [
        "structure 670000002, dossier 1"
    ]
    assert {row.member_id for row in rig.rows(tables.dossier_reading)} == {2}


async def test_a_stranger_gets_nothing_and_nothing_is_written_over(rig: Rig, tmp_path: Path) -> None:
    await rig.follow()
    assert extracted(rig, "670000099", tmp_path / "out").dossiers == 0
    with pytest.raises(NotEmpty):
        Extraction(tmp_path / "out")
