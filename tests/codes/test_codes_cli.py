"""`passerelle codes`: what is not mapped, mapping it, replays, CSV both ways; and `check` on files of maps."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from local_codes import GLUCOSE, HAEMOGLOBIN, LABORATORY, TSH, LocalRig

from router.cli.base import run


@pytest.fixture
async def folder(make_rig: Callable[..., LocalRig], tmp_path: Path) -> Path:
    """A router's folder whose journal has seen two reports with local codes."""
    rig = make_rig()
    await rig.start()
    await rig.receive(HAEMOGLOBIN, GLUCOSE, TSH)
    await rig.receive(GLUCOSE)
    await rig.until_sent(2)
    await rig.stop()
    (tmp_path / "passerelle.toml").write_text('[journal]\ndata = "."\n', encoding="utf-8")
    return tmp_path


def codes(folder: Path, *arguments: str) -> int:
    return run(["codes", *arguments, "--config", str(folder)])


def test_a_code_is_listed_mapped_and_replayed(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert codes(folder, "list") == 0
    first = next(line.split() for line in capsys.readouterr().out.splitlines() if LABORATORY in line)
    assert first[:6] == ["2", LABORATORY, "code", "GLY", "Glycémie", "g/L"]
    assert codes(folder, "map", LABORATORY, "GLY", "53049-3") == 0
    said = capsys.readouterr().out
    assert "GLY of 990000001 is 53049-3." in said
    assert "2 message(s) were read before" in said
    assert codes(folder, "list", "--sender", LABORATORY) == 0
    assert "GLY" not in capsys.readouterr().out
    assert codes(folder, "replay", LABORATORY, "GLY", "--yes") == 0
    assert "2 will be read again" in capsys.readouterr().out
    assert codes(folder, "replay", LABORATORY, "NOTHING", "--yes") == 1


def test_a_unit_is_mapped(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert codes(folder, "map", LABORATORY, "mUI par L", "m[IU]/L", "--unit") == 0
    capsys.readouterr()
    assert codes(folder, "list") == 0
    rows = [line for line in capsys.readouterr().out.splitlines() if LABORATORY in line]
    assert not any(" unit " in row for row in rows)
    assert len(rows) == 3


def test_what_is_no_target_or_no_known_code_is_said(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert codes(folder, "map", LABORATORY, "GLY", "53049-4") == 2
    assert "check digit" in capsys.readouterr().err
    assert codes(folder, "map", "99000000X", "GLY", "53049-3") == 0
    assert "Nothing was read with this code of this sender yet" in capsys.readouterr().out
    assert codes(folder, "map", LABORATORY, "x" * 121, "53049-3") == 2


def test_maps_are_brought_and_given_as_csv(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file, out = folder / "labo.csv", folder / "out.csv"
    file.write_text(f"sender;code;target\n{LABORATORY};GLY;53049-3\n{LABORATORY};HB;718-8\n", encoding="utf-8")
    assert codes(folder, "import", str(file)) == 1
    shown = capsys.readouterr()
    assert "1 mapped or changed, 0 as before, 1 refused." in shown.out
    assert "labo.csv, line 3: the target is not a LOINC code" in shown.err
    assert codes(folder, "export", "--out", str(out)) == 0
    assert out.read_text(encoding="utf-8").splitlines()[1] == f"{LABORATORY},code,local,GLY,53049-3,http://loinc.org,"
    assert codes(folder, "import", str(out)) == 0
    assert "0 mapped or changed, 1 as before, 0 refused." in capsys.readouterr().out
    assert codes(folder, "export") == 0
    assert "GLY" in capsys.readouterr().out


def test_check_tells_what_a_file_of_maps_has_wrong(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    configuration = folder / "passerelle.toml"
    configuration.write_text('[journal]\ndata = "."\n\n[codes]\nmaps = ["labo-sud.csv"]\n', encoding="utf-8")
    assert run(["check", "--config", str(folder)]) == 2
    assert "line 5, codes.maps: the file labo-sud.csv cannot be read" in capsys.readouterr().err
    file = folder / "labo-sud.csv"
    file.write_text(f"sender,code,target\n{LABORATORY},GLY,53049-3\n{LABORATORY},HB,718-8\n", encoding="utf-8")
    assert run(["check", "--config", str(folder)]) == 1
    shown = capsys.readouterr()
    assert "1 mapped by 1 file(s)" in shown.out
    assert "labo-sud.csv, line 3: the target is not a LOINC code" in shown.err
    assert codes(folder, "list") == 0
    assert "GLY" not in capsys.readouterr().out, "what a file maps is no work"
    file.write_text(f"sender,code,target\n{LABORATORY},GLY,53049-3\n", encoding="utf-8")
    assert run(["check", "--config", str(folder)]) == 0
