"""Makes what is released, so that anybody can make the same: wheel, sdist, SBOM, provenance, sums, signature.

    python .ci/release.py --key ~/.ssh/release_ed25519 [--out dist/release]
    python .ci/release.py --verify dist/release --signers allowed_signers

The same commit gives the same bytes (SOURCE_DATE_EPOCH is the commit's own time). The key is an Ed25519 key of OpenSSH,
which signs SHA256SUMS; that file names everything else. Whoever has ssh-keygen and sha256sum can verify it without us.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import tomllib
from importlib.metadata import version
from io import BytesIO
from pathlib import Path

HERE = Path(__file__).parent
PROJECT = HERE.parent
NAMESPACE = "passerelle-release"
WHO = "release@passerelle"
SUMS, SIGNATURE = "SHA256SUMS", "SHA256SUMS.sig"
BUILD = "from hatchling.build import build_{0} as build; import sys; print(build(sys.argv[1]))"


class CannotRelease(Exception):
    """One sentence: what stops the release, or what does not verify."""


def main() -> int:
    """Make a release, or verify one."""
    parser = argparse.ArgumentParser(prog="make release", description=__doc__)
    parser.add_argument("--key", type=Path, help="Private Ed25519 key of OpenSSH; the releaser's own.")
    parser.add_argument("--out", type=Path, default=PROJECT / "dist" / "release")
    parser.add_argument("--commit", default="HEAD", help="What is released.")
    parser.add_argument("--allow-dirty", action="store_true", help="Release the commit though files differ from it.")
    parser.add_argument("--verify", type=Path, help="A folder that holds a release.")
    parser.add_argument("--signers", type=Path, help="Whose signatures are good: a file of allowed signers of OpenSSH.")
    asked = parser.parse_args()
    try:
        if asked.verify is not None:
            if asked.signers is None:
                raise CannotRelease("say with --signers whose signature is good")
            names = verify(asked.verify, asked.signers)
            sys.stdout.write(f"release: good signature, {len(names)} files as they were signed\n")
        else:
            if asked.key is None:
                raise CannotRelease("say with --key (make release KEY=…) which Ed25519 key signs")
            made = release(asked.key, asked.out, asked.commit, allow_dirty=asked.allow_dirty)
            sys.stdout.write("".join(f"{path.name}\n" for path in made))
    except CannotRelease as problem:
        sys.stderr.write(f"release: {problem}\n")
        return 1
    return 0


def release(key: Path, out: Path, commit: str, *, allow_dirty: bool) -> list[Path]:
    """Build, describe and sign; gives the files. Nothing is left in `out` when it fails."""
    _check_key(key)
    if not allow_dirty and _git("status", "--porcelain").strip():
        raise CannotRelease("files differ from the commit; commit them, or release the commit alone with --allow-dirty")
    revision = _git("rev-parse", "--verify", f"{commit}^{{commit}}").strip()
    epoch = _git("log", "-1", "--format=%ct", revision).strip()
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch) / "made"
        place.mkdir()
        source = _exported(revision, Path(scratch) / "source")
        # Of the releaser's own environment nothing may show in what is made.
        environment = {
            **os.environ,
            "SOURCE_DATE_EPOCH": epoch,
            "PYTHONHASHSEED": "0",
            "TZ": "UTC",
            "LC_ALL": "C.UTF-8",
        }
        _build(source, place, environment)
        _bill(source, place, environment)
        built = sorted(place.iterdir())
        (place / "provenance.json").write_text(_provenance(built, source, revision, epoch), encoding="utf-8")
        (place / SUMS).write_text("".join(f"{_digest(one)}  {one.name}\n" for one in sorted(place.iterdir())))
        _run("ssh-keygen", "-q", "-Y", "sign", "-f", str(key), "-n", NAMESPACE, str(place / SUMS))
        shutil.rmtree(out, ignore_errors=True)
        shutil.copytree(place, out)
    return sorted(out.iterdir())


def verify(folder: Path, signers: Path) -> list[str]:
    """Check the signature, then every file; gives their names. Raises CannotRelease."""
    try:
        sums = (folder / SUMS).read_bytes()
    except OSError:
        raise CannotRelease(f"there is no {SUMS} in {folder.name}") from None
    command = [
        "ssh-keygen",
        "-Y",
        "verify",
        "-f",
        str(signers),
        "-I",
        WHO,
        "-n",
        NAMESPACE,
        "-s",
        str(folder / SIGNATURE),
    ]
    if subprocess.run(command, input=sums, check=False, capture_output=True).returncode:  # noqa: S603 - our own words
        raise CannotRelease(f"{SUMS} is not signed by one of the allowed signers: trust nothing of this release")
    names = []
    for line in sums.decode().splitlines():
        digest, _, name = line.partition("  ")
        path = folder / name
        if Path(name).name != name or not path.is_file() or _digest(path) != digest:
            raise CannotRelease(f"{name} is not what was signed")
        names.append(name)
    strangers = {path.name for path in folder.iterdir()} - {*names, SUMS, SIGNATURE}
    if strangers:
        raise CannotRelease(f"{', '.join(sorted(strangers))} was not signed")
    return names


def _check_key(key: Path) -> None:
    told = _run("ssh-keygen", "-l", "-f", str(key))
    if not told.rstrip().endswith("(ED25519)"):
        raise CannotRelease("the key is not an Ed25519 key; ssh-keygen -t ed25519 makes one")


def _exported(revision: str, folder: Path) -> Path:
    """Give the files of a commit, and nothing else that lies about."""
    command = ["git", "-C", str(PROJECT), "archive", "--format=tar", revision]
    content = subprocess.run(command, check=True, capture_output=True).stdout  # noqa: S603 - our own words
    with tarfile.open(fileobj=BytesIO(content)) as archive:
        archive.extractall(folder, filter="data")
    return folder


def _build(source: Path, place: Path, environment: dict[str, str]) -> None:
    for kind in ("sdist", "wheel"):
        command = [sys.executable, "-c", BUILD.format(kind), str(place)]
        ran = subprocess.run(command, cwd=source, env=environment, check=False, capture_output=True)  # noqa: S603
        if ran.returncode:
            raise CannotRelease(f"the {kind} cannot be built: {ran.stderr.decode(errors='replace').splitlines()[-1]}")


def _bill(source: Path, place: Path, environment: dict[str, str]) -> None:
    command = [sys.executable, str(source / ".ci" / "sbom.py"), "--out", str(place / "sbom.cdx.json")]
    ran = subprocess.run(command, env=environment, check=False, capture_output=True)  # noqa: S603 - our own words
    if ran.returncode:
        raise CannotRelease(ran.stderr.decode(errors="replace").strip().splitlines()[-1])


def _provenance(built: list[Path], source: Path, revision: str, epoch: str) -> str:
    """Say of what, by what and how it was made: an in-toto statement with SLSA's provenance (slsa.dev, v1)."""
    project = tomllib.loads((source / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    statement = {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": one.name, "digest": {"sha256": _digest(one)}} for one in built],
        "predicateType": "https://slsa.dev/provenance/v1",
        "predicate": {
            "buildDefinition": {
                "buildType": "urn:passerelle:make-release:v1",
                "externalParameters": {"project": project["name"], "version": project["version"], "commit": revision},
                "internalParameters": {"SOURCE_DATE_EPOCH": int(epoch)},
                "resolvedDependencies": [
                    {"uri": "git+local", "digest": {"gitCommit": revision}},
                    {"uri": "requirements.lock", "digest": {"sha256": _digest(source / "requirements.lock")}},
                    {"uri": f"pkg:pypi/hatchling@{version('hatchling')}"},
                ],
            },
            "runDetails": {
                "builder": {"id": "urn:passerelle:releaser", "version": {"python": platform.python_version()}},
                "metadata": {"invocationId": f"{project['version']}+{revision[:12]}"},
            },
        },
    }
    return json.dumps(statement, indent=1, sort_keys=True) + "\n"


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _git(*words: str) -> str:
    return _run("git", "-C", str(PROJECT), *words)


def _run(*command: str) -> str:
    try:
        ran = subprocess.run(command, check=False, capture_output=True, text=True)  # noqa: S603 - our own words
    except FileNotFoundError:
        raise CannotRelease(f"{command[0]} is not installed here") from None
    if ran.returncode:
        said = re.sub(r"\s+", " ", ran.stderr.strip() or ran.stdout.strip())
        raise CannotRelease(f"{command[0]} says: {said[:200]}")
    return ran.stdout


if __name__ == "__main__":
    sys.exit(main())
