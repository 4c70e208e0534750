"""INSi as it is configured: its section, certificates, the command that tests the access, the engine's start."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import trustme
from click.testing import CliRunner
from sqlalchemy import select

from connectors.certificates import CertificateTrouble
from connectors.ins.sandbox import InsiSandbox, Mood
from connectors.sandbox.people import ROSE
from router.certificates import certificate_notes
from router.cli.base import passerelle
from router.cli.insi import masked
from router.config.load import Loaded, load
from router.identity.insi import InsiResult
from router.journal import tables
from router.journal.sealing import make_key_file
from schemas.identity import PatientIdentity, Sex


def configured(folder: Path, section: str, more: str = "") -> Path:
    data = folder / "data"
    data.mkdir()
    make_key_file(data / "journal.key")
    path = folder / "passerelle.toml"
    path.write_text(f'[journal]\ndata = "data"\n\n{section}\n{more}', encoding="utf-8")
    return path


def certificate(folder: Path, name: str, common_name: str, days: float) -> None:
    now = datetime.now(UTC)
    issued = trustme.CA().issue_cert(
        common_name=common_name, not_before=now - timedelta(days=400), not_after=now + timedelta(days=days)
    )
    issued.private_key_and_cert_chain_pem.write_to_path(str(folder / name))


def notes(loaded: Loaded) -> list[tuple[str, CertificateTrouble]]:
    return [(note.owner, note.trouble) for note in certificate_notes(loaded, datetime.now(UTC))]


INSI = '[insi]\nurl = "https://insi.invalid/lps"\ncertificate = "insi.pem"\nauthorisation = "${file:number.txt}"\n'


def test_the_section_takes_secrets_from_files_and_paths_from_its_folder(tmp_path: Path) -> None:
    (tmp_path / "number.txt").write_text("AUTORISATION-TEST\n")
    loaded = load(configured(tmp_path, INSI))
    assert loaded.insi is not None
    assert loaded.insi.authorisation == "AUTORISATION-TEST"
    assert loaded.insi.certificate == tmp_path / "insi.pem"
    assert loaded.insi.reverify_days == 1095


@pytest.mark.parametrize(
    ("days", "common_name", "trouble"),
    [
        (29, "INSI-AUTO", CertificateTrouble.EXPIRING),
        (-1, "INSI-AUTO", CertificateTrouble.EXPIRED),
        (300, "www.example", CertificateTrouble.WRONG_NAME),
        (300, "INSI-MANU", None),
    ],
)
def test_certificates_are_looked_at(
    tmp_path: Path, days: float, common_name: str, trouble: CertificateTrouble | None
) -> None:
    (tmp_path / "number.txt").write_text("A")
    certificate(tmp_path, "insi.pem", common_name, days)
    loaded = load(configured(tmp_path, INSI))
    assert notes(loaded) == ([] if trouble is None else [("insi", trouble)])


def test_every_certificate_of_the_configuration_is_looked_at(tmp_path: Path) -> None:
    (tmp_path / "number.txt").write_text("A")
    certificate(tmp_path, "web.pem", "passerelle.invalid", 10)
    more = (
        '[web]\ncertificate = "web.pem"\n'
        '[sources.labo]\nconnector = "mllp"\nlisten = "127.0.0.1:0"\ntls = { cert = "absent.pem" }\n'
        '[destinations.tool]\nconnector = "fhir"\nurl = "https://tool.invalid"\ntls = { cert = "web.pem" }\n'
    )
    assert notes(load(configured(tmp_path, INSI, more))) == [
        ("insi", CertificateTrouble.MISSING),
        ("source labo", CertificateTrouble.MISSING),
        ("web", CertificateTrouble.EXPIRING),
        ("destination tool", CertificateTrouble.EXPIRING),
    ]


def test_check_says_it(tmp_path: Path) -> None:
    (tmp_path / "number.txt").write_text("A")
    done = CliRunner().invoke(passerelle, ["check", "--config", str(configured(tmp_path, INSI))])
    assert "insi: the certificate's file does not exist" in done.output


async def test_the_command_masks_what_it_finds(tmp_path: Path) -> None:
    async with InsiSandbox((ROSE,)) as sandbox:
        section = f'[insi]\nurl = "{sandbox.url}"\nauthorisation = "A"\nemitter = "10B0000000"\nattempts = 1\n'
        config = str(configured(tmp_path, section))

        def run(*arguments: str) -> Awaitable[tuple[int, str]]:
            def invoke() -> tuple[int, str]:
                done = CliRunner().invoke(passerelle, ["insi", "--config", config, *arguments], standalone_mode=False)
                return (done.return_value, done.output)

            return asyncio.to_thread(invoke)

        rose = ("--birth-name", "Testrose", "--given", "Rose Marie", "--sex", "f", "--born", "1938-05-12")
        status, said = await run(*rose)
        assert status == 0
        assert said.startswith("00  one person, whose traits agree  (calls: 1)")
        assert masked(ROSE.matricule) in said
        assert ROSE.matricule not in said
        assert "TESTROSE" not in said.upper()
        assert (await run(*rose[:-1], "1938-05-13"))[0] == 1
        assert (await run("--birth-name", "T3ST", *rose[2:]))[0] == 2
        sandbox.mood = Mood.TECHNICAL
        status, said = await run(*rose)
        assert status == 2
        assert "this says nothing of the person" in said


def test_the_command_needs_the_section(tmp_path: Path) -> None:
    arguments = ["--birth-name", "T", "--given", "R", "--sex", "F", "--born", "1938-05-12"]
    done = CliRunner().invoke(passerelle, ["insi", "--config", str(configured(tmp_path, "")), *arguments])
    assert done.exit_code == 2
    assert "no [insi] section" in done.output
    wrong = CliRunner().invoke(passerelle, ["insi", *arguments[:-1], "12/05/1938"])
    assert "--born is not in the expected form" in wrong.output


async def test_the_engine_says_it_at_start_and_gives_access(make_rig: Callable[..., Any], tmp_path: Path) -> None:
    certificate(tmp_path, "web.pem", "passerelle.invalid", 10)
    rig = make_rig()
    original = rig.loaded
    insi = {"url": "http://127.0.0.1:9/lps", "authorisation": "A", "certificate": "absent.pem"}

    def loaded() -> Loaded:
        made = original()
        values = {**made.configuration.model_dump(by_alias=True), "insi": insi}
        configuration = type(made.configuration).model_validate(values)
        return Loaded(made.path, configuration, made.sources, made.destinations)

    rig.loaded = loaded
    await rig.start()
    try:
        [note] = rig.engine.certificates()
        assert note.trouble is CertificateTrouble.MISSING
        asked = PatientIdentity(birth_name="TESTROSE", first_given_name="ROSE", birth_date="1938-05-12", sex=Sex.FEMALE)
        answer = await rig.engine.insi.query(asked, actor="x")
        assert (answer.result, answer.code) == (InsiResult.UNAVAILABLE, "insi.certificate.missing")

        def told() -> list[str]:
            with rig.engine.store.reading() as connection:
                return list(connection.execute(select(tables.notice.c.code)).scalars())

        await rig.until(lambda: "certificate.missing" in told())
    finally:
        await rig.stop()
