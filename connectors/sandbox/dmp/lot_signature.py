"""The signature of a lot (XAdES 1.1.1, detached): it names the lot and every document, with the right digests.

Written from CI-SIS and the official sample. Digests of the Manifest and SignedProperties are computed on the element
where it stands, with the canonicalisation that the signature names; the signature value with the certificate that the
signature carries, which must be of our authority.
"""

from __future__ import annotations

import base64
import copy
import hashlib
from collections.abc import Iterator, Mapping
from typing import cast

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from lxml import etree

from connectors.sandbox.dmp import names
from connectors.sandbox.dmp.lots import Content
from connectors.sandbox.dmp.metadata import Registered, Submission
from connectors.sandbox.dmp.names import clark
from connectors.sandbox.dmp.refusals import RegistryProblem
from mappings.contracts import FormatError
from mappings.xml_source import parse_xml

_C14N = {
    "http://www.w3.org/TR/2001/REC-xml-c14n-20010315": (False, False),
    "http://www.w3.org/TR/2001/REC-xml-c14n-20010315#WithComments": (False, True),
    "http://www.w3.org/2001/10/xml-exc-c14n#": (True, False),
    "http://www.w3.org/2001/10/xml-exc-c14n#WithComments": (True, True),
}
_DIGESTS = {
    "http://www.w3.org/2000/09/xmldsig#sha1": "sha1",
    "http://www.w3.org/2001/04/xmlenc#sha256": "sha256",
    "http://www.w3.org/2001/04/xmlenc#sha512": "sha512",
}
_SIGNATURES: dict[str, hashes.HashAlgorithm] = {
    "http://www.w3.org/2000/09/xmldsig#rsa-sha1": hashes.SHA1(),  # noqa: S303 - what the official samples use
    "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256": hashes.SHA256(),
    "http://www.w3.org/2001/04/xmldsig-more#rsa-sha512": hashes.SHA512(),
}
_PURPOSE = "1.2.840.10065.1.12.1.14"
_XADES = "http://uri.etsi.org/01903/v1.1.1#"


class _Wrong(Exception):
    """What is wrong with the signature, in one sentence."""


def signature_problems(
    submission: Submission, contents: Mapping[str, Content], authority: x509.Certificate
) -> Iterator[RegistryProblem]:
    """Say what is wrong with the signature of a lot, in one sentence at most."""
    entry = next((one for one in submission.entries if one.is_signature), None)
    if entry is None or entry.id not in contents:
        return
    try:
        _hold(submission, contents, contents[entry.id].read(), authority)
    except _Wrong as wrong:
        yield RegistryProblem("XDSRepositoryMetadataError", f"lot signature: {wrong}", entry.id)


def _hold(submission: Submission, contents: Mapping[str, Content], content: bytes, authority: x509.Certificate) -> None:
    try:
        root = _parsed(content)
    except FormatError:
        raise _Wrong("the document is no XML") from None
    if root.tag != clark(names.DSIG, "Signature"):
        raise _Wrong("the document is no ds:Signature")
    info = _one(root, f"{clark(names.DSIG, 'SignedInfo')}")
    manifest = _named(root, "IHEManifest")
    signed = [one.get("URI", "") for one in info.findall(clark(names.DSIG, "Reference"))]
    if "#IHEManifest" not in signed or len(signed) != 2:
        raise _Wrong("it has not the two references, IHEManifest and SignedProperties")
    for reference in info.findall(clark(names.DSIG, "Reference")):
        target = _named(root, reference.get("URI", "#").removeprefix("#"))
        algorithm = _transform(reference) or "http://www.w3.org/TR/2001/REC-xml-c14n-20010315"
        if _digest(reference, _canonical(target, algorithm)) != _said(reference):
            raise _Wrong(f"the digest of {etree.QName(target).localname} is not the one that was signed")
    _verify(root, info, authority)
    _manifest(manifest, submission, contents)
    properties = _one(root, f".//{clark(_XADES, 'SignedProperties')}")
    if properties.get("Id", "") not in {one.removeprefix("#") for one in signed}:
        raise _Wrong("the SignedProperties are not signed")
    if not any((one.text or "").strip() == _PURPOSE for one in root.iter("{*}SignatureProperty")):
        raise _Wrong("the purpose of the signature is not Source")


def _parsed(content: bytes) -> etree._Element:
    # The project's parser leaves comments out: they are part of some digests, so that a document that has some is
    # read again here, once it is known to be harmless.
    parse_xml(content, code="sandbox")
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=True)
    return etree.fromstring(content, parser)


def _canonical(element: etree._Element, algorithm: str) -> bytes:
    known = _C14N.get(algorithm)
    if known is None:
        raise _Wrong("a canonicalisation is not one that XML signatures use")
    exclusive, comments = known
    if element.getparent() is None or exclusive:
        return etree.tostring(element, method="c14n", exclusive=exclusive, with_comments=comments)
    return _in_context(element, comments)


def _in_context(element: etree._Element, comments: bool) -> bytes:
    """Canonicalise a part of a document with the namespaces that it inherits; lxml alone would leave them out."""
    alone = etree.Element(element.tag, nsmap=cast("dict[str, str]", element.nsmap))
    for name, value in element.attrib.items():
        alone.set(name, value)
    alone.text = element.text
    for child in element:
        alone.append(copy.deepcopy(child))
    return etree.tostring(alone, method="c14n", exclusive=False, with_comments=comments)


def _verify(root: etree._Element, info: etree._Element, authority: x509.Certificate) -> None:
    try:
        encoded = "".join((_one(root, f".//{clark(names.DSIG, 'X509Certificate')}").text or "").split())
        certificate = x509.load_der_x509_certificate(base64.b64decode(encoded))
        certificate.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature):
        raise _Wrong("its certificate is not of a known authority") from None
    method = _one(info, clark(names.DSIG, "SignatureMethod")).get("Algorithm", "")
    algorithm, key = _SIGNATURES.get(method), certificate.public_key()
    if algorithm is None or not isinstance(key, rsa.RSAPublicKey):
        raise _Wrong("its algorithm is not RSA with SHA-1, SHA-256 or SHA-512")
    value = "".join((_one(root, clark(names.DSIG, "SignatureValue")).text or "").split())
    canonicalisation = _one(info, clark(names.DSIG, "CanonicalizationMethod")).get("Algorithm", "")
    try:
        key.verify(base64.b64decode(value), _canonical(info, canonicalisation), padding.PKCS1v15(), algorithm)
    except (InvalidSignature, ValueError):
        raise _Wrong("its value does not verify") from None


def _manifest(manifest: etree._Element, submission: Submission, contents: Mapping[str, Content]) -> None:
    references = {
        one.get("URI", "").removeprefix("urn:oid:"): one for one in manifest.findall(clark(names.DSIG, "Reference"))
    }
    if submission.lots[0].identifier(names.LOT_UNIQUE_ID) not in references:
        raise _Wrong("the Manifest does not name the lot")
    for entry in submission.entries:
        if not entry.is_signature:
            _document(references, entry, contents[entry.id])


def _document(references: Mapping[str, etree._Element], entry: Registered, content: Content) -> None:
    reference = references.get(entry.identifier(names.ENTRY_UNIQUE_ID))
    if reference is None:
        raise _Wrong("the Manifest does not name every document")
    algorithm = _transform(reference)
    data = content.read()
    if algorithm:
        try:
            data = _canonical(_parsed(data), algorithm)
        except FormatError:
            raise _Wrong("the Manifest wants a document canonicalised that is no XML") from None
    if _digest(reference, data) != _said(reference):
        raise _Wrong("the Manifest has another digest than that of the document")


def _transform(reference: etree._Element) -> str:
    found = [one.get("Algorithm", "") for one in reference.iter(clark(names.DSIG, "Transform"))]
    if len(found) > 1:
        raise _Wrong("a reference has more than one transform")
    return found[0] if found else ""


def _digest(reference: etree._Element, data: bytes) -> bytes:
    algorithm = _DIGESTS.get(_one(reference, clark(names.DSIG, "DigestMethod")).get("Algorithm", ""))
    if algorithm is None:
        raise _Wrong("a digest is not SHA-1, SHA-256 or SHA-512")
    return hashlib.new(algorithm, data, usedforsecurity=False).digest()


def _said(reference: etree._Element) -> bytes:
    try:
        return base64.b64decode("".join((_one(reference, clark(names.DSIG, "DigestValue")).text or "").split()))
    except ValueError:
        raise _Wrong("a digest is no base64") from None


def _named(root: etree._Element, name: str) -> etree._Element:
    found = [one for one in root.iter() if name and one.get("Id") == name]
    if len(found) != 1:
        raise _Wrong("a reference leads to no element, or to several")
    return found[0]


def _one(element: etree._Element, path: str) -> etree._Element:
    found = element.find(path)
    if found is None:
        raise _Wrong(f"{path.rpartition('}')[2]} is missing")
    return found
