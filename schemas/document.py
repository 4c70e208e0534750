"""Documents: metadata and the file itself."""

from __future__ import annotations

from enum import StrEnum

from schemas.actors import Organization, Professional, Recipient
from schemas.attachment import Attachment
from schemas.base import Frozen, PartialDateTime
from schemas.coding import Coding, Identifier


class DocumentOperation(StrEnum):
    """What the sender asks: a first version, a new version that replaces one, or a deletion."""

    CREATE = "create"
    REPLACE = "replace"
    DELETE = "delete"


class Wishes(Frozen):
    """The delivery wishes of the ANS profile (OBX MetaDMPMSS); None where the sender said nothing."""

    dmp: bool | None = None
    mssante_professionals: bool | None = None
    mssante_patient: bool | None = None
    masked_to_professionals: bool | None = None
    hidden_from_patient: bool | None = None
    hidden_from_representatives: bool | None = None
    secret_connection: bool | None = None
    update_visibility: bool | None = None
    reception_receipt: bool | None = None
    reading_receipt: bool | None = None
    patient_may_not_reply: bool | None = None


class Participant(Frozen):
    """Somebody who had a part in a document: a prescriber, an attending physician, a validating biologist.

    `kind` is the participation (CDA `participant/@typeCode`: REF, INF, PRF…; `authenticator`, `informant`,
    `dataEnterer`, `responsibleParty`, `encounterParticipant`); `function` the role played (CDA functionCode).
    """

    kind: str
    function: Coding | None = None
    professional: Professional | None = None
    organization: Organization | None = None
    at: PartialDateTime | None = None


class Document(Frozen):
    """A document and what is known of it from the message that carried it, or from its own header.

    `document_id` is this version's identity (`root` or `root^extension`, XDS uniqueId), `set_id` that of all its
    versions, `version` counts them. A document read from CDA keeps the CDA itself, byte for byte, as its first
    attachment (`text/xml`); the file inside a level 1 body follows it.
    """

    document_id: str | None = None
    set_id: str | None = None
    version: int | None = None
    replaces_id: str | None = None
    operation: DocumentOperation = DocumentOperation.CREATE
    status: str | None = None
    type: Coding | None = None
    category: Coding | None = None
    format: Coding | None = None
    title: str | None = None
    language: str | None = None
    created_at: PartialDateTime | None = None
    author: Professional | None = None
    author_organization: Organization | None = None
    author_role: Coding | None = None
    other_authors: tuple[Professional, ...] = ()
    legal_authenticator: Professional | None = None
    custodian: Organization | None = None
    confidentiality: tuple[Coding, ...] = ()
    order_id: str | None = None
    report_id: str | None = None
    visit: Identifier | None = None
    event_codes: tuple[Coding, ...] = ()
    performer: Professional | None = None
    performer_organization: Organization | None = None
    practice_setting: Coding | None = None
    facility_type: Coding | None = None
    encounter_type: Coding | None = None
    participants: tuple[Participant, ...] = ()
    period_start: PartialDateTime | None = None
    period_end: PartialDateTime | None = None
    wishes: Wishes | None = None
    reply_to: str | None = None
    mail_body_professionals: str | None = None
    mail_body_patient: str | None = None
    recipients: tuple[Recipient, ...] = ()
    comment: str | None = None
    attachments: tuple[Attachment, ...] = ()
