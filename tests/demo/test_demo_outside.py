"""The national services of the demonstration: their configuration, and an account that sees what is missing there."""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from connectors.sandbox.adt import Visit
from connectors.sandbox.analyses import NFS
from connectors.sandbox.cda import discharge_letter, oid_of
from connectors.sandbox.correspondence import laboratory_mail, message_id
from connectors.sandbox.dmp.others import deposit
from connectors.sandbox.laboratory import PARIS
from connectors.sandbox.mail_people import DOCTOR, HOSPITAL, ROUTER
from connectors.sandbox.mail_reports import write_mdn
from connectors.sandbox.people import ROSE
from connectors.sandbox.reports import draw_report
from router.config.load import load
from router.demo.account_outside import FILED, of_dmp, of_mail
from router.demo.scene import InDmp, Mailed
from router.demo.stage import NOTES_KEY, configuration
from router.demo.stage_outside import PACKAGE, Outside, furnish
from router.validation import conforms, open_package

AT = datetime(2026, 3, 9, 14, 20, tzinfo=PARIS)
VISIT = Visit("SEJ1", "DOS1", AT - timedelta(days=4), discharged_at=AT)


def test_the_configuration_is_what_an_administrator_could_write(tmp_path: Path, services: Outside) -> None:
    folder = tmp_path / "router"
    furnish(folder)
    (folder / NOTES_KEY).write_text("0123456789abcdef")
    text = configuration("http://127.0.0.1:9/fhir", 8080, services)
    assert max(map(len, text.splitlines())) <= 120
    assert str(tmp_path) not in text
    (folder / "passerelle.toml").write_text(text, encoding="utf-8")
    loaded = load(folder / "passerelle.toml")
    assert [one.name for one in loaded.sources] == [
        "hopital", "laboratoire", "depot", "dossier", "messagerie", "dmp"
    ]  # fmt: skip
    assert [one.name for one in loaded.destinations] == [
        "coordination",
        "medecin-traitant",
        "messagerie-medecin",
        "dmp",
    ]
    assert loaded.configuration.destinations["dmp"].validation == "strict"


@pytest.mark.parametrize(
    ("more", "problems"),
    [
        ({}, []),
        ({"version": 2, "replaces": "LET1"}, []),
        ({"version": 2}, ["/ClinicalDocument/versionNumber[1]"]),
        ({"signed": False}, ["/ClinicalDocument"]),
    ],
)
def test_the_package_judges_letters(more: dict[str, object], problems: list[str], tmp_path: Path) -> None:
    package = open_package(PACKAGE, tmp_path)
    letter = discharge_letter(ROSE, VISIT, ["Bonjour"], number="LET1/2", at=AT, **more)  # type: ignore[arg-type]  # each case names parameters
    found = package.validate(letter)
    assert [one.where for one in found] == problems
    assert conforms(found) is (not problems)
    broken = letter.replace(b"<setId", b"<setIdentity", 1)
    assert "xsd.invalid" in [one.code for one in package.validate(broken)]


async def test_a_mail_is_looked_for_where_it_must_be(services: Outside) -> None:
    store = services.operator.store
    content = laboratory_mail(draw_report(random.Random(1), ROSE, 1, AT, panels=(NFS,)), number="M1")
    content = content.replace(b"MIME-Version", f"Disposition-Notification-To: {HOSPITAL}\r\nMIME-Version".encode(), 1)
    mail = Mailed("filed, answered", message_id=message_id("M1"))
    assert of_mail(services, mail, {}) == ""
    store.deliver(ROUTER, content)
    assert of_mail(services, mail, {}) == ""
    store.accounts[ROUTER].create(FILED).add(content, (), AT)
    assert of_mail(services, mail, {}) == "filed"
    for disposition, said in (
        ("failed/error", "filed"),
        ("automatic-action/MDN-sent-automatically; processed", "filed, answered"),
    ):
        report = write_mdn(content, reader=ROUTER, disposition=disposition, now=AT)
        assert report is not None
        store.deliver(HOSPITAL, report)
        assert of_mail(services, mail, {}) == said


async def test_a_note_is_at_the_practitioner_or_not(services: Outside) -> None:
    note = Mailed("at the GP, acknowledged", words="un compte rendu.")
    assert of_mail(services, note, {}) == "not sent"
    content = laboratory_mail(draw_report(random.Random(1), ROSE, 1, AT, panels=(NFS,)), number="M1")
    services.operator.deliver(DOCTOR, content)
    assert of_mail(services, note, {"messagerie-medecin": "delivered"}) == "at the GP, delivered"


async def test_a_document_is_looked_for_in_the_dmp(services: Outside) -> None:
    now = services.dmp.now()
    first = deposit(services.dmp.store, number="A", at=AT, submitted=now)
    document = InDmp("Approved", first)
    assert of_dmp(services, document, {"dmp": "acknowledged"}) == "Approved"
    assert of_dmp(services, document, {"dmp": "held"}) == "held, Approved"
    second = deposit(services.dmp.store, number="A/2", at=AT, submitted=now, version=2, replaces="A")
    assert of_dmp(services, document, {}) == "Deprecated"
    assert of_dmp(services, InDmp("", second), {}) == "Approved, replaces"
    assert of_dmp(services, InDmp("", oid_of("B")), {"dmp": "retrying"}) == "retrying"
