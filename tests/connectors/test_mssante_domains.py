"""The white list in the mailbox connector: before there is one, once there is one, and when it was damaged."""

from __future__ import annotations

from pathlib import Path

from connectors.annuaire.white_list import FILE, FOLDER, KeptWhiteList
from connectors.mssante.domains import Domains
from connectors.mssante.settings import MssanteDestinationSettings
from connectors.testing import plain_services

LIST = (
    b'<ListeBlancheMSSante xmlns="https://listeblanche.mssante.fr/schema"><DateDeGeneration>2026-01-01T00:00:00Z'
    b"</DateDeGeneration><ListeDomaines><Domaine><Nom>ch.mssante.fr</Nom><DNCertificatOperateur>CN=a"
    b"</DNCertificatOperateur></Domaine></ListeDomaines></ListeBlancheMSSante>"
)


def settings(*, white_list: bool) -> MssanteDestinationSettings:
    return MssanteDestinationSettings.model_validate(
        {
            "address": "mail.exemple.fr:587",
            "account": "dac@ch.mssante.fr",
            "tls": {"ca": "igc.pem"},
            "login": {"password": "x"},
            "white_list": white_list,
        }
    )


def test_a_domain_must_be_allowed_and_listed(tmp_path: Path) -> None:
    services = plain_services(tmp_path)
    domains = Domains(settings(white_list=True), services)
    assert domains.allow("autre.mssante.fr")
    assert [one.code for one in services.findings] == ["white_list.none"]
    KeptWhiteList(tmp_path / FOLDER).replace(LIST)
    assert (domains.allow("ch.mssante.fr"), domains.allow("autre.mssante.fr")) == (True, False)
    assert not domains.allow("exemple.invalid")
    assert Domains(settings(white_list=False), services).allow("autre.mssante.fr")


def test_a_list_that_was_damaged_allows_nobody(tmp_path: Path) -> None:
    services = plain_services(tmp_path)
    KeptWhiteList(tmp_path / FOLDER).replace(LIST)
    (tmp_path / FOLDER / FILE).write_bytes(LIST[:-20])
    domains = Domains(settings(white_list=True), services)
    assert not domains.allow("ch.mssante.fr")
    assert not domains.allow("ch.mssante.fr")
    assert [one.code for one in services.findings] == ["white_list.not_xml"]
