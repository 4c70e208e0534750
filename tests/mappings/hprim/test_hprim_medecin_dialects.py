from __future__ import annotations

import random
from datetime import UTC, datetime

import pytest
from hprim_files import HEADER, coded, medecin, with_line
from hypothesis import given, settings, strategies as st

from mappings.contracts import FormatError, ReadContext, Reading
from mappings.hprim_medecin import FORMAT
from mappings.hprim_medecin.chapters import title_of
from mappings.hprim_medecin.header import split_code_and_name
from schemas.item import DocumentItem, LabReportItem
from schemas.lab import LabReport, Observation, QuantityValue, Reference, ResultStatus, TextValue


def read(content: bytes, **context: object) -> Reading:
    return FORMAT.read(content, ReadContext(**context))  # type: ignore[arg-type]  # keyword by keyword from tests


def report_of(content: bytes, **context: object) -> LabReport:
    item = read(content, **context).items[0]
    assert isinstance(item, LabReportItem)
    return item.content


def only(*records: str) -> Observation:
    (observation,) = report_of(coded(*records)).chapters[0].observations
    return observation


def codes(reading: Reading) -> set[str]:
    return {finding.code for finding in reading.findings}


@pytest.mark.parametrize("tail", ["|L", "|L|", "|L|F", "|L|F||||", "|L|F|||||||"])
def test_fields_may_be_missing_or_empty_at_the_end(tail: str) -> None:
    observation = only(f"RES|Potassium|K|N|3.1|mmol/L|3.5|5.0{tail}")
    assert observation.flags == ("L",)
    assert observation.reference == Reference(low="3.5", high="5.0", text="3.5 - 5.0")


def test_fields_beyond_the_last_are_unread() -> None:
    reading = read(coded("RES|Potassium|K|N|3.1|mmol/L|3.5|5.0|L|F|||||surplus"))
    assert [(one.where, one.text) for one in reading.unread] == [("RES[1]-15", "surplus")]


@pytest.mark.parametrize(
    ("line", "on_first", "on_second"),
    [
        ("RES|Lymphocytes|LY|N|33.0|%|||L|F|964|/mm3|1000|4000", (), ("L",)),
        ("RES|Lymphocytes|LY|N|33.0|%|20|40|L|F|964|/mm3|1000|4000", ("L",), ()),
        ("RES|Lymphocytes|LY|N|33.0|%|||L|F|964|/mm3", ("L",), ()),
    ],
)
def test_the_flag_belongs_to_the_value_that_has_bounds(
    line: str, on_first: tuple[str, ...], on_second: tuple[str, ...]
) -> None:
    observation = only(line)
    assert observation.second is not None
    assert (observation.flags, observation.second.flags) == (on_first, on_second)


def test_a_long_comment_hides_the_number_that_follows_it() -> None:
    words = "Numération contrôlée sur tube citraté en raison d'agrégats plaquettaires"
    observation = only(f"RES|Plaquettes|PLQ|N|{words}||||N|F|245|G/L|150|400")
    assert observation.value == QuantityValue(number="245", text="245")
    assert observation.unit is not None
    assert (observation.unit.raw, observation.comment, observation.second) == ("G/L", words, None)


def test_a_status_that_is_not_known_is_never_final() -> None:
    reading = read(coded("RES|A|A|N|1|g/L||||V", "RES|B|B|N|1|g/L"))
    item = reading.items[0]
    assert isinstance(item, LabReportItem)
    assert [one.status for one in item.content.chapters[0].observations] == [ResultStatus.UNKNOWN] * 2
    assert "hprim.status.unknown" in codes(reading)
    assert item.content.status is ResultStatus.UNKNOWN


def test_a_partner_may_have_said_what_an_empty_status_means() -> None:
    report = report_of(coded("RES|B|B|N|1|g/L"), options={"empty_status": "final"})
    assert report.status is ResultStatus.FINAL
    with pytest.raises(FormatError, match="canonical result status"):
        read(coded("RES|B|B|N|1|g/L"), options={"empty_status": "bon"})


@pytest.mark.parametrize(
    ("letters", "status"),
    [("FF", "final"), ("FR", "partial"), ("RR", "preliminary"), ("FC", "corrected"), ("F", "final"), ("CR", "partial")],
)
def test_the_report_has_its_worst_status(letters: str, status: str) -> None:
    lines = [f"RES|A{n}|A{n}|N|1|g/L||||{letter}" for n, letter in enumerate(letters)]
    item = read(coded(*lines)).items[0]
    assert isinstance(item, LabReportItem)
    assert item.content.status == status
    assert item.replaces == ("FICT001" if status == "corrected" else None)


def test_comments_belong_to_the_result_above_and_titles_begin_chapters() -> None:
    report = report_of(
        coded(
            "TEX|          B I O C H I M I E   D U   S A N G",
            "TEX|Sérum",
            "RES|Glucose|GLU|N|1.05|g/L",
            "TEX|  à jeun",
            "TEX",
            "TEX|  depuis 12 heures",
            "TEX|*** HORMONOLOGIE ***",
            "RES|T.S.H.|TSH|N|2.1|mUI/L",
            "TEX|---------------------------",
            "TEX|------ Conclusion ------",
            "TEX|  Bilan normal.",
        )
    )
    first, second = report.chapters
    assert (first.title, first.comment, first.observations[0].comment) == (
        "BIOCHIMIE DU SANG",
        "Sérum",
        "à jeun\n\ndepuis 12 heures",
    )
    assert (second.title, second.observations[0].comment) == ("HORMONOLOGIE", None)
    assert report.conclusion == "Bilan normal."


@pytest.mark.parametrize(
    ("line", "title"),
    [
        ("H E M A T O L O G I E", "HEMATOLOGIE"),
        ("     BIOCHIMIE", "BIOCHIMIE"),
        ("------ Ionogramme sanguin -----", "Ionogramme sanguin"),
        ("*BACTERIOLOGIE*", "BACTERIOLOGIE"),
        ("  HEMOLYSE", None),
        ("RESULTAT CONTROLE.", None),
        ("Sérum limpide", None),
        ("12.5", None),
        ("---------", None),
    ],
)
def test_what_is_a_title(line: str, title: str | None) -> None:
    assert title_of(line) == title


def test_text_that_only_prints_a_result_is_no_comment() -> None:
    reading = read(
        coded("RES|Glucose|GLU|N|1.05|g/L", "TEX|Glucose      1,05 g/L", "TEX|Sodium", "RES|Sodium|NA|N|140|mmol/L")
    )
    item = reading.items[0]
    assert isinstance(item, LabReportItem)
    assert [one.comment for one in item.content.chapters[0].observations] == [None, None]
    assert [one.where for one in reading.unread] == ["TEX[1]", "TEX[2]"]


def test_a_report_without_text_has_its_tex_lines_as_text() -> None:
    report = report_of(medecin("****LAB****", "TEX|BIOCHIMIE", "RES|Glucose|GLU|N|1.05|g/L", "TEX|  à jeun"))
    assert report.text == "BIOCHIMIE\n  à jeun"


def test_two_values_that_are_the_same_result_become_one() -> None:
    observation = only("RES|Calcium|CA|N|2.40|mmol/L|2.20|2.60||F", "RES|Soit : . . .|CAB|N|96|mg/L|88|104|N|F|9|mg/dL")
    assert observation.second is not None
    assert observation.second.reference == Reference(low="88", high="104", text="88 - 104")
    assert observation.second.flags == ("N",)


def test_statuses_that_differ_are_never_merged() -> None:
    report = report_of(coded("RES|Calcium|CA|N|2.40|mmol/L||||F", "RES|soit||N|96|mg/L||||R"))
    assert len(report.chapters[0].observations) == 2


def test_records_without_the_lab_tag() -> None:
    reading = read(medecin("Texte", "RES|Glucose|GLU|N|1.05|g/L||||F"))
    assert isinstance(reading.items[0], LabReportItem)
    assert "hprim.tag.lab_missing" in codes(reading)


def test_a_missing_end_tag_does_not_mix_two_patients() -> None:
    other = (
        "T0002",
        "AUTRE",
        "Jean",
        "",
        "",
        "99998 AILLEURS",
        "01/02/1950",
        "",
        "FICT002",
        "06/06/2024",
        "LABFIC",
        "DR",
    )
    content = "\r\n".join([*HEADER, "****LAB****", "RES|A|A|N|1|g/L", *other, "****LAB****", "RES|B|B|N|2|g/L", ""])
    reading = read(content.encode())
    assert [item.patient.family_name for item in reading.items] == ["TESTROSE", "AUTRE"]
    assert "hprim.tag.fin_missing" in codes(reading)
    for item, code in zip(reading.items, "AB", strict=True):
        assert isinstance(item, LabReportItem)
        (observation,) = item.content.chapters[0].observations
        assert observation.codes[0].code == code


def test_a_header_line_missing_hides_the_name_rather_than_guess_it() -> None:
    lost = (*HEADER[:4], *HEADER[5:])
    reading = read(medecin("Texte", header=lost))
    (item,) = reading.items
    assert (item.patient.family_name, item.patient.birth_date) == (None, "1979-03-05")
    assert "hprim.header.misaligned" in codes(reading)
    assert {"line 2", "line 3"} <= {one.where for one in reading.unread}
    added = (*HEADER[:4], "chez la voisine", *HEADER[4:])
    assert read(medecin("Texte", header=added)).items[0].patient.birth_date == "1979-03-05"


def test_the_patient_code_may_be_missing() -> None:
    reading = read(b"\r\n" + medecin("Texte", header=with_line(1, "")))
    assert reading.items[0].patient.family_name == "TESTROSE"
    assert reading.items[0].patient.identifiers[0].type == "SB"


@pytest.mark.parametrize("code", ["TESTROSE", "Testrose Marie", "A" * 41, "12   34   56"])
def test_line_1_is_not_always_a_code(code: str) -> None:
    reading = read(medecin("Texte", header=with_line(1, code)))
    assert [one.type for one in reading.items[0].patient.identifiers] == ["SB"]
    assert [one.where for one in reading.unread] == ["line 1"]


@pytest.mark.parametrize(
    ("text", "born"),
    [("05/03/79", "1979-03-05"), ("05/03/24", "2024-03-05"), ("05/03/25", "1925-03-05"), ("05/42/1979", "1979")],
)
def test_birth_dates(text: str, born: str) -> None:
    reading = read(medecin("Texte", header=with_line(7, text)), received_at=datetime(2024, 6, 6, tzinfo=UTC))
    assert reading.items[0].patient.birth_date == born


def test_nobody_is_born_after_the_report() -> None:
    header = with_line(7, "05/03/25")
    assert read(medecin("Texte", header=header), options={"pivot": "26"}).items[0].patient.birth_date == "1925-03-05"


@pytest.mark.parametrize("number", ["2790399999999 01", "abc", "279039999999971 "])
def test_the_insured_number_is_never_an_ins(number: str) -> None:
    reading = read(medecin("Texte", header=with_line(8, number)))
    assert reading.items[0].patient.ins is None
    assert ("line 8" in {one.where for one in reading.unread}) == (number == "abc")


@pytest.mark.parametrize(
    ("line", "code", "name"),
    [
        ("LABFIC     LABORATOIRE FICTIF", "LABFIC", "LABORATOIRE FICTIF"),
        ("         C LabFictif", "C", "LabFictif"),
        ("            TESTEUR", "", "TESTEUR"),
        (".          secretariat.test", "", "secretariat.test"),
        ("DRTEST     _", "DRTEST", ""),
        ("DR MARTINS PAUL", "", "DR MARTINS PAUL"),
        ("A12 LABORATOIRE", "A12", "LABORATOIRE"),
        ("AB  NOM", "AB", "NOM"),
        ("\t", "", ""),
    ],
)
def test_code_and_name(line: str, code: str, name: str) -> None:
    assert split_code_and_name(line) == (code, name)


@pytest.mark.parametrize("content", [b"", b"\r\n\r\n", b"\xef\xbb\xbf", b"****FIN****\r\n"])
def test_an_empty_file_is_refused(content: bytes) -> None:
    with pytest.raises(FormatError) as refusal:
        read(content)
    assert refusal.value.code == "hprim.file.empty"


def test_any_text_of_twelve_lines_is_no_report() -> None:
    with pytest.raises(FormatError) as refusal:
        read(b"une ligne quelconque\r\n" * 40)
    assert refusal.value.code == "hprim.header.implausible"
    undated = (*with_line(7, "")[:9], "", *HEADER[10:])
    assert len(read(medecin("Texte", header=undated)).items) == 1


def test_a_file_cut_in_a_line_loses_that_line_only_and_says_so() -> None:
    whole = coded("RES|A|A|N|12.5|g/L||||F", "RES|B|B|N|12.5|g/L|10|20|N|F")
    at = whole.index(b"RES|B|B|N|12.5") + len(b"RES|B|B|N|12")
    reading = read(whole[:at])
    item = reading.items[0]
    assert isinstance(item, LabReportItem)
    assert [one.label for one in item.content.chapters[0].observations] == ["A"]
    assert "hprim.file.cut" in codes(reading)
    assert [one.text for one in reading.unread] == ["RES|B|B|N|12"]


def test_unknown_lines_in_the_block_are_unread() -> None:
    reading = read(coded("RES|A|A|N|1|g/L", "ABC|x"))
    assert "hprim.record.unknown" in codes(reading)
    assert [one.text for one in reading.unread] == ["ABC|x"]


def test_a_signature_is_no_report_but_a_headless_one_is_an_error() -> None:
    signature = read(medecin("Texte") + b"-- \r\nSigne\r\n" + b"x\r\n" * 20)
    assert (len(signature.items), "hprim.trailer" in codes(signature)) == (1, True)
    headless = read(medecin("Texte") + b"Dupont\r\n****LAB****\r\nRES|A|A|N|1\r\n****FIN****\r\n")
    assert (len(headless.items), "hprim.header.truncated" in codes(headless)) == (1, True)
    assert len(headless.unread) == 2


def test_a_header_alone_says_nothing() -> None:
    reading = read(medecin())
    assert reading.items == ()
    assert "hprim.report.empty" in codes(reading)
    assert len(reading.unread) == 11


def test_inverted_and_doubled_end_tags() -> None:
    reading = read(medecin("Texte", end=("****FINFICHIER****", "", "****FIN****")))
    assert len(reading.items) == 1
    assert isinstance(reading.items[0], DocumentItem)


def test_control_characters_go_and_text_stays() -> None:
    (item,) = read(coded("RES|Pot\0assium|K|A|Pré\x01sent||||||F\x1a")).items
    assert isinstance(item, LabReportItem)
    (observation,) = item.content.chapters[0].observations
    assert (observation.label, observation.value) == ("Potassium", TextValue(text="Présent"))


def test_a_charset_can_be_forced_and_must_exist() -> None:
    assert read(medecin("Texte"), charset="latin-1").charset == "iso8859-1"
    with pytest.raises(FormatError) as refusal:
        read(medecin("Texte"), charset="klingon")
    assert refusal.value.code == "hprim.charset.unknown"


def test_findings_of_one_kind_are_counted_when_they_are_many() -> None:
    reading = read(coded(*["RES||X|A"] * 500, "RES|A|A|N|1"))
    placeholders = [one for one in reading.findings if one.code == "hprim.res.placeholder"]
    assert (len(placeholders), placeholders[-1].message) == (101, "and 400 more")


SEED = coded(
    "TEX|          B I O C H I M I E",
    "RES|Créatinine|CREA|N|8.3|mg/L|6.0|11.0|N|F|73.5|µmol/L|53.1|97.4",
    "TEX|  contrôlé",
    "RES|C.R.P.|CRP|A| < 0.12 mg/L|||||F",
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
                    [b"|", b"\r", b"\n", b"\0", b"****FIN****\r\n", b"RES|", b"\xc3", b"TEX"]
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
    assert reading is None or reading.findings
    FORMAT.positions(bytes(content))
    FORMAT.pieces(bytes(content))
    assert 0 <= FORMAT.sniff(bytes(content)) <= 1
