"""One document being written: the Item, what the header needs of it, and what had to be filled in.

A header fact comes from the Item first, then from the partner's options, then it is the least untrue value that the
header's schematron accepts; the last two are said in a Finding (`cda.write.filled`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from mappings.cda.oids import is_oid, is_uuid
from mappings.cda.writing.codes import authority_of, named_oid, of_value_set, value_set
from mappings.cda.writing.parties import finess_of, structure_id
from mappings.cda.writing.times import stamp
from mappings.contracts import FormatError, WriteContext
from mappings.notes import Notes
from schemas.actors import Organization, Professional
from schemas.coding import Coding, Identifier
from schemas.document import Document
from schemas.identifiers import PROFESSIONALS, STRUCTURES
from schemas.item import DocumentItem, LabReportItem

LABORATORY_SPECIALTY = "G15_10/SM03"
OPTIONS = {
    "practice_setting": "setting",
    "facility_type": "facility",
    "encounter_type": "encounter",
    "document_type": "type",
    "author_specialty": "specialty",
}
"""Options that name a code of a value set."""


@dataclass(frozen=True, slots=True)
class Numbers:
    """The identities of a document: its own, that of all its versions, its version, and that of the one it replaces."""

    document: str
    versions: Identifier
    version: int
    replaced: str | None = None


class Case:
    """A document to write: `document` holds the header's facts, whatever the Item is."""

    def __init__(
        self, item: DocumentItem | LabReportItem, document: Document, context: WriteContext, notes: Notes
    ) -> None:
        self.item = item
        self.document = document
        self.context = context
        self.notes = notes
        self.zone: ZoneInfo = context.timezone
        self.is_laboratory = isinstance(item, LabReportItem)
        self.place = self._place()
        self.finess = finess_of(self.place)
        self.responsible = self._responsible()

    @property
    def now(self) -> datetime:
        """When the document is written."""
        return self.context.now

    def filled(self, where: str, message: str, *, serious: bool = True) -> None:
        """Say that a fact of the header was not in the Item, and what stands there."""
        if serious:
            self.notes.warning("cda.write.filled", where, message)
        else:
            self.notes.info("cda.write.filled", where, message)

    def option(self, name: str) -> Coding | None:
        """Give the code that an option names; raises FormatError `cda.option` when its value set has no such code."""
        value = self.context.options.get(name)
        if not value:
            return None
        found = value_set(OPTIONS[name]).get(value)
        if found is None:
            raise FormatError("cda.option", name, "this option is not a code of its national value set")
        return found

    def chosen(self, name: str, given: Coding | None, where: str, fallback: str, *, by_nature: bool = False) -> Coding:
        """Choose a code of a value set: the Item's, else the option's, else the fallback, with Findings.

        `by_nature` says that the fallback is true of any such document (a laboratory report is made by a laboratory).
        """
        found = of_value_set(OPTIONS[name], given)
        if found is not None:
            return found
        asked = self.option(name)
        if given is not None:
            instead = asked.code if asked is not None else fallback
            message = f"the code of the Item is not in the national value set: {instead} is written"
            self.notes.warning("cda.write.value_set", where, message)
        if asked is not None:
            return asked
        if not by_nature and given is None:
            self.filled(where, f"not known: {fallback} is written; the option `{name}` sets it")
        return value_set(OPTIONS[name])[fallback]

    def _place(self) -> Organization | None:
        """Give the structure that answers for the document, with what the options know of it."""
        document = self.document
        given = next(
            (
                one
                for one in (document.performer_organization, document.custodian, document.author_organization)
                if one is not None
            ),
            self.item.sender,
        )
        options = self.context.options
        finess, name = options.get("custodian_finess"), options.get("custodian_name")
        if finess and (given is None or structure_id(given) is None):
            number = Identifier(system=STRUCTURES, value=finess, type="FINEG")
            given = (given or Organization()).model_copy(
                update={"identifiers": (number, *(given.identifiers if given else ()))}
            )
            self.filled("custodian", "the FINESS number is that of the option `custodian_finess`", serious=False)
        if name and given is not None and not given.name:
            given = given.model_copy(update={"name": name})
        return given

    def _responsible(self) -> Professional | None:
        """Give the person who answers for the document: its authenticator, author or performer, else the options'."""
        document = self.document
        for one in (document.legal_authenticator, document.author, document.performer, self.item.author):
            if one is not None and (one.family_name or one.name):
                return one
        options = self.context.options
        family = options.get("responsible_family")
        if not family:
            return None
        rpps = options.get("responsible_rpps")
        self.filled("legalAuthenticator", "the responsible professional is that of the options", serious=False)
        return Professional(
            identifiers=(Identifier(system=PROFESSIONALS, value=rpps, type="RPPS"),) if rpps else (),
            family_name=family,
            given_name=options.get("responsible_given"),
        )

    def numbers(self, identity: str, versions: Identifier | None) -> Numbers:
        """Give the identities of this version: `identity` names it, `versions` all of them (itself when not known)."""
        document = self.document
        replaced = document.replaces_id
        known = written_identity(replaced, authority_of(self.item.sender)) if replaced else None
        if versions is None:
            if known:
                self.filled("setId", "what all versions have in common is not known: the replaced one's id is written")
            versions = identity_of(known or identity)
        version = document.version or (2 if known else 1)
        return Numbers(identity, versions, max(version, 1), known)

    def identifier(self, number: str, authority: str | None) -> Identifier:
        """Give a number (order, report) as an identifier of its authority, else of the sender's.

        A number that is an OID or a UUID, alone or before `^`, names its root by itself.
        """
        if authority is None and is_rooted(number):
            return identity_of(number)
        option = self.context.options.get("number_root")
        system = authority or (f"urn:oid:{option}" if option else authority_of(self.item.sender))
        return Identifier(system=system, value=number)

    def moment(self, *candidates: str | None) -> str | None:
        """Give the first of some moments that a CDA can write."""
        return next((one for one in candidates if one and stamp(one, self.zone)), None)


URI = "urn:ietf:rfc:3986"
"""The system of an identifier that is a root alone (`mappings.cda.oids.identifier_of`)."""


def is_rooted(identity: str) -> bool:
    """Tell whether an identity is `root` or `root^extension` with an OID or a UUID as its root."""
    root = identity.partition("^")[0]
    return is_oid(root) or is_uuid(root)


def identity_of(identity: str) -> Identifier:
    """Give `root` or `root^extension` as an identifier."""
    root, _, extension = identity.partition("^")
    system = f"urn:oid:{root}" if is_oid(root) else f"urn:uuid:{root}"
    return Identifier(system=system, value=extension) if extension else Identifier(system=URI, value=system)


def written_identity(identity: str, authority: str | None) -> str:
    """Give a document's identity as CDA has it: what begins with an OID or a UUID stays as it is.

    Any other number becomes an OID of ours made of it and of its authority, the same each time: a version and the
    document that replaces it agree.
    """
    return identity if is_rooted(identity) else named_oid(f"document|{authority or ''}|{identity}")
