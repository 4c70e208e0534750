"""An IHE_XDM.ZIP around one CDA, by hand: the metadata that a hospital's software writes, without a signature.

Written apart from the product's own reader and writer, so that each checks the other.
"""

from __future__ import annotations

import io
import zipfile
from datetime import UTC, datetime
from hashlib import sha1
from xml.sax.saxutils import escape, quoteattr

from connectors.sandbox.cda import HOSPITAL_FINESS, LETTER_TYPE, oid_of
from connectors.sandbox.dmp import names
from connectors.sandbox.people import HOSPITAL_NAME, HOSPITAL_OID, INS_TEST_OID, PRESCRIBER, Person

_FOLDER = "IHE_XDM/SUBSET01/"
_DOCUMENT = "DOC00001.XML"
_WHO = f"8{PRESCRIBER.rpps}^{PRESCRIBER.family_name}^{PRESCRIBER.given_name}^^^^^^&1.2.250.1.71.4.2.1&ISO^D^^^IDNPS"
_WHERE = f"{HOSPITAL_NAME}^^^^^&1.2.250.1.71.4.2.2&ISO^IDNST^^^1{HOSPITAL_FINESS}"
_SPECIALTY = "G15_10/SM26^Médecin - Qualifié en Médecine Générale (SM)^1.2.250.1.213.1.1.4.5"
_LEAFLET = "Archive IHE XDM du sandbox : documents fictifs, personnes fictives.\r\n"


def xdm(cda: bytes, person: Person, *, document_id: str, title: str, began: datetime, at: datetime) -> bytes:
    """Write the archive of one discharge letter of a stay that `began`, made and submitted `at`."""
    files = {
        "INDEX.HTM": f"<html><body><p>{escape(_LEAFLET)}</p></body></html>".encode(),
        "README.TXT": _LEAFLET.encode(),
        f"{_FOLDER}METADATA.XML": _metadata(cda, person, document_id, title, (began, at)),
        f"{_FOLDER}{_DOCUMENT}": cda,
    }
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name, at.timetuple()[:6]), content, zipfile.ZIP_DEFLATED)
    return held.getvalue()


def _metadata(cda: bytes, person: Person, document_id: str, title: str, times: tuple[datetime, datetime]) -> bytes:
    began, moment = (f"{one.astimezone(UTC):%Y%m%d%H%M%S}" for one in times)
    patient = f"{person.matricule}^^^&{INS_TEST_OID}&ISO^NH"
    local = f"{person.ipp}^^^&{HOSPITAL_OID}&ISO^PI"
    about = (
        f"PID-5|{person.birth_name}^{person.given_name}^{' '.join(person.birth_given_names)}^^^^L",
        f"PID-7|{person.birth_date:%Y%m%d}",
        f"PID-8|{person.sex}",
    )
    lot = (
        f'<RegistryPackage id="Lot">{_slot("submissionTime", moment)}{_name(title)}{_author("Lot", names.LOT_AUTHOR)}'
        f"{_code('Lot', names.CONTENT_TYPE, '03', '1.2.250.1.213.2.2', 'Hospitalisation')}"
        f"{_identifier('Lot', names.LOT_PATIENT, patient, 'XDSSubmissionSet.patientId')}"
        f"{_identifier('Lot', names.LOT_SOURCE, HOSPITAL_OID, 'XDSSubmissionSet.sourceId')}"
        f"{_identifier('Lot', names.LOT_UNIQUE_ID, oid_of(document_id + '/lot'), 'XDSSubmissionSet.uniqueId')}"
        "</RegistryPackage>"
        f'<Classification id="node" classifiedObject="Lot" classificationNode="{names.LOT_NODE}"/>'
    )
    entry = (
        f'<ExtrinsicObject id="Document" mimeType="text/xml" objectType="{names.DOCUMENT_ENTRY}">'
        f"{_slot('creationTime', moment)}{_slot('hash', sha1(cda, usedforsecurity=False).hexdigest())}"
        f"{_slot('languageCode', 'fr-FR')}{_slot('legalAuthenticator', _WHO)}{_slot('serviceStartTime', began)}"
        f"{_slot('size', str(len(cda)))}{_slot('sourcePatientId', local)}{_slot('sourcePatientInfo', *about)}"
        f"{_slot('URI', _DOCUMENT)}{_name(title)}{_author('Document', names.AUTHOR)}"
        f"{_code('Document', names.CLASS_CODE, '11', '1.2.250.1.213.1.1.4.1', 'Synthèse')}"
        f"{_code('Document', names.CONFIDENTIALITY, 'N', '2.16.840.1.113883.5.25', 'Normal')}"
        f"{_code('Document', names.FORMAT_CODE, 'urn:ihe:iti:xds-sd:pdf:2008', '1.3.6.1.4.1.19376.1.2.3', 'PDF/A-1')}"
        f"{_code('Document', names.FACILITY_TYPE, 'SA01', '1.2.250.1.71.4.2.4', 'Etablissement public de santé')}"
        f"{_code('Document', names.PRACTICE_SETTING, 'ETABLISSEMENT', '1.2.250.1.213.1.1.4.9', 'Etablissement')}"
        f"{_code('Document', names.TYPE_CODE, LETTER_TYPE[0], '2.16.840.1.113883.6.1', LETTER_TYPE[1])}"
        f"{_identifier('Document', names.ENTRY_PATIENT, patient, 'XDSDocumentEntry.patientId')}"
        f"{_identifier('Document', names.ENTRY_UNIQUE_ID, document_id, 'XDSDocumentEntry.uniqueId')}"
        "</ExtrinsicObject>"
    )
    link = (
        f'<Association id="member" associationType="{names.HAS_MEMBER}" sourceObject="Lot" targetObject="Document">'
        f"{_slot('SubmissionSetStatus', 'Original')}</Association>"
    )
    listed = f'<RegistryObjectList xmlns="{names.RIM}">{lot}{entry}{link}</RegistryObjectList>'
    request = f'<lcm:SubmitObjectsRequest xmlns:lcm="{names.LCM}">{listed}</lcm:SubmitObjectsRequest>'
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{request}\n'.encode()


def _slot(name: str, *values: str) -> str:
    inside = "".join(f"<Value>{escape(value)}</Value>" for value in values)
    return f'<Slot name="{name}"><ValueList>{inside}</ValueList></Slot>'


def _name(text: str) -> str:
    return f'<Name><LocalizedString charset="UTF-8" xml:lang="FR" value={quoteattr(text)}/></Name>'


def _code(own: str, scheme: str, code: str, system: str, label: str) -> str:
    return (
        f'<Classification id="{own}-{scheme[-12:]}" classificationScheme="{scheme}" classifiedObject="{own}" '
        f"nodeRepresentation={quoteattr(code)}>{_slot('codingScheme', system)}{_name(label)}</Classification>"
    )


def _author(own: str, scheme: str) -> str:
    return (
        f'<Classification id="{own}-author" classificationScheme="{scheme}" classifiedObject="{own}" '
        f'nodeRepresentation="">{_slot("authorInstitution", _WHERE)}{_slot("authorPerson", _WHO)}'
        f"{_slot('authorSpecialty', _SPECIALTY)}</Classification>"
    )


def _identifier(own: str, scheme: str, value: str, name: str) -> str:
    return (
        f'<ExternalIdentifier id="{own}-{scheme[-12:]}" identificationScheme="{scheme}" registryObject="{own}" '
        f"value={quoteattr(value)}>{_name(name)}</ExternalIdentifier>"
    )
