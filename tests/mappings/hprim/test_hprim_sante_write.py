from __future__ import annotations

import base64
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hprim_files import medecin
from hypothesis import given, settings, strategies as st
from lab_strategies import clinical_view, lab_items

from mappings.contracts import Environment, FormatError, ReadContext, WriteContext, WriteRefused
from mappings.hprim_medecin import FORMAT as MEDECIN
from mappings.hprim_sante import FORMAT
from mappings.lab_status import has_provisional, observations_of
from schemas.actors import Address, Organization, Professional, Recipient, Telecom
from schemas.attachment import Attachment
from schemas.coding import LOCAL, LOINC, Coding, Identifier
from schemas.identity import IdentityStatus, Ins, PatientIdentity, Sex
from schemas.item import LabReportItem, Provenance
from schemas.lab import (
    CodedValue,
    DateTimeValue,
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
ESCAPING = replace(CONTEXT, options={"escape": "hl7"})
LABORATORY = Organization(name="LABORATOIRE FICTIF", identifiers=(Identifier(value="LABFIC"),))
INS = Ins(matricule="279039999999971", oid="1.2.250.1.213.1.4.10")
PATIENT = PatientIdentity(
    ins=INS,
    status=IdentityStatus.QUALIFIED,
    identifiers=(
        Identifier(system="urn:x-authority:CHFIC", value="IPP1", type="PI", assigner="HOPITAL FICTIF"),
        Identifier(system="urn:x-authority:LABFIC", value="LAB1", type="PI", assigner="LABORATOIRE FICTIF"),
    ),
    birth_name="FICTIVE",
    birth_given_names=("MARIE", "JEANNE"),
    first_given_name="MARIE",
    used_name="TESTROSE",
    used_given_name="MARIE",
    birth_date="1979-03-05",
    sex=Sex.FEMALE,
    birth_place="35238",
    addresses=(Address(lines=("1 rue des Essais", "Apt 2"), city="VILLE-TEST", postal_code="99999"),),
    telecoms=(Telecom(kind="mobile", value="0600000001"), Telecom(kind="email", value="t@example.org")),
)
POTASSIUM = Observation(
    label="Potassium",
    codes=(Coding(system=LOCAL, code="K", display="Potassium"), Coding(system=LOINC, code="2823-3")),
    value=QuantityValue(number="3.10", text="3.10"),
    unit=Unit(raw="mmol/L", ucum="mmol/L"),
    reference=Reference(low="3.50", high="5.00", text="3.50 - 5.00"),
    flags=("L",),
    status=ResultStatus.FINAL,
    comment="contrôlé\n\nsur le même tube",
    issued_at="2026-03-05T09:30+01:00",
)


def item(*observations: Observation, **report: object) -> LabReportItem:
    content = LabReport(
        report_id="FICT1",
        order_id="DEM1",
        status=ResultStatus.FINAL,
        codes=(Coding(system=LOCAL, code="IONO", display="Ionogramme"),),
        collected_at="2026-03-05T08:10+01:00",
        issued_at="2026-03-05T10:00+01:00",
        laboratory=LABORATORY,
        **({"chapters": (LabChapter(title="BIOCHIMIE", observations=observations),)} | report),  # type: ignore[arg-type]  # keyword by keyword from tests
    )
    hospital = Organization(name="HOPITAL FICTIF", identifiers=(Identifier(value="CHFIC"),))
    return LabReportItem(
        id="0" * 32,
        patient=PATIENT,
        sender=LABORATORY,
        recipients=(Recipient(organization=hospital, role="receiver"),),
        content=content,
        source=Provenance(format="canonical", where="test"),
    )


def again(original: LabReportItem, context: WriteContext = CONTEXT) -> LabReportItem:
    rendition = FORMAT.write(original, context)
    (read,) = FORMAT.read(rendition.content, ReadContext(siblings=rendition.attachments)).items
    assert isinstance(read, LabReportItem)
    return read


def segments(original: LabReportItem, context: WriteContext = CONTEXT) -> list[str]:
    content = FORMAT.write(original, context).content.decode("cp1252")
    return content.replace("\rA|", "").split("\r")


def findings(original: LabReportItem, context: WriteContext = CONTEXT) -> set[tuple[str, str]]:
    return {(one.code, one.where) for one in FORMAT.write(original, context).findings}


def test_the_message_has_the_recommended_shape() -> None:
    written = segments(item(POTASSIUM))
    name = written[0].split("|")[2]
    assert written[0] == (
        rf"H|~^\&|{name}||LABFIC~LABORATOIRE FICTIF||ORU|||CHFIC~HOPITAL FICTIF||P|H2.2~C|20260305100000"
    )
    assert written[1] == (
        "P|1|IPP1|LAB1||TESTROSE~MARIE|FICTIVE|19790305|F||1 rue des Essais~Apt 2~VILLE-TEST~~99999||0600000001"
    )
    assert written[2] == "OBR|1|~DEM1|~FICT1|IONO~Ionogramme~L|||202603050810|||||||||||||||202603051000|||F"
    assert written[3] == (
        "OBX|1|NM|K~Potassium~L~2823-3~~LN||3.10|mmol/L|3.50 - 5.00|L|||F|||202603050930|BIOCHIMIE~100~~1~1"
    )
    assert written[4:] == ["C|1|L|contrôlé^^sur le même tube", "L|1||1|5", ""]
    assert len(name.partition(".")[0]) <= 8
    assert name.endswith(".HPR")


def test_it_comes_back_as_it_was() -> None:
    read = again(item(POTASSIUM))
    original = item(POTASSIUM)
    assert read.content == original.content
    assert read.recipients == original.recipients
    assert read.sender == original.sender


def test_the_same_input_gives_the_same_bytes_and_another_identity_another_name() -> None:
    first, second = FORMAT.write(item(POTASSIUM), CONTEXT), FORMAT.write(item(POTASSIUM), CONTEXT)
    assert first == second
    assert FORMAT.write(item(POTASSIUM), replace(CONTEXT, identity="essai-2")).filename != first.filename
    assert FORMAT.write(item(POTASSIUM), replace(CONTEXT, identity="FICT0001.HPR")).filename == "FICT0001.HPR"


def test_the_ins_leaves_in_2_5_only_and_for_a_qualified_identity_only() -> None:
    before = FORMAT.write(item(POTASSIUM), CONTEXT)
    assert INS.matricule.encode() not in before.content
    assert ("hprim.write.not_carried", "patient.ins") in findings(item(POTASSIUM))
    since = replace(CONTEXT, options={"version": "2.5"})
    read = again(item(POTASSIUM), since).patient
    assert read == PATIENT
    validated = item(POTASSIUM).model_copy(
        update={"patient": PATIENT.model_copy(update={"status": IdentityStatus.VALIDATED})}
    )
    assert INS.matricule.encode() not in FORMAT.write(validated, since).content
    assert ("hprim.write.not_carried", "patient.ins") in findings(validated, since)


@pytest.mark.parametrize(
    ("options", "charset"), [({}, "cp1252"), ({"eol": "crlf"}, "utf-8"), ({"max_line": "60", "eol": "lf"}, "utf-8")]
)
def test_no_line_is_too_long_and_cuts_do_no_harm(options: dict[str, str], charset: str) -> None:
    words = "é" * 300 + " " * 5 + "mot " * 120 + "fin"
    long = POTASSIUM.model_copy(update={"value": TextValue(text=words), "unit": None, "reference": None})
    context = replace(CONTEXT, options=options, charset=charset)
    content = FORMAT.write(item(long), context).content
    limit = int(options.get("max_line", "220"))
    for line in content.splitlines(keepends=True):
        assert len(line) <= limit
        assert not line.rstrip(b"\r\n").endswith(b" ")
        line.decode(charset)
    (one,) = observations_of(again(item(long), context).content.chapters)
    assert one.value == TextValue(text=words)


@pytest.mark.parametrize(
    ("options", "where"),
    [
        ({"version": "3.0"}, "version"),
        ({"link": "Z"}, "link"),
        ({"eol": "lfcr"}, "eol"),
        ({"escape": "oui"}, "escape"),
        ({"max_line": "1000"}, "max_line"),
    ],
)
def test_options_that_do_not_exist_are_refused(options: dict[str, str], where: str) -> None:
    with pytest.raises(FormatError) as refusal:
        FORMAT.write(item(POTASSIUM), replace(CONTEXT, options=options))
    assert (refusal.value.code, refusal.value.where) == ("hprim.option", where)


@pytest.mark.parametrize("charset", ["utf-16", "klingon"])
def test_charsets_that_cannot_serve_are_refused(charset: str) -> None:
    with pytest.raises(FormatError):
        FORMAT.write(item(POTASSIUM), replace(CONTEXT, charset=charset))


def test_delimiters_in_data_are_replaced_and_said_or_escaped() -> None:
    nasty = POTASSIUM.model_copy(
        update={"label": "A|B~C", "unit": Unit(raw="10^9/L", ucum="10*9/L"), "comment": "x^y\\z & w"}
    )
    (replaced,) = observations_of(again(item(nasty)).content.chapters)
    assert (replaced.label, replaced.comment) == ("A/B C", "x y/z + w")
    assert replaced.unit == Unit(raw="10*9/L", ucum="10*9/L")
    assert {where for code, where in findings(item(nasty)) if code == "hprim.write.replaced"} == {
        "OBX.3",
        "OBX.6",
        "C.3",
    }
    (escaped,) = observations_of(again(item(nasty), ESCAPING).content.chapters)
    assert escaped.model_copy(update={"codes": nasty.codes}) == nasty
    assert "hprim.write.replaced" not in {code for code, _ in findings(item(nasty), ESCAPING)}


def test_what_is_spelled_otherwise_cannot_become_a_delimiter() -> None:
    platelets = POTASSIUM.model_copy(update={"unit": Unit(raw="10⁹/L"), "comment": "≈ 5"})
    (read,) = observations_of(again(item(platelets)).content.chapters)
    assert read.unit is not None
    assert read.unit.raw == "10*9/L"
    assert ("hprim.write.transliterated", "content") in findings(item(platelets))


def test_a_comparator_that_is_a_flag_is_written_as_one() -> None:
    low = POTASSIUM.model_copy(update={"value": QuantityValue(number="0.12", comparator="<"), "comment": None})
    assert "|ST|K~Potassium~L~2823-3~~LN||<0.12|mmol/L|" in segments(item(low))[3]
    flagged = low.model_copy(update={"flags": ("<",)})
    assert "|NM|K~Potassium~L~2823-3~~LN||0.12|mmol/L|3.50 - 5.00|<|" in segments(item(flagged))[3]


def test_specimens_have_an_order_each() -> None:
    blood, urine = (
        Specimen(
            id=code,
            identifiers=(Identifier(value=f"EC{code}", type="FILL"),),
            type=Coding(system=LOCAL, code=code, display=code.title()),
            collected_at="2026-03-05T08:10+01:00",
        )
        for code in ("SANG", "URINE")
    )
    observations = [
        POTASSIUM.model_copy(update={"specimen": one, "sub_id": str(n)})
        for n, one in enumerate(["SANG", "URINE", "SANG", None], 1)
    ]
    read = again(item(*observations, specimens=(blood, urine))).content
    assert [one.type.code if one.type else None for one in read.specimens] == ["SANG", "URINE"]
    assert [one.specimen for one in observations_of(read.chapters)] == ["1", "2", "1", None]
    alone = again(item(POTASSIUM, specimens=(blood,))).content
    assert [one.identifiers[0].value for one in alone.specimens] == ["ECSANG"]
    assert [one.specimen for one in observations_of(alone.chapters)] == [None]


def test_panels_conclusion_text_and_people_come_back() -> None:
    doctor = Professional(
        identifiers=(Identifier(system="urn:oid:1.2.250.1.71.4.2.1", value="10101010109", type="RPPS"),),
        family_name="TESTEUR",
        given_name="Camille",
        name="TESTEUR Camille",
    )
    panel = LabChapter(
        title="Ionogramme",
        codes=(Coding(system=LOCAL, code="IONO", display="Ionogramme"),),
        comment="Commentaire du bilan",
        observations=(POTASSIUM,),
    )
    original = item(
        chapters=(LabChapter(title="BIOCHIMIE", section="BIO1", chapters=(panel,)),),
        conclusion="Hypokaliémie.\nÀ contrôler.",
        comment="Commande urgente",
        text="Compte rendu\n  en clair",
        clinical_information="Diurétique",
        prescriber=doctor.model_copy(
            update={
                "family_name": None,
                "given_name": None,
                "organization": Organization(name="Médecine", identifiers=(Identifier(value="MED1"),)),
            }
        ),
        validated_by=doctor,
    )
    recipients = (
        *original.recipients,
        Recipient(professional=doctor, role="doctor"),
        Recipient(professional=doctor, role="copy"),
    )
    original = original.model_copy(update={"recipients": recipients})
    read = again(original)
    inner = read.content.chapters[0].chapters[0].model_copy(update={"section": None})
    assert inner == panel
    assert read.content.model_copy(update={"chapters": ()}) == original.content.model_copy(update={"chapters": ()})
    assert read.recipients == recipients


def test_attachments_travel_beside_and_come_back() -> None:
    pdf = Attachment(
        media_type="application/pdf",
        title="Compte rendu",
        filename="../../compte rendu.pdf",
        size=5,
        data=base64.b64encode(b"%PDF-").decode(),
    )
    lost = Attachment(media_type="application/pdf", sha256="0" * 64)
    rendition = FORMAT.write(item(POTASSIUM, attachments=(pdf, lost)), CONTEXT)
    ((name, content),) = rendition.attachments.items()
    assert content == b"%PDF-"
    assert name == f"{rendition.filename[:6]}01.PDF"
    (read,) = again(item(POTASSIUM, attachments=(pdf, lost))).content.attachments
    assert (read.title, read.data, read.filename) == (pdf.title, pdf.data, name)
    assert ("hprim.write.attachment_missing", "attachments[2]") in findings(item(POTASSIUM, attachments=(pdf, lost)))


def test_test_messages_say_so() -> None:
    assert segments(item(POTASSIUM), replace(CONTEXT, environment=Environment.TEST))[0].split("|")[11] == "T"


def test_what_cannot_be_carried_is_said_by_kind() -> None:
    one = POTASSIUM.model_copy(update={"method": Coding(code="M"), "effective_at": "2026-03-05"})
    kinds = {where for code, where in findings(item(one, title="Bilan")) if code == "hprim.write.not_carried"}
    assert kinds >= {"report.title", "observation.method", "observation.effective_at", "patient.birth_place"}


@pytest.mark.parametrize(
    "value",
    [
        TextValue(text="Absence"),
        TextValue(text="une\n\ntroisième"),
        CodedValue(codes=tuple(Coding(system=LOCAL, code=code) for code in "ABC")),
        CodedValue(codes=(), text="sans code"),
        DateTimeValue(at="2026-03-05T08:10+01:00"),
        QuantityValue(number="1.50", comparator=">="),
        None,
    ],
)
def test_every_kind_of_value_comes_back(value: object) -> None:
    one = POTASSIUM.model_copy(update={"value": value, "unit": None, "reference": None})
    (read,) = observations_of(again(item(one)).content.chapters)
    if hasattr(value, "text"):
        value = value.model_copy(update={"text": None}) if not isinstance(value, (TextValue, CodedValue)) else value
    found = read.value
    if found is not None and not isinstance(found, (TextValue, CodedValue)):
        found = found.model_copy(update={"text": None})
    assert found == value


@pytest.mark.parametrize("status", list(ResultStatus))
def test_statuses_come_back_or_are_said(status: ResultStatus) -> None:
    (read,) = observations_of(again(item(POTASSIUM.model_copy(update={"status": status}))).content.chapters)
    nearest = {ResultStatus.AMENDED: ResultStatus.CORRECTED, ResultStatus.PARTIAL: ResultStatus.PRELIMINARY}
    assert read.status is nearest.get(status, status)
    said = ("hprim.write.status", "OBX.11") in findings(item(POTASSIUM.model_copy(update={"status": status})))
    assert said == (status in nearest)


def test_other_kinds_are_refused() -> None:
    (letter,) = MEDECIN.read(medecin("Cher confrère,"), ReadContext()).items
    with pytest.raises(WriteRefused):
        FORMAT.write(letter, CONTEXT)


def test_a_report_without_results_is_still_a_report() -> None:
    read = again(item(chapters=(), conclusion="Prélèvement non conforme."))
    assert (read.content.conclusion, read.content.chapters) == ("Prélèvement non conforme.", ())


def joined(chapters: list[dict[str, object]]) -> list[dict[str, object]]:
    """Untitled chapters that follow one another are one: nothing separates them in the format."""
    found: list[dict[str, object]] = []
    for chapter in chapters:
        if found and chapter["title"] is None and found[-1]["title"] is None:
            before = found[-1]["observations"]
            assert isinstance(before, list)
            assert isinstance(chapter["observations"], list)
            found[-1] = {**found[-1], "observations": [*before, *chapter["observations"]]}
        else:
            found.append(chapter)
    return found


@settings(max_examples=60, deadline=None)
@given(lab_items(without=("times", "method")))
def test_what_is_written_reads_back(original: LabReportItem) -> None:
    rendition = FORMAT.write(original, CONTEXT)
    assert FORMAT.sniff(rendition.content) == 1.0
    reading = FORMAT.read(rendition.content, ReadContext())
    (read,) = reading.items
    assert isinstance(read, LabReportItem)
    before, after = clinical_view(original), clinical_view(read)
    assert isinstance(before["chapters"], list)
    assert joined(after["chapters"]) == joined(before["chapters"])  # type: ignore[arg-type]  # a list of chapter views
    report = before["report"]
    assert isinstance(report, dict)
    if original.content.status is ResultStatus.FINAL:
        provisional = has_provisional(one.status for one in observations_of(original.content.chapters))
        report["status"] = ResultStatus.PARTIAL if provisional else ResultStatus.FINAL
    assert after["report"] == report
    assert reading.unread == ()


@settings(max_examples=40, deadline=None)
@given(
    lab_items(extras=("special", "previous", "nested", "attachments", "text", "parent")),
    st.sampled_from(["replace", "hl7"]),
    st.sampled_from(["cr", "crlf", "lf"]),
    st.sampled_from(["cp1252", "utf-8"]),
)
def test_a_second_passage_changes_nothing(original: LabReportItem, escape: str, eol: str, charset: str) -> None:
    context = replace(CONTEXT, options={"escape": escape, "eol": eol}, charset=charset)
    once = again(original, context)
    twice = again(once, context)
    assert clinical_view(twice) == clinical_view(once)
    assert len(list(observations_of(once.content.chapters))) == len(list(observations_of(original.content.chapters)))


@settings(max_examples=40, deadline=None)
@given(lab_items(extras=("special", "text"), without=("times", "method")))
def test_escapes_lose_nothing(original: LabReportItem) -> None:
    before, after = clinical_view(original), clinical_view(again(original, ESCAPING))
    assert isinstance(before["chapters"], list)
    assert joined(after["chapters"]) == joined(before["chapters"])  # type: ignore[arg-type]  # a list of chapter views


def test_a_second_result_survives_a_sub_identifier() -> None:
    second = SecondResult(value=QuantityValue(number="12"), unit=Unit(raw="mg/dL"))
    for sub_id in (None, "1", "A"):
        one = POTASSIUM.model_copy(update={"second": second, "sub_id": sub_id})
        (read,) = observations_of(again(item(one)).content.chapters)
        assert read.second is not None
        assert (read.second.unit, read.sub_id) == (Unit(raw="mg/dL", ucum="mg/dL"), sub_id)
