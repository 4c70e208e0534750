"""S/MIME around a mail (HPRIM.Net): encrypted layers are opened with our keys, signed ones verified and taken off.

The header of the mail stays the outer one: what is inside has the body alone. A layer that cannot be opened, or whose
signature does not hold, is an error Finding for which the router holds the message.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from mappings.contracts import FormatError, ReadContext
from mappings.mail.bodies import decoded
from mappings.mail.mime import Part, parse
from mappings.mail.smime_decrypt import UNDECIPHERED, decrypt, is_enveloped
from mappings.mail.smime_keys import certificates, identities
from mappings.mail.smime_verify import Signature, Verdict, signed_data, verify
from mappings.notes import Notes

SIGNATURE = "mail.signature.invalid"
"""Code of the Finding for which the router holds a whole message: it is not what was signed, or by whom."""

_WRAPPERS = frozenset({"application/pkcs7-mime", "application/x-pkcs7-mime"})
_SIGNATURES = frozenset({"application/pkcs7-signature", "application/x-pkcs7-signature"})
_LONE_LINE_FEED = re.compile(rb"(?<!\r)\n")
_MOST_LAYERS = 6
_SAID = {
    Verdict.BROKEN: "the signature does not match the mail: it was changed, or is not complete",
    Verdict.UNTRUSTED: "the signer's certificate does not lead to an authority that is trusted (smime_trust)",
    Verdict.EXPIRED: "the signer's certificate was not valid when the mail was received",
}


class Opened(NamedTuple):
    """What is inside all layers, None when one could not be opened; `layers` names them from the outside."""

    entity: Part | None
    layers: tuple[str, ...] = ()


def is_wrapped(part: Part) -> bool:
    """Say whether a part is a layer of S/MIME, PGP or Apicrypt rather than a content."""
    if part.media_type in _WRAPPERS:
        return True
    if part.media_type == "multipart/encrypted":
        return True
    return part.media_type == "multipart/signed"


def open_layers(part: Part, mail: Part, context: ReadContext, notes: Notes) -> Opened:
    """Take off every layer of a part of a mail, whose header says who the signer should be.

    Raises FormatError `mail.key` when a key or certificate cannot be used.
    """
    layers: list[str] = []
    while is_wrapped(part):
        if len(layers) >= _MOST_LAYERS:
            notes.error(UNDECIPHERED, part.where, "there are too many layers of encryption and signature")
            return Opened(None, tuple(layers))
        try:
            inner, name = _opened(part, mail, context, notes)
        except FormatError as problem:
            if problem.code != UNDECIPHERED:
                raise
            notes.error(problem.code, part.where, problem.message)
            return Opened(None, (*layers, "encrypted"))
        layers.append(name)
        part = inner
    return Opened(part, tuple(layers))


def _opened(part: Part, mail: Part, context: ReadContext, notes: Notes) -> tuple[Part, str]:
    if part.media_type == "multipart/signed":
        return _detached(part, mail, context, notes), "signed"
    if part.media_type == "multipart/encrypted":
        raise FormatError(UNDECIPHERED, part.where, "the mail is encrypted in a way that is not S/MIME (PGP)")
    content = decoded(part, notes)
    if is_enveloped(content):
        password = context.options.get("smime_key_password", "")
        known = identities(context.keys, "smime_key", "smime_certificate", password)
        return _entity(decrypt(content, known), notes), "encrypted"
    signed = signed_data(content)
    if signed is None:
        raise FormatError(UNDECIPHERED, part.where, "the layer of S/MIME is neither encrypted nor signed, or damaged")
    try:
        inner = signed["encap_content_info"]["content"].native
    except (ValueError, TypeError, KeyError):
        inner = None
    if not isinstance(inner, bytes):
        raise FormatError(UNDECIPHERED, part.where, "the signed content is not in the mail (certificates alone)")
    trust = certificates(context.keys, "smime_trust")
    _tell(verify(signed, inner, trust, context.received_at), part, mail, notes)
    return _entity(inner, notes), "signed"


def _detached(part: Part, mail: Part, context: ReadContext, notes: Notes) -> Part:
    """Verify `multipart/signed`: the signed bytes are cut from the mail as it came."""
    first = part.children[0] if part.children else part
    protocol = part.type.parameters.get("protocol", "").lower()
    if protocol and protocol not in _SIGNATURES and first is not part:
        message = "the mail is signed in a way that is not S/MIME: the signature is not verified"
        notes.warning("mail.signature.unchecked", part.where, message)
        return first
    signature = next((one for one in part.children[1:] if one.media_type in _SIGNATURES), None)
    signed = signed_data(decoded(signature, notes)) if signature is not None else None
    if first is part or signed is None:
        notes.error(SIGNATURE, part.where, "the mail is said to be signed, and its signature is missing or damaged")
        if first is part:
            raise FormatError(UNDECIPHERED, part.where, "the signed content is missing")
        return first
    trust = certificates(context.keys, "smime_trust")
    found = verify(signed, first.raw, trust, context.received_at)
    if found.verdict is Verdict.BROKEN and _LONE_LINE_FEED.search(first.raw):
        # Kept in a file, the lines may have lost the carriage returns with which they were signed.
        found = verify(signed, _LONE_LINE_FEED.sub(b"\r\n", first.raw), trust, context.received_at)
    _tell(found, part, mail, notes)
    return first


def _tell(found: Signature, part: Part, mail: Part, notes: Notes) -> None:
    if found.weak:
        notes.warning("mail.signature.weak", part.where, f"the signature relies on {found.weak}, which is outdated")
    if found.verdict in _SAID:
        notes.error(SIGNATURE, part.where, _SAID[found.verdict])
        return
    senders = {one.address.lower() for name in ("From", "Sender") for one in mail.headers.mailboxes(name)}
    if found.addresses and not senders & found.addresses:
        notes.error(SIGNATURE, part.where, "the signature is that of another address than the sender's")
    elif found.verdict is Verdict.UNCHECKED:
        message = "the signature holds, and no authority is configured to say whose it is (smime_trust)"
        notes.warning("mail.signature.unchecked", part.where, message)
    else:
        notes.info("mail.signature.good", part.where, "the signature holds and its certificate is trusted")


def _entity(content: bytes, notes: Notes) -> Part:
    """Read what was inside a layer; some senders put a bare text there."""
    try:
        return parse(content, notes)
    except FormatError as problem:
        if problem.code != "mail.no_header":
            raise
        return parse(b"Content-Type: text/plain\r\nContent-Transfer-Encoding: 8bit\r\n\r\n" + content, notes)
