"""A client of the DMP as somebody else would have written it: text templates, nothing of the project's own connector.

`Lot(...)` is a submission in pieces that a test may bend; `Foreign` signs the VIHF, packs the MTOM and posts.
"""

from __future__ import annotations

import base64
import hashlib
import itertools
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
from lxml import etree
from signxml import CanonicalizationMethod, SignatureConstructionMethod, XMLSigner

from connectors.sandbox.dmp.pki import Pair
from connectors.sandbox.people import ROSE

RIM = "urn:oasis:names:tc:ebxml-regrep:xsd:rim:3.0"
APPROVED = "urn:oasis:names:tc:ebxml-regrep:StatusType:Approved"
ARCHIVED = "urn:asip:ci-sis:2010:StatusType:Archived"
DELETED = "urn:asip:ci-sis:2010:StatusType:Deleted"
REPOSITORY = "1.2.250.1.213.4.1.1.1.2"
STRUCTURE = "10B0000001"
DOCTOR = "899990000012"
ROSE_CX = f"{ROSE.matricule}^^^&1.2.250.1.213.1.4.10&ISO^NH"
AUTHOR = f"{DOCTOR}^TESTEUR^CAMILLE^^^^^^&1.2.250.1.71.4.2.1&ISO^D^^^IDNPS"
PLACE = f"STRUCTURE FICTIVE^^^^^&1.2.250.1.71.4.2.2&ISO^IDNST^^^{STRUCTURE}"
ROOT = "1.2.250.1.999.7"

_numbers = itertools.count(1)


def new_oid() -> str:
    """Give an OID that nobody has."""
    return f"{ROOT}.{uuid4().int % 10**12}.{next(_numbers)}"


def as_it_is(text: str) -> str:
    return text


def escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;")


def slot(name: str, *values: str) -> str:
    inside = "".join(f"<Value>{escaped(value)}</Value>" for value in values)
    return f'<Slot name="{escaped(name)}"><ValueList>{inside}</ValueList></Slot>'


def label(text: str) -> str:
    return f'<Name><LocalizedString charset="UTF-8" xml:lang="fr" value="{escaped(text)}"/></Name>'


def coded(owner: str, scheme: str, code: str, system: str, text: str = "libellé") -> str:
    return (
        f'<Classification id="c{next(_numbers)}" classificationScheme="urn:uuid:{scheme}" classifiedObject="{owner}" '
        f'nodeRepresentation="{escaped(code)}">{slot("codingScheme", system)}{label(text)}</Classification>'
    )


def author(owner: str, scheme: str, person: str = AUTHOR, place: str = PLACE) -> str:
    return (
        f'<Classification id="c{next(_numbers)}" classificationScheme="urn:uuid:{scheme}" classifiedObject="{owner}" '
        f'nodeRepresentation="">{slot("authorInstitution", place)}{slot("authorPerson", person)}'
        f"{slot('authorSpecialty', 'G15_10/SM26^Médecin - Qualifié en Médecine Générale (SM)^1.2.250.1.213.1.1.4.5')}"
        "</Classification>"
    )


def identifier(owner: str, scheme: str, value: str, name: str) -> str:
    return (
        f'<ExternalIdentifier id="e{next(_numbers)}" identificationScheme="urn:uuid:{scheme}" registryObject="{owner}" '
        f'value="{escaped(value)}">{label(name)}</ExternalIdentifier>'
    )


def association(kind: str, source: str, target: str, *slots: str) -> str:
    return (
        f'<Association id="a{next(_numbers)}" associationType="{kind}" sourceObject="{source}" '
        f'targetObject="{target}">{"".join(slots)}</Association>'
    )


MEMBER = "urn:oasis:names:tc:ebxml-regrep:AssociationType:HasMember"
SIGNS = "urn:ihe:iti:2007:AssociationType:signs"
RPLC = "urn:ihe:iti:2007:AssociationType:RPLC"
STATUS = "urn:ihe:iti:2010:AssociationType:UpdateAvailabilityStatus"
ORIGINAL = slot("SubmissionSetStatus", "Original")


@dataclass
class Document:
    """A document of a lot, with the metadata that tests vary."""

    content: bytes = b"<document>Bonjour</document>"
    id: str = "Document01"
    unique_id: str = field(default_factory=new_oid)
    title: str = "Compte rendu fictif"
    created: str = "20300101101000"
    start: str = "20300101093000"
    type_code: tuple[str, str] = ("11488-4", "2.16.840.1.113883.6.1")
    class_code: str = "10"
    events: tuple[tuple[str, str], ...] = ()
    confidentiality: tuple[str, ...] = ("N",)
    patient: str = ROSE_CX
    person: str = AUTHOR
    references: tuple[str, ...] = ()
    signature: bool = False
    hashed: bool = True

    def metadata(self) -> str:
        own, event = self.id, "2c6b8cb7-8b2a-4051-b291-b1ae6a575ef4"
        digest = hashlib.sha1(self.content, usedforsecurity=False).hexdigest()
        sums = slot("hash", digest) + slot("size", str(len(self.content))) if self.hashed else ""
        secret = "1.2.250.1.213.1.1.4.13"
        codes = "".join(
            coded(
                own, "f4f85eac-e6cb-4883-b524-f2705394840f", one, secret if len(one) > 1 else "2.16.840.1.113883.5.25"
            )
            for one in self.confidentiality
        )
        if self.signature:
            kinds = (
                coded(own, "41a5887f-8865-4c09-adf7-e362475b143a", "urn:oid:1.3.6.1.4.1.19376.1.2.1.1.1", "URN")
                + coded(own, event, "1.2.840.10065.1.12.1.14", "1.2.840.10065.1.12")
                + coded(own, "a09d5840-386c-46f2-b5ad-9c3699a4309d", "http://www.w3.org/2000/09/xmldsig#", "URN")
                + coded(own, "f0306f51-975f-434e-a61c-c59651d33983", "E1762", "ASTM")
            )
        else:
            kinds = (
                coded(own, "41a5887f-8865-4c09-adf7-e362475b143a", self.class_code, "1.2.250.1.213.1.1.4.1")
                + "".join(coded(own, event, code, system) for code, system in self.events)
                + coded(
                    own,
                    "a09d5840-386c-46f2-b5ad-9c3699a4309d",
                    "urn:ihe:iti:xds-sd:pdf:2008",
                    "1.3.6.1.4.1.19376.1.2.3",
                )
                + coded(own, "f0306f51-975f-434e-a61c-c59651d33983", *self.type_code)
            )
        reference = slot("urn:ihe:iti:xds:2013:referenceIdList", *self.references) if self.references else ""
        return (
            f'<ExtrinsicObject id="{own}" mimeType="text/xml" '
            'objectType="urn:uuid:7edca82f-054d-47f2-a032-9b2a5b5186c1">'
            f"{slot('creationTime', self.created)}{sums}{slot('languageCode', 'fr-FR')}"
            f"{slot('legalAuthenticator', self.person)}{slot('serviceStartTime', self.start)}"
            f"{slot('sourcePatientId', 'IPP1^^^&1.2.250.1.999.35.1&ISO^PI')}{reference}{label(self.title)}"
            f"{author(own, '93606bcf-9494-43ec-9b4e-a7748d1a838d', self.person)}{kinds}{codes}"
            f"{coded(own, 'f33fb8ac-18af-42cc-ae0e-ed0b0bdb91e1', 'SA07', '1.2.250.1.71.4.2.4')}"
            f"{coded(own, 'cccf5598-8b07-4b77-a05e-ae952c785ead', 'AMBULATOIRE', '1.2.250.1.213.1.1.4.9')}"
            f"{identifier(own, '58a6f841-87b3-4a3e-92fd-a8ffeff98427', self.patient, 'XDSDocumentEntry.patientId')}"
            f"{identifier(own, '2e82c1f6-a085-4c72-9da3-8640a32e42ab', self.unique_id, 'XDSDocumentEntry.uniqueId')}"
            "</ExtrinsicObject>"
        )


@dataclass
class Lot:
    """A submission: documents, and the signature that `sign` makes over them."""

    documents: list[Document] = field(default_factory=lambda: [Document()])
    unique_id: str = field(default_factory=new_oid)
    patient: str = ROSE_CX
    submitted: str = "20300101101500"
    content_type: str = "07"
    person: str = AUTHOR
    replaces: str = ""
    more: str = ""
    signature: bytes | None = None
    bend: Callable[[str], str] = as_it_is

    def package(self) -> str:
        own = "Lot"
        return (
            f'<RegistryPackage id="{own}">{slot("submissionTime", self.submitted)}{label("Lot fictif")}'
            f"{author(own, 'a7058bb9-b4e4-4307-ba5b-e3f0ab85e12d', self.person)}"
            f"{coded(own, 'aa543740-bdda-424e-8c96-df4873be8500', self.content_type, '1.2.250.1.213.2.2')}"
            f'<Classification id="c{next(_numbers)}" classifiedObject="{own}" '
            'classificationNode="urn:uuid:a54d6aa5-d40d-43f9-88c5-b4633d873bdd"/>'
            f"{identifier(own, '6b5aea1a-874d-4603-a4bc-96a0a7b38446', self.patient, 'XDSSubmissionSet.patientId')}"
            f"{identifier(own, '554ac39e-e3fe-47fe-b233-965d2a147832', ROOT, 'XDSSubmissionSet.sourceId')}"
            f"{identifier(own, '96fdda7c-d067-4183-912e-bf5ee74998a8', self.unique_id, 'XDSSubmissionSet.uniqueId')}"
            "</RegistryPackage>"
        )

    def whole(self, sign: Callable[[Lot], bytes]) -> tuple[str, list[Document]]:
        """Give the request's body (before it is bent) and every document, the signature last."""
        signed = Document(
            content=self.signature if self.signature is not None else sign(self),
            id="Signature01",
            title="Source",
            confidentiality=("N", "MASQUE_PS", "INVISIBLE_PATIENT"),
            patient=self.patient,
            person=self.person,
            signature=True,
        )
        documents = [*self.documents, signed]
        links = "".join(association(MEMBER, "Lot", one.id, ORIGINAL) for one in documents)
        links += association(SIGNS, signed.id, "Lot", ORIGINAL)
        if self.replaces:
            links += association(RPLC, self.documents[0].id, self.replaces)
        includes = "".join(
            f'<xds:Document id="{one.id}"><xop:Include xmlns:xop="http://www.w3.org/2004/08/xop/include" '
            f'href="cid:{one.id}@test.example"/></xds:Document>'
            for one in documents
        )
        body = (
            f'<xds:ProvideAndRegisterDocumentSetRequest xmlns:xds="urn:ihe:iti:xds-b:2007" xmlns="{RIM}">'
            '<lcm:SubmitObjectsRequest xmlns:lcm="urn:oasis:names:tc:ebxml-regrep:xsd:lcm:3.0"><RegistryObjectList>'
            f"{self.package()}{''.join(one.metadata() for one in documents)}{links}{self.more}"
            f"</RegistryObjectList></lcm:SubmitObjectsRequest>{includes}</xds:ProvideAndRegisterDocumentSetRequest>"
        )
        return self.bend(body), documents


def changes(*associations: str, entries: str = "", patient: str = ROSE_CX) -> str:
    """Write the body of an ITI-57 around associations that begin at `Lot`."""
    lot = Lot(patient=patient)
    return (
        f'<lcm:SubmitObjectsRequest xmlns:lcm="urn:oasis:names:tc:ebxml-regrep:xsd:lcm:3.0" xmlns="{RIM}">'
        f"<RegistryObjectList>{lot.package()}{entries}{''.join(associations)}</RegistryObjectList>"
        "</lcm:SubmitObjectsRequest>"
    )


def query(kind: str, parameters: dict[str, str | list[str]], returns: str = "LeafClass") -> str:
    """Write an AdhocQueryRequest."""
    slots = "".join(slot(name, *([value] if isinstance(value, str) else value)) for name, value in parameters.items())
    return (
        '<q:AdhocQueryRequest xmlns:q="urn:oasis:names:tc:ebxml-regrep:xsd:query:3.0" '
        f'xmlns="{RIM}"><q:ResponseOption returnComposedObjects="true" returnType="{returns}"/>'
        f'<AdhocQuery id="{kind}">{slots}</AdhocQuery></q:AdhocQueryRequest>'
    )


def retrieve(*unique_ids: str, repository: str = REPOSITORY) -> str:
    """Write a RetrieveDocumentSetRequest."""
    inside = "".join(
        f"<DocumentRequest><RepositoryUniqueId>{repository}</RepositoryUniqueId>"
        f"<DocumentUniqueId>{one}</DocumentUniqueId></DocumentRequest>"
        for one in unique_ids
    )
    return f'<RetrieveDocumentSetRequest xmlns="urn:ihe:iti:xds-b:2007">{inside}</RetrieveDocumentSetRequest>'


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
