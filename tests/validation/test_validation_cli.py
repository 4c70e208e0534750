"""`passerelle validate --against`."""

from __future__ import annotations

from pathlib import Path

import pytest
from mini_package import carrying, document, write_package

from router.cli.base import run

NO_TITLE = document('<versionNumber value="1"/>')
PATIENT = (
    '<recordTarget><patientRole><id root="2.999.1" extension="IPP-1"/><patient><name><family qualifier="BR">TESTROSE'
    '</family></name><birthTime value="19790305"/></patient></patientRole></recordTarget>'
)


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return write_package(tmp_path / "package")


def test_a_failed_assertion_is_printed_and_is_exit_status_1(
    tmp_path: Path, package: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "letter.xml"
    file.write_bytes(document('<versionNumber value="1"/>', PATIENT))
    run(["validate", str(file)])
    assert "schematron" not in capsys.readouterr().out
    assert run(["validate", str(file), "--against", str(package)]) == 1
    said = capsys.readouterr().out
    assert f"{file}: error schematron.min /ClinicalDocument: the title is missing" in said.splitlines()
    assert (tmp_path / "cache" / "passerelle" / "validation").is_dir()


def test_what_a_message_carries_is_checked_too(
    tmp_path: Path, package: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "message.json"
    file.write_bytes(carrying(NO_TITLE))
    assert run(["validate", str(file), "--against", str(package)]) == 1
    assert "error schematron.min /ClinicalDocument" in capsys.readouterr().out
    file.write_bytes(carrying(b"%PDF-1.7", "application/pdf"))
    assert run(["validate", str(file), "--against", str(package)]) == 0
    assert "it carries no CDA document to check" in capsys.readouterr().out


def test_a_broken_package_is_one_sentence_and_exit_status_2(
    tmp_path: Path, package: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "letter.xml"
    file.write_bytes(document(PATIENT))
    assert run(["validate", str(file), "--against", str(tmp_path / "cache")]) == 2
    next(package.rglob("*.sch")).write_text("<schema/>", encoding="utf-8")
    assert run(["validate", str(file), "--against", str(package)]) == 2
    (sentence,) = [line for line in capsys.readouterr().err.splitlines() if "Schematron" in line]
    assert sentence.endswith("is not a Schematron schema")
