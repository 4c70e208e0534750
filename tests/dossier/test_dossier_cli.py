"""`passerelle dossier …`, on a real journal."""

from __future__ import annotations

from pathlib import Path

import pytest
from dossier_scene import Scene, doctor, document, stay

from router.cli.base import run
from router.dossier.queue import settle
from router.journal import tables


@pytest.fixture
def told(scene: Scene, tmp_path: Path, capsys: pytest.CaptureFixture[str]):  # type: ignore[no-untyped-def]
    """Run a command; gives its status and what it said, on either stream."""
    (tmp_path / "passerelle.toml").write_text('[journal]\ndata = "data"\n')

    def say(*words: str) -> tuple[int, str]:
        status = run(["dossier", *words, "--config", str(tmp_path)])
        found = capsys.readouterr()
        return status, found.out + found.err

    return say


def test_a_dossier_is_kept_from_the_terminal(told, scene: Scene) -> None:  # type: ignore[no-untyped-def]
    consent = ("--channel", "oral", "--collected-by", "TESTCOORD")
    assert told("open", "urn:oid:1.2.250.1.999.35.1|IPP000001", "--owner", "DAC FICTIF") == (
        0,
        "Dossier 1 is proposed.\n",
    )
    assert told("activate", "1")[0] == 2
    assert told("consent", "record", "1", "opening-information", *consent)[0] == 0
    assert told("activate", "1", "--why", "accord")[0] == 0
    gp = ("--gp", "--rpps", "89900000001", "--name", "TESTMEDECIN", "--care-team", "médecin traitant")
    assert told("circle", "add", "1", *gp, "--from", "2026-01-10")[0] == 0
    nurse = ("--rpps", "89900000002", "--name", "TESTINFIRMIERE", "--profession", "G15:60")
    assert told("circle", "add", "1", *nurse, "--invited")[0] == 0
    assert told("circle", "add", "1", "--name", "X", "--rpps", "1")[1].startswith("passerelle: the profession")
    letter = scene.receive(document("a" * 32))
    assert told("may", "1", "1", str(letter)) == (
        0,
        "yes: the matrix decides for this role and category (rule matrix, category documents)\n",
    )
    status, said = told("may", "1", "2", str(letter))
    assert (status, "consent_outside_team" in said) == (1, True)
    assert told("hide", "1", str(letter), "--member", "1")[0] == 0
    assert "restriction" in told("may", "1", "1", str(letter))[1]
    assert told("keep-to", "1", str(letter))[0] == 2
    assert told("unhide", "1", "1")[0] == 0
    status, said = told("show", "1")
    assert status == 0
    for expected in ("active", "TESTMEDECIN", "consent_outside_team (everything)", "opening-information"):
        assert expected in said
    assert told("circle", "end", "1", "2", "--why", "partie")[0] == 0
    assert "partie" in told("history", "1")[1]
    assert told("close", "1")[0] == 0
    read = [row.action for row in scene.rows(tables.audit)]
    assert {"read dossier", "read dossier history", "explain access", "close dossier"} <= set(read)


def test_the_matrix_is_checked_brought_and_remembered(told, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    shipped = told("matrix", "show")[1]
    file = tmp_path / "matrix.csv"
    file.write_text(shipped.replace("lab,R,R,-", "lab,R,R,E"), encoding="utf-8")
    assert "opens" in told("matrix", "check", str(file))[1]
    assert "nobody changed it" in told("matrix", "history")[1]
    assert told("matrix", "import", str(file), "--why", "protocole")[1] == "1 cell(s) changed.\n"
    assert told("matrix", "import", str(file))[1] == "It is the matrix that holds already.\n"
    assert "lab, medico_social: - to E" in told("matrix", "history")[1]
    assert told("matrix", "show", "--default")[1] == shipped
    file.write_text("category,physician\nlab,Q\nfood,R\nlab,R,R\n", encoding="utf-8")
    status, said = told("matrix", "check", str(file))
    assert status == 2
    for expected in ("line 2: physician has a cell", "no such category as 'food'", "line 4: it has 3 columns"):
        assert expected in said
    file.write_text("category,physician\nlab,R\n", encoding="utf-8")
    assert "there is no cell for physician and identity" in told("matrix", "check", str(file))[1]


def test_habilitations_and_rules(told, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    assert "matrix alone decides" in told("habilitation", "list")[1]
    assert told("habilitation", "grant", "tool", "spico", "--category", "notes")[0] == 0
    assert told("habilitation", "grant", "structure", "SAAD")[0] == 2
    assert told("habilitation", "end", "1")[0] == 0
    assert "ended" in told("habilitation", "list")[1]
    assert told("habilitation", "end", "1")[0] == 2
    rules = told("rules", "--default")[1]
    file = tmp_path / "rules.toml"
    file.write_text(rules.replace('event = "ADM"', 'event = "ADN"'), encoding="utf-8")
    assert "admission" in told("rules")[1]
    assert told("rules", "--check", str(file))[0] == 2


def test_an_emergency_from_the_terminal(told, dossier: Scene) -> None:  # type: ignore[no-untyped-def]
    opened = ("emergency", "1", "--rpps", "89900000009", "--who", "Dr TESTGARDE", "--why", "malaise")
    assert told(*opened)[0] == 0
    assert "Dr TESTGARDE" in told("show", "1")[1]
    assert dossier.rows(tables.dossier_emergency)


def test_how_notices_ended_is_told_with_the_reason(told, dossier: Scene) -> None:  # type: ignore[no-untyped-def]
    assert told("notices", "1") == (0, "Nobody was told of anything.\n")
    dossier.add(doctor())
    dossier.receive(stay("a" * 32))
    dossier.journal.apply(settle(1, "failed", now=dossier.now, detail="no_mailbox"))
    status, said = told("notices", "1", "--state", "failed")
    assert status == 0
    for expected in ("ADM", "TESTMEDECIN", "webhook", "failed", "MSSanté"):
        assert expected in said
    assert "ADM" not in told("notices", "1", "--state", "read")[1]
    assert told("notices", "99")[0] == 2


def test_indicators_are_printed_and_written(told, dossier: Scene, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    dossier.receive(document("a" * 32))
    status, said = told("indicators", "--month", "2027-01")
    assert status == 0
    assert "DAC FICTIF" in said
    assert "< 5" in said
    files = ("--csv", str(tmp_path / "i.csv"), "--pdf", str(tmp_path / "i.pdf"))
    assert told("indicators", "--month", "2027-01", *files) == (0, "")
    assert (tmp_path / "i.pdf").read_bytes().startswith(b"%PDF-")
    assert told("indicators", "--month", "janvier")[0] == 2


def test_a_structure_without_a_dossier_extracts_nothing(told, dossier: Scene, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    status, said = told("extract", "--structure", "670000002", "--out", str(tmp_path / "out"))
    assert (status, "may read nothing" in said) == (2, True)
    assert told("extract", "--structure", "../x", "--out", str(tmp_path / "out2"))[0] == 2
