"""Small CDA documents for the tests: fictitious people, a header in parts that a test may replace."""

from __future__ import annotations

import random
from collections.abc import Mapping

from mappings.cda import FORMAT
from mappings.contracts import ReadContext, Reading
from schemas.document import Document
from schemas.finding import Severity
from schemas.item import DocumentItem, LabReportItem
from schemas.lab import LabReport, Observation

INS = '<id root="1.2.250.1.213.1.4.10" extension="199017599999948"/>'
IPP = '<id root="1.2.3.4.5" extension="IPP-1"/>'
NAME = (
    '<name><family qualifier="BR">TESTROSE</family><given>MARIE JEANNE</given><given qualifier="BR">MARIE</given>'
    '<family qualifier="CL">FICTIVE</family><given qualifier="CL">MARIANNE</given></name>'
)
TRAITS = (
    '<administrativeGenderCode code="F" displayName="Féminin" codeSystem="2.16.840.1.113883.5.1"/>'
    '<birthTime value="19990101"/>'
    "<birthplace><place><addr><county>99999</county><city>VILLE-TEST</city></addr></place></birthplace>"
)
PATIENT = f'{INS}{IPP}<patient classCode="PSN">{NAME}{TRAITS}</patient>'
DOCTOR = (
    '<id root="1.2.250.1.71.4.2.1" extension="899900000001"/>'
    '<code code="G15_10/SM03" displayName="Biologiste" codeSystem="1.2.250.1.213.1.1.4.5"/>'
    "<assignedPerson><name><prefix>MME</prefix><given>TEST</given><family>BIOLOGISTE-FICTIF</family>"
    "<suffix>DR</suffix></name></assignedPerson>"
)
LABORATORY = (
    '<id root="1.2.250.1.71.4.2.2" extension="1990000001"/><name>LBM FICTIF</name>'
    '<telecom value="tel:0100000000" use="WP"/>'
)
HEADER = {
    "templates": '<templateId root="2.16.840.1.113883.2.8.2.1"/><templateId root="1.2.250.1.213.1.1.1.29"/>',
    "id": '<id root="1.2.3.9" extension="DOC-1"/>',
    "code": '<code code="11490-0" displayName="Lettre" codeSystem="2.16.840.1.113883.6.1"/>',
    "title": "<title>Lettre fictive</title>",
    "effectiveTime": '<effectiveTime value="20250310113000+0100"/>',
    "confidentiality": '<confidentialityCode code="N" displayName="Normal" codeSystem="2.16.840.1.113883.5.25"/>',
    "language": '<languageCode code="fr-FR"/>',
    "versions": '<setId root="1.2.3.8" extension="SET-1"/><versionNumber value="2"/>',
    "recordTarget": f"<recordTarget><patientRole>{PATIENT}</patientRole></recordTarget>",
    "author": (
        f'<author><time value="20250310113000+0100"/><assignedAuthor>{DOCTOR}'
        f"<representedOrganization>{LABORATORY}</representedOrganization></assignedAuthor></author>"
    ),
    "custodian": (
        "<custodian><assignedCustodian><representedCustodianOrganization>"
        f"{LABORATORY}</representedCustodianOrganization></assignedCustodian></custodian>"
    ),
    "others": "",
    "component": "<component><structuredBody/></component>",
}
CR_BIO = {
    "templates": '<templateId root="1.3.6.1.4.1.19376.1.3.3"/>',
    "code": '<code code="11502-2" displayName="CR de biologie" codeSystem="2.16.840.1.113883.6.1"/>',
}
NAMESPACES = (
    'xmlns="urn:hl7-org:v3" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" '
    'xmlns:lab="urn:oid:1.3.6.1.4.1.19376.1.3.2" xmlns:sdtc="urn:hl7-org:sdtc"'
)


def document(**parts: str) -> bytes:
    """Write a document whose header parts are replaced by those of the same name."""
    return f"<ClinicalDocument {NAMESPACES}>{''.join(_parts(parts))}</ClinicalDocument>".encode()


def _parts(parts: Mapping[str, str]) -> list[str]:
    unknown = parts.keys() - HEADER.keys()
    assert not unknown, unknown
    return [parts.get(name, usual) for name, usual in HEADER.items()]


def patient(inside: str) -> str:
    """Write a recordTarget around what a patientRole holds."""
    return f"<recordTarget><patientRole>{inside}</patientRole></recordTarget>"


def section(inside: str, text: str = "", title: str = "BIOCHIMIE", code: str = "18719-5") -> str:
    """Write a chapter of a CR-BIO: its narrative, then its entry's act around `inside`."""
    return (
        '<component><section><templateId root="1.2.250.1.213.1.1.2.70"/>'
        f'<code code="{code}" displayName="Biochimie" codeSystem="2.16.840.1.113883.6.1"/><title>{title}</title>'
        f'<text>{text}</text><entry typeCode="DRIV"><act classCode="ACT" moodCode="EVN">'
        f'<statusCode code="completed"/>{inside}</act></entry></section></component>'
    )


def relation(inside: str) -> str:
    """Write an entryRelationship of an act."""
    return f'<entryRelationship typeCode="COMP">{inside}</entryRelationship>'


def observation(inside: str, code: str = '<code code="14749-6" codeSystem="2.16.840.1.113883.6.1"/>') -> str:
    """Write a result that is completed."""
    return f'<observation classCode="OBS" moodCode="EVN">{code}<statusCode code="completed"/>{inside}</observation>'


def cr_bio(sections: str, **parts: str) -> bytes:
    """Write a CR-BIO around its sections."""
    body = f"<component><structuredBody>{sections}</structuredBody></component>"
    return document(**{**CR_BIO, "component": body, **parts})


def reading(content: bytes, context: ReadContext | None = None) -> Reading:
    """Read a document."""
    return FORMAT.read(content, context or ReadContext())


def codes(result: Reading) -> list[str]:
    """List the codes of the findings that are more than information."""
    return [finding.code for finding in result.findings if finding.severity is not Severity.INFO]


def unread(result: Reading) -> dict[str, str]:
    """Give what was left behind, by its place."""
    return {one.where: one.text for one in result.unread}


def read_document(content: bytes, context: ReadContext | None = None) -> Document:
    """Read a document and give its metadata."""
    item = reading(content, context).items[-1]
    assert isinstance(item, DocumentItem)
    return item.content


def report_of(result: Reading) -> LabReport:
    """Give the laboratory report of a reading."""
    item = result.items[0]
    assert isinstance(item, LabReportItem)
    return item.content


def result_of(value: str, text: str = "", after: str = "") -> Observation:
    """Read a CR-BIO of one result with this `value`, and give it."""
    content = cr_bio(section(relation(observation(value + after)), text))
    (chapter,) = report_of(reading(content)).chapters
    (only,) = chapter.observations
    return only


_WORDS = rb"""< > /> " &amp; &#0; &x; ]]> <!-- <a> </section> <value/> <originalText/> <translation/> #v - 99999999
nullFlavor="UNK" xsi:type="RTO" xsi:type="IVL_PQ" xsi:type="ED" representation="B64" value="1e999" code="x"
""".split()
TOKENS = (*_WORDS, b"\0", b"\xff", b"\xe2\x80\xa8", b" ", b' code="\xc3\xa9" ')


def mutated(content: bytes, chance: random.Random) -> bytes:
    """Change a content at a few places: a token put in, a stretch cut, doubled or moved, an attribute emptied."""
    for _ in range(chance.randint(1, 5)):
        at = chance.randrange(len(content))
        end = min(len(content), at + chance.choice((0, 1, 4, 30, 400)))
        match chance.randrange(5):
            case 0:
                content = content[:at] + chance.choice(TOKENS) + content[end:]
            case 1:
                content = content[:at] + content[end:]
            case 2:
                content = content[:end] + content[at:end] + content[end:]
            case 3:
                quote = content.find(b'="', at)
                close = content.find(b'"', quote + 2)
                if 0 <= quote < close:
                    content = content[: quote + 2] + chance.choice((b"", b"x", b"-1", b"#")) + content[close:]
            case _:
                start, stop = content.find(b"<", at), content.find(b">", at)
                if 0 <= start < stop and content[start + 1 : start + 2] not in b"/!?":
                    content = content[:start] + content[stop + 1 :]
        if not content:
            return b"<"
    return content
