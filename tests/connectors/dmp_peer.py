"""A DMP written by hand for the tests: raw strings, the standard library's mail parser; nothing of the client."""

from __future__ import annotations

import email
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from conformance import Attempt
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from connectors.http.simulator import Received, Reply, WebReceiver

INS = "279035121518989"
OID = "1.2.250.1.213.1.4.10"
SUCCESS = "urn:oasis:names:tc:ebxml-regrep:ResponseStatusType:Success"
FAILURE = "urn:oasis:names:tc:ebxml-regrep:ResponseStatusType:Failure"
PARTIAL = "urn:ihe:iti:2007:ResponseStatusType:PartialSuccess"
_RS = "urn:oasis:names:tc:ebxml-regrep:xsd:rs:3.0"
_QUERY = "urn:oasis:names:tc:ebxml-regrep:xsd:query:3.0"
_RIM = "urn:oasis:names:tc:ebxml-regrep:xsd:rim:3.0"
_V3 = "urn:hl7-org:v3"


@cache
def _made(name: str, unit: str, days: int) -> tuple[bytes, bytes]:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.COUNTRY_NAME, "FR"),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "STRUCTURE FICTIVE"),
            x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, unit),
            x509.NameAttribute(NameOID.COMMON_NAME, name),
        ]
    )
    start = datetime(2020, 1, 1, tzinfo=UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + timedelta(days=days))
        .sign(key, hashes.SHA256())
    )
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return certificate.public_bytes(serialization.Encoding.PEM), secret


def pair(folder: Path, name: str = "ORG_SIGN", *, unit: str = "10B0000000", days: int = 7300) -> Path:
    """Write a self-signed certificate with its key, made once a test run."""
    certificate, secret = _made(name, unit, days)
    path = folder / f"{name}.pem"
    path.write_bytes(certificate + secret)
    return path


def settings(folder: Path, url: str, **more: Any) -> dict[str, Any]:
    """Give settings of a structure in indirect mode."""
    return {
        "url": url,
        "signature": {"cert": pair(folder)},
        "user": {"id": "899700000017", "name": "TESTEUR HELENE", "profession": "10", "profession_label": "Médecin",
                 "speciality": "SM26", "speciality_label": "Médecine générale"},
        "sector": "SA01",
        "homologation": "SECRET-NUMBER",
        "oid": "1.2.250.1.999.67",
        "existence": "trust",
        **more,
    }  # fmt: skip


def direct(folder: Path, url: str, **more: Any) -> dict[str, Any]:
    """Give settings of a doctor in direct mode."""
    return settings(folder, url, mode="DIRECTE", profile="MD", **more)


def pulling(folder: Path, url: str, **more: Any) -> dict[str, Any]:
    """Give settings of a source, by which a doctor retrieves at full speed."""
    values = direct(folder, url, per_minute=6000, **more)
    del values["existence"]
    return values


# --- what came


@dataclass(frozen=True)
class Call:
    """A request: its action, its MessageID, the envelope, and the parts beside it by Content-ID."""

    action: str
    message_id: str
    envelope: str
    parts: dict[str, bytes] = field(default_factory=dict)


def call_of(received: Received) -> Call:
    content_type = received.headers["content-type"]
    parts: dict[str, bytes] = {}
    envelope = received.body
    if content_type.startswith("multipart/"):
        message = email.message_from_bytes(b"Content-Type: " + content_type.encode() + b"\r\n\r\n" + received.body)
        bodies = {str(one["Content-ID"]).strip("<>"): one.get_payload(decode=True) for one in message.get_payload()}
        start = str(message.get_param("start")).strip("<>")
        envelope = bodies.pop(start)
        parts = bodies
    text = envelope.decode()
    action = re.search(r"<wsa:Action>([^<]*)</wsa:Action>", text)
    identifier = re.search(r"<wsa:MessageID>([^<]*)</wsa:MessageID>", text)
    assert action
    assert identifier
    return Call(action[1], identifier[1], text, parts)


# --- what is answered


def soap(body: str, relates_to: str | None, *, namespace: str = "http://www.w3.org/2003/05/soap-envelope") -> bytes:
    relates = f'<RelatesTo xmlns="http://www.w3.org/2005/08/addressing">{relates_to}</RelatesTo>' if relates_to else ""
    return (
        f'<s:Envelope xmlns:s="{namespace}"><s:Header>{relates}</s:Header><s:Body>{body}</s:Body></s:Envelope>'.encode()
    )


def registry(*codes: str, status: str | None = None, severity: str = "Error") -> str:
    errors = "".join(
        f'<RegistryError errorCode="{code}" codeContext="TESTROSE {INS}" '
        f'severity="urn:oasis:names:tc:ebxml-regrep:ErrorSeverityType:{severity}"/>'
        for code in codes
    )
    listed = f"<RegistryErrorList>{errors}</RegistryErrorList>" if codes else ""
    said = status or (FAILURE if codes else SUCCESS)
    return f'<RegistryResponse xmlns="{_RS}" status="{said}">{listed}</RegistryResponse>'


def fault(code: str, sub: str = "", text: str = "TESTROSE") -> str:
    inner = f"<s:Subcode><s:Value>x:{sub}</s:Value></s:Subcode>" if sub else ""
    return (
        f"<s:Fault><s:Code><s:Value>s:{code}</s:Value>{inner}</s:Code>"
        f'<s:Reason><s:Text xml:lang="fr">{text}</s:Text></s:Reason></s:Fault>'
    )


def references(*uuids: str) -> str:
    objects = "".join(f'<ObjectRef xmlns="{_RIM}" id="{one}"/>' for one in uuids)
    return _listed(objects)


def objects(*xml: str) -> str:
    return _listed("".join(xml))


def _listed(inner: str) -> str:
    return (
        f'<q:AdhocQueryResponse xmlns:q="{_QUERY}" status="{SUCCESS}">'
        f'<RegistryObjectList xmlns="{_RIM}">{inner}</RegistryObjectList></q:AdhocQueryResponse>'
    )


def existence(status: str | None = "active", *, matricule: str = INS) -> str:
    word = "NF" if status is None else "OK"
    patient = (
        f'<subject><registrationEvent><subject1><patient><id root="{OID}" extension="{matricule}"/>'
        f'<statusCode code="{status}"/></patient></subject1></registrationEvent></subject>'
        if status
        else ""
    )
    return (
        f'<PRPA_IN201308UV02 xmlns="{_V3}"><acknowledgement typeCode="AA"/><controlActProcess>{patient}'
        f'<queryAck><queryResponseCode code="{word}"/></queryAck></controlActProcess></PRPA_IN201308UV02>'
    )


Answers = dict[str, str | Reply | list[Any] | Callable[[Call], str | Reply]]

SUBMIT = "urn:ihe:iti:2007:ProvideAndRegisterDocumentSet-b"
SEARCH = "urn:ihe:iti:2007:RegistryStoredQuery"
RETRIEVE = "urn:ihe:iti:2007:RetrieveDocumentSet"
UPDATE = "urn:ihe:iti:2010:UpdateDocumentSet"
EXISTS = "urn:hl7-org:v3:PRPA_IN201307UV02"


class DmpPeer:
    """Answers each action with what `answers` says: a body, a whole Reply, or a list of them, one a call."""

    def __init__(self, folder: Path, receiver: WebReceiver) -> None:
        self.receiver = receiver
        self.calls: list[Call] = []
        self.settings = settings(folder, receiver.url)
        self.answers: Answers = {SUBMIT: registry(), SEARCH: references(), UPDATE: registry(), EXISTS: existence()}
        self.every: Reply | None = None
        receiver.reply = self._reply

    def _reply(self, received: Received) -> Reply:
        call = call_of(received)
        self.calls.append(call)
        if self.every is not None:
            return self.every
        answer: Any = self.answers[call.action]
        if isinstance(answer, list):
            answer = answer.pop(0) if len(answer) > 1 else answer[0]
        if callable(answer):
            answer = answer(call)
        if isinstance(answer, Reply):
            return answer
        return Reply(200, soap(answer, call.message_id), "application/soap+xml; charset=utf-8")

    def of(self, action: str) -> list[Call]:
        return [call for call in self.calls if call.action == action]

    @property
    def received(self) -> list[Attempt]:
        return [
            Attempt(next(iter(call.parts.values())), re.findall(r'value="(2\.25\.\d+)"', call.envelope)[0])
            for call in self.of(SUBMIT)
        ]

    BUSY = registry("XDSRepositoryBusy")

    def behave(self, how: str) -> None:
        self.every = {
            "hang": Reply(hang=True),
            "garbage": Reply(200, b"<html>TESTROSE, please log in</html>", "text/html"),
            "hang_up": Reply(hang_up=True),
        }.get(how)
        self.answers[SUBMIT] = {"refuse": registry("XDSRepositoryMetadataError"), "later": self.BUSY}.get(
            how, registry()
        )


def multipart(
    envelope: bytes,
    parts: dict[str, bytes] | None = None,
    *,
    boundary: str = "b",
    start: str = "root",
    tail: bytes = b"",
) -> Reply:
    """Make a multipart/related answer."""
    pieces = {start: envelope, **(parts or {})}
    body = b"".join(
        f"\r\n--{boundary}\r\nContent-Type: application/xop+xml\r\nContent-ID: <{cid}>\r\n\r\n".encode() + content
        for cid, content in pieces.items()
    )
    body += f"\r\n--{boundary}--\r\n".encode() + tail
    kind = f'multipart/related; type="application/xop+xml"; start="<{start}>"; boundary="{boundary}"'
    return Reply(200, body, kind)
