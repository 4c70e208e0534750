"""What somebody else deposits: a consultation report of Mme Rose's treating doctor, or of whoever is named.

It goes through the checks of any lot and is kept as one, so that it is found, replaced and masked like the others. Its
signature entry holds a signature without a value: the doctor's card is not here.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import uuid4
from xml.sax.saxutils import escape, quoteattr

from connectors.sandbox.cda import (
    CONSULTATION_TYPE,
    PRACTICE_FINESS,
    PRACTICE_NAME,
    VISIT_LASTS,
    consultation_report,
    oid_of,
)
from connectors.sandbox.dmp import names
from connectors.sandbox.dmp.deposits import register
from connectors.sandbox.dmp.lots import Content, lot_problems
from connectors.sandbox.dmp.metadata import read_submission
from connectors.sandbox.dmp.population import TREATING, idnat, key_of
from connectors.sandbox.dmp.refusals import RegistryRefused
from connectors.sandbox.dmp.rules import Checks
from connectors.sandbox.dmp.store import DmpStore, Owner
from connectors.sandbox.people import INS_TEST_OID, ROSE, Person, Practitioner
from mappings.xml_source import parse_xml

_LINES = ("Tension 145/85, pouls régulier.", "Œdèmes des chevilles en régression.", "À revoir dans un mois.")
_SIGNATURE = b'<Signature xmlns="http://www.w3.org/2000/09/xmldsig#"/>'
_SPECIALTY = "G15_10/SM26^Médecin - Qualifié en Médecine Générale (SM)^1.2.250.1.213.1.1.4.5"


def deposit(
    store: DmpStore,
    person: Person = ROSE,
    *,
    author: Practitioner = TREATING,
    lines: Sequence[str] = _LINES,
    number: str | None = None,
    at: datetime | None = None,
    submitted: datetime | None = None,
    masked: bool = False,
    version: int = 1,
    replaces: str | None = None,
) -> str:
    """Deposit a document as somebody else; gives its uniqueId.

    `at` is when the document was made, `submitted` when it was deposited, if not at once. With `version` 2 or more,
    `replaces` is the number of the version before. Raises RegistryRefused.
    """
    moment = at or datetime.now(UTC)
    named = number or f"autre-{uuid4()}"
    cda = consultation_report(person, author, lines, number=named, at=moment, version=version, replaces=replaces)
    unique_id = oid_of(named)
    target = None
    if replaces is not None:
        held = store.entries_by(unique_ids=[oid_of(replaces)])
        target = held[-1].uuid if held else f"urn:uuid:{uuid4()}"
    structure = f"1{PRACTICE_FINESS}"
    times = _stamp(submitted or moment), _stamp(moment), _stamp(moment - VISIT_LASTS)
    xml = _submission(person, author, structure, unique_id, times, masked, target)
    submission = read_submission(parse_xml(xml.encode(), code="sandbox"))
    contents = {"Document": _content(cda), "Signature": _content(_SIGNATURE)}
    checks = Checks(lot_signature=False)
    found = [one for one in lot_problems(submission, contents, key_of(person), checks) if not one.warning]
    if found:
        raise RegistryRefused(found)
    register(store, submission, contents, Owner(structure, idnat(author)), checks)
    return unique_id


def _content(content: bytes) -> Content:
    return Content(io.BytesIO(content), len(content), hashlib.sha1(content, usedforsecurity=False).hexdigest())


def _stamp(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y%m%d%H%M%S}"


def _submission(
    person: Person,
    author: Practitioner,
    structure: str,
    unique_id: str,
    times: tuple[str, str, str],
    masked: bool,
    target: str | None,
) -> str:
    submitted, at, began = times
    patient = f"{person.matricule}^^^&{INS_TEST_OID}&ISO^NH"
    who = f"{idnat(author)}^{author.family_name}^{author.given_name}^^^^^^&1.2.250.1.71.4.2.1&ISO^D^^^IDNPS"
    where = f"{PRACTICE_NAME}^^^^^&1.2.250.1.71.4.2.2&ISO^IDNST^^^{structure}"
    lot = (
        f'<RegistryPackage id="Lot">{_slot("submissionTime", submitted)}{_name("Consultation")}'
        f"{_author('Lot', names.LOT_AUTHOR, who, where)}"
        f"{_code('Lot', names.CONTENT_TYPE, '07', '1.2.250.1.213.2.2', 'Consultation')}"
        f'<Classification id="node" classifiedObject="Lot" classificationNode="{names.LOT_NODE}"/>'
        f"{_identifier('Lot', names.LOT_PATIENT, patient, 'XDSSubmissionSet.patientId')}"
        f"{_identifier('Lot', names.LOT_SOURCE, '1.2.250.1.999.35.9', 'XDSSubmissionSet.sourceId')}"
        f"{_identifier('Lot', names.LOT_UNIQUE_ID, oid_of(unique_id + '/lot'), 'XDSSubmissionSet.uniqueId')}"
        "</RegistryPackage>"
    )
    loinc = "2.16.840.1.113883.6.1"
    document = _entry("Document", "Compte rendu de consultation", (at, began), patient, person, (who, where)) + (
        f"{_code('Document', names.CLASS_CODE, '10', '1.2.250.1.213.1.1.4.1', 'Compte rendu')}"
        f"{_confidentiality('Document', ('MASQUE_PS',) if masked else ())}"
        f"{_code('Document', names.FORMAT_CODE, 'urn:ihe:iti:xds-sd:pdf:2008', '1.3.6.1.4.1.19376.1.2.3', 'PDF/A-1')}"
        f"{_code('Document', names.TYPE_CODE, CONSULTATION_TYPE[0], loinc, CONSULTATION_TYPE[1])}"
    )
    signature_id = oid_of(unique_id + "/signature")
    signature = _entry("Signature", "Source", (at, at), patient, person, (who, where)) + (
        f"{_code('Signature', names.CLASS_CODE, names.SIGNATURE_CLASS, 'URN', 'Digital Signature')}"
        f"{_confidentiality('Signature', ('MASQUE_PS', 'INVISIBLE_PATIENT'))}"
        f"{_code('Signature', names.FORMAT_CODE, names.DSIG, 'URN', 'Default Signature Style')}"
        f"{_code('Signature', names.TYPE_CODE, names.SIGNATURE_TYPE, 'ASTM', 'Full Document')}"
    )
    original = _slot("SubmissionSetStatus", "Original")
    links = "".join(
        f'<Association id="member-{one}" associationType="{names.HAS_MEMBER}" sourceObject="Lot" '
        f'targetObject="{one}">{original}</Association>'
        for one in ("Document", "Signature")
    )
    links += (
        f'<Association id="signs" associationType="{names.SIGNS}" sourceObject="Signature" targetObject="Lot">'
        f"{original}</Association>"
    )
    if target is not None:
        links += (
            f'<Association id="replaces" associationType="{names.REPLACES}" sourceObject="Document" '
            f"targetObject={quoteattr(target)}/>"
        )
    entries = "".join(
        f"{opened}{_identifiers(own, patient, number)}</ExtrinsicObject>"
        for opened, own, number in ((document, "Document", unique_id), (signature, "Signature", signature_id))
    )
    return f'<RegistryObjectList xmlns="{names.RIM}">{lot}{entries}{links}</RegistryObjectList>'


def _entry(own: str, title: str, times: tuple[str, str], patient: str, person: Person, author: tuple[str, str]) -> str:
    at, began = times
    who, where = author
    return (
        f'<ExtrinsicObject id="{own}" mimeType="text/xml" objectType="{names.DOCUMENT_ENTRY}">'
        f"{_slot('creationTime', at)}{_slot('languageCode', 'art' if own == 'Signature' else 'fr-FR')}"
        f"{_slot('legalAuthenticator', who)}{_slot('serviceStartTime', began)}{_slot('sourcePatientId', patient)}"
        f"{_slot('sourcePatientInfo', f'PID-5|{person.birth_name}^{person.given_name}^^^^^L', f'PID-8|{person.sex}')}"
        f"{_name(title)}{_author(own, names.AUTHOR, who, where)}"
        f"{_code(own, names.FACILITY_TYPE, 'SA07', '1.2.250.1.71.4.2.4', 'Cabinet individuel')}"
        f"{_code(own, names.PRACTICE_SETTING, 'AMBULATOIRE', '1.2.250.1.213.1.1.4.9', 'Ambulatoire')}"
    )


def _identifiers(own: str, patient: str, unique_id: str) -> str:
    return _identifier(own, names.ENTRY_PATIENT, patient, "XDSDocumentEntry.patientId") + _identifier(
        own, names.ENTRY_UNIQUE_ID, unique_id, "XDSDocumentEntry.uniqueId"
    )


def _confidentiality(own: str, more: Sequence[str]) -> str:
    normal = _code(own, names.CONFIDENTIALITY, "N", "2.16.840.1.113883.5.25", "Normal")
    return normal + "".join(_code(own, names.CONFIDENTIALITY, one, "1.2.250.1.213.1.1.4.13", one) for one in more)


def _slot(name: str, *values: str) -> str:
    inside = "".join(f"<Value>{escape(value)}</Value>" for value in values)
    return f'<Slot name="{name}"><ValueList>{inside}</ValueList></Slot>'


def _name(text: str) -> str:
    return f'<Name><LocalizedString charset="UTF-8" xml:lang="FR" value={quoteattr(text)}/></Name>'


def _code(own: str, scheme: str, code: str, system: str, label: str) -> str:
    return (
        f'<Classification id="{own}-{uuid4()}" classificationScheme="{scheme}" classifiedObject="{own}" '
        f"nodeRepresentation={quoteattr(code)}>{_slot('codingScheme', system)}{_name(label)}</Classification>"
    )


def _author(own: str, scheme: str, who: str, where: str) -> str:
    return (
        f'<Classification id="{own}-author" classificationScheme="{scheme}" classifiedObject="{own}" '
        f'nodeRepresentation="">{_slot("authorInstitution", where)}{_slot("authorPerson", who)}'
        f"{_slot('authorSpecialty', _SPECIALTY)}</Classification>"
    )


def _identifier(own: str, scheme: str, value: str, name: str) -> str:
    return (
        f'<ExternalIdentifier id="{own}-{uuid4()}" identificationScheme="{scheme}" registryObject="{own}" '
        f"value={quoteattr(value)}>{_name(name)}</ExternalIdentifier>"
    )
