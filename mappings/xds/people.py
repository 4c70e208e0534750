"""People in XDS metadata: whose document it is, and who made it."""

from __future__ import annotations

from mappings.xds import datatypes, vocabulary
from mappings.xds.model import Author, Code
from schemas.actors import Organization, Professional
from schemas.coding import Coding
from schemas.document import Document
from schemas.identity import PatientIdentity

_LOCAL_TYPES = ("PI", "IPP", "PT")


def patient_id(patient: PatientIdentity) -> str | None:
    """Write the patientId: the INS, else a local identifier; None when the patient has neither."""
    return datatypes.write_ins(patient.ins) if patient.ins is not None else _local_id(patient)


def source_patient_id(patient: PatientIdentity) -> str | None:
    """Write the sourcePatientId: the local identifier, else the INS."""
    return _local_id(patient) or (datatypes.write_ins(patient.ins) if patient.ins is not None else None)


def _local_id(patient: PatientIdentity) -> str | None:
    ranked = [one for kind in _LOCAL_TYPES for one in patient.identifiers if one.type == kind and one.system]
    ranked += [one for one in patient.identifiers if one.type is None and one.system]
    return datatypes.write_identifier(ranked[0]) if ranked else None


def source_patient_info(patient: PatientIdentity) -> tuple[str, ...]:
    """Write the traits: legal name (`L`), name in use (`D`), birth date and sex."""
    legal = (patient.birth_name, patient.first_given_name or next(iter(patient.birth_given_names), None))
    used = (patient.used_name or patient.family_name, patient.used_given_name or patient.given_name)
    values = [f"PID-5|{name}" for name in (_name(*legal, "L"), _name(*used, "D")) if name]
    if patient.birth_date:
        values.append(f"PID-7|{patient.birth_date.replace('-', '')}")
    if patient.sex is not None:
        values.append(f"PID-8|{patient.sex.value}")
    return tuple(values)


def _name(family: str | None, given: str | None, kind: str) -> str | None:
    if not (family or given):
        return None
    return f"{datatypes.escape(family or '')}^{datatypes.escape(given or '')}^^^^^{kind}"


# --- authors


def document_authors(document: Document) -> tuple[Author, ...]:
    """Write the authors of a document, each with the organisation for which it acts."""
    first = _author(document.author, document.author_organization, document.author_role)
    others = (_author(one, None, None) for one in document.other_authors)
    return tuple(author for author in (first, *others) if author is not None)


def _author(person: Professional | None, place: Organization | None, role: Coding | None) -> Author | None:
    place = place or (person.organization if person else None)
    institution = datatypes.write_xon(place) if place else None
    specialty = vocabulary.code_of(person.specialty) if person and person.specialty else None
    author = Author(
        person=write_person(person),
        institutions=(institution,) if institution else (),
        roles=(datatypes.escape(role.display or role.code),) if role else (),
        specialties=(_specialty(specialty),) if specialty else (),
    )
    return author if author != Author() else None


def _specialty(code: Code) -> str:
    return "^".join(datatypes.escape(part) for part in (code.code, code.label or "", code.scheme))


def write_person(person: Professional | None) -> str | None:
    """Write a professional as an XCN; None where there is none."""
    return datatypes.write_xcn(person) if person is not None else None
