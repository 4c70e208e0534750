"""What runs is listed with its licences; what is known of it is asked, and borne for a time only."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]


def run(script: str, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(PROJECT / ".ci" / script), *words]
    return subprocess.run(command, check=False, capture_output=True, text=True)


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


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    path = tmp_path / "requirements.lock"
    path.write_text(LOCK)
    return path


def test_the_bill_lists_what_is_locked(tmp_path: Path) -> None:
    out = tmp_path / "sbom.json"
    ran = run("sbom.py", "--out", str(out))
    assert ran.returncode == 0, ran.stderr
    bill = json.loads(out.read_text())
    lines = (PROJECT / "requirements.lock").read_text().splitlines()
    locked = {line.split("==")[0] for line in lines if "==" in line and not line.startswith((" ", "#", "-"))}
    assert {one["name"] for one in bill["components"]} == locked
    assert (bill["bomFormat"], bill["metadata"]["component"]["name"]) == ("CycloneDX", "passerelle")
    assert all(one["licenses"] and one["externalReferences"][0]["hashes"] for one in bill["components"])
    needs = {one["ref"]: one["dependsOn"] for one in bill["dependencies"]}
    assert any(ref.startswith("pkg:pypi/aiohttp@") for ref in needs["passerelle"])
    assert "/opt/" not in out.read_text()
    first = out.read_bytes()
    assert run("sbom.py", "--out", str(out)).returncode == 0
    assert out.read_bytes() == first


def test_the_bill_is_valid_cyclonedx(tmp_path: Path) -> None:
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    run("sbom.py", "--out", str(tmp_path / "sbom.json"))
    found = JsonStrictValidator(SchemaVersion.V1_6).validate_str((tmp_path / "sbom.json").read_text())
    assert found is None


@pytest.mark.parametrize(
    ("rules", "wanted"),
    [
        ('allowed = ["MIT"]', "uvicorn is under BSD-3-Clause, which is not allowed"),
        ('allowed = ["BSD-3-Clause"]\n[stated]\nclick = "GPL-3.0-only"', "click is under GPL-3.0-only, which is not"),
        ('allowed = ["BSD-3-Clause"]\n[stated]\nclick = "BSD-3-Clause AND AGPL-3.0-only"', "not allowed"),
        ('allowed = ["BSD-3-Clause"]\n[exceptions]\nclick = { licence = "X" }', "does not say why"),
        ('allowed = ["BSD-3-Clause"]\n[stated]\nclick = "GPL-3.0-only OR BSD-3-Clause"', ""),
        ('allowed = ["BSD-3-Clause", "MIT"]\n[stated]\nclick = "MIT AND (GPL-2.0-only OR BSD-3-Clause)"', ""),
        ('allowed = ["BSD-3-Clause"]\n[stated]\nclick = "X"\n[exceptions]\nclick = { licence = "X", why = "y" }', ""),
    ],
)
def test_licences_are_held_to_the_list(lock: Path, tmp_path: Path, rules: str, wanted: str) -> None:
    listed = tmp_path / "licences.toml"
    listed.write_text(rules)
    ran = run("sbom.py", "--lock", str(lock), "--licences", str(listed), "--out", str(tmp_path / "sbom.json"))
    assert (ran.returncode, wanted in ran.stderr) == (int(bool(wanted)), True), ran.stderr
    assert "Traceback" not in ran.stderr


def test_a_package_that_states_nothing_stops(lock: Path, tmp_path: Path) -> None:
    lock.write_text(LOCK.replace("click==", "nobody-has-this=="))
    ran = run("sbom.py", "--lock", str(lock), "--out", str(tmp_path / "sbom.json"))
    assert (ran.returncode, "nobody-has-this states no licence" in ran.stderr) == (1, True)
    lock.write_text("click==8.5.0\n")
    ran = run("sbom.py", "--lock", str(lock), "--out", str(tmp_path / "sbom.json"))
    assert (ran.returncode, "click has no hash" in ran.stderr) == (1, True)


def audit(tmp_path: Path, told: object, accepted: str = "", *words: str) -> tuple[int, str]:
    """Run the audit with a pip-audit that tells this."""
    double, listed = tmp_path / "double.py", tmp_path / "accepted.toml"
    double.write_text(
        f"import sys; sys.stdout.write({json.dumps(told)!r})" if told is not None else "raise SystemExit(1)"
    )
    listed.write_text(accepted)
    ran = run("audit.py", "--command", str(double), "--accepted", str(listed), "--today", "2026-12-01", *words)
    assert "Traceback" not in ran.stderr
    return ran.returncode, ran.stdout + ran.stderr


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


def test_our_own_lists_are_in_order() -> None:
    double = PROJECT / "tests" / "supply" / "nothing_told.py"
    ran = run("audit.py", "--command", str(double))
    assert ran.returncode == 0, ran.stderr
