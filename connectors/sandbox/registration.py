"""Files that register the sandbox's people as patients of the coordination dossier."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable

from connectors.sandbox.people import HOSPITAL_OID, INS_TEST_OID, Person

IMPORT_COLUMNS = (
    "ipp_authority",
    "ipp",
    "ins",
    "ins_oid",
    "birth_name",
    "birth_given_names",
    "used_name",
    "birth_date",
    "sex",
    "birth_place",
)
"""The header that `passerelle patients import` reads."""


def import_file(people: Iterable[Person], authority: str = f"urn:oid:{HOSPITAL_OID}", *, with_ins: bool = True) -> str:
    """Write the CSV that `passerelle patients import` reads, one line a person, with its header."""
    lines = io.StringIO()
    writer = csv.writer(lines, lineterminator="\n")
    writer.writerow(IMPORT_COLUMNS)
    for person in people:
        writer.writerow(
            (
                authority,
                person.ipp,
                person.matricule if with_ins else "",
                INS_TEST_OID if with_ins else "",
                person.birth_name,
                " ".join(person.birth_given_names),
                person.used_name or "",
                person.birth_date.isoformat(),
                person.sex,
                person.birth_place,
            )
        )
    return lines.getvalue()


def import_bundle(people: Iterable[Person], laboratory: str) -> dict[str, object]:
    """Make the FHIR Bundle (FR Core Patients) that `passerelle patients import` reads.

    Beside the INS and the IPP, each patient has the number given by `laboratory`, the URI of that authority.
    """
    entries = [{"resource": patient_resource(person, laboratory)} for person in people]
    return {"resourceType": "Bundle", "type": "collection", "entry": entries}


def patient_resource(person: Person, laboratory: str) -> dict[str, object]:
    """Make the FR Core Patient of a person whose identity is qualified."""
    core = "https://hl7.fr/ig/fhir/core"
    table_0203 = "http://terminology.hl7.org/CodeSystem/v2-0203"

    def identifier(use: str, table: str, code: str, system: str, value: str) -> dict[str, object]:
        return {"use": use, "type": {"coding": [{"system": table, "code": code}]}, "system": system, "value": value}

    official: dict[str, object] = {
        "use": "official",
        "family": person.birth_name,
        "given": [person.given_name],
        "extension": [
            {
                "url": f"{core}/StructureDefinition/fr-core-patient-birth-list-given-name",
                "valueString": " ".join(person.birth_given_names),
            }
        ],
    }
    usual = {"use": "usual", "family": person.daily_name, "given": [person.given_name], "prefix": [person.civility]}
    return {
        "resourceType": "Patient",
        "extension": [
            {
                "url": f"{core}/StructureDefinition/fr-core-identity-reliability",
                "extension": [
                    {
                        "url": "identityStatus",
                        "valueCoding": {
                            "system": f"{core}/CodeSystem/fr-core-cs-identity-status",
                            "code": "QUAL",
                        },
                    }
                ],
            },
            {
                "url": "http://hl7.org/fhir/StructureDefinition/patient-birthPlace",
                "valueAddress": {
                    "extension": [
                        {
                            "url": f"{core}/StructureDefinition/fr-core-address-insee-code",
                            "valueCoding": {"code": person.birth_place},
                        }
                    ]
                },
            },
        ],
        "identifier": [
            identifier(
                "official",
                f"{core}/CodeSystem/fr-core-cs-v2-0203",
                "INS-NIR",
                f"urn:oid:{INS_TEST_OID}",
                person.matricule,
            ),
            identifier("usual", table_0203, "PI", f"urn:oid:{HOSPITAL_OID}", person.ipp),
            identifier("secondary", table_0203, "PI", laboratory, person.laboratory_number),
        ],
        "name": [official, usual],
        "gender": "female" if person.sex == "F" else "male",
        "birthDate": person.birth_date.isoformat(),
    }
