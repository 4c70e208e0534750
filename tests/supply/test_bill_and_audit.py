"""What runs is listed with its licences; what is known of it is asked, and borne for a time only."""

from __future__ import annotations

import contextlib
import io
import json
import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def scripts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(PROJECT / ".ci"))


LOCK = """\
uvicorn==0.54.0 \\
    --hash=sha256:{0}
    # via passerelle (pyproject.toml)
click==8.5.0 \\
    --hash=sha256:{0}
    # via
    #   passerelle (pyproject.toml)
    #   uvicorn
""".format("0" * 64)


@pytest.fixture(scope="module")
def bill(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The real one, written once."""
    out = tmp_path_factory.mktemp("bill") / "sbom.json"
    command = [sys.executable, str(PROJECT / ".ci" / "sbom.py"), "--out", str(out)]
    ran = subprocess.run(command, check=False, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    return out.read_text()


def test_the_bill_lists_what_is_locked(bill: str) -> None:
    listed = json.loads(bill)
    lines = (PROJECT / "requirements.lock").read_text().splitlines()
    locked = {line.split("==")[0] for line in lines if "==" in line and not line.startswith((" ", "#", "-"))}
    assert {one["name"] for one in listed["components"]} == locked
    assert (listed["bomFormat"], listed["metadata"]["component"]["name"]) == ("CycloneDX", "passerelle")
    assert all(one["licenses"] and one["externalReferences"][0]["hashes"] for one in listed["components"])
    needs = {one["ref"]: one["dependsOn"] for one in listed["dependencies"]}
    assert any(ref.startswith("pkg:pypi/aiohttp@") for ref in needs["passerelle"])
    assert "/opt/" not in bill


def test_the_bill_is_valid_cyclonedx(bill: str) -> None:
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    validator = JsonStrictValidator(SchemaVersion.V1_6)
    assert validator.validate_str(bill) is None
    assert validator.validate_str(bill.replace('"library"', '"poem"', 1)) is not None


def judged(rules: str, folder: Path, name: str) -> str | None:
    from licences import Rules

    listed = folder / "licences.toml"
    listed.write_text(rules)
    read = Rules.read(listed)
    return read.problem(name, read.licence_of(name))


@pytest.mark.parametrize(
    ("rules", "name", "wanted"),
    [
        ('allowed = ["MIT"]', "uvicorn", "uvicorn is under BSD-3-Clause, which is not allowed at run time"),
        ('allowed = ["BSD-3-Clause"]\n[stated]\nclick = "GPL-3.0-only"', "click", "click is under GPL-3.0-only, which"),
        ('allowed = ["BSD-3-Clause"]\n[stated]\nclick = "BSD-3-Clause AND AGPL-3.0-only"', "click", "is not allowed"),
        ('allowed = ["BSD-3-Clause"]\n[stated]\nclick = "GPL-3.0-only OR BSD-3-Clause"', "click", None),
        ('allowed = ["BSD-3-Clause", "MIT"]\n[stated]\nclick = "MIT AND (X OR BSD-3-Clause)"', "click", None),
        ('allowed = ["MIT"]\n[stated]\nclick = "MIT AND (X OR BSD-3-Clause)"', "click", "is not allowed"),
        ('allowed = []\n[stated]\nclick = "X"\n[exceptions]\nclick = { licence = "X", why = "y" }', "click", None),
        (
            'allowed = []\n[stated]\nclick = "X"\n[exceptions]\nother = { licence = "X", why = "y" }',
            "click",
            "is not allowed",
        ),
        ('allowed = ["MIT"]', "nobody-has-this", "states no licence that is understood"),
    ],
)
def test_licences_are_held_to_the_list(tmp_path: Path, rules: str, name: str, wanted: str | None) -> None:
    found = judged(rules, tmp_path, name)
    assert (found is None) if wanted is None else (found is not None and wanted in found), found


def test_an_exception_says_why_and_a_lock_has_hashes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import sbom

    lock, listed = tmp_path / "requirements.lock", tmp_path / "licences.toml"
    lock.write_text(LOCK)
    listed.write_text('allowed = ["BSD-3-Clause"]\n[exceptions]\nclick = { licence = "X" }')
    words = ["--lock", str(lock), "--out", str(tmp_path / "sbom.json")]
    assert sbom.main([*words, "--licences", str(listed)]) == 1
    assert "does not say why" in capsys.readouterr().err
    listed.write_text('allowed = ["MIT"]')
    assert sbom.main([*words, "--licences", str(listed)]) == 1, "a licence that is not allowed stops the gate"
    assert "uvicorn is under BSD-3-Clause" in capsys.readouterr().err
    lock.write_text("click==8.5.0\n")
    assert sbom.main(words) == 1
    assert "click has no hash" in capsys.readouterr().err


def audit(tmp_path: Path, told: object, accepted: str = "", *words: str) -> tuple[int, str]:
    """Run the audit with a pip-audit that tells this."""
    import audit as script

    double, listed = tmp_path / "double.py", tmp_path / "accepted.toml"
    double.write_text(
        f"import sys; sys.stdout.write({json.dumps(told)!r})" if told is not None else "raise SystemExit(1)"
    )
    listed.write_text(accepted)
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        more = ["--command", str(double), "--accepted", str(listed), "--today", "2026-12-01"]
        return script.main([*more, *words]), said.getvalue()


ADVISORY = {"id": "PYSEC-1", "aliases": ["CVE-2026-1"], "fix_versions": ["2.0"], "description": "x"}
GOOD = {"name": "a", "version": "1", "vulns": []}
BAD = {"name": "b", "version": "1", "vulns": [ADVISORY]}
UNKNOWN = {"name": "c", "skip_reason": "not found"}


def entry(**changed: str) -> str:
    values = {"id": '"CVE-2026-1"', "package": '"b"', "reason": '"not reached"', "until": "2026-12-31", **changed}
    return "[[accepted]]\n" + "".join(f"{key} = {value}\n" for key, value in values.items() if value)


def test_advisories_stop_unless_they_are_accepted(tmp_path: Path) -> None:
    found = {"dependencies": [GOOD, BAD]}
    status, said = audit(tmp_path, found)
    assert (status, "b 1: CVE-2026-1, PYSEC-1; mended in 2.0" in said) == (1, True)
    assert audit(tmp_path, found, entry()) == (0, "audit: 2 packages asked about, 0 advisories, 1 accepted\n")
    assert audit(tmp_path, found, entry(package='"a"'))[0] == 1, "it is accepted for another package"
    assert "no longer found" in audit(tmp_path, {"dependencies": [GOOD]}, entry())[1]


@pytest.mark.parametrize(
    ("changed", "wanted"),
    [
        ({"until": "2026-11-30"}, "was accepted until 2026-11-30: look again"),
        ({"until": "2027-12-31"}, "accepted for more than 92 days"),
        ({"reason": '" "'}, "lacks reason"),
        ({"until": '"soon"'}, "lacks a date"),
        ({"id": ""}, "lacks id"),
    ],
)
def test_what_is_borne_has_a_reason_and_an_end(tmp_path: Path, changed: dict[str, str], wanted: str) -> None:
    for told in ({"dependencies": [GOOD]}, None):  # also where nothing can be asked
        status, said = audit(tmp_path, told, entry(**changed))
        assert (status, wanted in said) == (1, True), said


@pytest.mark.parametrize("told", [None, {}, {"dependencies": [UNKNOWN]}], ids=["failed", "no answer", "nothing known"])
def test_an_audit_that_did_not_run_says_so_loudly(tmp_path: Path, told: object) -> None:
    status, said = audit(tmp_path, told)
    assert (status, "THE AUDIT OF THE DEPENDENCIES DID NOT RUN" in said) == (0, True)
    assert audit(tmp_path, told, "", "--strict")[0] == 2


def test_an_audit_that_is_not_whole_names_what_it_does_not_know(tmp_path: Path) -> None:
    status, said = audit(tmp_path, {"dependencies": [GOOD, UNKNOWN]})
    assert (status, "nothing is known of c" in said) == (0, True)
    assert audit(tmp_path, {"dependencies": [GOOD, BAD, UNKNOWN]})[0] == 1


def test_our_own_list_is_in_order() -> None:
    from audit import read_accepted

    assert read_accepted(PROJECT / ".ci" / "accepted.toml", date.today())[1] == []  # noqa: DTZ011 - a day of the calendar
