"""Reports, identities, stays and answers that HPRIM Santé makes: their numbers, status, patients, INS."""

from __future__ import annotations

import pytest
from hprim_files import SANTE_HEADER, SANTE_ORDER, SANTE_PATIENT, oru, sante
from hprim_sante_readings import HB, codes, lab, read, report_of, results

from mappings.contracts import Reading
from mappings.hprim_sante import FORMAT
from mappings.lab_status import observations_of
from schemas.finding import Severity
from schemas.identity import IdentityStatus
from schemas.item import IdentityItem, StayItem
from schemas.lab import (
    QuantityValue,
    Reference,
    ResultStatus,
)
from schemas.stay import StayStatus


def test_several_orders_of_one_report_are_one_report() -> None:
    report = report_of(
        sante(
            SANTE_PATIENT,
            "OBR|1|EC1~DEM1|LA1~FICT1|NFS~NFS~L|||202406050815||||||||SG&Sang&L||||||||||F",
            "OBX|1|NM|HB~Hb~L||11.8|g/dL|||||F||||HEMATO~10~NFS~1~1",
            "OBR|2|EC2~DEM1|LA2~FICT1|ECBU~ECBU~L|||202406050900||||||||UR&Urines&L||||||||||M",
            "OBX|1|ST|ASP~Aspect~L||Limpide||||||F||||BACT~20~ECBU~1~1",
        )
    )
    assert [chapter.title for chapter in report.chapters] == ["HEMATO", "BACT"]
    assert [one.type.code if one.type else None for one in report.specimens] == ["SG", "UR"]
    assert [one.specimen for one in observations_of(report.chapters)] == ["1", "2"]
    assert report.status is ResultStatus.PARTIAL
    assert report.collected_at == "2024-06-05T08:15+02:00"


def test_several_reports_and_several_patients() -> None:
    second = SANTE_PATIENT.replace("IPP1", "IPP2").replace("P|1", "P|2")
    reading = read(
        sante(SANTE_PATIENT, SANTE_ORDER, HB, SANTE_ORDER.replace("FICT1", "FICT2"), HB, second, SANTE_ORDER, HB)
    )
    assert [(item.patient.identifiers[0].value, item.content.report_id) for item in lab(reading)] == [
        ("IPP1", "FICT1"),
        ("IPP1", "FICT2"),
        ("IPP2", "FICT1"),
    ]
    assert len({item.id for item in reading.items}) == 3


def test_the_same_patient_sent_twice_is_one() -> None:
    reading = read(sante(SANTE_PATIENT, SANTE_ORDER, HB, SANTE_PATIENT, SANTE_ORDER.replace("OBR|1", "OBR|2"), HB))
    (item,) = lab(reading)
    assert len(list(observations_of(item.content.chapters))) == 2


@pytest.mark.parametrize(
    ("order", "report_id"), [("OBR|1|~DEM1|EC~FICT1", "FICT1"), ("OBR|1|~DEM1|EC1", "EC1"), ("OBR|1|~DEM1", "DEM1")]
)
def test_the_identity_of_a_report(order: str, report_id: str) -> None:
    assert report_of(oru(HB, order=order)).report_id == report_id


def test_a_report_that_nothing_names_is_said() -> None:
    reading = read(oru(HB, order="OBR|1"))
    assert "hprim.report.no_identity" in codes(reading)


@pytest.mark.parametrize(
    ("letter", "results_letter", "status"),
    [
        ("F", "F", "final"),
        ("F", "P", "partial"),
        ("M", "F", "partial"),
        ("I", "I", "registered"),
        ("C", "C", "corrected"),
        ("X", "X", "cancelled"),
        ("Q", "F", "unknown"),
        ("", "F", "unknown"),
        ("", "P", "preliminary"),
    ],
)
def test_the_status_of_a_report_is_never_made_final(letter: str, results_letter: str, status: str) -> None:
    order = SANTE_ORDER.removesuffix("F") + letter
    assert report_of(oru(HB.removesuffix("F") + results_letter, order=order)).status == status


def test_the_issue_date_has_its_fallbacks() -> None:
    late = HB + "|||202406051300"
    assert report_of(oru(late)).issued_at == "2024-06-05T13:00+02:00"
    assert report_of(oru(HB)).issued_at == "2024-06-05T18:30:00+02:00"


def test_ranks_order_what_the_file_does_not() -> None:
    report = report_of(
        oru(
            "OBX|1|NM|K~K~L||4|mmol/L|||||||||BIOCH~20~K~2~1",
            "OBX|2|NM|NA~Na~L||140|mmol/L|||||||||BIOCH~20~NA~1~1",
            "OBX|3|NM|HB~Hb~L||12|g/dL|||||||||10~HEMATO~HB~1~1",
        )
    )
    assert [one.codes[0].code for one in observations_of(report.chapters)] == ["HB", "NA", "K"]
    assert report.chapters[0].title == "HEMATO"


def test_a_second_unit_becomes_a_second_result() -> None:
    (one,) = results("OBX|1|NM|GLY~Glycémie~L||5.3|mmol/L|||||F", "OBX|2|NM|GLY~Glycémie~L|2|0.96|g/L|0.74-1.06|N|||F")
    assert one.second is not None
    assert one.second.value == QuantityValue(number="0.96", text="0.96")
    assert one.second.reference == Reference(low="0.74", high="1.06", text="0.74-1.06")
    assert (one.flags, one.second.flags) == ((), ("N",))


@pytest.mark.parametrize(
    "second",
    [
        "OBX|2|NM|GLY~Glycémie~L|2|5.9|mmol/L|||||F",
        "OBX|2|NM|GLY~Glycémie~L|2|0.96|g/L|||||P",
        "OBX|2|NM|GLY~Glycémie~L|T120|0.96|g/L|||||F",
        "OBX|2|NM|GLY2~Glycémie~L|2|0.96|g/L|||||F",
    ],
)
def test_two_results_that_may_differ_stay_two(second: str) -> None:
    assert len(results("OBX|1|NM|GLY~Glycémie~L||5.3|mmol/L|||||F", second)) == 2


def test_a_withdrawn_file_is_not_taken() -> None:
    reading = read(oru(HB, "OBX|2|FIC|CR~Compte rendu~L||LABFIC~CR.PDF~PDF||||||D"), siblings={"CR.PDF": b"%PDF"})
    assert lab(reading)[0].content.attachments == ()
    assert "hprim.attachment.withdrawn" in codes(reading)


def test_two_files_that_differ_in_case_alone_are_none() -> None:
    reading = read(oru("OBX|1|FIC|CR~~L||X~cr.pdf~PDF"), siblings={"CR.PDF": b"1", "Cr.pdf": b"2"})
    assert lab(reading)[0].content.attachments[0].data is None


@pytest.mark.parametrize(
    ("version", "field", "usable"),
    [
        ("H2.5", "279039999999971~NIR~~~~1.2.250.1.213.1.4.10", True),
        ("H2.5", "279039999999901~NIR~~~~1.2.250.1.213.1.4.10", False),
        ("H2.5", "279039999999971~NIR", False),
        ("H2.5", "279039999999971~INS-C~~~~1.2.250.1.213.1.4.2", False),
        ("H2.4", "279039999999971~INS-A~20240101", False),
        ("H2.3", "279039999999971", False),
        ("H2.2", "279039999999971~NIR~~~~1.2.250.1.213.1.4.10", False),
    ],
)
def test_an_ins_only_where_the_version_may_assert_it(version: str, field: str, *, usable: bool) -> None:
    header = SANTE_HEADER.replace("H2.2", version)
    reading = read(sante(f"{SANTE_PATIENT}|||{field}", SANTE_ORDER, HB, header=header))
    assert (reading.items[0].patient.ins is not None) == usable
    assert ("hprim.ins.unusable" in codes(reading)) != usable


@pytest.mark.parametrize(
    ("code", "status"), [("QUAL", IdentityStatus.QUALIFIED), ("PROV", IdentityStatus.PROVISIONAL), ("?", None)]
)
def test_the_status_of_an_identity(code: str, status: IdentityStatus | None) -> None:
    patient = SANTE_PATIENT + "|" * 30 + code
    reading = read(sante(patient, SANTE_ORDER, HB, header=SANTE_HEADER.replace("H2.2", "H2.5")))
    assert reading.items[0].patient.status is status


def test_forbidden_fields_and_the_password_are_kept_nowhere() -> None:
    header = SANTE_HEADER.replace("HPR||LABFIC", "HPR|secret|LABFIC")
    content = sante(f"{SANTE_PATIENT}|origine", SANTE_ORDER, HB, header=header)
    reading = read(content)
    assert "hprim.patient.forbidden_field" in codes(reading)
    assert not {"origine", "secret"} & {one.text for one in reading.unread}
    shown = [piece.text for segment in FORMAT.pieces(content) for piece in segment.children]
    assert "secret" not in shown


def test_a_social_security_number_in_place_of_the_stay() -> None:
    patient = SANTE_PATIENT.replace("SEJ1", "279039999999971")
    reading = read(sante(patient, SANTE_ORDER, HB))
    assert lab(reading)[0].content.visit is None
    assert ("SB", "279039999999971") in {(one.type, one.value) for one in reading.items[0].patient.identifiers}


@pytest.mark.parametrize("context", ["ORM", "REG", "FAC", "ORA", "XYZ"])
def test_other_contexts_give_no_item(context: str) -> None:
    reading = read(oru(HB, header=SANTE_HEADER.replace("ORU", context)))
    assert reading.items == ()
    assert "hprim.context.unsupported" in codes(reading)
    assert "OBX[1]-5" in {one.where for one in reading.unread}


def adm(patient: str) -> Reading:
    return read(sante(patient, header=SANTE_HEADER.replace("ORU", "ADM")))


@pytest.mark.parametrize(
    ("fields", "event", "status"),
    [
        ("|" * 16 + "IP", "stay.started", StayStatus.IN_PROGRESS),
        ("|" * 16 + "PA", "stay.planned", StayStatus.PLANNED),
        ("|" * 15 + "202406010800^202406050800|IP", "stay.ended", StayStatus.FINISHED),
        ("|" * 15 + "202406010800^202407050800|IP", "stay.started", StayStatus.IN_PROGRESS),
        ("", "stay.started", StayStatus.UNKNOWN),
    ],
)
def test_admissions(fields: str, event: str, status: StayStatus) -> None:
    (item,) = adm(SANTE_PATIENT + fields).items
    assert isinstance(item, StayItem)
    assert (item.content.event, item.content.status) == (event, status)


@pytest.mark.parametrize(
    ("patient", "event"),
    [
        (SANTE_PATIENT.replace("SEJ1", ""), "patient.created"),
        (SANTE_PATIENT + "|" * 16 + "MP", "patient.updated"),
        (SANTE_PATIENT.replace("IPP1", "IPP1~IPP9~FU"), "patient.merged"),
    ],
)
def test_identities(patient: str, event: str) -> None:
    (item,) = adm(patient).items
    assert isinstance(item, IdentityItem)
    assert item.content.event == event


def test_a_modification_with_a_place_is_an_identity_and_a_stay() -> None:
    identity, stay = adm(SANTE_PATIENT + "|" * 16 + "MP|~~MED1").items
    assert isinstance(identity, IdentityItem)
    assert isinstance(stay, StayItem)
    assert stay.content.event == "stay.updated"


def test_a_second_number_without_fu_is_no_merge() -> None:
    reading = adm(SANTE_PATIENT.replace("IPP1", "IPP1~IPP9"))
    assert "hprim.patient.merge_unclear" in codes(reading)
    assert isinstance(reading.items[0], StayItem)


def test_an_admission_without_a_patient_is_an_error() -> None:
    reading = read(sante(header=SANTE_HEADER.replace("ORU", "ADM")))
    assert (reading.items, "hprim.patient.missing" in codes(reading)) == ((), True)


@pytest.mark.parametrize(
    ("severity", "code", "level"),
    [
        ("T", "hprim.answer.refused", Severity.ERROR),
        ("P", "hprim.answer.refused_in_part", Severity.ERROR),
        ("I", "hprim.answer.information", Severity.INFO),
        ("Z", "hprim.answer.unknown_severity", Severity.ERROR),
    ],
)
def test_answers(severity: str, code: str, level: Severity) -> None:
    header = SANTE_HEADER.replace("ORU", "ERR")
    reading = read(sante(f"ERR|1|FICT1.HPR||{severity}||OBX~1~HB|10.12|onze|21|Mme TESTROSE", header=header))
    found = {one.code: one for one in reading.findings}
    assert found[code].severity is level
    assert "OBX.11" in found[code].message
    assert "TESTROSE" not in "".join(one.message for one in reading.findings)
    assert ("hprim.answer.accepted" in found) == (severity == "I")


def test_a_result_without_its_order_is_kept_and_said() -> None:
    reading = read(sante(SANTE_PATIENT, HB))
    assert len(lab(reading)) == 1
    assert "hprim.segment.orphan" in codes(reading)


def test_a_finess_number_is_an_authority_of_its_own_kind() -> None:
    (item,) = read(oru(HB, header=SANTE_HEADER.replace("CHFIC~", "990000002~"))).items
    assert item.patient.identifiers[0].system == "urn:x-finess:990000002"
