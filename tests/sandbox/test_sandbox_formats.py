"""What the sandbox writes is what French systems write: structure, escapes, line lengths, charsets."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from connectors.sandbox.adt import CARDIOLOGY, EMERGENCIES, STRUCTURES, Movement, Visit, adt
from connectors.sandbox.analyses import INFLAMMATION, NFS, PANELS
from connectors.sandbox.er7 import escaped, segment
from connectors.sandbox.hprim import hprim_medecin, hprim_sante
from connectors.sandbox.laboratory import PARIS
from connectors.sandbox.mllp import control_id_of
from connectors.sandbox.oru import oru
from connectors.sandbox.people import ROSE, population
from connectors.sandbox.reports import Measure, Report, draw_report

AT = datetime(2026, 3, 5, 9, 30, tzinfo=PARIS)
VISIT = Visit("SEJ0000001", "DOS0000001", AT)
MOVEMENT = Movement("MVT0000001", AT, CARDIOLOGY)


def report(*, seed: int = 3) -> Report:
    return draw_report(random.Random(seed), ROSE, 12, AT, panels=PANELS)


def fields(message: bytes, name: str, charset: str = "utf-8") -> list[list[str]]:
    lines = message.decode(charset).split("\r")
    return [line.split("|") for line in lines if line.startswith(name + "|")]


def test_oru_carries_every_result_once_under_the_report_id() -> None:
    drawn = report()
    message = oru(drawn, control_id="LABO-1", visit="SEJ0000001")
    assert control_id_of(message) == "LABO-1"
    assert message.endswith(b"\r")
    assert [row[3].split("^")[3] for row in fields(message, "OBX")] == [m.analysis.code for m in drawn.measures]
    assert {row[3] for row in fields(message, "OBR")} == {drawn.report_id}
    assert fields(message, "PV1")[0][19].startswith("SEJ0000001^^^CH-FICTIF&")
    header = fields(message, "MSH")[0]
    assert (header[8], header[10], header[11], header[17]) == ("ORU^R01^ORU_R01", "T", "2.5", "UNICODE UTF-8")


def test_a_value_under_the_limit_is_a_structured_number() -> None:
    crp = INFLAMMATION.analyses[0]
    drawn = replace(report(), panels=((INFLAMMATION, (Measure(crp, "< 0.6", "N"),)),))
    row = fields(oru(drawn, control_id="1"), "OBX")[0]
    assert (row[2], row[5]) == ("SN", "<^0.6")
    assert "RES|Protéine C réactive|CRP|A|< 0.6 mg/L|||5.0|N|F" in hprim_medecin(drawn).decode("cp1252")


def test_delimiters_in_texts_are_escaped() -> None:
    assert escaped("a|b^c~d&e\\f\ng") == "a\\F\\b\\S\\c\\R\\d\\T\\e\\E\\f\\.br\\g"
    assert segment("ZZZ", {1: "a", 3: "c", 5: ""}) == "ZZZ|a||c"


def test_oru_is_written_in_the_declared_charset() -> None:
    latin = oru(report(), control_id="1", charset="8859/15")
    assert fields(latin, "MSH", "iso-8859-15")[0][17] == "8859/15"
    assert "Hématies" in latin.decode("iso-8859-15")


@pytest.mark.parametrize("event", sorted(STRUCTURES))
def test_every_adt_event_has_its_structure_and_patient(event: str) -> None:
    message = adt(event, ROSE, control_id="A-1", at=AT, visit=VISIT, movement=MOVEMENT, absorbed="IPP000777")
    assert fields(message, "MSH")[0][8] == f"ADT^{event}^{STRUCTURES[event]}"
    assert fields(message, "PID")[0][3].startswith(ROSE.ipp + "^^^")
    is_movement = event not in {"A28", "A31", "A40", "A47"}
    assert bool(fields(message, "ZBE")) is is_movement
    assert bool(fields(message, "MRG")) is (event in {"A40", "A47"})


def test_movements_say_what_they_cancel_and_where_they_came_from() -> None:
    cancelled = fields(adt("A12", ROSE, control_id="1", at=AT, visit=VISIT, movement=MOVEMENT), "ZBE")[0]
    assert (cancelled[4], cancelled[6]) == ("CANCEL", "A02")
    transferred = replace(MOVEMENT, previous=EMERGENCIES, at=AT + timedelta(hours=3))
    assert fields(adt("A02", ROSE, control_id="1", at=AT, visit=VISIT, movement=transferred), "PV1")[0][6].startswith(
        "1010"
    )
    ended = replace(VISIT, discharged_at=AT + timedelta(days=4))
    row = fields(adt("A03", ROSE, control_id="1", at=AT, visit=ended, movement=MOVEMENT), "PV1")[0]
    assert row[45] == "20260309093000+0100"


def test_adt_refuses_what_it_cannot_say() -> None:
    with pytest.raises(ValueError, match="A99"):
        adt("A99", ROSE, control_id="1", at=AT)
    with pytest.raises(ValueError, match="visit"):
        adt("A01", ROSE, control_id="1", at=AT)
    with pytest.raises(ValueError, match="absorbed"):
        adt("A40", ROSE, control_id="1", at=AT)


def test_the_withdrawal_of_an_ins_is_an_explicit_null() -> None:
    message = adt("A47", ROSE, control_id="1", at=AT)
    assert '~""^^^ASIP-SANTE-INS-NIR&1.2.250.1.213.1.4.10&ISO^INS' in fields(message, "PID")[0][3]
    assert fields(message, "MRG")[0][1].startswith(ROSE.matricule)


def test_hprim_medecin_has_twelve_header_lines_a_blank_and_its_tags() -> None:
    drawn = report()
    lines = hprim_medecin(drawn).decode("cp1252").split("\r\n")
    assert lines[:3] == [ROSE.laboratory_number, "TESTROSE", "ROSE"]
    assert (lines[6], lines[8], lines[9], lines[12]) == ("12/05/1938", drawn.report_id, "05/03/2026", "")
    assert lines[-3:] == ["****FIN****", "****FINFICHIER****", ""]
    results = [line.split("|") for line in lines if line.startswith("RES|")]
    assert [row[2] for row in results] == [measure.analysis.code for measure in drawn.measures]
    assert {len(row) for row in results} == {10}


def test_hprim_sante_keeps_physical_lines_short_and_loses_nothing_by_cutting() -> None:
    long = replace(report(), conclusion="Commentaire fictif. " * 40)
    content = hprim_sante(long, "LABO0001.HPR")
    physical = content.split(b"\r")
    assert max(len(line) for line in physical) <= 219
    logical = content.decode("latin-1").replace("\rA|", "").split("\r")
    comment = next(line for line in logical if line.startswith("C|"))
    assert comment.count("Commentaire fictif.") == 40
    assert logical[1].split("|")[11].startswith(ROSE.matricule)
    assert [line.split("|")[5] for line in logical if line.startswith("OBX|")] == [m.text for m in long.measures]


def test_used_names_travel_beside_birth_names() -> None:
    person = next(person for person in population(50) if person.used_name)
    drawn = replace(report(), person=person)
    assert f"~{person.used_name}^" in fields(oru(drawn, control_id="1"), "PID")[0][5]
    assert hprim_medecin(drawn).decode("cp1252").split("\r\n")[1] == person.used_name


def test_one_panel_alone_is_sized_as_a_real_message() -> None:
    message = oru(draw_report(random.Random(1), ROSE, 1, AT, panels=(NFS,)), control_id="1")
    assert 1_000 < len(message) < 4_000
