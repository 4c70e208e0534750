from __future__ import annotations

import random

import pytest
from hprim_files import SANTE_HEADER, SANTE_ORDER, SANTE_PATIENT, oru, sante
from hypothesis import given, settings, strategies as st

from mappings.contracts import FormatError, ReadContext, Reading
from mappings.hprim_sante import FORMAT
from mappings.hprim_sante.syntax import Delimiters, tokenize
from mappings.lab_status import observations_of
from mappings.notes import Notes
from schemas.finding import Severity
from schemas.identity import IdentityStatus
from schemas.item import IdentityItem, LabReportItem, StayItem
from schemas.lab import (
    CodedValue,
    DateTimeValue,
    LabReport,
    Observation,
    QuantityValue,
    RangeValue,
    Reference,
    ResultStatus,
    TextValue,
)
from schemas.stay import StayStatus

HB = "OBX|1|NM|HB~Hémoglobine~L||11.8|g/dL|12.0 - 16.0|L|||F"


def read(content: bytes, **context: object) -> Reading:
    return FORMAT.read(content, ReadContext(**context))  # type: ignore[arg-type]  # keyword by keyword from tests


def report_of(content: bytes) -> LabReport:
    (item,) = read(content).items
    assert isinstance(item, LabReportItem)
    return item.content


def results(*segments: str) -> list[Observation]:
    return list(observations_of(report_of(oru(*segments)).chapters))


def codes(reading: Reading) -> set[str]:
    return {finding.code for finding in reading.findings}


@pytest.mark.parametrize("end", [b"\r", b"\r\n", b"\n", b"\n\r", b"\r\x00\x0b", b"\r\n\r\n"])
def test_line_ends_and_controls_after_them(end: bytes) -> None:
    content = oru(HB).replace(b"\r", end)
    assert len(list(observations_of(report_of(content).chapters))) == 1


@pytest.mark.parametrize("lead", [b"\xef\xbb\xbf", b"  \t", b"\r\n \r\n", b"Objet : resultats\r\n"])
def test_what_stands_before_the_header_is_skipped(lead: bytes) -> None:
    content = lead + oru(HB)
    assert len(read(content).items) == 1
    assert FORMAT.sniff(content) >= 0.6


def test_a_continuation_is_appended_as_it_is() -> None:
    (one,) = results("OBX|1|TX|CCL~Concl", "A|usion~L||Première lig", "A|ne^Seco", "A|nde||", "A|||||F")
    assert (one.label, one.value) == ("Conclusion", TextValue(text="Première ligne\nSeconde"))
    assert one.status is ResultStatus.FINAL


def test_segments_that_begin_with_a_are_no_continuations() -> None:
    reading = read(
        sante(SANTE_PATIENT, "AP|1|AS|||279039999999971", "AC|1|MUT~X", header=SANTE_HEADER.replace("ORU", "ADM"))
    )
    assert "SB" in {one.type for one in reading.items[0].patient.identifiers}


@pytest.mark.parametrize(
    ("marks", "expected"),
    [(r"|~^\&", r"|~^\&"), (r"|^~\&", r"|^~\&"), (r"|\^&~", r"|\^&~"), ("|^~&", "|^~\\&"), ("#*%$!", "#*%$!")],
)
def test_delimiters_have_their_meaning_by_position(marks: str, expected: str) -> None:
    field, component = marks[0], marks[1]
    text = f"H{marks}{field}X.HPR{field}{field}A{component}B\r"
    (message,) = tokenize(text, Notes())
    assert message.delimiters.all == expected
    assert message.header.components(4, 2) == ["A", "B"]


@pytest.mark.parametrize("marks", ["|~", "|~~\\&", "||~^\\&", "|ab\\&"])
def test_delimiters_that_cannot_be_told_apart_are_refused(marks: str) -> None:
    with pytest.raises(FormatError) as refusal:
        read(f"H{marks}|X.HPR||A~B||ORU\r".encode())
    assert refusal.value.code.startswith("hprim.delimiters")


@pytest.mark.parametrize(
    ("raw", "plain"),
    [
        (r"a\F\b\S\c\R\d\T\e\E\f", r"a|b~c^d&e\f"),
        (r"a\X0D0A\b", "a\nb"),
        (r"a\|b\~c", "a|b~c"),
        (r"mg\L", r"mg\L"),
        ("fin\\", "fin\\"),
        (r"\\", "\\"),
    ],
)
def test_both_manners_of_escape(raw: str, plain: str) -> None:
    assert Delimiters().plain(raw) == plain


def test_an_escaped_separator_does_not_cut() -> None:
    (one,) = results(r"OBX|1|ST|X~Rapport \~ L~L||a\|b\F\c||||||F")
    assert (one.label, one.value) == ("Rapport ~ L", TextValue(text="a|b|c"))


@pytest.mark.parametrize(
    ("segment", "value"),
    [
        ("OBX|1|NM|X~X~L||< 0,12|mg/L", QuantityValue(number="0.12", comparator="<", text="< 0,12")),
        ("OBX|1|NM|X~X~L||0.12|mg/L||<", QuantityValue(number="0.12", comparator="<", text="0.12")),
        ("OBX|1|NM|X~X~L||301 000|/mm3", QuantityValue(number="301000", text="301 000")),
        ("OBX|1|NM|X~X~L||onze|/mm3", TextValue(text="onze")),
        ("OBX|1|ST|X~X~L||4.51|T/L", QuantityValue(number="4.51", text="4.51")),
        ("OBX|1|ST|X~X~L||4512", TextValue(text="4512")),
        ("OBX|1|ST|X~X~L||3-5|/champ", RangeValue(low="3", high="5", text="3-5")),
        ("OBX|1|ST|X~X~L||a^b", TextValue(text="a\nb")),
        ("OBX|1|TX|X~X~L||a^^b", TextValue(text="a\n\nb")),
        ("OBX|1|TX|X~X~L||a~b", TextValue(text="a\nb")),
        ("OBX|1|DT|X~X~L||20240605", DateTimeValue(at="2024-06-05", text="20240605")),
        ("OBX|1|DT|X~X~L||hier", TextValue(text="hier")),
        ("OBX|1|CNA|X~X~L||1~TEST&Rose", TextValue(text="1 TEST Rose")),
        ("OBX|1||X~X~L||12|g/L", QuantityValue(number="12", text="12")),
        ("OBX|1|NM|X~X~L||.|g/L", None),
        ("OBX|1|CE|X~X~L||", None),
    ],
)
def test_values_by_type_and_content(segment: str, value: object) -> None:
    (one,) = results(segment)
    assert one.value == value


def test_a_coded_value_keeps_all_its_codes() -> None:
    (one,) = results("OBX|1|CE|X~X~L||ECOLI~E. coli~L~112283007~Escherichia coli~SCT^AUTRE~Autre~NABM")
    assert isinstance(one.value, CodedValue)
    assert [(code.system, code.code) for code in one.value.codes] == [
        ("local", "ECOLI"),
        ("http://snomed.info/sct", "112283007"),
        ("urn:x-code-system:NABM", "AUTRE"),
    ]
    assert one.value.text == "E. coli"


@pytest.mark.parametrize("system", ["LN", "loinc", "2.16.840.1.113883.6.1"])
def test_loinc_by_its_names(system: str) -> None:
    (one,) = results(f"OBX|1|NM|718-7~Hémoglobine~{system}||11.8|g/dL")
    assert one.codes[0].system == "http://loinc.org"


def test_comments_at_every_level() -> None:
    content = sante(
        SANTE_PATIENT, "C|1|L|à jeun", SANTE_ORDER, "C|1|L|commande^suite", HB, "C|1|L|résultat", "C|2|L|encore"
    )
    report = report_of(content)
    assert report.comment == "à jeun\ncommande\nsuite"
    (one,) = observations_of(report.chapters)
    assert one.comment == "résultat\nencore"


def test_a_comment_nobody_expects_is_unread() -> None:
    reading = read(oru(HB, end="L|1||1|4\rC|1|L|trop tard"))
    assert ("C[1]-3", "trop tard") in {(one.where, one.text) for one in reading.unread}


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


def lab(reading: Reading) -> list[LabReportItem]:
    return [item for item in reading.items if isinstance(item, LabReportItem)]


def test_the_same_patient_sent_twice_is_one() -> None:
    reading = read(sante(SANTE_PATIENT, SANTE_ORDER, HB, SANTE_PATIENT, SANTE_ORDER.replace("OBR|1", "OBR|2"), HB))
    (item,) = lab(reading)
    assert len(list(observations_of(item.content.chapters))) == 2


def test_several_messages_in_one_file() -> None:
    other = oru(HB).replace(b"|~^\\&", b"|%~\\&").replace(b"FICTIF~", b"").replace(b"~", b"%").replace(b"|%%", b"|%~")
    reading = read(oru(HB) + other)
    assert len(reading.items) == 2
    assert "hprim.file.several_messages" in codes(reading)


def test_a_second_message_that_cannot_be_read_does_not_lose_the_first() -> None:
    reading = read(oru(HB) + b"H|~~\\&|X.HPR\r")
    assert len(reading.items) == 1
    assert "hprim.delimiters.ambiguous" in codes(reading)


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


def test_a_file_cut_in_a_segment_loses_that_segment_only_and_says_so() -> None:
    whole = oru(HB, HB.replace("OBX|1", "OBX|2").replace("HB~", "PLQ~"), end="")
    reading = read(whole[: whole.rindex(b"11.8") + 2])
    (item,) = lab(reading)
    assert [one.codes[0].code for one in observations_of(item.content.chapters)] == ["HB"]
    assert "hprim.file.cut" in codes(reading)
    assert [one.where for one in reading.unread if one.where.startswith("OBX")] == ["OBX[2]"]


def test_a_result_without_its_order_is_kept_and_said() -> None:
    reading = read(sante(SANTE_PATIENT, HB))
    assert len(lab(reading)) == 1
    assert "hprim.segment.orphan" in codes(reading)


def test_an_end_that_counts_more_than_there_is() -> None:
    assert "hprim.trailer.count" in codes(read(oru(HB, end="L|1||2|4")))
    assert "hprim.trailer.count" in codes(read(oru(HB, end="L|1||1|9")))
    assert "hprim.trailer.count" not in codes(read(oru(HB, end="L|1||1|4")))


def test_unknown_segments_are_unread() -> None:
    reading = read(oru(HB, "ZZZ|1|x"))
    assert "hprim.segment.unknown" in codes(reading)
    assert ("line 5", "ZZZ|1|x") in {(one.where, one.text) for one in reading.unread}


@pytest.mark.parametrize("content", [b"", b"\r\n", b"\x1a", b"\xef\xbb\xbf"])
def test_an_empty_file_is_refused(content: bytes) -> None:
    with pytest.raises(FormatError) as refusal:
        read(content)
    assert refusal.value.code == "hprim.file.empty"


def test_what_is_not_hprim_is_refused() -> None:
    for content in (b"MSH|^~\\&|A", b"Bonjour", b"Hello world"):
        with pytest.raises(FormatError) as refusal:
            read(content)
        assert refusal.value.code == "hprim.header.missing"
        assert FORMAT.sniff(content) == 0.0


def test_many_continuations_are_joined_in_linear_time() -> None:
    report = report_of(oru("OBX|1|TX|X~X~L||début", *["A|" + "x" * 200] * 20_000, "A|||||||F"))
    (one,) = observations_of(report.chapters)
    assert isinstance(one.value, TextValue)
    assert len(one.value.text) == 5 + 200 * 20_000


def test_a_finess_number_is_an_authority_of_its_own_kind() -> None:
    (item,) = read(oru(HB, header=SANTE_HEADER.replace("CHFIC~", "990000002~"))).items
    assert item.patient.identifiers[0].system == "urn:x-finess:990000002"


def test_positions_point_at_the_values() -> None:
    content = oru(HB, r"OBX|2|CE|ABO~Groupe~L||A~Groupe A~L^B~B", "A|ombay~L")
    spans = {one.where: content[one.start : one.end].decode("cp1252") for one in FORMAT.positions(content)}
    assert spans["OBX[1]-5"] == "11.8"
    assert spans["OBX[1]-3.2"] == "Hémoglobine"
    assert spans["OBX[2]-5(1).2"] == "Groupe A"
    assert spans["OBX[2]-5(2).2"] == "B\rA|ombay"
    assert spans["P[1]-5.1"] == "TESTROSE"


def test_pieces_have_official_names_and_meanings() -> None:
    segments = {piece.where: piece for piece in FORMAT.pieces(oru(HB))}
    fields = {piece.where: piece for piece in segments["OBX[1]"].children}
    assert fields["OBX[1]-11"].name == "Statut du résultat / Result status"
    assert fields["OBX[1]-11"].text == "F · validé biologiquement"
    assert [child.text for child in fields["OBX[1]-3"].children] == ["HB", "Hémoglobine", "L"]


SEED = oru(
    HB,
    "C|1|L|contrôlé",
    "OBX|2|TX|CCL~Conclusion~L||Première^Seconde||||||F||||BIOCH~20~X~1~1~P",
    "OBX|3|FIC|CR~CR~L||LABFIC~CR.PDF~PDF",
    "A||||||F",
)


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 12))
def test_no_mutation_raises_anything_but_a_refusal(seed: int, changes: int) -> None:
    chance = random.Random(seed)
    content = bytearray(SEED)
    for _ in range(changes):
        at = chance.randrange(len(content) or 1)
        match chance.randrange(5):
            case 0:
                del content[at : at + chance.randrange(1, 40)]
            case 1:
                content[at:at] = chance.choice(
                    [b"|", b"\r", b"~", b"^", b"\\", b"\0", b"\rA|", b"\rP|", b"\rOBR|", b"\xc3", b"&"]
                )
            case 2:
                content[at : at + 1] = bytes([chance.randrange(256)])
            case 3:
                del content[at:]
            case _:
                content += content[at : at + 200]
    try:
        reading = FORMAT.read(bytes(content), ReadContext())
    except FormatError:
        reading = None
    assert reading is None or reading.message_type is not None or reading.findings
    FORMAT.positions(bytes(content))
    FORMAT.pieces(bytes(content))
    assert 0 <= FORMAT.sniff(bytes(content)) <= 1
