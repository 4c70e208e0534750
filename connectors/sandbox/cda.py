"""CDA documents of the sandbox, by hand on purpose: a discharge letter (level 1, PDF) and a CR-BIO (level 3).

Both satisfy the ANS's schemas and schematrons; a test holds them to it. See the CI-SIS header, and CR-BIO 2024.01.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID, uuid5
from xml.sax.saxutils import escape, quoteattr

from connectors.sandbox.adt import Visit
from connectors.sandbox.er7 import stamp
from connectors.sandbox.pdf import pdf
from connectors.sandbox.people import BIOLOGIST, HOSPITAL_OID, INS_TEST_OID, PRESCRIBER, Person, Practitioner
from connectors.sandbox.reports import LABORATORY_NAME, Report

HOSPITAL_FINESS = "359990002"
LABORATORY_FINESS = "359990010"
LABORATORY_OID = "1.2.250.1.999.35.3"
"""The invented laboratory's own numbers."""

LETTER_TYPE = ("11490-0", "Lettre de liaison à la sortie d'un établissement de soins")
"""The type of a discharge letter: LOINC code and label."""

_NAMESPACE = UUID("5d0c3f0e-6c0a-5f2e-9a5b-504153534552")
_LOINC = 'codeSystem="2.16.840.1.113883.6.1" codeSystemName="LOINC"'
_INTERPRETATION = "2.16.840.1.113883.5.83"
_UCUM = {"G/L": "10*9/L", "T/L": "10*12/L", "U/L": "U/L", "UI/L": "[IU]/L"}
_CHAPTERS = {
    "HM": ("18723-7", "Hématologie"),
    "CH": ("18719-5", "Biochimie"),
}


@dataclass(frozen=True, slots=True)
class _Place:
    """A structure: name, FINESS, sector of activity, type of facility."""

    name: str
    finess: str
    sector: tuple[str, str]
    facility: tuple[str, str]


_HOSPITAL = _Place(
    "CENTRE HOSPITALIER FICTIF",
    HOSPITAL_FINESS,
    ("ETABLISSEMENT", "Etablissement de santé"),
    ("SA01", "Etablissement public de santé"),
)
_LABORATORY = _Place(
    LABORATORY_NAME, LABORATORY_FINESS, ("AMBULATOIRE", "Ambulatoire"), ("SA25", "Laboratoire de biologie médicale")
)
_PRACTICE = _Place(
    "CABINET MEDICAL FICTIF", "359990028", ("AMBULATOIRE", "Ambulatoire"), ("SA07", "Cabinet individuel")
)
_PHYSICIAN = ("G15_10/SM26", "Médecin - Qualifié en Médecine Générale (SM)")
_BIOLOGY = ("G15_10/SM03", "Médecin - Biologie médicale (SM)")


def oid_of(name: str) -> str:
    """Make the OID of a document from a name: the same for the same name (2.25 and the UUID as a number)."""
    return f"2.25.{uuid5(_NAMESPACE, name).int}"


def report_document_id(report: Report, version: int = 1) -> str:
    """Give the document id of a report as CR-BIO."""
    return oid_of(f"{report.report_id}/{version}")


def discharge_letter(
    person: Person,
    visit: Visit,
    lines: Sequence[str],
    *,
    number: str,
    at: datetime,
    version: int = 1,
    replaces: str | None = None,
    signed: bool = True,
) -> bytes:
    """Write a discharge letter at level 1: a complete header around a PDF.

    A later `version` names the number of the one it `replaces`; the part of both before `/` is the same. A letter that
    is not `signed` has no legal authenticator, which the CI-SIS header requires.
    """
    title = "Lettre de liaison à la sortie de l'établissement de santé"
    body = base64.b64encode(pdf("Lettre de liaison à la sortie", lines)).decode()
    header = _header(
        person,
        model='<templateId root="1.3.6.1.4.1.19376.1.2.20"/>',
        number=number,
        code=f"<code code={quoteattr(LETTER_TYPE[0])} displayName={quoteattr(LETTER_TYPE[1])} {_LOINC}/>",
        title=title,
        at=at,
        author=_entity("assignedAuthor", PRESCRIBER, _PHYSICIAN, _HOSPITAL),
        signer=_entity("assignedEntity", PRESCRIBER, _PHYSICIAN, _HOSPITAL) if signed else "",
        place=_HOSPITAL,
        set_id=_set_of(number),
        version=version,
    )
    ended = visit.discharged_at or at
    event = _event(
        '<code code="IMP" displayName="Hospitalisation" codeSystem="2.16.840.1.113883.5.4"/>',
        _span(visit.admitted_at, ended),
        ended,
        _entity("assignedEntity", PRESCRIBER, _PHYSICIAN, _HOSPITAL, sector=True),
    )
    event += _replacing(replaces)
    encounter = _encounter(
        f'<id root="{HOSPITAL_OID}" extension={quoteattr(visit.number)}/>'
        '<code code="IMP" displayName="Hospitalisation" codeSystem="2.16.840.1.113883.5.4"/>',
        _span(visit.admitted_at, ended),
        _HOSPITAL,
    )
    text = f'<nonXMLBody><text mediaType="application/pdf" representation="B64">{body}</text></nonXMLBody>'
    return _document(header, event, encounter, text)


CONSULTATION_TYPE = ("11488-4", "CR ou fiche de consultation ou de visite")
"""The type of a consultation report: LOINC code and label."""

VISIT_LASTS = timedelta(minutes=20)
"""How long a consultation lasts, until its report is written."""

PRACTICE_NAME, PRACTICE_FINESS = _PRACTICE.name, _PRACTICE.finess


def consultation_report(
    person: Person,
    practitioner: Practitioner,
    lines: Sequence[str],
    *,
    number: str,
    at: datetime,
    version: int = 1,
    replaces: str | None = None,
) -> bytes:
    """Write a general practitioner's report at level 1; a later `version` names the number of the one it `replaces`."""
    body = base64.b64encode(pdf("Compte rendu de consultation", lines)).decode()
    header = _header(
        person,
        model='<templateId root="1.3.6.1.4.1.19376.1.2.20"/>',
        number=number,
        code=f"<code code={quoteattr(CONSULTATION_TYPE[0])} displayName={quoteattr(CONSULTATION_TYPE[1])} {_LOINC}/>",
        title="Compte rendu de consultation",
        at=at,
        author=_entity("assignedAuthor", practitioner, _PHYSICIAN, _PRACTICE),
        signer=_entity("assignedEntity", practitioner, _PHYSICIAN, _PRACTICE),
        place=_PRACTICE,
        set_id=_set_of(number),
        version=version,
    )
    visit = '<code code="AMB" displayName="Ambulatoire" codeSystem="2.16.840.1.113883.5.4"/>'
    performer = _entity("assignedEntity", practitioner, _PHYSICIAN, _PRACTICE, sector=True)
    span = _span(at - VISIT_LASTS, at)
    event = _event(visit, span, at, performer) + _replacing(replaces)
    text = f'<nonXMLBody><text mediaType="application/pdf" representation="B64">{body}</text></nonXMLBody>'
    return _document(header, event, _encounter(visit, span, _PRACTICE), text)


def cr_bio(report: Report, *, version: int = 1) -> bytes:
    """Write a laboratory report as CR-BIO 2024.01: one chapter a panel, then the copy in PDF."""
    chapters = [_CHAPTERS.get(panel.section, _CHAPTERS["CH"]) for panel, _ in report.panels]
    model = (
        '<templateId root="1.3.6.1.4.1.19376.1.3.3"/><templateId root="1.2.250.1.213.1.1.1.55" extension="2024.01"/>'
    )
    header = _header(
        report.person,
        model=model,
        number=f"{report.report_id}/{version}",
        code=f'<code code="11502-2" displayName="CR d\'examens biologiques" {_LOINC}/>',
        title="Compte rendu d'examens biologiques",
        at=report.issued_at,
        author=_entity("assignedAuthor", BIOLOGIST, _BIOLOGY, _LABORATORY),
        signer=_entity("assignedEntity", BIOLOGIST, _BIOLOGY, _LABORATORY),
        place=_LABORATORY,
        set_id=f'<setId root="{LABORATORY_OID}" extension={quoteattr(report.report_id)}/>',
        version=version,
    )
    order_id = f'<id root="{LABORATORY_OID}.1" extension={quoteattr(report.order_id)}/>'
    order = f"<inFulfillmentOf><order>{order_id}</order></inFulfillmentOf>"
    events = "".join(
        _event(
            f'<code code={quoteattr(code)} displayName={quoteattr(label)} {_LOINC}/><lab:statusCode code="completed"/>',
            _span(report.collected_at, report.issued_at),
            report.issued_at,
            _entity("assignedEntity", BIOLOGIST, _BIOLOGY, _LABORATORY, sector=True),
            templates='<templateId root="1.3.6.1.4.1.19376.1.3.3.1.7"/><templateId root="1.2.250.1.213.1.1.3.23"/>',
        )
        for code, label in chapters
    )
    responsible = f"<responsibleParty>{_entity('assignedEntity', BIOLOGIST, _BIOLOGY, _LABORATORY)}</responsibleParty>"
    encounter = _encounter(
        '<code code="AMB" displayName="Ambulatoire" codeSystem="2.16.840.1.113883.5.4"/>',
        f'<low value="{stamp(report.collected_at)}"/>',
        _LABORATORY,
        responsible,
    )
    sections = [_chapter(report, rank) for rank in range(len(report.panels))]
    sections.append(_copy(report))
    return _document(header, order + events, encounter, f"<structuredBody>{''.join(sections)}</structuredBody>")


def _set_of(number: str) -> str:
    return f'<setId root="{oid_of(number.partition("/")[0] + "-set")}"/>'


def _replacing(number: str | None) -> str:
    if number is None:
        return ""
    parent = f'<parentDocument><id root="{oid_of(number)}"/></parentDocument>'
    return f'<relatedDocument typeCode="RPLC">{parent}</relatedDocument>'


def _document(header: str, events: str, encounter: str, body: str) -> bytes:
    root = (
        '<ClinicalDocument xmlns="urn:hl7-org:v3" xmlns:lab="urn:oid:1.3.6.1.4.1.19376.1.3.2" '
        'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">'
    )
    whole = f"{root}{header}{events}{encounter}<component>{body}</component></ClinicalDocument>"
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{whole}\n'.encode()


def _header(
    person: Person,
    *,
    model: str,
    number: str,
    code: str,
    title: str,
    at: datetime,
    author: str,
    signer: str,
    place: _Place,
    set_id: str,
    version: int = 1,
) -> str:
    moment = stamp(at)
    signature = (
        f'<legalAuthenticator><time value="{moment}"/><signatureCode code="S"/>{signer}</legalAuthenticator>'
        if signer
        else ""
    )
    custodian = (
        f'<id root="1.2.250.1.71.4.2.2" extension="1{place.finess}"/><name>{escape(place.name)}</name>'
        '<telecom value="tel:0199000000" use="WP"/><addr nullFlavor="NAV"/>'
    )
    return (
        '<realmCode code="FR"/><typeId root="2.16.840.1.113883.1.3" extension="POCD_HD000040"/>'
        f'<templateId root="2.16.840.1.113883.2.8.2.1"/><templateId root="1.2.250.1.213.1.1.1.1"/>{model}'
        f'<id root="{oid_of(number)}"/>{code}<title>{escape(title)}</title><effectiveTime value="{moment}"/>'
        '<confidentialityCode code="N" displayName="Normal" codeSystem="2.16.840.1.113883.5.25"/>'
        f'<languageCode code="fr-FR"/>{set_id}'
        f'<versionNumber value="{version}"/><recordTarget>{_patient(person)}</recordTarget>'
        f'<author><time value="{moment}"/>{author}</author>'
        "<custodian><assignedCustodian><representedCustodianOrganization>"
        f"{custodian}</representedCustodianOrganization></assignedCustodian></custodian>"
        f"{signature}"
    )


def _patient(person: Person) -> str:
    sex = {"F": "Féminin", "M": "Masculin"}[person.sex]
    return (
        f'<patientRole><id root="{INS_TEST_OID}" extension="{person.matricule}"/>'
        f'<id root="{HOSPITAL_OID}" extension="{person.ipp}"/>'
        f'<addr use="H"><streetAddressLine>{escape(person.address)}</streetAddressLine>'
        f"<streetAddressLine>{person.postal_code} {escape(person.city)}</streetAddressLine></addr>"
        f'<telecom value="tel:{person.phone}" use="H"/><patient classCode="PSN"><name>'
        f'<family qualifier="BR">{escape(person.birth_name)}</family>'
        f"<given>{escape(' '.join(person.birth_given_names))}</given>"
        f'<given qualifier="BR">{escape(person.given_name)}</given>'
        f'<family qualifier="CL">{escape(person.daily_name)}</family>'
        f'<given qualifier="CL">{escape(person.given_name)}</given></name>'
        f'<administrativeGenderCode code="{person.sex}" displayName="{sex}" codeSystem="2.16.840.1.113883.5.1"/>'
        f'<birthTime value="{person.birth_date:%Y%m%d}"/><birthplace><place><addr><county>{person.birth_place}</county>'
        "</addr></place></birthplace></patient></patientRole>"
    )


def _entity(
    element: str, person: Practitioner, specialty: tuple[str, str], place: _Place, *, sector: bool = False
) -> str:
    code, label = place.sector
    industry = (
        f'<standardIndustryClassCode code="{code}" displayName="{label}" codeSystem="1.2.250.1.213.1.1.4.9"/>'
        if sector
        else ""
    )
    return (
        f'<{element}><id root="1.2.250.1.71.4.2.1" extension="8{person.rpps}"/>'
        f'<code code="{specialty[0]}" displayName={quoteattr(specialty[1])} codeSystem="1.2.250.1.213.1.1.4.5"/>'
        '<addr nullFlavor="NAV"/><telecom value="tel:0199000000" use="WP"/>'
        f"<assignedPerson><name><given>{escape(person.given_name)}</given><family>{escape(person.family_name)}</family>"
        "<suffix>DR</suffix></name></assignedPerson><representedOrganization>"
        f'<id root="1.2.250.1.71.4.2.2" extension="1{place.finess}"/><name>{escape(place.name)}</name>'
        f'<telecom value="tel:0199000000" use="WP"/><addr nullFlavor="NAV"/>{industry}'
        f"</representedOrganization></{element}>"
    )


def _span(low: datetime, high: datetime) -> str:
    return f'<low value="{stamp(low)}"/><high value="{stamp(high)}"/>'


def _event(code: str, span: str, at: datetime, performer: str, templates: str = "") -> str:
    return (
        f"<documentationOf><serviceEvent>{code}<effectiveTime>{span}</effectiveTime>"
        f'<performer typeCode="PRF">{templates}<time><high value="{stamp(at)}"/></time>{performer}</performer>'
        "</serviceEvent></documentationOf>"
    )


def _encounter(head: str, span: str, place: _Place, responsible: str = "") -> str:
    code, label = place.facility
    return (
        f"<componentOf><encompassingEncounter>{head}<effectiveTime>{span}</effectiveTime>{responsible}"
        f"<location><healthCareFacility><code code={quoteattr(code)} displayName={quoteattr(label)} "
        'codeSystem="1.2.250.1.71.4.2.4"/></healthCareFacility></location></encompassingEncounter></componentOf>'
    )


def _chapter(report: Report, rank: int) -> str:
    panel, measures = report.panels[rank]
    code, label = _CHAPTERS.get(panel.section, _CHAPTERS["CH"])
    rows, results = [], []
    for row, measure in enumerate(measures):
        analysis = measure.analysis
        mark = f"r{rank}-{row}"
        bounds = " à ".join(bound for bound in (analysis.low, analysis.high) if bound)
        shown = f"{measure.text} {analysis.unit}".replace(".", ",")
        rows.append(
            f'<tr><td><content ID="{mark}">{escape(analysis.label)}</content></td><td>{escape(shown)}</td>'
            f"<td>{escape(bounds.replace('.', ','))}</td></tr>"
        )
        unit = quoteattr(_UCUM.get(analysis.unit, analysis.unit))
        if measure.comparator:
            value = f'<value xsi:type="IVL_PQ"><high value="{measure.number}" unit={unit} inclusive="false"/></value>'
        else:
            value = f'<value xsi:type="PQ" value="{measure.number}" unit={unit}/>'
        flag = (
            f'<interpretationCode code="{measure.flag}" displayName="{measure.flag}" codeSystem="{_INTERPRETATION}"/>'
            if measure.flag
            else ""
        )
        ends = "".join(
            f'<{name} value="{bound}" unit={unit}/>'
            for name, bound in (("low", analysis.low), ("high", analysis.high))
            if bound
        )
        usual = (
            '<referenceRange typeCode="REFV"><observationRange classCode="OBS" moodCode="EVN.CRT">'
            f'<value xsi:type="IVL_PQ">{ends}</value>'
            f'<interpretationCode code="N" displayName="Normal" codeSystem="{_INTERPRETATION}"/>'
            "</observationRange></referenceRange>"
            if ends
            else ""
        )
        results.append(
            '<component><observation classCode="OBS" moodCode="EVN">'
            '<templateId root="1.3.6.1.4.1.19376.1.3.1.6"/><templateId root="1.2.250.1.213.1.1.3.80"/>'
            f"<code code={quoteattr(analysis.loinc)} displayName={quoteattr(analysis.label)} {_LOINC}>"
            f'<originalText><reference value="#{mark}"/></originalText>'
            f"<translation code={quoteattr(analysis.code)} displayName={quoteattr(analysis.label)} "
            f'codeSystem="{LABORATORY_OID}.2"/></code><statusCode code="completed"/>'
            f'<effectiveTime value="{stamp(report.collected_at)}"/>{value}{flag}{usual}</observation></component>'
        )
    specimen = (
        '<entryRelationship typeCode="COMP"><procedure classCode="PROC" moodCode="EVN">'
        '<templateId root="1.3.6.1.4.1.19376.1.3.1.2"/><templateId root="1.2.250.1.213.1.1.3.77"/>'
        f'<effectiveTime><high value="{stamp(report.collected_at)}"/></effectiveTime>'
        '<participant typeCode="PRD"><participantRole classCode="SPEC">'
        f'<id root="{LABORATORY_OID}.3" extension={quoteattr(f"{report.report_id}-{rank + 1}")}/>'
        '<playingEntity><code code="BLD" displayName="Sang total" codeSystem="2.16.840.1.113883.18.311"/>'
        "</playingEntity></participantRole></participant></procedure></entryRelationship>"
    )
    head = f"<code code={quoteattr(code)} displayName={quoteattr(label)} {_LOINC}/>"
    return (
        "<component><section>"
        '<templateId root="1.3.6.1.4.1.19376.1.3.3.2.1"/><templateId root="1.2.250.1.213.1.1.2.70"/>'
        f"{head}<title>{escape(panel.title)}</title><text><table><thead><tr><th>Examen</th><th>Résultat</th>"
        f"<th>Référence</th></tr></thead><tbody>{''.join(rows)}</tbody></table></text>"
        '<entry typeCode="DRIV"><templateId root="1.3.6.1.4.1.19376.1.3.1"/>'
        f'<templateId root="1.2.250.1.213.1.1.3.21"/><act classCode="ACT" moodCode="EVN">{head}'
        f'<statusCode code="completed"/>{specimen}<entryRelationship typeCode="COMP">'
        '<organizer classCode="BATTERY" moodCode="EVN"><templateId root="1.3.6.1.4.1.19376.1.3.1.4"/>'
        '<templateId root="1.2.250.1.213.1.1.3.78"/><statusCode code="completed"/>'
        f"{''.join(results)}</organizer></entryRelationship></act></entry></section></component>"
    )


def _copy(report: Report) -> str:
    lines = [f"{one.analysis.label} : {one.text} {one.analysis.unit}" for one in report.measures]
    data = base64.b64encode(pdf("Compte rendu d'examens biologiques", lines)).decode()
    first, second = (uuid5(_NAMESPACE, f"{report.report_id}/{part}") for part in ("copy", "cluster"))
    third = uuid5(_NAMESPACE, f"{report.report_id}/kind")
    return (
        f'<component><section><templateId root="1.2.250.1.213.1.1.2.243"/><id root="{first}"/>'
        f'<code code="55108-5" displayName="Copie du document" {_LOINC}/><title>Copie du document</title>'
        '<text><table><tbody><tr><td><content ID="copy">Copie PDF</content></td>'
        '<td><renderMultiMedia referencedObject="pdf-1"/></td></tr></tbody></table></text>'
        '<entry><organizer classCode="CLUSTER" moodCode="EVN"><templateId root="1.2.250.1.213.1.1.3.18"/>'
        f'<id root="{second}"/><code code="55107-7" displayName="Document attaché" {_LOINC}/>'
        '<statusCode code="completed"/><component><observation classCode="OBS" moodCode="EVN">'
        '<templateId root="1.3.6.1.4.1.19376.1.5.3.1.4.13"/><templateId root="1.2.250.1.213.1.1.3.48"/>'
        f'<templateId root="1.2.250.1.213.1.1.3.48.18"/><id root="{third}"/>'
        f'<code code="69764-9" displayName="Type de document" {_LOINC}/><text><reference value="#copy"/></text>'
        '<statusCode code="completed"/><effectiveTime nullFlavor="NA"/>'
        f'<value xsi:type="CD" code="55108-5" displayName="Copie du document" {_LOINC}/></observation></component>'
        '<component><observationMedia classCode="OBS" moodCode="EVN" ID="pdf-1">'
        f'<value mediaType="application/pdf" representation="B64">{data}</value></observationMedia></component>'
        "</organizer></entry></section></component>"
    )
