"""The signature of a submission: a detached XAdES 1.1.1 with a manifest of what it signs (fact sheet dmp §4.5).

No namespace is declared by a prefix, so that the canonical form of a piece alone is the one that it has in its place.
The same submission, time and key always give the same bytes: a retry repeats them.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import cast

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from lxml import etree

from connectors.dmp.signing import ALGORITHMS, Algorithm, Signer
from mappings.contracts import FormatError
from mappings.xml_source import parse_xml

DS = "http://www.w3.org/2000/09/xmldsig#"
XADES = "http://uri.etsi.org/01903/v1.1.1#"
C14N = "http://www.w3.org/TR/2001/REC-xml-c14n-20010315#WithComments"
PURPOSE = "1.2.840.10065.1.12.1.14"
OF_THE_LOT = "AA=="
"""The placeholder that stands for the digest of the submission itself."""


def sign_submission(
    lot: str, documents: Mapping[str, bytes], signer: Signer, at: datetime, algorithm: str = "sha256"
) -> bytes:
    """Sign a submission and its documents, both by uniqueId.

    XML documents are digested in canonical form, with their comments; others as they are.
    """
    chosen = ALGORITHMS[algorithm]
    name = "S" + lot.replace(".", "-").replace("^", "_")
    manifest = _manifest(lot, documents, chosen)
    properties = _qualifying(signer, name, at, chosen)
    root = etree.Element(f"{{{DS}}}Signature", nsmap=by_default(DS), Id=name)
    info = _ds(root, "SignedInfo")
    _ds(info, "CanonicalizationMethod").set("Algorithm", C14N)
    _ds(info, "SignatureMethod").set("Algorithm", chosen.signature)
    _reference(info, "#IHEManifest", f"{DS}Manifest", _digest_of(manifest, chosen), chosen)
    _reference(info, "#S0-SignedProperties", f"{XADES}SignedProperties", _digest_of(properties[0], chosen), chosen)
    _ds(root, "SignatureValue").text = signer.sign(canonical(info), chosen)
    data = _ds(_ds(root, "KeyInfo"), "X509Data")
    _ds(data, "X509Certificate").text = base64.b64encode(signer.certificate.public_bytes(Encoding.DER)).decode("ascii")
    _ds(root, "Object").append(manifest)
    _purpose(_ds(root, "Object"), name)
    _ds(root, "Object").append(properties)
    return etree.tostring(root, xml_declaration=True, encoding="UTF-8")


def by_default(namespace: str) -> dict[str, str]:
    """Declare a namespace without a prefix (lxml names that by None, which its types do not say)."""
    return cast("dict[str, str]", {None: namespace})


def canonical(element: etree._Element) -> bytes:
    """Give the canonical form (C14N 1.0 with comments) of an element whose namespaces are all declared by default."""
    alone = etree.fromstring(etree.tostring(element, with_tail=False))
    return etree.tostring(alone, method="c14n", with_comments=True)


def _manifest(lot: str, documents: Mapping[str, bytes], algorithm: Algorithm) -> etree._Element:
    manifest = etree.Element(f"{{{DS}}}Manifest", nsmap=by_default(DS), Id="IHEManifest")
    _reference(manifest, f"urn:oid:{lot}", None, OF_THE_LOT, algorithm)
    for unique_id, content in documents.items():
        try:
            root = parse_xml(content, code="xades", whole=True)
        except FormatError:
            _reference(manifest, f"urn:oid:{unique_id}", None, algorithm.of(content), algorithm)
            continue
        form = etree.tostring(root.getroottree(), method="c14n", with_comments=True)
        _reference(manifest, f"urn:oid:{unique_id}", None, algorithm.of(form), algorithm, transformed=True)
    return manifest


def _reference(
    parent: etree._Element,
    uri: str,
    kind: str | None,
    digest: str,
    algorithm: Algorithm,
    *,
    transformed: bool = False,
) -> None:
    reference = _ds(parent, "Reference")
    if kind is not None:
        reference.set("Type", kind)
    reference.set("URI", uri)
    if transformed:
        _ds(_ds(reference, "Transforms"), "Transform").set("Algorithm", C14N)
    _ds(reference, "DigestMethod").set("Algorithm", algorithm.digest)
    _ds(reference, "DigestValue").text = digest


def _digest_of(element: etree._Element, algorithm: Algorithm) -> str:
    return algorithm.of(canonical(element))


def _purpose(parent: etree._Element, name: str) -> None:
    """Say why it is signed; these elements are in no namespace, as in what the DMP publishes."""
    listed = etree.SubElement(parent, "SignatureProperties")
    one = etree.SubElement(listed, "SignatureProperty", Id="purposeOfSignature", Target=f"#{name}")
    one.text = PURPOSE


def _qualifying(signer: Signer, name: str, at: datetime, algorithm: Algorithm) -> etree._Element:
    whole = etree.Element(f"{{{XADES}}}QualifyingProperties", nsmap=by_default(XADES), Target=f"#{name}")
    signed = _etsi(whole, "SignedProperties")
    signed.set("Id", "S0-SignedProperties")
    properties = _etsi(signed, "SignedSignatureProperties")
    stamp = at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    _etsi(properties, "SigningTime").text = stamp
    certificates = _etsi(properties, "SigningCertificate")
    for certificate in signer.chain:
        _certificate(_etsi(certificates, "Cert"), certificate, algorithm)
    _etsi(_etsi(properties, "SignaturePolicyIdentifier"), "SignaturePolicyImplied")
    return whole


def _certificate(parent: etree._Element, certificate: x509.Certificate, algorithm: Algorithm) -> None:
    digest = _etsi(parent, "CertDigest")
    etree.SubElement(digest, f"{{{DS}}}DigestMethod", nsmap=by_default(DS), Algorithm=algorithm.digest)
    value = etree.SubElement(digest, f"{{{DS}}}DigestValue", nsmap=by_default(DS))
    value.text = algorithm.of(certificate.public_bytes(Encoding.DER))
    serial = _etsi(parent, "IssuerSerial")
    issuer = etree.SubElement(serial, f"{{{DS}}}X509IssuerName", nsmap=by_default(DS))
    issuer.text = certificate.issuer.rfc4514_string()
    number = etree.SubElement(serial, f"{{{DS}}}X509SerialNumber", nsmap=by_default(DS))
    number.text = str(certificate.serial_number)


def _ds(parent: etree._Element, name: str) -> etree._Element:
    return etree.SubElement(parent, f"{{{DS}}}{name}")


def _etsi(parent: etree._Element, name: str) -> etree._Element:
    return etree.SubElement(parent, f"{{{XADES}}}{name}")
