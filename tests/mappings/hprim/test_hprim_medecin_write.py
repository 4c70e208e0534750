from __future__ import annotations

import base64
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hprim_files import medecin
from hypothesis import given, settings
from lab_strategies import clinical_view, lab_items, reference_view, value_view

from mappings.contracts import FormatError, ReadContext, WriteContext, WriteRefused
from mappings.hprim_medecin import FORMAT
from mappings.hprim_sante import FORMAT as SANTE
from mappings.lab_status import observations_of
from schemas.actors import Organization, Professional, Recipient
from schemas.attachment import Attachment
from schemas.coding import LOCAL, LOINC, Coding, Identifier
from schemas.document import Document
from schemas.identity import Ins, PatientIdentity, Sex
from schemas.identity_event import IdentityEvent
from schemas.item import DocumentItem, IdentityItem, LabReportItem, Provenance
from schemas.lab import (
    CodedValue,
    LabChapter,
    LabReport,
    Observation,
    QuantityValue,
    Reference,
    ResultStatus,
    SecondResult,
    Specimen,
    TextValue,
    Unit,
)

CONTEXT = WriteContext(now=datetime(2026, 3, 5, 9, 0, tzinfo=UTC), identity="essai-1")
WITHOUT_VALUE = {ResultStatus.CANCELLED, ResultStatus.REGISTERED, ResultStatus.ENTERED_IN_ERROR}
PATIENT = PatientIdentity(
    identifiers=(Identifier(value="IPP1", type="PI"), Identifier(value="279039999999971", type="SB")),
    birth_name="TESTROSE",
    used_name="FICTIVE",
    first_given_name="MARIE",
    birth_date="1979-03-05",
)


def item(*observations: Observation, **report: object) -> LabReportItem:
    content = LabReport(
        report_id="FICT1",
        collected_at="2026-03-05T08:10:00+01:00",
        chapters=(LabChapter(title="BIOCHIMIE", observations=observations),),
        **report,  # type: ignore[arg-type]  # keyword by keyword from tests
    )
    laboratory = Organization(name="LABORATOIRE FICTIF", identifiers=(Identifier(value="LABFIC"),))
    doctor = Recipient(professional=Professional(family_name="TESTEUR", given_name="Camille"))
    return LabReportItem(
        id="0" * 32,
        patient=PATIENT,
        sender=laboratory,
        recipients=(doctor,),
        content=content,
        source=Provenance(format="canonical", where="test"),
    )


def again(original: LabReportItem) -> LabReportItem:
    (read,) = FORMAT.read(FORMAT.write(original, CONTEXT).content, ReadContext()).items
    assert isinstance(read, LabReportItem)
    return read


def lines(original: LabReportItem) -> list[str]:
    return FORMAT.write(original, CONTEXT).content.decode("cp1252").split("\r\n")


def records(original: LabReportItem) -> list[str]:
    return [line for line in lines(original) if line.startswith(("RES|", "TEX"))]


def kinds(original: LabReportItem) -> set[str]:
    return {one.where for one in FORMAT.write(original, CONTEXT).findings if one.code == "hprim.write.not_carried"}


def test_the_file_has_the_recommended_shape() -> None:
    potassium = Observation(
        label="Potassium",
        codes=(Coding(system=LOCAL, code="K"),),
        value=QuantityValue(number="3.10", text="3,10"),
        unit=Unit(raw="mmol/L"),
        reference=Reference(low="3.50", high="5.00"),
        flags=("L",),
        status=ResultStatus.FINAL,
        comment="contrôlé",
    )
    written = lines(item(potassium))
    assert written[:13] == [
        "IPP1",
        "FICTIVE",
        "MARIE",
        "",
        "",
        "",
        "05/03/1979",
        "2790399999999 71",
        "FICT1",
        "05/03/2026",
        "LABFIC     LABORATOIRE FICTIF",
        ".          TESTEUR Camille",
        "",
    ]
    assert written[-7:] == [
        "****LAB****",
        "TEX|                                 BIOCHIMIE",
        "RES|Potassium|K|N|3.10|mmol/L|3.50|5.00|L|F",
        "TEX|  contrôlé",
        "****FIN****",
        "****FINFICHIER****",
        "",
    ]
    assert " Potassium                              3.10 L  mmol/L         3.50 - 5.00" in written
    assert max(map(len, written[13:-7])) <= 80


def test_a_second_result_stands_beside_the_first_unless_the_flag_would_change_sides() -> None:
    mmol, milligrams = Unit(raw="mmol/L"), Unit(raw="mg/L")
    bounds = Reference(low="88", high="104")
    calcium = Observation(label="Calcium", value=QuantityValue(number="2.40"), unit=mmol, status=ResultStatus.FINAL)
    beside = SecondResult(value=QuantityValue(number="96"), unit=milligrams, reference=bounds)
    assert records(item(calcium.model_copy(update={"second": beside})))[1] == (
        "RES|Calcium||N|2.40|mmol/L||||F|96|mg/L|88|104"
    )
    flagged = calcium.model_copy(update={"second": beside, "flags": ("N",)})
    assert records(item(flagged))[1:] == ["RES|Calcium||N|2.40|mmol/L|||N|F", "RES|soit||N|96|mg/L|88|104||F"]
    for one in (calcium.model_copy(update={"second": beside}), flagged):
        (read,) = observations_of(again(item(one)).content.chapters)
        assert read.second is not None
        assert (read.flags, read.second.flags) == (one.flags, ())


def test_a_comparator_makes_the_result_alphanumeric() -> None:
    low = Observation(label="CRP", value=QuantityValue(number="0.12", comparator="<"), unit=Unit(raw="mg/L"))
    assert records(item(low))[1] == "RES|CRP||A|< 0.12|mg/L"


def test_exponents_are_written_out() -> None:
    charge = Observation(label="Charge virale", value=QuantityValue(number="1.5e6"), unit=Unit(raw="copies/mL"))
    assert records(item(charge))[1] == "RES|Charge virale||N|1500000|copies/mL"


@pytest.mark.parametrize("status", sorted(WITHOUT_VALUE))
def test_a_result_that_does_not_stand_has_no_value(status: ResultStatus) -> None:
    wrong = Observation(label="Potassium", value=QuantityValue(number="9.9"), unit=Unit(raw="mmol/L"), status=status)
    rendition = FORMAT.write(item(wrong), CONTEXT)
    assert b"9.9" not in rendition.content
    assert "hprim.write.status" in {one.code for one in rendition.findings}
    (read,) = observations_of(again(item(wrong)).content.chapters)
    assert (read.value, read.status) == (None, ResultStatus.UNKNOWN)
    assert read.comment is not None


def test_separators_tags_and_entities_in_data_do_no_harm() -> None:
    nasty = Observation(
        label="A|B", value=TextValue(text="x|y"), comment="****LAB****\nRES|faux|F|N|1\n&eacute; tel quel"
    )
    original = item(nasty, text="****FIN****\nRES|faux|F|N|1\nfin")
    rendition = FORMAT.write(original, CONTEXT)
    assert {one.code for one in rendition.findings} >= {"hprim.write.replaced"}
    (read,) = observations_of(again(original).content.chapters)
    assert (read.label, read.value) == ("A/B", TextValue(text="x/y"))
    assert read.comment == "****LAB****\nRES/faux/F/N/1\n&eacute; tel quel"


def test_comments_in_capitals_are_not_taken_for_titles() -> None:
    one = Observation(label="Potassium", value=TextValue(text="ininterprétable"), comment="SERUM HEMOLYSE")
    (read,) = observations_of(again(item(one)).content.chapters)
    assert read.comment == "SERUM HEMOLYSE"


def test_conclusion_comment_and_clinical_information_find_their_way_back() -> None:
    one = Observation(label="Potassium", value=TextValue(text="ininterprétable"))
    report = again(item(one, conclusion="Rien.", comment="À refaire.", clinical_information="Diabète.")).content
    assert (report.conclusion, report.comment, report.clinical_information) == ("Rien.", "À refaire.", "Diabète.")
    assert [chapter.title for chapter in report.chapters] == ["BIOCHIMIE"]


def test_an_untitled_chapter_after_a_titled_one_stays_apart() -> None:
    one = Observation(label="Potassium", value=TextValue(text="ininterprétable"))
    original = item(one)
    chapters = (*original.content.chapters, LabChapter(observations=(one,)))
    original = original.model_copy(update={"content": original.content.model_copy(update={"chapters": chapters})})
    assert [chapter.title for chapter in again(original).content.chapters] == ["BIOCHIMIE", None]


def test_what_cannot_be_carried_is_said_by_kind() -> None:
    codes = (Coding(system=LOINC, code="2823-3"), Coding(system=LOCAL, code="K"))
    one = Observation(label="K", codes=codes, specimen="1", method=Coding(code="M"), flags=("H", "A"), sub_id="1")
    original = item(one, specimens=(Specimen(id="1"),), order_id="DEM1", title="Bilan")
    patient = PATIENT.model_copy(
        update={"ins": Ins(matricule="279039999999971", oid="1.2.250.1.213.1.4.10"), "sex": Sex.FEMALE}
    )
    original = original.model_copy(update={"patient": patient, "recipients": original.recipients * 2})
    assert kinds(original) == {
        "patient.ins",
        "patient.sex",
        "patient.birth_name",
        "recipients",
        "report.specimens",
        "report.order_id",
        "report.title",
        "observation.codes",
        "observation.method",
        "observation.specimen",
        "observation.flags",
        "observation.sub_id",
    }
    assert b"279039999999971" not in FORMAT.write(original, CONTEXT).content.replace(b"2790399999999 71", b"")


def test_a_code_that_is_only_loinc_is_written_and_said() -> None:
    one = Observation(label="K", codes=(Coding(system=LOINC, code="2823-3"),), value=TextValue(text="x"))
    assert records(item(one))[1] == "RES|K|2823-3|A|x"
    assert kinds(item(one)) == {"patient.birth_name", "observation.codes.system"}


def test_a_report_of_nobody_keeps_its_lines_in_place() -> None:
    original = item(Observation(label="K", value=TextValue(text="x"))).model_copy(update={"patient": PatientIdentity()})
    missing = {one.where for one in FORMAT.write(original, CONTEXT).findings if one.code == "hprim.write.missing"}
    assert missing == {"line 2", "line 7"}
    assert again(original).patient == PatientIdentity()
    assert again(original).content.report_id == "FICT1"


def test_an_incomplete_birth_date_is_not_completed() -> None:
    original = item(Observation(label="K", value=TextValue(text="x")))
    original = original.model_copy(update={"patient": PATIENT.model_copy(update={"birth_date": "1979-03"})})
    assert lines(original)[6] == "00/03/1979"
    assert again(original).patient.birth_date == "1979-03"


def test_signs_outside_the_charset_are_spelled_and_said() -> None:
    one = Observation(label="Plaquettes", value=QuantityValue(number="245"), unit=Unit(raw="10⁹/L"))
    rendition = FORMAT.write(item(one), CONTEXT)
    assert b"|10^9/L" in rendition.content
    assert "hprim.write.transliterated" in {finding.code for finding in rendition.findings}
    with pytest.raises(FormatError):
        FORMAT.write(item(one), WriteContext(now=CONTEXT.now, identity="x", charset="klingon"))


def test_attachments_go_beside_under_safe_names() -> None:
    pdf = Attachment(media_type="application/pdf", filename="../x.pdf", data=base64.b64encode(b"%PDF-").decode())
    lost = Attachment(media_type="application/pdf", sha256="0" * 64)
    context = WriteContext(now=CONTEXT.now, identity="../patient TESTROSE")
    rendition = FORMAT.write(item(Observation(label="K"), attachments=(pdf, lost)), context)
    assert "/" not in rendition.filename
    assert " " not in rendition.filename
    assert rendition.attachments == {rendition.filename.replace(".hpm", "-1.pdf"): b"%PDF-"}
    assert "hprim.write.attachment_missing" in {one.code for one in rendition.findings}


def test_a_letter_goes_out_and_comes_back() -> None:
    (letter,) = FORMAT.read(medecin("Cher confrère,", "", "Bien à vous"), ReadContext()).items
    rendition = FORMAT.write(letter, CONTEXT)
    (read,) = FORMAT.read(rendition.content, ReadContext()).items
    assert isinstance(read, DocumentItem)
    assert isinstance(letter, DocumentItem)
    assert read.content == letter.content
    assert read.patient == letter.patient
    assert (read.sender, read.recipients) == (letter.sender, letter.recipients)


def test_other_kinds_are_refused() -> None:
    source = Provenance(format="canonical", where="test")
    identity = IdentityItem(
        id="0" * 32, patient=PATIENT, content=IdentityEvent(event="patient.created", trigger="A28"), source=source
    )
    pdf = DocumentItem(
        id="0" * 32,
        patient=PATIENT,
        content=Document(attachments=(Attachment(media_type="application/pdf", data="JVBERi0="),)),
        source=source,
    )
    for refused in (identity, pdf):
        with pytest.raises(WriteRefused):
            FORMAT.write(refused, CONTEXT)


def carried(original: LabReportItem) -> list[object]:
    """What HPRIM Médecin can keep of each result: a flat list, statuses F, R, C, one code, one flag, values as text."""
    kept = []
    for one in observations_of(original.content.chapters):
        gone = one.status in WITHOUT_VALUE
        code = next((code.code for code in one.codes if code.system == LOCAL), next(iter(one.codes), Coding(code="")))
        second = one.second
        kept.append(
            (
                one.label,
                code.code if isinstance(code, Coding) else code,
                None if gone else printed(one),
                None if gone or one.unit is None else one.unit,
                None if gone else reference_view(one.reference),
                () if gone else one.flags[:1],
                ResultStatus.UNKNOWN if gone else one.status,
                second and (value_view(second.value), second.unit, reference_view(second.reference), second.flags),
            )
        )
    return kept


def printed(one: Observation) -> object:
    """A coded value and a text say the same words; runs of blanks and line ends do not matter."""
    match one.value:
        case CodedValue():
            words = one.value.text or ""
        case TextValue():
            words = one.value.text
        case _:
            return value_view(one.value)
    return " ".join(words.split())


@settings(max_examples=60, deadline=None)
@given(lab_items())
def test_what_is_written_reads_back(original: LabReportItem) -> None:
    rendition = FORMAT.write(original, CONTEXT)
    assert FORMAT.sniff(rendition.content) > 0.9
    reading = FORMAT.read(rendition.content, ReadContext())
    (read,) = reading.items
    assert isinstance(read, LabReportItem)
    assert carried(read) == carried(original)
    assert read.content.conclusion == original.content.conclusion
    assert reading.unread == ()
    assert read.content.report_id == original.content.report_id
    comments = [one.comment for one in observations_of(read.content.chapters) if not gone(one)]
    wanted = [one.comment for one in observations_of(original.content.chapters) if one.status not in WITHOUT_VALUE]
    assert comments == wanted
    titles = [(chapter.title, chapter.comment) for chapter in read.content.chapters if chapter.title]
    assert titles == [(chapter.title, chapter.comment) for chapter in original.content.chapters if chapter.title]


def gone(one: Observation) -> bool:
    return one.value is None and one.status is ResultStatus.UNKNOWN


@settings(max_examples=40, deadline=None)
@given(lab_items(extras=("special", "previous", "nested", "attachments", "text")))
def test_a_second_passage_changes_nothing(original: LabReportItem) -> None:
    first = FORMAT.write(original, CONTEXT)
    (once,) = FORMAT.read(first.content, ReadContext()).items
    assert isinstance(once, LabReportItem)
    (twice,) = FORMAT.read(FORMAT.write(once, CONTEXT).content, ReadContext()).items
    assert isinstance(twice, LabReportItem)
    assert clinical_view(twice)["chapters"] == clinical_view(once)["chapters"]
    assert len(carried(once)) == len(carried(original))


@settings(max_examples=30, deadline=None)
@given(lab_items())
def test_hprim_sante_carries_all_that_this_format_says(original: LabReportItem) -> None:
    said = again(original)
    rendition = SANTE.write(said, CONTEXT)
    (read,) = SANTE.read(rendition.content, ReadContext()).items
    assert isinstance(read, LabReportItem)
    assert carried(read) == carried(said)
    titles = [chapter.title for chapter in said.content.chapters if chapter.title]
    assert [chapter.title for chapter in read.content.chapters if chapter.title] == titles
    assert (read.content.conclusion, read.content.text) == (said.content.conclusion, said.content.text)


@settings(max_examples=30, deadline=None)
@given(lab_items())
def test_the_same_input_gives_the_same_bytes_and_numbers_keep_their_precision(original: LabReportItem) -> None:
    assert FORMAT.write(original, CONTEXT).content == FORMAT.write(original, CONTEXT).content
    for before, after in zip(
        observations_of(original.content.chapters), observations_of(again(original).content.chapters), strict=True
    ):
        if isinstance(before.value, QuantityValue):
            assert isinstance(after.value, QuantityValue)
            assert str(Decimal(before.value.number)) == str(Decimal(after.value.number))
