from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hl7v2_messages import INS, PID, codes, reading, report
from hypothesis import HealthCheck, given, settings
from lab_strategies import clinical_view, lab_items

from mappings.contracts import Environment, ReadContext, Rendition, WriteContext
from mappings.hl7v2.reader import read
from mappings.hl7v2.writer import write
from schemas.actors import Address, Organization, Professional, Recipient
from schemas.attachment import Attachment
from schemas.coding import LOCAL, Coding, Identifier
from schemas.identity import IdentityAttribute, IdentityStatus, Ins, PatientIdentity
from schemas.item import LabReportItem, Provenance
from schemas.lab import (
    CodedValue,
    LabChapter,
    LabReport,
    Observation,
    ObservationValue,
    QuantityValue,
    RangeValue,
    Reference,
    ResultStatus,
    Specimen,
    TextValue,
    Unit,
)

CONTEXT = WriteContext(now=datetime(2026, 1, 5, 9, 15, tzinfo=UTC), identity="LAB-1")
EXTRAS = ("previous", "nested", "parent", "attachments", "text", "special")


def item_of(*found: Observation, patient: PatientIdentity | None = None, **report: object) -> LabReportItem:
    content = LabReport.model_validate(
        {"report_id": "F-1", "status": ResultStatus.FINAL, "chapters": (LabChapter(title="A", observations=found),)}
        | report
    )
    return LabReportItem(
        id="0" * 32,
        patient=patient or PatientIdentity(birth_name="FICTIVE"),
        sender=Organization(name="LABO-FICTIF"),
        source=Provenance(format="canonical", where="test"),
        content=content,
    )


def observed(value: ObservationValue | None, **others: object) -> Observation:
    return Observation.model_validate(
        {"codes": (Coding(system=LOCAL, code="X", display="X"),), "value": value, "status": ResultStatus.FINAL} | others
    )


def lines(rendition: Rendition, codec: str = "utf-8") -> list[str]:
    return rendition.content.decode(codec).split("\r")[:-1]


def line(rendition: Rendition, name: str) -> str:
    return next(text for text in lines(rendition) if text.startswith(name))


def said(rendition: Rendition) -> list[str]:
    return [finding.code for finding in rendition.findings]


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(lab_items(extras=EXTRAS))
def test_every_clinical_value_survives_the_journey(item: LabReportItem) -> None:
    rendition = write(item, CONTEXT)
    found = read(rendition.content, ReadContext())
    assert len(found.items) == 1
    assert clinical_view(report(found)) == clinical_view(item)
    assert found.items[0].patient == item.patient
    assert (codes(found), found.unread) == ([], ())


@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.too_slow])
@given(lab_items(extras=("previous",), without=("loinc",)))
def test_so_it_does_in_latin_9(item: LabReportItem) -> None:
    context = WriteContext(now=CONTEXT.now, identity="LAB-1", charset="iso-8859-15")
    found = read(write(item, context).content, ReadContext())
    assert found.charset in ("iso8859-15", "ascii")
    assert clinical_view(report(found)) == clinical_view(item)


def test_the_same_item_and_identity_give_the_same_bytes() -> None:
    item = item_of(observed(QuantityValue(number="5")))
    assert write(item, CONTEXT) == write(item, CONTEXT)


def test_message_is_written_to_the_letter() -> None:
    item = item_of(
        observed(
            QuantityValue(number="5.30", text="5,30"),
            unit=Unit(raw="mmol/L", ucum="mmol/L"),
            reference=Reference(low="4.1", high="5.9", text="4.1 - 5.9"),
            flags=("N",),
            effective_at="2026-01-05T08:30:00+01:00",
            comment="à jeun\nvérifié",
        ),
        observed(QuantityValue(number="20", comparator="<", text="< 20")),
        patient=PatientIdentity(
            ins=Ins(matricule="199017599999948", oid="1.2.250.1.213.1.4.10"),
            status=IdentityStatus.QUALIFIED,
            identifiers=(Identifier(system="urn:x-finess:990000001", value="IPP-1", type="PI", assigner="CH-FICTIF"),),
            birth_name="FICTIVE",
            birth_given_names=("ALEX", "ANDREA"),
            first_given_name="ALEX",
            birth_date="1990-01-12",
            birth_place="75056",
        ),
        collected_at="2026-01-05T08:30:00+01:00",
        order_id="D-1",
        order_authority="urn:x-authority:DPI",
    )
    rendition = write(item, CONTEXT)
    assert lines(rendition) == [
        "MSH|^~\\&|PASSERELLE|LABO-FICTIF|||20260105101500+0100||ORU^R01^ORU_R01|LAB-1|P|2.5|||||FRA|UNICODE UTF-8|FR",
        f"PID|1||IPP-1^^^CH-FICTIF&990000001&M^PI~{INS}||FICTIVE^ALEX^ALEX ANDREA^^^^L||19900112||||^^^^^^BDL^^75056"
        + "|" * 21
        + "VALI",
        "ORC|RE|D-1^DPI|F-1",
        "OBR|1|D-1^DPI|F-1|^A|||20260105083000+0100||||||||||||||||||F",
        "OBX|1|NM|X^X^L||5.30|mmol/L|4.1 - 5.9|N|||F|||20260105083000+0100",
        "NTE|1|L|à jeun\\.br\\vérifié",
        "OBX|2|SN|X^X^L||<^20||||||F",
    ]
    assert rendition.findings == ()
    assert (rendition.filename, rendition.media_type) == ("LAB-1.hl7", "application/hl7-v2")


def test_partner_options_and_environment_fill_the_header() -> None:
    options = {
        "sending_application": "PASSERELLE-2",
        "sending_facility": "SITE|1",
        "receiving_application": "DPI",
        "receiving_facility": "CH-FICTIF",
    }
    context = WriteContext(
        now=CONTEXT.now, identity="x/../y z", environment=Environment.TEST, charset="latin-1", options=options
    )
    rendition = write(item_of(observed(None)), context)
    assert lines(rendition)[0] == (
        "MSH|^~\\&|PASSERELLE-2|SITE\\F\\1|DPI|CH-FICTIF|20260105101500+0100||ORU^R01^ORU_R01|x/../y z|T|2.5"
        "|||||FRA|8859/1|FR"
    )
    assert rendition.filename == "x-..-y-z.hl7"


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("l’avis « » – …", "l'avis « » - ..."),
        ("5 µg/L et 5 μg/L", "5 µg/L et 5 µg/L"),
        ("≤ 3 → α", "<= 3 -> alpha"),
        ("Łukasz ﬁn", "Lukasz fin"),
        ("漢", "[U+6F22]"),
        ("＾|", "\\S\\\\F\\"),
    ],
)
def test_what_latin_9_lacks_is_spelled_and_never_a_question_mark(text: str, written: str) -> None:
    context = WriteContext(now=CONTEXT.now, identity="1", charset="iso-8859-15")
    rendition = write(item_of(observed(TextValue(text=text))), context)
    obx = next(one for one in lines(rendition, "iso-8859-15") if one.startswith("OBX"))
    assert obx.split("|")[5] == written
    assert "hl7v2.charset.transliterated" in said(rendition) or text == written


def test_control_characters_are_left_out_with_a_finding() -> None:
    rendition = write(item_of(observed(TextValue(text="a\x00b\x1cc\td"))), CONTEXT)
    assert line(rendition, "OBX").split("|")[5] == "abc\td"
    assert said(rendition) == ["hl7v2.write.control"]


@pytest.mark.parametrize(
    ("status", "attributes", "sent"),
    [
        (IdentityStatus.QUALIFIED, (), True),
        (IdentityStatus.QUALIFIED, (IdentityAttribute.HOMONYM,), True),
        (IdentityStatus.QUALIFIED, (IdentityAttribute.DOUBTFUL,), False),
        (IdentityStatus.VALIDATED, (), False),
        (IdentityStatus.RETRIEVED, (), False),
        (None, (), False),
    ],
)
def test_ins_leaves_only_under_a_qualified_identity(
    status: IdentityStatus | None, attributes: tuple[IdentityAttribute, ...], sent: bool
) -> None:
    ins = Ins(matricule="199017599999948", oid="1.2.250.1.213.1.4.10")
    patient = PatientIdentity(ins=ins, status=status, attributes=attributes, birth_name="FICTIVE")
    rendition = write(item_of(observed(None), patient=patient), CONTEXT)
    assert (ins.matricule.encode() in rendition.content) is sent
    assert ("hl7v2.write.ins" in said(rendition)) is not sent


def test_unusable_ins_never_leaves_as_an_ordinary_identifier() -> None:
    found = reading(PID.replace("VALI", "PROV"), "OBR|1||F-1|A^A^L", "OBX|1|NM|X^X^L||5||||||F")
    rendition = write(report(found), CONTEXT)
    assert b"199017599999948" not in rendition.content
    assert said(rendition) == ["hl7v2.write.ins"]


def back(item: LabReportItem) -> Observation:
    return report(read(write(item, CONTEXT).content, ReadContext())).content.chapters[0].observations[0]


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (QuantityValue(number="1E3"), "NM"),
        (TextValue(text='""'), "ST"),
        (TextValue(text="<5"), "ST"),
        (TextValue(text="a|b^c&d~e\\f"), "ST"),
        (TextValue(text="un\ndeux"), "FT"),
        (CodedValue(text="libre"), "CE"),
        (CodedValue(codes=(Coding(system=LOCAL, code="A", display="a"),), text="autrement"), "CWE"),
        (CodedValue(codes=tuple(Coding(system=LOCAL, code=c, display=c) for c in "ABC"), text="trois"), "CWE"),
    ],
)
def test_values_survive_one_by_one(value: ObservationValue, kind: str) -> None:
    item = item_of(observed(value))
    assert line(write(item, CONTEXT), "OBX").split("|")[2] == kind
    found = back(item).value
    if isinstance(value, QuantityValue):
        assert isinstance(found, QuantityValue)
        assert found.number == "1000"
    else:
        assert found == value


def test_text_that_looks_like_a_number_stays_a_text_beside_its_unit() -> None:
    item = item_of(observed(TextValue(text="12"), unit=Unit(raw="g/L", ucum="g/L")))
    assert back(item).value == TextValue(text="12")


@pytest.mark.parametrize(
    ("reference", "written"),
    [
        (Reference(low="12", high="16"), "12 - 16"),
        (Reference(low="12", high="16", text="12 à 16"), "12 à 16"),
        (Reference(low="12", high="16", text="Homme adulte"), "12 - 16 (Homme adulte)"),
        (Reference(low="12"), "> 12"),
        (Reference(high="16", text="femme"), "< 16 (femme)"),
        (Reference(text="négatif"), "négatif"),
    ],
)
def test_reference_bounds_are_written_so_that_they_are_read_back(reference: Reference, written: str) -> None:
    item = item_of(observed(QuantityValue(number="5"), reference=reference))
    assert line(write(item, CONTEXT), "OBX").split("|")[7] == written
    found = back(item).reference
    assert found is not None
    assert (found.low, found.high) == (reference.low, reference.high)


def test_ucum_code_that_our_table_would_not_find_travels_beside_the_unit() -> None:
    unit = Unit(raw="unités maison", ucum="[arb'U]")
    item = item_of(observed(QuantityValue(number="5"), unit=unit))
    assert line(write(item, CONTEXT), "OBX").split("|")[6] == "unités maison^unités maison^L^[arb'U]^[arb'U]^UCUM"
    assert back(item).unit == unit


@pytest.mark.parametrize("status", list(ResultStatus))
def test_every_status_of_a_result_is_written(status: ResultStatus) -> None:
    item = item_of(observed(QuantityValue(number="5"), status=status))
    found = back(item)
    expected = ResultStatus.PRELIMINARY if status is ResultStatus.PARTIAL else status
    assert found.status is expected
    if status in (ResultStatus.UNKNOWN, ResultStatus.PARTIAL):
        assert said(write(item, CONTEXT)) == ["hl7v2.write.status"]


def test_result_measured_in_several_specimens_says_what_is_lost() -> None:
    specimens = (Specimen(id="a", type=Coding(code="S")), Specimen(id="b", type=Coding(code="U")))
    item = item_of(
        observed(QuantityValue(number="5"), specimen="a"),
        observed(QuantityValue(number="6"), specimen="b"),
        specimens=specimens,
    )
    rendition = write(item, CONTEXT)
    assert said(rendition) == ["hl7v2.write.not_carried"]
    content = report(read(rendition.content, ReadContext())).content
    assert [one.type.code for one in content.specimens if one.type] == ["S", "U"]
    assert [one.specimen for one in content.chapters[0].observations] == [None, None]


def test_what_has_no_place_is_said() -> None:
    item = item_of(
        observed(RangeValue(low="3")),
        title="Titre",
        codes=(Coding(code="AUTRE"),),
        laboratory=Organization(name="L", address=Address(city="VILLE")),
        attachments=(Attachment(media_type="application/pdf", sha256="0" * 64),),
    ).model_copy(
        update={
            "recipients": (Recipient(organization=Organization(name="O")),),
            "author": Professional(family_name="A"),
        }
    )
    rendition = write(item, CONTEXT)
    assert sorted(said(rendition)) == [
        "hl7v2.write.no_bytes",
        *["hl7v2.write.not_carried"] * 5,
        "hl7v2.write.open_range",
    ]


def test_copies_prescriber_and_interpreter_are_written() -> None:
    person = Professional(
        identifiers=(Identifier(system="urn:oid:1.2.250.1.71.4.2.1", value="99700000017", type="RPPS"),),
        family_name="TESTEUR",
        given_name="Hélène",
        civility="Dr",
    )
    where = Organization(
        name="CH", identifiers=(Identifier(system="urn:oid:1.2.250.1.71.4.2.2", value="990000002", type="FINEG"),)
    )
    item = item_of(
        observed(None, validated_by=person),
        prescriber=person.model_copy(update={"organization": where}),
        validated_by=person,
        visit=Identifier(system="urn:x-finess:990000001", value="V-1", type="VN", assigner="CH"),
    ).model_copy(update={"recipients": (Recipient(professional=person, role="RCT"),)})
    rendition = write(item, CONTEXT)
    found = report(read(rendition.content, ReadContext()))
    assert found.content.prescriber == item.content.prescriber
    assert found.content.validated_by == person
    assert found.content.visit == item.content.visit
    assert found.recipients == item.recipients
    assert found.content.chapters[0].observations[0].validated_by == person
    assert rendition.findings == ()
    assert "99700000017^TESTEUR^Hélène^^^Dr^^^ASIP-SANTE-PS&1.2.250.1.71.4.2.1&ISO^^^^RPPS" in line(rendition, "OBR")


def test_nested_chapters_without_results_of_their_own_keep_their_place() -> None:
    inner = LabChapter(title="B", observations=(observed(QuantityValue(number="5")),))
    deepest = LabChapter(title="D", observations=(observed(QuantityValue(number="6")),))
    chapters = (
        LabChapter(chapters=(inner, LabChapter(title="C", chapters=(deepest,)))),
        LabChapter(title="E", observations=(observed(QuantityValue(number="7")),)),
    )
    content = report(read(write(item_of(chapters=chapters), CONTEXT).content, ReadContext())).content
    assert [chapter.title for chapter in content.chapters] == [None, "E"]
    assert [chapter.title for chapter in content.chapters[0].chapters] == ["B", "C"]
    assert [chapter.title for chapter in content.chapters[0].chapters[1].chapters] == ["D"]


def test_hl7apy_finds_the_same_fields_in_what_we_write() -> None:
    from hl7apy.consts import VALIDATION_LEVEL
    from hl7apy.parser import parse_message

    item = item_of(
        observed(QuantityValue(number="5.30"), unit=Unit(raw="mmol/L", ucum="mmol/L"), comment="note"),
        observed(CodedValue(codes=(Coding(system=LOCAL, code="A", display="a"),), text="a")),
        specimens=(Specimen(id="s", type=Coding(system=LOCAL, code="S", display="Sang")),),
        collected_at="2026-01-05T08:30:00+01:00",
    )
    content = write(item, CONTEXT).content.decode()
    parsed = parse_message(content, validation_level=VALIDATION_LEVEL.TOLERANT)
    assert parsed.name == "ORU_R01"
    assert parsed.to_er7().replace("\r\r", "\r").strip("\r").split("\r") == content.strip("\r").split("\r")
    group = parsed.oru_r01_patient_result.oru_r01_order_observation
    assert [one.obx.obx_3.value for one in group.oru_r01_observation] == ["X^X^L", "X^X^L"]
    assert group.oru_r01_observation[0].nte.nte_3.value == "note"
    assert group.obr.obr_7.value == "20260105083000+0100"
