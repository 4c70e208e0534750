"""Every file under `deploy/` read as what reads it would, and held against what a deployment must be."""

from __future__ import annotations

import asyncio
import configparser
import os
import re
import shutil
import ssl
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme
from click.testing import CliRunner
from nats_program import nats_program

from router.cli.base import passerelle
from router.cluster.contracts import JOBS, Bell, NodeStatus
from router.cluster.joining import join
from router.cluster.settings import NatsSettings
from tests.ports import free_port

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
yaml = pytest.importorskip("yaml", reason="PyYAML is not installed")
PASSWORD = "0123456789abcdef"
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))
SECRET = re.compile(r"(?i)(password|secret|token|key)\s*[:=]\s*[\"']?[A-Za-z0-9+]{12,}")


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    return loaded


@pytest.fixture(scope="module")
def secrets(tmp_path_factory: pytest.TempPathFactory, compose: dict[str, Any]) -> Path:
    """A folder that stands for /run/secrets."""
    folder = tmp_path_factory.mktemp("secrets")
    for name in compose["secrets"]:
        (folder / name).write_text(PASSWORD)
    authority = trustme.CA()
    authority.cert_pem.write_to_path(folder / "authority")
    for name in ("nats", "postgres", "mllp", "web"):
        issued = authority.issue_cert(f"{name}.example")
        issued.cert_chain_pems[0].write_to_path(folder / f"{name}_certificate")
        issued.private_key_pem.write_to_path(folder / f"{name}_key")
    (folder / "web_pem").write_bytes((folder / "web_certificate").read_bytes() + (folder / "web_key").read_bytes())
    (folder / "nats_users").write_text('NATS_PASSWORD: "' + PASSWORD + '"\n')
    return folder


def placed(text: str, secrets: Path) -> str:
    return text.replace("/run/secrets", str(secrets))


def test_services_are_pinned_watched_bounded_and_least_privileged(compose: dict[str, Any]) -> None:
    assert {"postgres", "postgres-replica", "receive1", "receive2", "work", "web", "balancer"} < set(
        compose["services"]
    )
    assert sum(name.startswith("nats") for name in compose["services"]) == 3
    for name, service in compose["services"].items():
        assert re.fullmatch(r"[a-z]+:\d+\.\d+(\.\d+)?(-[a-z0-9]+)?", service["image"]), name
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert not str(service["user"]).startswith(("0", "root")), name
        assert {"cpus", "memory", "pids"} <= set(service["deploy"]["resources"]["limits"]), name
        assert "privileged" not in service
        assert not service.keys() & {"network_mode", "pid", "ipc", "cap_add"}, name
        if name != "migrate":  # it ends by itself
            assert service["healthcheck"]["test"][0] == "CMD", name
            assert service["restart"] == "unless-stopped", name
    assert compose["networks"]["inside"]["internal"] is True
    assert [one for one, service in compose["services"].items() if "ports" in service] == ["balancer"]


def test_what_the_services_mount_is_there_and_secrets_are_files(compose: dict[str, Any]) -> None:
    made = (DEPLOY / "secrets.sh").read_text()
    for name, secret in compose["secrets"].items():
        assert secret == {"file": f"./secrets/{name}"}
        assert name in made or name.rsplit("_", 1)[0] in made, name
    used = set()
    for name, service in compose["services"].items():
        used |= set(service.get("secrets", ()))
        for volume in service.get("volumes", ()):
            source = volume.split(":")[0]
            if source.startswith("./secrets"):
                continue
            assert source in compose["volumes"] or (DEPLOY / source).exists(), (name, source)
        for other in service.get("depends_on", ()):
            assert other in compose["services"]
    assert used == set(compose["secrets"])


@pytest.mark.parametrize("path", [one for one in DEPLOY.rglob("*") if one.is_file()], ids=lambda one: one.name)
def test_no_file_holds_a_secret(path: Path) -> None:
    text = path.read_text()
    assert not SECRET.search(text), path
    assert "BEGIN" not in text or "PRIVATE KEY" not in text


def test_the_image_has_no_root_and_only_locked_packages() -> None:
    lines = (DEPLOY / "Dockerfile").read_text().splitlines()
    assert [line for line in lines if line.startswith("USER")] == ["USER 10001:10001"]
    assert all(re.search(r":\d+\.\d+\.\d+-", line) for line in lines if line.startswith("FROM"))
    assert sum("pip install" in line for line in lines) == 2
    assert any("--require-hashes" in line for line in lines)
    assert any(line.startswith("HEALTHCHECK") for line in lines)
    for line in lines:
        if line.startswith("COPY") and "--from" not in line:
            sources = [word for word in line.split()[1:-1] if not word.startswith("--")]
            assert all((DEPLOY.parent / one).exists() for one in sources), line


@pytest.mark.parametrize("script", sorted(DEPLOY.rglob("*.sh")), ids=lambda one: one.name)
def test_scripts_are_sound_shell(script: Path) -> None:
    assert script.read_text().startswith("#!/bin/sh\n")
    assert "\nset -eu\n" in script.read_text()
    assert os.access(script, os.X_OK)
    subprocess.run(["sh", "-n", str(script)], check=True)


def test_the_configuration_is_one_that_check_takes(tmp_path: Path, secrets: Path) -> None:
    text = placed((DEPLOY / "passerelle" / "passerelle.toml").read_text(), secrets)
    path = tmp_path / "passerelle.toml"
    path.write_text(text)
    environment = {
        "PASSERELLE_DATA": str(tmp_path),
        "COORDINATION_URL": "https://coordination.example/fhir",
        "NODE": "",
    }
    said = CliRunner().invoke(passerelle, ["check", "--config", str(path)], env=environment)
    assert said.exit_code == 0, said.output


def test_nats_takes_its_file(tmp_path: Path, secrets: Path) -> None:
    server = nats_program()
    text = (DEPLOY / "nats" / "nats.conf").read_text()
    assert 'include "../../run/secrets/nats_users"' in text
    path = tmp_path / "nats.conf"
    path.write_text(placed(text.replace("../../run/secrets", os.path.relpath(secrets, tmp_path)), secrets))
    done = subprocess.run(
        [server, "-t", "-c", str(path)], env={"NATS_NAME": "nats1"}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert text.count("tls {") == 2


@pytest.fixture
def nats_port(tmp_path: Path, secrets: Path) -> Iterator[int]:
    """A server that runs by the file, alone: without the block that joins three."""
    server = nats_program()
    port = free_port()
    text = (DEPLOY / "nats" / "nats.conf").read_text()
    text = text[: text.index("\ncluster {")].replace("0.0.0.0:4222", f"127.0.0.1:{port}")
    text = re.sub(r"http: .*\n", "", text).replace('"/data"', f'"{tmp_path / "data"}"')
    path = tmp_path / "nats.conf"
    path.write_text(placed(text.replace("../../run/secrets", os.path.relpath(secrets, tmp_path)), secrets))
    log = tmp_path / "nats.log"
    with log.open("w") as out:
        running = subprocess.Popen([server, "-c", str(path)], env={"NATS_NAME": "nats1"}, stderr=out)
    yield port
    running.terminate()
    running.wait()
    assert "other.subject" in log.read_text()


async def test_what_nodes_do_is_allowed_to_them_and_nothing_else(nats_port: int, secrets: Path) -> None:
    """Lanes are handed out and bells heard under the file's TLS and permissions; another subject is refused."""
    tls = ssl.create_default_context(cafile=str(secrets / "authority"))
    tls.check_hostname = False  # the certificate is of nats.example, and the server here
    settings = [
        NatsSettings(
            (f"tls://127.0.0.1:{nats_port}",), name, frozenset({"work"}), user="passerelle", password=PASSWORD, tls=tls
        )
        for name in ("one", "two")
    ]

    async def no_epoch() -> int:
        return 0

    async def gained(_fence: object) -> bool:
        return True

    async def lost(_lane: str) -> None:
        return

    troubles: list[str] = []
    members = [join(one, no_epoch, troubles.append) for one in settings]
    heard: list[Bell] = []
    members[1].cluster.bells.listen(heard.append)
    tasks = []
    try:
        for member in members:
            name = member.link.settings.name
            member.cluster.presence.say(lambda name=name: NodeStatus(name, ("work",), "0", 0, 0))
            tasks.append(asyncio.create_task(member.run()))
            tasks.append(asyncio.create_task(member.cluster.lanes.run(lambda: [JOBS, "send.0"], gained, lost)))
        async with asyncio.timeout(40):
            while {one for member in members for one in member.cluster.lanes.owned()} != {JOBS, "send.0"}:  # noqa: ASYNC110 - a state, and no event
                await asyncio.sleep(0.05)
            while not heard or len(members[0].cluster.presence.nodes()) < 2:
                members[0].cluster.bells.ring(Bell(send=True))
                await asyncio.sleep(0.05)
            client, before = await members[0].link.up(), len(troubles)
            await client.publish("other.subject", b"")
            while len(troubles) == before:
                await client.flush()
                await asyncio.sleep(0.05)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for member in members:
            await member.leave()


def test_haproxy_takes_its_file(tmp_path: Path, secrets: Path) -> None:
    text = (DEPLOY / "haproxy" / "haproxy.cfg").read_text()
    named = dict(re.findall(r"^(?:frontend|backend) (\w+)\n((?: .*\n|\n)*)", text, re.MULTILINE))
    assert set(re.findall(r"default_backend (\w+)", text)) <= set(named)
    assert named["receivers"].count("\n    server ") == 2
    assert all("httpchk GET /health/" in named[one] for one in ("receivers", "webs"))
    # Pages believe the balancer about whom it speaks for, and reach it where it has that address.
    configured = tomllib.loads((DEPLOY / "passerelle" / "passerelle.toml").read_text())
    services = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]
    assert configured["web"]["trusted_proxies"] == [services["balancer"]["networks"]["inside"]["ipv4_address"]]
    assert set(re.findall(r"server web (\S+):8080", text)) == set(services["web"]["networks"]["inside"]["aliases"])
    program = shutil.which("haproxy")
    if program is None:
        return  # its syntax is checked where it is installed
    path = tmp_path / "haproxy.cfg"
    path.write_text(re.sub(r"    (user|group) haproxy\n", "", placed(text, secrets)))
    done = subprocess.run([program, "-c", "-f", str(path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_postgres_keeps_what_is_acknowledged_and_logs_no_parameter() -> None:
    text = (DEPLOY / "postgres" / "postgresql.conf").read_text()
    said = dict(re.findall(r"^(\w+) = ('[^']*'|\S+)", text, re.MULTILINE))
    assert said["fsync"] == said["full_page_writes"] == said["synchronous_commit"] == said["archive_mode"] == "on"
    assert "passerelle_replica" in said["synchronous_standby_names"]
    assert said["log_parameter_max_length_on_error"] == "0"
    hba = (DEPLOY / "postgres" / "pg_hba.conf").read_text()
    assert not re.search(r"\b(trust|md5|password)\b", hba)
    assert not re.search(r"^host\s", hba, re.MULTILINE)


@pytest.mark.parametrize("path", UNITS, ids=lambda one: one.name)
def test_units_run_as_nobody_and_may_little(path: Path) -> None:
    unit = configparser.RawConfigParser(strict=False)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read(path)
    service = unit["Service"]
    assert service["User"] == "passerelle"
    assert service["ProtectSystem"] == "strict"
    assert service["NoNewPrivileges"] == service["MemoryDenyWriteExecute"] == service["PrivateTmp"] == "yes"
    assert service["CapabilityBoundingSet"] == service["AmbientCapabilities"] == ""
    assert service["StateDirectory"].startswith("passerelle")
    role = re.search(r"serve(?: --role (\w+))?", service["ExecStart"])
    assert role is not None
    assert path.name == (f"passerelle-{role[1]}@.service" if role[1] else "passerelle.service")
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    asked = ["systemd-analyze", "security", "--offline=yes", "--no-pager", "--threshold=25", str(path)]
    done = subprocess.run(asked, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-400:]
    exposed = re.search(r"Overall exposure level for .*: ([\d.]+)", done.stdout)
    assert exposed is not None
    assert float(exposed[1]) <= 2.5


def test_what_runs_needs_no_memory_that_is_written_and_executed() -> None:
    """`MemoryDenyWriteExecute=yes` holds for the stack: the kernel refuses such memory here as there."""
    program = """
import ctypes, mmap, sys
if ctypes.CDLL(None).prctl(65, 1, 0, 0, 0):  # PR_SET_MDWE, since Linux 6.3
    sys.exit(77)
try:
    mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    sys.exit("the kernel allows it")
except OSError:
    pass
import argon2, cel, psycopg, saxonche, uvloop, router.engine.serve
sheet = "<xsl:stylesheet version='2.0' xmlns:xsl='http://www.w3.org/1999/XSL/Transform'>"
sheet += "<xsl:template match='/'><a/></xsl:template></xsl:stylesheet>"
saxon = saxonche.PySaxonProcessor(license=False)
compiled = saxon.new_xslt30_processor().compile_stylesheet(stylesheet_text=sheet)
assert "<a/>" in compiled.transform_to_string(xdm_node=saxon.parse_xml(xml_text="<b/>"))
argon2.PasswordHasher().hash("x")
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    if done.returncode == 77:
        pytest.skip("this kernel cannot refuse it to one process")
    assert done.returncode == 0, done.stderr


def test_the_files_name_what_the_program_has() -> None:
    """Commands and settings that the files use exist."""
    text = (DEPLOY / "compose.yaml").read_text()
    commands = {
        command for command, *_ in (re.findall(r'"([^"]+)"', one) for one in re.findall(r"command: (\[.*\])", text))
    }
    known = set(passerelle.list_commands(passerelle.make_context("passerelle", ["--help"], resilient_parsing=True)))
    assert commands - {"-c", "postgres"} <= known
    assert tomllib.loads((DEPLOY / "passerelle" / "passerelle.toml").read_text())["journal"]["blobs"] == "database"
