"""The index of the directory: extractions as they are and as they should not be, look-ups, what moved, what stays."""

from __future__ import annotations

import signal
import subprocess
import sys
import zipfile
from datetime import UTC, datetime
from pathlib import Path

import pytest

from connectors.annuaire import building
from connectors.annuaire.building import ImportReport, Moved, build
from connectors.annuaire.directory import Directory, Query
from connectors.sandbox.extracts import MAILBOX_COLUMNS, write_extract
from mappings.contracts import FormatError

NOW = datetime(2030, 1, 1, tzinfo=UTC)


def line(address: str, rpps: str = "", family: str = "", given: str = "", **more: str) -> str:
    """Write a line of the extraction of mailboxes, by its columns' names."""
    cells = {"Type de BAL": "PER" if rpps else "ORG", "Adresse BAL": address, "Identifiant PP": rpps}
    cells |= {"Nom d'exercice": family, "Prénom d'exercice": given, **more}
    return "|".join(cells.get(name, "") for name in MAILBOX_COLUMNS.split("|"))


TESTAUT = line(
    "odile.testaut@medecin.mssante.invalid",
    "99900000011",
    "TESTAÛT-PŒUVRE",
    "Odile",
    **{
        "Libellé Profession": "Médecin",
        "Code Profession": "10",
        "Identification Structure": "990000001",
        "Raison Sociale structure BAL": "CABINET DE L'ESSAI",
        "Code postal": "35000",
        "L6LIGNEACHEMINEMENT": "35000 RENNES",
    },
)
SECOND = line(
    "odile.testaut@medecin.mssante.invalid", "99900000011", "TESTAÛT-PŒUVRE", "Odile",
    **{"Identification Structure": "990000002", "Raison Sociale structure BAL": "CLINIQUE FICTIVE"},
)  # fmt: skip
BIOLOGY = line(
    "biologie@ch-fictif.mssante.invalid",
    **{"Identification Structure": "990000002", "Service de rattachement": "Biologie",
       "Raison Sociale structure BAL": "CLINIQUE FICTIVE"},
)  # fmt: skip


def written(folder: Path, *rows: str, header: str = MAILBOX_COLUMNS, end: str = "\n", name: str = "bal.txt") -> Path:
    path = folder / name
    path.write_bytes("".join(row + end for row in (header, *rows)).encode())
    return path


def imported(folder: Path, *files: Path, keep_share: float = 0.0) -> ImportReport:
    return build(folder / "index", files, now=lambda: NOW, keep_share=keep_share)


def test_who_is_found_by_number_name_place_structure_and_address(tmp_path: Path) -> None:
    imported(tmp_path, written(tmp_path, TESTAUT, SECOND, BIOLOGY))
    directory = Directory(tmp_path / "index")
    doctor = directory.person("899900000011")
    assert doctor is not None
    assert (doctor.name, doctor.professions) == ("Odile TESTAÛT-PŒUVRE", ("Médecin",))
    assert {box.address for box in doctor.mailboxes} == {"odile.testaut@medecin.mssante.invalid"}
    assert [box.structure for box in doctor.mailboxes] == ["990000001", "990000002"]
    for query in (
        Query("testaut"), Query("odile poeuv"), Query("TESTAUT-POEUVRE", "35"), Query("", "rennes"), Query("essai"),
    ):  # fmt: skip
        assert directory.search(query) == [doctor], query
    assert directory.search(Query("testaut", "29")) == []
    assert directory.search(Query('"testaut* OR', "")) == []
    assert directory.search(Query("", "")) == []
    at = directory.at(" Biologie@CH-fictif.mssante.invalid ")
    assert [(one.name, one.mailboxes[0].kind, one.mailboxes[0].service) for one in at] == [
        ("CLINIQUE FICTIVE", "ORG", "Biologie")
    ]
    assert [one.name for one in directory.structure("990000002")] == ["CLINIQUE FICTIVE", "Odile TESTAÛT-PŒUVRE"]


def test_columns_are_read_by_their_names_whatever_order_bom_and_line_ends(tmp_path: Path) -> None:
    names = MAILBOX_COLUMNS.split("|")
    cells = dict(zip(names, TESTAUT.split("|"), strict=True))
    reordered = [name for name in reversed(names) if name != "Pays"]
    row = "|".join(cells[name] for name in reordered)
    path = written(tmp_path, row, header="\ufeff" + "|".join(reordered).upper(), end="\r\n")
    imported(tmp_path, path)
    doctor = Directory(tmp_path / "index").person("99900000011")
    assert doctor is not None
    assert doctor.places[0].city == "RENNES"


def test_both_extractions_of_the_national_directory(shared_data: Path, tmp_path: Path) -> None:
    folder = shared_data / "ins" / "annuaire"
    report = imported(tmp_path, *sorted(folder.glob("*.txt")))
    assert {one.kind.value: one.entries for one in report.texts} == {"mailboxes": 2, "professionals": 2}
    doctor = Directory(tmp_path / "index").person("99900000001")
    assert doctor is not None
    assert (doctor.professions, doctor.places[0].name) == (("Médecin",), "CABINET FICTIF")
    assert [box.address for box in doctor.mailboxes] == ["testa.factice@exemple.mssante.invalid"]


def test_the_texts_of_a_zip_are_recognised_by_their_headers(tmp_path: Path) -> None:
    archive = tmp_path / "extraction.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr("../Extraction_1.txt", f"{MAILBOX_COLUMNS}\n{TESTAUT}\n")
        made.writestr("PS_LibreAcces_Dipl.txt", "Type d'identifiant PP|Identifiant PP|Code diplôme\n8|1|2\n")
    report = imported(tmp_path, archive)
    assert (report.mailboxes, report.left_aside) == (1, ["extraction.zip, file 2"])


def test_a_line_of_another_shape_is_counted_and_too_many_are_refused(tmp_path: Path) -> None:
    report = imported(tmp_path, written(tmp_path, TESTAUT, "only one column", "a|b", line("no address here", "1"), ""))
    tally = report.texts[0]
    assert (tally.lines, tally.entries, tally.malformed, tally.without_address) == (4, 1, 2, 1)
    with pytest.raises(FormatError, match="not the 31 columns") as refused:
        imported(tmp_path, written(tmp_path, TESTAUT, *["x"] * 11))
    assert refused.value.code == "annuaire.malformed"


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "annuaire.empty"),
        (b"<html><body>maintenance</body></html>\n", "annuaire.nothing"),
        (MAILBOX_COLUMNS.encode() + b"\n", "annuaire.empty"),
        (MAILBOX_COLUMNS.replace("Identifiant PP", "Autre").encode() + b"\nx", "annuaire.columns"),
        (f"{MAILBOX_COLUMNS}\n{TESTAUT}\n{TESTAUT[:60]}".encode(), "annuaire.truncated"),
        (b"x" * 200_000, "annuaire.not_text"),
        (b"PK\x03\x04" + b"\0" * 100, "archive.truncated"),
    ],
)
def test_what_cannot_be_used_leaves_the_last_good_index(tmp_path: Path, content: bytes, code: str) -> None:
    imported(tmp_path, written(tmp_path, TESTAUT))
    bad = tmp_path / "bad.txt"
    bad.write_bytes(content)
    with pytest.raises(FormatError) as refused:
        imported(tmp_path, bad)
    assert refused.value.code == code
    directory = Directory(tmp_path / "index")
    assert directory.person("99900000011") is not None
    assert sorted(path.name for path in (tmp_path / "index").iterdir()) == ["directory.sqlite", "import.lock"]


def test_a_damaged_or_exploding_zip_is_refused(tmp_path: Path) -> None:
    archive = tmp_path / "x.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr("a.txt", MAILBOX_COLUMNS + "\n" + (TESTAUT + "\n") * 40_000)
    with pytest.raises(FormatError) as bomb:
        imported(tmp_path, archive)
    assert bomb.value.code == "archive.ratio"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as made:
        made.writestr("a.txt", MAILBOX_COLUMNS + "\n" + TESTAUT + "\n")
    archive.write_bytes(archive.read_bytes().replace(b"Odile", b"Adele"))
    with pytest.raises(FormatError) as damaged:
        imported(tmp_path, archive)
    assert damaged.value.code == "archive.damaged"
    write_extract(tmp_path / "large.txt", 2000)
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as made:
        made.write(tmp_path / "large.txt", "a.txt")
    with pytest.raises(FormatError) as large:
        build(tmp_path / "index", [archive], now=lambda: NOW, most_bytes=100_000)
    assert large.value.code == "archive.too_large"


def test_what_moved_is_told_and_found(tmp_path: Path) -> None:
    assert imported(tmp_path, written(tmp_path, TESTAUT, BIOLOGY)).moved is None
    newcomer = line("neuf@medecin.mssante.invalid", "99900000012", "TESTNEUF", "Ange")
    report = imported(tmp_path, written(tmp_path, TESTAUT, SECOND, newcomer))
    assert report.moved == Moved(added=1, gone=1, changed=1)
    directory = Directory(tmp_path / "index")
    assert directory.moved() == [
        ("neuf@medecin.mssante.invalid", "added"),
        ("odile.testaut@medecin.mssante.invalid", "changed"),
        ("biologie@ch-fictif.mssante.invalid", "gone"),
    ]
    assert directory.moved("gone") == [("biologie@ch-fictif.mssante.invalid", "gone")]
    # The same lines in another order, one of them twice: nothing moved.
    assert imported(tmp_path, written(tmp_path, newcomer, SECOND, TESTAUT, TESTAUT)).moved == Moved()


def test_what_an_import_does_not_bring_is_taken_over(shared_data: Path, tmp_path: Path) -> None:
    folder = shared_data / "ins" / "annuaire"
    imported(tmp_path, *folder.glob("PS_*.txt"))
    report = imported(tmp_path, written(tmp_path, TESTAUT))
    assert report.taken_over == ["professionals"]
    directory = Directory(tmp_path / "index")
    assert directory.person("99900000002") is not None
    assert directory.person("99900000011") is not None


def test_far_fewer_mailboxes_than_before_are_taken_for_a_truncated_file(tmp_path: Path) -> None:
    imported(
        tmp_path, written(tmp_path, TESTAUT, BIOLOGY, keep := line("c@x.mssante.invalid", "99900000013", "T", "C"))
    )
    with pytest.raises(FormatError, match="1 mailboxes where the last import had 3") as refused:
        imported(tmp_path, written(tmp_path, keep), keep_share=0.8)
    assert refused.value.code == "annuaire.shrunk"
    assert Directory(tmp_path / "index").at("biologie@ch-fictif.mssante.invalid")


def test_a_reader_sees_a_new_index_and_one_import_runs_at_a_time(tmp_path: Path) -> None:
    directory = Directory(tmp_path / "index")
    assert directory.person("99900000011") is None
    assert directory.report() is None
    imported(tmp_path, written(tmp_path, TESTAUT))
    assert directory.person("99900000011") is not None
    with building.locked(tmp_path / "index"), pytest.raises(FormatError) as busy:
        imported(tmp_path, written(tmp_path, BIOLOGY))
    assert busy.value.code == "annuaire.busy"
    imported(tmp_path, written(tmp_path, BIOLOGY))
    assert directory.person("99900000011") is None


def test_an_index_that_is_damaged_is_made_again(tmp_path: Path) -> None:
    imported(tmp_path, written(tmp_path, TESTAUT))
    (tmp_path / "index" / "directory.sqlite").write_bytes(b"not a database" * 100)
    assert imported(tmp_path, written(tmp_path, TESTAUT)).moved is None


def test_a_large_extraction_is_read_in_pieces(tmp_path: Path) -> None:
    path = tmp_path / "large.txt"
    write_extract(path, 5000)
    told: list[tuple[str, int, int]] = []
    report = build(tmp_path / "index", [path], now=lambda: NOW, progress=lambda *told_of: told.append(told_of))
    assert report.texts[0].lines == 5000
    assert len(told) > 2
    assert told[-2] == ("large.txt", path.stat().st_size, path.stat().st_size)


def test_an_import_that_is_killed_leaves_the_old_index(tmp_path: Path) -> None:
    imported(tmp_path, written(tmp_path, TESTAUT))
    write_extract(tmp_path / "large.txt", 5000)
    child = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], timeout=60, check=False)
    assert child.returncode == -signal.SIGKILL
    assert (tmp_path / "index" / "directory.new").exists()
    assert Directory(tmp_path / "index").person("99900000011") is not None
    # What it left behind is in nobody's way.
    assert imported(tmp_path, tmp_path / "large.txt").texts[0].lines == 5000
    assert not (tmp_path / "index" / "directory.new").exists()


KILLED = """
import os, signal, sys
from datetime import UTC, datetime
from pathlib import Path
from connectors.annuaire.building import build

def die(_text, read, size):
    if size and read > size / 2:
        os.kill(os.getpid(), signal.SIGKILL)

folder = Path(sys.argv[1])
build(folder / "index", [folder / "large.txt"], now=lambda: datetime(2026, 3, 5, tzinfo=UTC), progress=die)
"""
"""An import that is killed half way through its file."""
