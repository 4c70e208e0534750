"""Releases: the same commit gives the same bytes; who has the signers' file sees what is not as it was signed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
RELEASE = [sys.executable, str(PROJECT / ".ci" / "release.py")]

pytestmark = pytest.mark.skipif(
    shutil.which("ssh-keygen") is None or not (PROJECT / ".git").exists(), reason="needs ssh-keygen and the repository"
)


def run(*words: str, umask: int = 0o022, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*RELEASE, *words], check=False, capture_output=True, text=True, umask=umask, env={**os.environ, **more}
    )


def make_key(folder: Path, name: str, kind: str = "ed25519") -> Path:
    key = folder / name
    subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", "", "-C", name, "-f", str(key)], check=True)
    return key


def allowed(key: Path) -> Path:
    signers = key.with_suffix(".signers")
    signers.write_text(f"release@passerelle {key.with_suffix('.pub').read_text()}")
    return signers


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("keys")
    make_key(folder, "good")
    make_key(folder, "other")
    make_key(folder, "rsa", "rsa")
    return folder


@pytest.fixture(scope="module")
def made(keys: Path) -> Path:
    ran = run("--key", str(keys / "good"), "--out", str(keys / "release"), "--allow-dirty")
    assert ran.returncode == 0, ran.stderr
    return keys / "release"


@pytest.fixture
def release(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "release"))


def verdict(release: Path, signers: Path) -> tuple[int, str]:
    ran = run("--verify", str(release), "--signers", str(signers))
    return ran.returncode, ran.stdout + ran.stderr


def test_two_builds_of_a_commit_are_equal_byte_by_byte(made: Path, keys: Path, tmp_path: Path) -> None:
    other = tmp_path / "again"
    ran = run(
        "--key", str(keys / "good"), "--out", str(other), "--allow-dirty",
        umask=0o077, TZ="Pacific/Auckland", PYTHONHASHSEED="7", SOURCE_DATE_EPOCH="1", LANG="C",
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    names = sorted(path.name for path in made.iterdir())
    assert names == sorted(path.name for path in other.iterdir())
    assert [name for name in names if (made / name).read_bytes() != (other / name).read_bytes()] == []


def test_a_release_holds_what_it_should(made: Path) -> None:
    (wheel,) = made.glob("*.whl")
    (sdist,) = made.glob("*.tar.gz")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    assert {name.split("/")[0].split("-")[0] for name in names} == {
        "connectors", "mappings", "passerelle", "router", "schemas",
    }  # fmt: skip
    with tarfile.open(sdist) as archive:
        inside = {name.partition("/")[2] for name in archive.getnames()}
    assert {"pyproject.toml", "requirements.lock", "LICENSE", "tests/conftest.py"} <= inside
    told = json.loads((made / "provenance.json").read_text())
    commit = subprocess.run(
        ["git", "-C", str(PROJECT), "rev-parse", "HEAD"], check=True, capture_output=True, text=True
    )
    assert told["predicate"]["buildDefinition"]["externalParameters"]["commit"] == commit.stdout.strip()
    sums = dict(reversed(line.split("  ")) for line in (made / "SHA256SUMS").read_text().splitlines())
    assert {one["name"]: one["digest"]["sha256"] for one in told["subject"]} == {
        name: digest for name, digest in sums.items() if name != "provenance.json"
    }


def test_a_release_verifies_by_the_script_and_by_what_every_machine_has(release: Path, keys: Path) -> None:
    status, said = verdict(release, allowed(keys / "good"))
    assert (status, said) == (0, "release: good signature, 4 files as they were signed\n")
    command = (
        "ssh-keygen -Y verify -f $0 -I release@passerelle -n passerelle-release -s SHA256SUMS.sig < SHA256SUMS"
        " && sha256sum --check --strict SHA256SUMS"
    )
    text = (PROJECT / "docs" / "operations" / "release.md").read_text()
    assert command.replace("$0", "allowed_signers").replace(" && ", " &&\n  ") in text
    ran = subprocess.run(
        ["sh", "-c", command, str(allowed(keys / "good"))], cwd=release, check=False, capture_output=True
    )
    assert ran.returncode == 0, ran.stderr


def test_another_key_is_not_believed(release: Path, keys: Path) -> None:
    status, said = verdict(release, allowed(keys / "other"))
    assert status == 1
    assert "not signed by one of the allowed signers" in said


@pytest.mark.parametrize("name", ["*.whl", "*.tar.gz", "provenance.json", "sbom.cdx.json", "SHA256SUMS"])
def test_a_changed_file_is_seen(release: Path, keys: Path, name: str) -> None:
    (path,) = release.glob(name)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))
    status, said = verdict(release, allowed(keys / "good"))
    assert status == 1
    assert (path.name in said) or name == "SHA256SUMS"


def test_what_lacks_or_was_added_is_seen(release: Path, keys: Path) -> None:
    (release / "more.whl").write_bytes(b"x")
    assert "more.whl was not signed" in verdict(release, allowed(keys / "good"))[1]
    (release / "more.whl").unlink()
    (release / "provenance.json").unlink()
    assert "provenance.json is not what was signed" in verdict(release, allowed(keys / "good"))[1]
    (release / "SHA256SUMS.sig").unlink()
    assert "trust nothing" in verdict(release, allowed(keys / "good"))[1]


def test_a_release_needs_a_key_that_will_do(keys: Path, tmp_path: Path) -> None:
    out = tmp_path / "none"
    for words, wanted in (
        ((), "say with --key"),
        (("--key", str(keys / "rsa")), "not an Ed25519 key"),
        (("--key", str(keys / "absent")), "ssh-keygen says"),
        (("--key", str(keys / "good"), "--commit", "nowhere"), "git says"),
    ):
        ran = run(*words, "--out", str(out), "--allow-dirty")
        assert (ran.returncode, wanted in ran.stderr, "Traceback" in ran.stderr) == (1, True, False), ran.stderr
    assert not out.exists()
