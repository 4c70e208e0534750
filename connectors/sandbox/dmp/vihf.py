"""The VIHF: who calls, read from the SAML 2.0 assertion and, unless told otherwise, verified.

The signature must be that of the assertion itself, made with the certificate that it carries, of our authority, meant
for signing and not the one that opened the connection. Sentences that the DMP is known to answer are its own words.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from lxml import etree
from signxml.algorithms import DigestAlgorithm, SignatureMethod
from signxml.exceptions import InvalidInput, SignXMLException
from signxml.verifier import SignatureConfiguration, XMLVerifier

from connectors.sandbox.dmp import names
from connectors.sandbox.dmp.names import clark
from connectors.sandbox.dmp.refusals import FaultRaised
from connectors.sandbox.dmp.rights import Access, Profile
from connectors.sandbox.dmp.store import Owner
from connectors.sandbox.dmp.syntax import PatientKey, patient_key
from mappings.contracts import FormatError
from mappings.xml_source import parse_xml

AHEAD = timedelta(minutes=5)
BEHIND = timedelta(hours=8)
"""How far IssueInstant may be from now."""

_DOCTOR, _PHARMACIST = "10", "21"
_PROFESSIONS = frozenset({"1.2.250.1.71.1.2.7", "1.2.250.1.71.1.2.8"})
_OCCUPATIONAL = frozenset({"SM25", "C41", "CAPA11"})
_MODES = ("DIRECTE", "INDIRECTE", "INDIRECTE_RENFORCEE")
_ACCESS = {
    "normal": Access.NORMAL,
    "regulation": Access.REGULATION,
    "urgence": Access.REGULATION,
    "centre15": Access.REGULATION,
    "brisdeglace": Access.BREAK_GLASS,
    "bris_de_glace": Access.BREAK_GLASS,
}
"""Only `normal` is in a public sample; the others are what third parties were seen to send."""

_ROLE = "urn:oasis:names:tc:xacml:2.0:subject:role"
_RESOURCE = "urn:oasis:names:tc:xacml:2.0:resource:resource-id"
_PURPOSE = "urn:oasis:names:tc:xspa:1.0:subject:purposeofuse"
_SUBJECT = "urn:oasis:names:tc:xspa:1.0:subject:subject-id"
_REQUIRED = (
    "VIHF_Version",
    "Identifiant_Structure",
    "Secteur_Activite",
    _ROLE,
    "Authentification_mode",
    "Ressource_URN",
    _PURPOSE,
    "LPS_Nom",
    "LPS_Version",
    "LPS_ID_HOMOLOGATION_DMP",
)
_METHODS = frozenset(
    {
        SignatureMethod.RSA_SHA1,
        SignatureMethod.RSA_SHA256,
        SignatureMethod.RSA_SHA384,
        SignatureMethod.RSA_SHA512,
        SignatureMethod.ECDSA_SHA256,
    }
)
_DIGESTS = frozenset({DigestAlgorithm.SHA1, DigestAlgorithm.SHA256, DigestAlgorithm.SHA384, DigestAlgorithm.SHA512})
_EXCLUSIVE = "http://www.w3.org/2001/10/xml-exc-c14n#"
_ENVELOPED = "http://www.w3.org/2000/09/xmldsig#enveloped-signature"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls, for whom and how. `patient` is None when the VIHF names none."""

    owner: Owner
    profile: Profile
    access: Access
    mode: str
    patient: PatientKey | None


@dataclass(frozen=True, slots=True)
class VihfChecks:
    """What a VIHF is verified against. `connection` is the TLS certificate of the caller (DER), None without TLS."""

    authority: x509.Certificate
    now: Callable[[], datetime]
    connection: bytes | None = None


def read_caller(security: etree._Element | None, checks: VihfChecks | None) -> Caller:
    """Read the assertion, and verify it unless `checks` is None. Raises FaultRaised."""
    if security is None:
        raise FaultRaised("the wsse:Security header is missing")
    assertions = security.findall(clark(names.SAML, "Assertion"))
    if len(assertions) != 1 or len(security) != 1:
        raise FaultRaised("wsse:Security does not hold exactly one assertion")
    assertion = assertions[0]
    certificate = None if checks is None else _verified(assertion, checks)
    if not assertion.get("ID", "") or assertion.get("Version") != "2.0":
        raise FaultRaised("the assertion has no ID, or is not of version 2.0")
    statement = assertion.find(clark(names.SAML, "AuthnStatement"))
    context = f"{clark(names.SAML, 'AuthnContext')}/{clark(names.SAML, 'AuthnContextClassRef')}"
    if statement is None or not statement.get("AuthnInstant") or not (statement.findtext(context) or "").strip():
        raise FaultRaised("the assertion has no AuthnStatement with AuthnInstant and AuthnContextClassRef")
    person = (assertion.findtext(f"{clark(names.SAML, 'Subject')}/{clark(names.SAML, 'NameID')}") or "").strip()
    if not person:
        raise FaultRaised("the assertion has no Subject/NameID")
    caller = _caller(person, _attributes(assertion))
    if certificate is not None and caller.mode != "DIRECTE" and caller.owner.structure not in _units(certificate):
        raise FaultRaised("PS et Structure non liés: Identifiant_Structure is not that of the certificate")
    return caller


def _units(certificate: x509.Certificate) -> frozenset[str]:
    found = certificate.subject.get_attributes_for_oid(NameOID.ORGANIZATIONAL_UNIT_NAME)
    return frozenset(str(one.value) for one in found)


def _attributes(assertion: etree._Element) -> dict[str, list[etree._Element]]:
    found: dict[str, list[etree._Element]] = {}
    for one in assertion.iter(clark(names.SAML, "Attribute")):
        name = one.get("Name", "")
        # The wire writes `mode`, the kit `Mode`: the DMP takes both.
        name = "Authentification_mode" if name == "Authentification_Mode" else name
        if name in found:
            raise FaultRaised(f"the attribute {name} stands more than once in the VIHF")
        found[name] = one.findall(clark(names.SAML, "AttributeValue"))
    for name in _REQUIRED:
        if not found.get(name):
            raise FaultRaised(f"the attribute {name} is missing in the VIHF")
    return found


def _caller(person: str, attributes: dict[str, list[etree._Element]]) -> Caller:
    mode = _text(attributes, "Authentification_mode")
    if mode not in _MODES:
        raise FaultRaised("Authentification_mode is not DIRECTE, INDIRECTE or INDIRECTE_RENFORCEE")
    if mode != "DIRECTE" and not _text(attributes, _SUBJECT):
        raise FaultRaised(f"the attribute {_SUBJECT} is missing in the VIHF, the mode is {mode}")
    if _text(attributes, "Ressource_URN") != "urn:dmp":
        raise FaultRaised("Ressource_URN is not urn:dmp")
    if "^" not in _text(attributes, "Secteur_Activite"):
        raise FaultRaised("Secteur_Activite is not code^OID")
    purpose = next((one for value in attributes[_PURPOSE] for one in value), None)
    access = _ACCESS.get("" if purpose is None else purpose.get("code", "").lower())
    if access is None:
        raise FaultRaised("the purpose of use is not one that the DMP knows")
    said = _text(attributes, _RESOURCE)
    patient = patient_key(said) if said else None
    if said and patient is None:
        raise FaultRaised("the resource-id is not an INS (number^^^&OID&ISO^NH)")
    owner = Owner(_text(attributes, "Identifiant_Structure"), person)
    return Caller(owner, _profile(mode, attributes), access, mode, patient)


def _profile(mode: str, attributes: dict[str, list[etree._Element]]) -> Profile:
    roles = [one for value in attributes[_ROLE] for one in value.findall(clark(names.HL7, "Role"))]
    if not roles or not roles[0].get("code"):
        raise FaultRaised("the role of the VIHF has no code")
    code, system = roles[0].get("code", ""), roles[0].get("codeSystem", "")
    specialties = [one.get("code", "") for one in roles[1:]]
    known = system in _PROFESSIONS
    if known and code in (_DOCTOR, _PHARMACIST) and not any(specialties):
        raise FaultRaised("Aucune spécialité dans le vihf pour un médecin ou un pharmacien")
    if mode == "INDIRECTE":
        return Profile.STRUCTURE
    if not known:
        return Profile.EMPLOYEE
    if code != _DOCTOR:
        return Profile.PROFESSIONAL
    return Profile.OCCUPATIONAL if _OCCUPATIONAL.intersection(specialties) else Profile.DOCTOR


def _text(attributes: dict[str, list[etree._Element]], name: str) -> str:
    return next(((value.text or "").strip() for value in attributes.get(name, ())), "")


def _verified(assertion: etree._Element, checks: VihfChecks) -> x509.Certificate:
    instant = _instant(assertion.get("IssueInstant", ""))
    if instant is None or not -BEHIND <= instant - checks.now() <= AHEAD:
        raise FaultRaised("IssueInstant of the VIHF is missing, or too far from the present")
    certificate = _signer(assertion)
    if checks.connection is not None and certificate.public_bytes(serialization.Encoding.DER) == checks.connection:
        raise _not_for_signing()
    _chained(certificate, checks)
    _signed(assertion, certificate)
    issuer = assertion.find(clark(names.SAML, "Issuer"))
    if issuer is None or _dn(issuer.text or "") != _dn(certificate.subject.rfc4514_string()):
        raise FaultRaised("the Issuer of the VIHF is not the subject of the certificate that signed it")
    return certificate


def _signer(assertion: etree._Element) -> x509.Certificate:
    found = assertion.findall(f"{clark(names.DSIG, 'Signature')}//{clark(names.DSIG, 'X509Certificate')}")
    if not found:
        raise FaultRaised("the VIHF is not signed, or its signature carries no certificate")
    try:
        return x509.load_der_x509_certificate(base64.b64decode("".join((found[0].text or "").split()), validate=True))
    except ValueError:
        raise FaultRaised("the certificate in the VIHF cannot be read") from None


def _chained(certificate: x509.Certificate, checks: VihfChecks) -> None:
    now = checks.now()
    try:
        certificate.verify_directly_issued_by(checks.authority)
    except (InvalidSignature, ValueError, TypeError):
        raise FaultRaised(
            "the certificate of the VIHF is not of a known authority", subcode="DMPInvalidCertificate"
        ) from None
    if not certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc:
        raise FaultRaised("the certificate of the VIHF has ended", subcode="DMPInvalidCertificate")
    try:
        usages = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return
    if ExtendedKeyUsageOID.CLIENT_AUTH in usages:
        raise _not_for_signing()


def _not_for_signing() -> FaultRaised:
    return FaultRaised("Not a valid signature certificate", subcode="DMPInvalidCertificate")


def _signed(assertion: etree._Element, certificate: x509.Certificate) -> None:
    signatures = assertion.findall(clark(names.DSIG, "Signature"))
    if len(signatures) != 1 or assertion.index(signatures[0]) != 1:
        raise FaultRaised("the signature of the VIHF does not stand right after its Issuer")
    transforms = [one.get("Algorithm") for one in signatures[0].iter(clark(names.DSIG, "Transform"))]
    if transforms != [_ENVELOPED, _EXCLUSIVE]:
        raise FaultRaised("the transforms of the VIHF's signature are not enveloped and exclusive C14N")
    reference = signatures[0].find(f"{clark(names.DSIG, 'SignedInfo')}/{clark(names.DSIG, 'Reference')}")
    if reference is None or reference.get("URI") != f"#{assertion.get('ID', '')}":
        raise FaultRaised("the signature of the VIHF is not of the assertion")
    try:
        alone = parse_xml(etree.tostring(assertion, with_tail=False), code="sandbox")
        verified = XMLVerifier().verify(
            alone,
            x509_cert=certificate,
            id_attribute="ID",
            expect_config=SignatureConfiguration(location="./", signature_methods=_METHODS, digest_algorithms=_DIGESTS),
        )
    except (SignXMLException, InvalidInput, InvalidSignature, FormatError, ValueError):
        raise FaultRaised("the signature of the VIHF does not verify") from None
    signed = verified.signed_xml if not isinstance(verified, list) else None
    if signed is None or signed.tag != assertion.tag or signed.get("ID") != assertion.get("ID"):
        raise FaultRaised("the signature of the VIHF is not of the assertion")


def _instant(value: str) -> datetime | None:
    try:
        return datetime.fromisoformat(value).astimezone(UTC) if value.endswith("Z") else None
    except ValueError:
        return None


def _dn(value: str) -> frozenset[str]:
    """Compare names whatever their order and blanks: samples write them both ways."""
    return frozenset(part.strip().casefold() for part in value.replace("\\,", "\0").split(","))
