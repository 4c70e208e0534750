"""Identities in XDS metadata: OIDs that are always the same for the same thing, and documents' own ids."""

from __future__ import annotations

from uuid import NAMESPACE_URL, UUID, uuid5

from mappings.cda.oids import is_oid, is_uuid
from mappings.xds import datatypes
from schemas.actors import Organization
from schemas.identifiers import IDNST_OID

_NAMESPACE = uuid5(NAMESPACE_URL, "urn:x-passerelle:xds")


def oid_of(*names: str) -> str:
    """Give the OID that names something by other names, always the same (`2.25.` and a UUID, ITU-T X.667)."""
    return _oid_of_uuid(uuid5(_NAMESPACE, "|".join(names)))


def unique_id_of(document_id: str | None) -> str | None:
    """Give the uniqueId of a document's id (`root` or `root^extension`): an OID, which a UUID becomes, else None."""
    root, mark, extension = (document_id or "").removeprefix("urn:oid:").removeprefix("urn:uuid:").partition("^")
    if is_oid(root):
        return f"{root}^{extension}" if mark else root
    return _oid_of_uuid(UUID(root)) if is_uuid(root) and not extension else None


def source_id_of(custodian: Organization | None) -> tuple[str, bool]:
    """Give a sourceId made of a custodian's national number; the second value says that it had none."""
    written = datatypes.write_xon(custodian) if custodian else None
    number = written.rpartition("^")[2] if written else ""
    if number.isascii() and number.isdigit() and not number.startswith("0"):
        return f"{IDNST_OID}.{number}", False
    return oid_of("source", written or ""), True


def _oid_of_uuid(uuid: UUID) -> str:
    return f"2.25.{uuid.int}"
