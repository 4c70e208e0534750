"""A client of the DMP as somebody else would have written it: nothing of the project's own connector.

`Foreign` signs the VIHF, packs the MTOM and posts what `dmp_foreign_requests` wrote.
"""

from __future__ import annotations

import base64
import hashlib
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from uuid import uuid4

import httpx
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from dmp_foreign_requests import (
    DOCTOR,
    ROSE_CX,
    STRUCTURE,
    Lot,
    as_it_is,
    escaped,
)
from lxml import etree
from signxml import CanonicalizationMethod, SignatureConstructionMethod, XMLSigner

from connectors.sandbox.dmp.pki import Pair


@dataclass
class Reply:
    """What came back."""

    status: int
    content_type: str
    content: bytes
    envelope: etree._Element
    documents: dict[str, bytes] = field(default_factory=dict)

    @property
    def fault(self) -> str:
        """Subcode and text of a Fault, empty when it is none."""
        values = [one.text or "" for one in self.envelope.iter("{http://www.w3.org/2003/05/soap-envelope}Value")]
        text = next(self.envelope.iter("{http://www.w3.org/2003/05/soap-envelope}Text"), None)
        return "" if text is None else f"{' '.join(values)} {text.text}"

    @property
    def outcome(self) -> str:
        """The last word of the status."""
        found = next(
            (
                one.get("status", "")
                for one in self.envelope.iter()
                if (one.get("status") or "").count("ResponseStatus")
            ),
            "",
        )
        return found.rpartition(":")[2]

    @property
    def errors(self) -> list[str]:
        """Error codes."""
        return [one.get("errorCode", "") for one in self.envelope.iter("{*}RegistryError")]

    @property
    def contexts(self) -> str:
        return " | ".join(one.get("codeContext", "") for one in self.envelope.iter("{*}RegistryError"))

    @property
    def entries(self) -> list[etree._Element]:
        return list(self.envelope.iter("{*}ExtrinsicObject"))

    @property
    def references(self) -> list[str]:
        return [one.get("id", "") for one in self.envelope.iter("{*}ObjectRef")]

    def unique_ids(self) -> list[str]:
        """The uniqueIds of the entries."""
        scheme = "urn:uuid:2e82c1f6-a085-4c72-9da3-8640a32e42ab"
        return [
            one.get("value", "")
            for one in self.envelope.iter("{*}ExternalIdentifier")
            if one.get("identificationScheme") == scheme
        ]


@dataclass
class Vihf:
    """What the assertion says, by default that of a structure in indirect mode."""

    mode: str = "INDIRECTE"
    structure: str = STRUCTURE
    person: str = DOCTOR
    patient: str = ROSE_CX
    role: tuple[str, str] = ("10", "1.2.250.1.71.1.2.7")
    specialty: str = "SM26"
    purpose: str = "normal"
    resource: str = "urn:dmp"
    age: timedelta = timedelta()
    leave_out: str = ""
    issuer: str = ""
    bend: Callable[[str], str] = as_it_is
    """Changes the assertion once it is signed."""


DIRECT = Vihf(mode="DIRECTE")


@dataclass
class Foreign:
    """Posts to a sandbox. Without a signer the assertion is not signed."""

    base: str
    signer: Pair | None = None
    tls: ssl.SSLContext | None = None
    headers: dict[str, str] = field(default_factory=dict)

    async def iti41(
        self,
        lot: Lot,
        vihf: Vihf | None = None,
        *,
        parts: Callable[[list[tuple[str, bytes]]], list[tuple[str, bytes]]] = lambda given: given,
    ) -> Reply:
        body, documents = lot.whole(self.sign_lot)
        envelope = self.envelope(
            "urn:ihe:iti:2007:ProvideAndRegisterDocumentSet-b", body, vihf or Vihf(patient=lot.patient)
        )
        return await self.post_parts(envelope, parts([(one.id, one.content) for one in documents]))

    async def post_parts(self, envelope: bytes, parts: list[tuple[str, bytes]]) -> Reply:
        boundary = f"=_{uuid4().hex}"
        kind = (
            'multipart/related; type="application/xop+xml"; start="<root@test.example>"; '
            f'start-info="application/soap+xml"; boundary="{boundary}"; '
            'action="urn:ihe:iti:2007:ProvideAndRegisterDocumentSet-b"'
        )
        root = (
            b'Content-Type: application/xop+xml; charset=UTF-8; type="application/soap+xml"\r\n'
            b"Content-ID: <root@test.example>\r\n\r\n"
        )
        headers = "Content-Type: text/xml\r\nContent-Transfer-Encoding: binary\r\nContent-ID: <{}@test.example>\r\n\r\n"
        pieces = [root + envelope, *(headers.format(name).encode() + content for name, content in parts)]
        delimiter = f"\r\n--{boundary}".encode()
        content = b"".join(delimiter + b"\r\n" + one for one in pieces) + delimiter + b"--\r\n"
        return await self.post("repository", content.removeprefix(b"\r\n"), kind)

    async def iti18(self, body: str, vihf: Vihf | None = None) -> Reply:
        return await self.soap("registry", "urn:ihe:iti:2007:RegistryStoredQuery", body, vihf)

    async def iti43(self, body: str, vihf: Vihf | None = None) -> Reply:
        return await self.soap("repository", "urn:ihe:iti:2007:RetrieveDocumentSet", body, vihf)

    async def iti57(self, body: str, vihf: Vihf | None = None) -> Reply:
        return await self.soap("registry", "urn:ihe:iti:2010:UpdateDocumentSet", body, vihf)

    async def soap(self, service: str, action: str, body: str, vihf: Vihf | None = None) -> Reply:
        envelope = self.envelope(action, body, vihf or DIRECT)
        return await self.post(service, envelope, f'application/soap+xml; charset=utf-8; action="{action}"')

    async def post(self, service: str, content: bytes, kind: str) -> Reply:
        async with httpx.AsyncClient(verify=self.tls or False, timeout=30, trust_env=False) as client:
            got = await client.post(
                f"{self.base}/{service}", content=content, headers={"Content-Type": kind, **self.headers}
            )
        return read_reply(got)

    def envelope(self, action: str, body: str, vihf: Vihf) -> bytes:
        address = "http://www.w3.org/2005/08/addressing"
        return (
            '<?xml version="1.0" encoding="UTF-8"?><s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope" '
            f'xmlns:a="{address}"><s:Header><a:MessageID>urn:uuid:{uuid4()}</a:MessageID><a:To/>'
            f"<a:ReplyTo><a:Address>{address}/anonymous</a:Address></a:ReplyTo><a:Action>{action}</a:Action>"
            '<w:Security xmlns:w="http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd">'
            f"{self.assertion(vihf)}</w:Security></s:Header><s:Body>{body}</s:Body></s:Envelope>"
        ).encode()

    def assertion(self, vihf: Vihf) -> str:
        role = '<Role xmlns="urn:hl7-org:v3" xsi:type="CE" code="{}" codeSystem="{}" displayName="x"/>'
        roles = [role.format(*vihf.role)]
        if vihf.specialty:
            roles.append(role.format(vihf.specialty, "1.2.250.1.71.4.2.5"))
        system = 'codeSystem="1.2.250.1.213.1.1.4.248"'
        purpose = f'<PurposeOfUse xmlns="urn:hl7-org:v3" xsi:type="CE" code="{vihf.purpose}" {system}/>'
        attributes: dict[str, list[str]] = {
            "VIHF_Version": ["3.0"],
            "Identifiant_Structure": [vihf.structure],
            "Secteur_Activite": ["SA07^1.2.250.1.71.4.2.4"],
            "urn:oasis:names:tc:xspa:1.0:subject:subject-id": ["TESTEUR CAMILLE"],
            "urn:oasis:names:tc:xacml:2.0:subject:role": roles,
            "Authentification_mode": [vihf.mode],
            "urn:oasis:names:tc:xacml:2.0:resource:resource-id": [escaped(vihf.patient)],
            "Ressource_URN": [vihf.resource],
            "urn:oasis:names:tc:xspa:1.0:subject:purposeofuse": [purpose],
            "LPS_Nom": ["Etranger"],
            "LPS_Version": ["1"],
            "LPS_ID_HOMOLOGATION_DMP": ["FICTIF"],
        }
        attributes.pop(vihf.leave_out, None)
        said = "".join(
            f'<saml2:Attribute Name="{name}">'
            + "".join(f"<saml2:AttributeValue>{value}</saml2:AttributeValue>" for value in values)
            + "</saml2:Attribute>"
            for name, values in attributes.items()
        )
        at = (datetime.now(UTC) - vihf.age).strftime("%Y-%m-%dT%H:%M:%S.000Z")
        issuer = vihf.issuer or f"CN=passerelle.sandbox,OU={STRUCTURE},O=STRUCTURE FICTIVE,ST=Ille-et-Vilaine (35),C=FR"
        text = (
            '<saml2:Assertion xmlns:saml2="urn:oasis:names:tc:SAML:2.0:assertion" '
            'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" '
            f'ID="_{uuid4()}" IssueInstant="{at}" Version="2.0">'
            f'<saml2:Issuer Format="urn:oasis:names:tc:SAML:1.1:nameid-format:X509SubjectName">{issuer}</saml2:Issuer>'
            f"<saml2:Subject><saml2:NameID>{vihf.person}</saml2:NameID></saml2:Subject>"
            f'<saml2:AuthnStatement AuthnInstant="{at}"><saml2:AuthnContext><saml2:AuthnContextClassRef>'
            "urn:oasis:names:tc:SAML:2.0:ac:classes:Password</saml2:AuthnContextClassRef></saml2:AuthnContext>"
            f"</saml2:AuthnStatement><saml2:AttributeStatement>{said}</saml2:AttributeStatement></saml2:Assertion>"
        )
        return vihf.bend(text if self.signer is None else signed_assertion(text, self.signer))

    def sign_lot(self, lot: Lot) -> bytes:
        """Sign the lot, or leave a placeholder when there is nothing to sign with."""
        if self.signer is None:
            return b'<Signature xmlns="http://www.w3.org/2000/09/xmldsig#"/>'
        return xades(lot, self.signer)


@cache
def key_of(signer: Pair) -> rsa.RSAPrivateKey:
    """Load a key once: it is checked at length each time."""
    key = serialization.load_pem_private_key(signer.key.read_bytes(), None)
    assert isinstance(key, rsa.RSAPrivateKey)
    return key


def xades(lot: Lot, signer: Pair) -> bytes:
    """Sign as the official sample does, in SHA-256; every piece is text whose canonical form is itself."""
    ds, etsi = "http://www.w3.org/2000/09/xmldsig#", "http://uri.etsi.org/01903/v1.1.1#"
    c14n = "http://www.w3.org/TR/2001/REC-xml-c14n-20010315#WithComments"
    method = '<DigestMethod Algorithm="http://www.w3.org/2001/04/xmlenc#sha256"></DigestMethod>'

    def digest(content: bytes) -> str:
        return base64.b64encode(hashlib.sha256(content).digest()).decode()

    def reference(uri: str, value: str, inside: str = "") -> str:
        return f'<Reference URI="{uri}">{inside}{method}<DigestValue>{value}</DigestValue></Reference>'

    transforms = f'<Transforms><Transform Algorithm="{c14n}"></Transform></Transforms>'
    named = reference(f"urn:oid:{lot.unique_id}", "AA==")
    for one in lot.documents:
        try:
            root = etree.fromstring(one.content)
            canonical = etree.tostring(root, method="c14n", with_comments=True)
            named += reference(f"urn:oid:{one.unique_id}", digest(canonical), transforms)
        except etree.XMLSyntaxError:
            named += reference(f"urn:oid:{one.unique_id}", digest(one.content))
    manifest = f'<Manifest xmlns="{ds}" Id="IHEManifest">{named}</Manifest>'
    properties = (
        f'<SignedProperties xmlns="{etsi}" Id="S0-SignedProperties"><SignedSignatureProperties>'
        "<SigningTime>2030-01-01T10:15:00Z</SigningTime></SignedSignatureProperties></SignedProperties>"
    )
    references = reference("#IHEManifest", digest(manifest.encode()))
    references += reference("#S0-SignedProperties", digest(properties.encode()))
    info = (
        f'<SignedInfo xmlns="{ds}"><CanonicalizationMethod Algorithm="{c14n}"></CanonicalizationMethod>'
        '<SignatureMethod Algorithm="http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"></SignatureMethod>'
        f"{references}</SignedInfo>"
    )
    value = base64.b64encode(key_of(signer).sign(info.encode(), padding.PKCS1v15(), hashes.SHA256())).decode()
    return (
        f'<Signature xmlns="{ds}" Id="S0">{info}<SignatureValue>{value}</SignatureValue><KeyInfo><X509Data>'
        f"<X509Certificate>{base64_of(signer.certificate)}</X509Certificate></X509Data></KeyInfo>"
        f'<Object>{manifest}</Object><Object><SignatureProperties><SignatureProperty Id="purposeOfSignature" '
        'Target="#S0">1.2.840.10065.1.12.1.14</SignatureProperty></SignatureProperties></Object>'
        f'<Object><QualifyingProperties xmlns="{etsi}">{properties}</QualifyingProperties></Object></Signature>'
    ).encode()


def signed_assertion(text: str, signer: Pair) -> str:
    """Sign with signxml, the signature right after the Issuer."""
    root = etree.fromstring(text)
    placeholder = etree.fromstring('<ds:Signature xmlns:ds="http://www.w3.org/2000/09/xmldsig#" Id="placeholder"/>')
    root.insert(1, placeholder)
    made = XMLSigner(
        method=SignatureConstructionMethod.enveloped,
        c14n_algorithm=CanonicalizationMethod.EXCLUSIVE_XML_CANONICALIZATION_1_0,
    ).sign(
        root,
        key=key_of(signer),
        cert=signer.certificate.read_text(),
        reference_uri=f"#{root.get('ID')}",
        id_attribute="ID",
    )
    return etree.tostring(made, encoding="unicode")


def read_reply(got: httpx.Response) -> Reply:
    """Read an answer as a plain client would: one part, or multipart cut by its boundary."""
    kind = got.headers.get("content-type", "")
    if not kind.startswith("multipart/related"):
        try:
            envelope = etree.fromstring(got.content)
        except etree.XMLSyntaxError:
            envelope = etree.Element("none")
        return Reply(got.status_code, kind, got.content, envelope)
    boundary = kind.split('boundary="')[1].split('"')[0].encode()
    start = kind.split('start="')[1].split('"')[0].encode()
    body = b"\r\n" + got.content
    pieces = body.split(b"\r\n--" + boundary)[1:-1]
    parts = [one.removeprefix(b"\r\n").split(b"\r\n\r\n", 1) for one in pieces]
    named = {
        line.split(b":", 1)[1].strip(): content
        for headers, content in parts
        for line in headers.split(b"\r\n")
        if line.lower().startswith(b"content-id")
    }
    envelope = etree.fromstring(named.pop(start))
    documents: dict[str, bytes] = {}
    for one in envelope.iter("{*}DocumentResponse"):
        href = next(one.iter("{*}Include")).get("href", "").removeprefix("cid:")
        cid = b"<" + _percent_decoded(href) + b">"
        documents[one.findtext("{*}DocumentUniqueId") or ""] = named[cid]
    return Reply(got.status_code, kind, got.content, envelope, documents)


def _percent_decoded(text: str) -> bytes:
    out, at = bytearray(), 0
    while at < len(text):
        if text[at] == "%":
            out.append(int(text[at + 1 : at + 3], 16))
            at += 3
        else:
            out += text[at].encode()
            at += 1
    return bytes(out)


def base64_of(path: Path) -> str:
    """The certificate of a PEM file, as X509Certificate holds it."""
    return "".join(line for line in path.read_text().splitlines() if "-----" not in line)
