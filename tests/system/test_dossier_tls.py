"""The dossier's API with mutual TLS, by real handshakes with a router: the right certificate, a wrong one, none."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from dataclasses import dataclass

import httpx
import pytest
import trustme

from router.demo.circle import NURSE, RPPS
from router.trial.folder import make_folder
from router.trial.process import RouterProcess, run_command

CONFIGURATION = """\
[web]
listen = "127.0.0.1:0"
certificate = "server.pem"
private_key = "server.pem"

[identity]
environment = "test"

[engine]
workers = 0

[dossier]
api = true
client_authorities = "authorities.pem"
"""


@dataclass
class Tls:
    """A router, the authority of tools' certificates, and the secret of a tool that is tied to its certificate."""

    address: str
    authority: trustme.CA
    tied: trustme.LeafCert
    secrets: dict[str, str]

    def client(self, certificate: trustme.LeafCert | None) -> httpx.Client:
        context = ssl.create_default_context()
        self.authority.configure_trust(context)
        if certificate is not None:
            certificate.configure_cert(context)
        return httpx.Client(base_url=self.address, verify=context, timeout=30)

    def token(self, client: httpx.Client, tool: str) -> httpx.Response:
        form = {
            "grant_type": "client_credentials",
            "client_id": tool,
            "client_secret": self.secrets[tool],
            "on_behalf_of": f"{RPPS}|{NURSE}",
        }
        return client.post("/oauth/token", data=form)

    def read(self, client: httpx.Client, bearer: str) -> int:
        return client.get("/fhir/Encounter", headers={"Authorization": f"Bearer {bearer}"}).status_code


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tls]:
    folder = tmp_path_factory.mktemp("tls") / "router"
    authority = trustme.CA()
    tied = authority.issue_cert("outil.example")
    make_folder(folder, CONFIGURATION, password="un mot de passe long")
    authority.cert_pem.write_to_path(str(folder / "authorities.pem"))
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(str(folder / "server.pem"))
    tied.cert_chain_pems[0].write_to_path(str(folder / "tied.pem"))
    secrets = {}
    for name, more in (("lie", ("--certificate", str(folder / "tied.pem"))), ("libre", ())):
        said = run_command("tools", "add", name, *more, "--config", str(folder))
        secrets[name] = next(word for word in said.split() if word.startswith("pst_"))
    with RouterProcess(folder) as router:
        listening = router.start()
        assert listening.web.startswith("https://")
        yield Tls(listening.web, authority, tied, secrets)


def test_a_tool_with_its_certificate_comes_in(tls: Tls) -> None:
    with tls.client(tls.tied) as client:
        given = tls.token(client, "lie")
        assert given.status_code == 200
        assert tls.read(client, given.json()["access_token"]) == 200
        assert tls.read(client, f"lie:{tls.secrets['lie']}") == 200, "an API key as well"


def test_another_good_certificate_is_not_that_of_the_tool(tls: Tls) -> None:
    with tls.client(tls.tied) as client:
        bearer = tls.token(client, "lie").json()["access_token"]
    with tls.client(tls.authority.issue_cert("autre.example")) as other:
        refused = tls.token(other, "lie")
        assert refused.status_code == 401
        assert refused.json()["error"] == "invalid_client"
        assert tls.read(other, bearer) == 401, "nor does its token travel to another certificate"
        assert tls.token(other, "libre").status_code == 200, "a tool that is tied to none may show any that is good"


def test_without_a_certificate_no_tool_comes_in_and_pages_are_there(tls: Tls) -> None:
    with tls.client(tls.tied) as client:
        bearer = tls.token(client, "libre").json()["access_token"]
    with tls.client(None) as client:
        for tool in tls.secrets:
            refused = tls.token(client, tool)
            assert (refused.status_code, refused.json()["error"]) == (401, "invalid_client")
        assert tls.read(client, bearer) == 401
        assert client.get("/login").status_code == 200, "people have passwords, not certificates"


def test_the_certificate_of_a_stranger_ends_the_handshake(tls: Tls) -> None:
    with tls.client(trustme.CA().issue_cert("outil.example")) as client, pytest.raises(httpx.TransportError):
        tls.token(client, "libre")
