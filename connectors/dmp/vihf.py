"""The VIHF: a SAML 2.0 assertion that says who acts, about whom, and why (fact sheet dmp §2.1).

Signed with the second certificate (ORG_SIGN), enveloped, exclusive canonicalisation. Pure: the time and the identifier
are given. The number of the homologation is a secret and stands in no text of ours.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime

from lxml import etree
from signxml.algorithms import CanonicalizationMethod, DigestAlgorithm, SignatureConstructionMethod, SignatureMethod
from signxml.signer import XMLSigner

from connectors.dmp.signing import Signer
from connectors.dmp.xades import by_default

SAML = "urn:oasis:names:tc:SAML:2.0:assertion"
DS = "http://www.w3.org/2000/09/xmldsig#"
V3 = "urn:hl7-org:v3"
XSI = "http://www.w3.org/2001/XMLSchema-instance"
XS = "http://www.w3.org/2001/XMLSchema"
SECTOR_OID = "1.2.250.1.71.4.2.4"
PURPOSE_OID = "1.2.250.1.213.1.1.4.248"
SUBJECT_NAME = "urn:oasis:names:tc:SAML:1.1:nameid-format:X509SubjectName"
XSPA = "urn:oasis:names:tc:xspa:1.0:subject:"
XACML = "urn:oasis:names:tc:xacml:2.0:"

_METHODS = {
    "sha256": (SignatureMethod.RSA_SHA256, DigestAlgorithm.SHA256),
    "sha1": (SignatureMethod.RSA_SHA1, DigestAlgorithm.SHA1),
}


@dataclass(frozen=True, slots=True)
class Coded:
    """A code with its system (an OID) and label."""

    code: str
    system: str
    label: str


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts, with what software: what is the same in each assertion of an installation."""

    user_id: str
    user_name: str | None
    profession: Coded
    speciality: Coded | None
    structure: str
    sector: str
    mode: str
    authentication_class: str
    version: str
    purpose: Coded
    software_name: str
    software_version: str
    software_id: str | None
    authenticated_at: datetime
    homologation: str = field(repr=False)
    declares_class: bool = False


def write_vihf(actor: Actor, patient: str, identifier: str, at: datetime, issuer: str) -> etree._Element:
    """Write an assertion without its signature; `patient` is the CX of the INS, `identifier` an XML ID."""
    root = etree.Element(f"{{{SAML}}}Assertion", nsmap={"saml2": SAML, "xsi": XSI, "xs": XS})
    root.set("ID", identifier)
    root.set("IssueInstant", _instant(at))
    root.set("Version", "2.0")
    _child(root, "Issuer", issuer).set("Format", SUBJECT_NAME)
    subject = _child(root, "Subject")
    _child(subject, "NameID", actor.user_id)
    authenticated = _child(root, "AuthnStatement")
    authenticated.set("AuthnInstant", _instant(actor.authenticated_at))
    context = _child(authenticated, "AuthnContext")
    _child(context, "AuthnContextClassRef", actor.authentication_class)
    if actor.declares_class:
        _child(context, "AuthnContextDecl", actor.authentication_class)
    statement = _child(root, "AttributeStatement")
    for name, value in _texts(actor, patient):
        if value is not None:
            said = _child(_attribute(statement, name), "AttributeValue", value)
            said.set(f"{{{XSI}}}type", "xs:string")
    role = _attribute(statement, f"{XACML}subject:role")
    for coded in filter(None, (actor.profession, actor.speciality)):
        _coded(_child(role, "AttributeValue"), "Role", coded)
    purpose = _attribute(statement, f"{XSPA}purposeofuse")
    element = _coded(_child(purpose, "AttributeValue"), "PurposeOfUse", actor.purpose)
    element.set("codeSystemName", "mode acces VIHF 2.0")
    return root


def _texts(actor: Actor, patient: str) -> tuple[tuple[str, str | None], ...]:
    return (
        ("VIHF_Version", actor.version),
        ("Identifiant_Structure", actor.structure),
        ("Secteur_Activite", f"{actor.sector}^{SECTOR_OID}"),
        (f"{XSPA}subject-id", actor.user_name),
        ("Authentification_mode", actor.mode),
        (f"{XACML}resource:resource-id", patient),
        ("Ressource_URN", "urn:dmp"),
        ("LPS_ID", actor.software_id),
        ("LPS_Nom", actor.software_name),
        ("LPS_Version", actor.software_version),
        ("LPS_ID_HOMOLOGATION_DMP", actor.homologation),
    )


class _AnyDigest(XMLSigner):
    """Signs with the older digest too, where the DMP's version asks for it; the setting says so in words."""

    def check_deprecated_methods(self) -> None:
        """Let SHA-1 pass."""


def signed(assertion: etree._Element, signer: Signer, algorithm: str) -> etree._Element:
    """Give the assertion with its enveloped signature, right after the Issuer."""
    place = etree.Element(f"{{{DS}}}Signature", nsmap={"ds": DS}, Id="placeholder")
    assertion.insert(1, place)
    method, digest = _METHODS[algorithm]
    machine = _AnyDigest(
        method=SignatureConstructionMethod.enveloped,
        signature_algorithm=method,
        digest_algorithm=digest,
        c14n_algorithm=CanonicalizationMethod.EXCLUSIVE_XML_CANONICALIZATION_1_0,
    )
    return machine.sign(
        assertion,
        key=signer.key,
        cert=[signer.certificate],
        reference_uri=f"#{assertion.get('ID')}",
        id_attribute="ID",
    )


def _instant(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _child(parent: etree._Element, name: str, text: str | None = None) -> etree._Element:
    element = etree.SubElement(parent, f"{{{SAML}}}{name}")
    element.text = text
    return element


def _attribute(statement: etree._Element, name: str) -> etree._Element:
    element = _child(statement, "Attribute")
    element.set("Name", name)
    return element


def _coded(value: etree._Element, name: str, coded: Coded) -> etree._Element:
    element = etree.SubElement(value, f"{{{V3}}}{name}", nsmap=by_default(V3))
    element.set("code", coded.code)
    element.set("codeSystem", coded.system)
    element.set("displayName", coded.label)
    element.set(f"{{{XSI}}}type", "CE")
    return element
