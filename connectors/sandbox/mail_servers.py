"""An MSSanté operator made of the real servers, Dovecot and Postfix, on loopback (fact sheet mssante §14).

    with MailServers(folder) as servers:
        servers.source(), servers.destination()        # settings for the router's mailbox
        servers.token(ROUTER)                           # an access token, as Pro Santé Connect would give one

    client → Dovecot submission (STARTTLS, AUTH) → Postfix → Dovecot LMTP → Dovecot IMAP

Everything they write is under `folder`. They want root, and their Debian packages; `missing()` says what is not there.
"""

from __future__ import annotations

import base64
import os
import pwd
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import orjson
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from connectors.sandbox import mail_servers_files as written
from connectors.sandbox.mail_authority import MailAuthority, TlsFiles, write_secret
from connectors.sandbox.mail_people import DOMAIN, PATIENTS, ROUTER, SECRET, Persona, personas

PACKAGES = ("dovecot-core", "dovecot-imapd", "dovecot-lmtpd", "dovecot-submissiond", "postfix")
ISSUER = "https://psc.exemple.invalid"
LONGEST_FOLDER = 60
"""Characters of the folder's path: those of a socket in it must stay under 108."""

START_SECONDS = 20.0
STOP_SECONDS = 1.0


class ServersFault(Exception):
    """The servers cannot be run here; one sentence says why, and what to do."""


@dataclass(frozen=True, slots=True)
class ServerPorts:
    """Where they listen; each is the one wished for, or a free one when that is taken."""

    imap: int = 10143
    imaps: int = 10993
    submission: int = 10587
    relay: int = 10025
    lmtp: int = 10024


def missing() -> str:
    """Say what is needed and not there, "" when the servers can be run."""
    needed = {"dovecot": "dovecot-core", "postfix": "postfix"}
    absent = [package for command, package in needed.items() if _command(command) is None]
    modules = {"imap": "dovecot-imapd", "lmtp": "dovecot-lmtpd", "submission": "dovecot-submissiond"}
    absent += [package for name, package in modules.items() if not Path("/usr/lib/dovecot", name).exists()]
    if absent:
        return f"these packages are not installed: {' '.join(absent)}"
    return "" if os.geteuid() == 0 else "Postfix and Dovecot are started by root only"


@dataclass(slots=True)
class MailServers:
    """The servers, from `__enter__` to `__exit__`."""

    folder: Path
    people: tuple[Persona, ...] = field(default_factory=personas)
    wished: ServerPorts = field(default_factory=ServerPorts)
    limit: int = 30 * 1024 * 1024
    authority: MailAuthority = field(default_factory=MailAuthority)
    ports: ServerPorts = field(init=False)
    _files: TlsFiles | None = None
    _key: rsa.RSAPrivateKey | None = None
    _dovecot: subprocess.Popen[bytes] | None = None
    _relaying: bool = False

    def __enter__(self) -> Self:
        if said := missing():
            raise ServersFault(said)
        if len(str(self.folder)) > LONGEST_FOLDER:
            raise ServersFault(f"the folder's path has more than {LONGEST_FOLDER} characters: take a shorter one")
        try:
            self._write()
            self._start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    # --- settings of a client -------------------------------------------------------------------------------------

    @property
    def files(self) -> TlsFiles:
        """The certificates: of the authority, the server and the router."""
        assert self._files is not None  # noqa: S101 - the servers were entered
        return self._files

    def source(self, account: str = ROUTER, **more: Any) -> dict[str, Any]:
        """Give settings of a mailbox."""
        return {**self._operator(self.ports.imap, account), "allowed_domains": [DOMAIN], **more}

    def submission(self, account: str = ROUTER, **more: Any) -> dict[str, Any]:
        """Give settings of submission alone, as a source's `answers` takes them."""
        return {**self._operator(self.ports.submission, account), **more}

    def destination(self, account: str = ROUTER, **more: Any) -> dict[str, Any]:
        """Give settings of a destination that submits here."""
        return {**self.submission(account), "allowed_domains": [DOMAIN], **more}

    def _operator(self, port: int, account: str) -> dict[str, Any]:
        return {
            "address": f"localhost:{port}",
            "account": account,
            "tls": {"ca": self.files.ca, "cert": self.certificate(account)},
            "login": {"method": "password", "password": SECRET},
        }

    def certificate(self, account: str) -> Path:
        """Give the client certificate of a mailbox, with its key; its file is named by its rank, never by an INS."""
        if account == ROUTER:
            return self.files.client
        rank = next(number for number, one in enumerate(self.people) if one.address == account)
        path = self.folder / "tls" / f"client-{rank}.pem"
        if not path.exists():
            write_secret(path, self.authority.issue(account, client=True))
        return path

    def token(self, account: str = ROUTER, seconds: int = 240) -> str:
        """Make an access token for a mailbox: a JWT that Dovecot checks by itself. Negative seconds: an expired one."""
        assert self._key is not None  # noqa: S101 - the servers were entered
        now = int(time.time())
        claims = {
            "iss": ISSUER,
            "sub": "899700000001",
            "iat": now - 600,
            "exp": now + seconds,
            "mss_bal": account,
        }
        body = b".".join(_base64url(orjson.dumps(part)) for part in ({"alg": "RS256", "typ": "JWT"}, claims))
        signed = self._key.sign(body, padding.PKCS1v15(), hashes.SHA256())
        return (body + b"." + _base64url(signed)).decode()

    # --- files ----------------------------------------------------------------------------------------------------

    def _write(self) -> None:
        base = self.folder
        for name in (
            "base",
            "state",
            "log",
            "mail",
            "tls",
            "oauth/keys/default/RS256",
            "pf/etc",
            "pf/queue",
            "pf/data",
        ):
            (base / name).mkdir(parents=True, exist_ok=True)
        base.chmod(0o755)
        user = pwd.getpwnam("mail")
        os.chown(base / "mail", user.pw_uid, user.pw_gid)
        (base / "mail").chmod(0o700)
        os.chown(base / "pf/data", pwd.getpwnam("postfix").pw_uid, pwd.getpwnam("postfix").pw_gid)
        self.ports = ServerPorts(*_free([getattr(self.wished, name) for name in ServerPorts.__dataclass_fields__]))
        self._files = self.authority.write(base / "tls", ROUTER)
        self._key = rsa.generate_private_key(65537, 2048)
        public = self._key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        (base / "oauth/keys/default/RS256/default").write_bytes(public)
        (base / "oauth/oauth2.conf.ext").write_text(written.oauth(base, ISSUER))
        _shared(base / "users", written.users(self.people, SECRET))
        _shared(base / "users.external", written.certificate_users(self.people))
        (base / "dovecot.conf").write_text(written.dovecot(base, self.ports, user.pw_name, self.limit))
        (base / "pf/etc/main.cf").write_text(written.postfix(base, self.ports, (DOMAIN, PATIENTS), self.limit))
        master = Path("/etc/postfix/master.cf").read_text(encoding="utf-8")
        (base / "pf/etc/master.cf").write_text(written.postfix_services(master, self.ports.relay))
        maps = Path("/etc/postfix/dynamicmaps.cf")
        if maps.exists():
            shutil.copy(maps, base / "pf/etc/dynamicmaps.cf")

    # --- processes ------------------------------------------------------------------------------------------------

    def _start(self) -> None:
        _run("postfix", "-c", str(self.folder / "pf/etc"), "start")
        self._relaying = True
        self._start_imap()
        for port in (self.ports.relay, self.ports.lmtp, self.ports.submission, self.ports.imaps):
            self._await(port)

    def _start_imap(self) -> None:
        self._dovecot = subprocess.Popen(  # noqa: S603 - the server's own program
            [_path("dovecot"), "-F", "-c", str(self.folder / "dovecot.conf")],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        self._await(self.ports.imap)

    def kick(self, account: str) -> None:
        """End the IMAP connections of a mailbox, as an operator does that restarts."""
        _run("doveadm", "-c", str(self.folder / "dovecot.conf"), "kick", account)

    def _stop_imap(self) -> None:
        """Stop Dovecot."""
        process, self._dovecot = self._dovecot, None
        if process is not None:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
            try:
                process.communicate(timeout=STOP_SECONDS)
            except subprocess.TimeoutExpired:
                # It waits for its children, who wait for each other: nothing here is worth that.
                os.killpg(process.pid, signal.SIGKILL)
                process.communicate()

    def stop(self) -> None:
        """Stop both servers."""
        self._stop_imap()
        if self._relaying:
            self._relaying = False
            _run("postfix", "-c", str(self.folder / "pf/etc"), "stop")

    def _await(self, port: int) -> None:
        ends = time.monotonic() + START_SECONDS
        while time.monotonic() < ends:
            if self._dovecot is not None and self._dovecot.poll() is not None:
                said = (self._dovecot.communicate()[1] or b"").decode("utf-8", "replace").strip()[-300:]
                raise ServersFault(f"Dovecot does not start: {said}")
            try:
                with socket.create_connection(("127.0.0.1", port), timeout=1):
                    return
            except OSError:
                time.sleep(0.05)
        raise ServersFault(f"nothing listens on port {port} after {START_SECONDS:.0f} s; see {self.folder / 'log'}")


def _shared(path: Path, content: str) -> None:
    """Write a file that Dovecot's own users must be able to read."""
    path.write_text(content, encoding="utf-8")
    path.chmod(0o640)
    os.chown(path, 0, pwd.getpwnam("dovecot").pw_gid)


def _command(name: str) -> str | None:
    return shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")


def _path(name: str) -> str:
    found = _command(name)
    if found is None:
        raise ServersFault(f"the program {name} is not installed")
    return found


def _run(name: str, *arguments: str) -> None:
    done = subprocess.run(  # noqa: S603 - the servers' own programs
        [_path(name), *arguments], stdin=subprocess.DEVNULL, capture_output=True, check=False
    )
    if done.returncode:
        raise ServersFault(f"{name} {arguments[-1]} failed: {done.stderr.decode('utf-8', 'replace').strip()[-300:]}")


def _free(wished: list[int]) -> list[int]:
    """Give the ports wished for, or free ones in the place of those that are taken; all held at once meanwhile."""
    held: list[socket.socket] = []
    try:
        for port in wished:
            held.append(_bound(port))  # noqa: PERF401 - those bound so far are closed below when one fails
        return [one.getsockname()[1] for one in held]
    finally:
        for one in held:
            one.close()


def _bound(port: int) -> socket.socket:
    made = socket.socket()
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        made.bind(("127.0.0.1", port))
    except OSError:
        made.bind(("127.0.0.1", 0))
    return made


def _base64url(content: bytes) -> bytes:
    return base64.urlsafe_b64encode(content).rstrip(b"=")


@contextmanager
def short_folder() -> Iterator[Path]:
    """Make a folder whose path is short and that the servers' users may enter; it is removed at the end."""
    import tempfile

    made = Path(tempfile.mkdtemp(prefix="mss-", dir="/tmp"))
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)
