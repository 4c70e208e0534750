from __future__ import annotations

import csv
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from schemas.coding import Identifier
from schemas.identifiers import (
    PROFESSIONALS,
    STRUCTURES,
    InsEnvironment,
    MatriculeVerdict,
    NumberVerdict,
    check_adeli,
    check_finess,
    check_matricule,
    check_rpps,
    check_siret,
    ins_authority,
    ins_is_at_home,
    ins_of,
    professional_identifier,
    structure_identifier,
)


@pytest.mark.parametrize(
    ("raw", "verdict", "key"),
    [
        ("180017505600004", MatriculeVerdict.OK, "04"),
        ("1 80 01 75\u202f056 000 04", MatriculeVerdict.OK, "04"),
        ("1800175056000", MatriculeVerdict.NO_KEY, "04"),
        ("180017505600005", MatriculeVerdict.WRONG_KEY, "04"),
        ("280012a00400019", MatriculeVerdict.OK, "19"),
        ("280012B03300049", MatriculeVerdict.OK, "49"),
        ("280012C03300049", MatriculeVerdict.WRONG_FORMAT, None),
        ("1801375056000", MatriculeVerdict.WRONG_FORMAT, None),
        ("7112345678901", MatriculeVerdict.PROVISIONAL_NUMBER, None),
        ("5112345678901", MatriculeVerdict.MIGRANT_NUMBER, None),
        ("18001750560000", MatriculeVerdict.WRONG_LENGTH, None),
        ("18001750560000²", MatriculeVerdict.WRONG_FORMAT, None),
        ("185107505600097", MatriculeVerdict.OK, "97"),
    ],
)
def test_a_matricule_is_judged(raw: str, verdict: MatriculeVerdict, key: str | None) -> None:
    checked = check_matricule(raw)
    assert (checked.verdict, checked.key) == (verdict, key)


@pytest.mark.shared_data
def test_every_published_case_of_matricule_holds(shared_data: Path) -> None:
    with (shared_data / "ins" / "testcases" / "nir.csv").open(encoding="utf-8", newline="") as lines:
        cases = list(csv.DictReader(lines, delimiter=";"))
    assert len(cases) > 20
    for case in cases:
        checked = check_matricule(case["input"])
        assert checked.verdict == case["expected_code"], case["id"]
        assert (checked.key or "") == case["computed_key"], case["id"]
        if case["normalised"]:
            assert checked.value == case["normalised"], case["id"]


@given(st.text(max_size=20))
def test_any_text_gets_a_verdict(raw: str) -> None:
    checked = check_matricule(raw)
    assert (checked.verdict is MatriculeVerdict.OK) <= (checked.value[13:] == checked.key)


def test_ins_authorities_know_their_environment() -> None:
    test = ins_authority("urn:oid:1.2.250.1.213.1.4.10")
    assert test is not None
    assert (test.kind, test.environment, test.system) == ("NIR", "test", "urn:oid:1.2.250.1.213.1.4.10")
    assert ins_is_at_home("1.2.250.1.213.1.4.8", InsEnvironment.PRODUCTION)
    assert not ins_is_at_home("1.2.250.1.213.1.4.10", InsEnvironment.PRODUCTION)
    assert not ins_is_at_home("1.2.250.1.213.1.4.9", InsEnvironment.TEST)
    assert ins_is_at_home("1.2.250.1.213.1.4.11", InsEnvironment.TEST)
    assert not ins_is_at_home("1.2.3", InsEnvironment.TEST)
    assert ins_authority("1.2.250.1.213.1.4.2") is None


def test_a_billing_number_under_the_ins_oid_is_not_an_ins() -> None:
    system = "urn:oid:1.2.250.1.213.1.4.8"
    matricule = "180017505600004"
    assert ins_of(Identifier(system=system, value=matricule, type="NH")) is None
    found = ins_of(Identifier(system=system, value=matricule, type="INS"))
    assert found is not None
    assert found.oid == "1.2.250.1.213.1.4.8"


def test_national_numbers_are_checked() -> None:
    assert check_rpps("89970000017").verdict is NumberVerdict.VALID
    assert check_rpps("00000000000").verdict is NumberVerdict.VALID
    assert check_rpps("00000000001").verdict is NumberVerdict.WRONG_KEY
    assert check_rpps("1000346103").verdict is NumberVerdict.WRONG_FORMAT
    assert check_finess("2A0000006").verdict is NumberVerdict.VALID
    assert check_finess("2a0000007").verdict is NumberVerdict.WRONG_KEY
    assert check_finess("2B0000004").verdict is NumberVerdict.VALID
    assert check_finess("2C0000004").verdict is NumberVerdict.WRONG_FORMAT
    assert check_adeli("2A1234567").verdict is NumberVerdict.VALID
    assert check_siret("000 000 000 00000").verdict is NumberVerdict.VALID


@pytest.mark.parametrize(
    ("value", "type_", "system", "expected"),
    [
        ("899700000001", "IDNPS", None, ("RPPS", "99700000001", PROFESSIONALS)),
        ("899700000001", "RPPS", PROFESSIONALS, ("RPPS", "99700000001", PROFESSIONALS)),
        ("99700000001", "RPPS", None, ("RPPS", "99700000001", PROFESSIONALS)),
        ("0012807590", "IDNPS", None, ("ADELI", "012807590", PROFESSIONALS)),
        ("012807590", "ADELI", None, ("ADELI", "012807590", PROFESSIONALS)),
        ("3670000000/AGENT1", "EI", PROFESSIONALS, ("EI", "3670000000/AGENT1", PROFESSIONALS)),
        ("00000000000", None, None, ("RPPS", "00000000000", PROFESSIONALS)),
        ("DRTEST", None, None, (None, "DRTEST", None)),
        ("99700000001", "EI", "urn:x-authority:labo", ("EI", "99700000001", "urn:x-authority:labo")),
    ],
)
def test_professionals_are_normalised(
    value: str, type_: str | None, system: str | None, expected: tuple[str | None, str, str | None]
) -> None:
    identifier = professional_identifier(value, type_, system)
    assert (identifier.type, identifier.value, identifier.system) == expected


@pytest.mark.parametrize(
    ("value", "type_", "system", "expected"),
    [
        ("1670000000", "FINEG", None, ("FINEG", "670000000", STRUCTURES)),
        ("670000000", "FINEJ", None, ("FINEJ", "670000000", STRUCTURES)),
        ("1670000000", "IDNST", STRUCTURES, ("FINEG", "670000000", STRUCTURES)),
        ("300000000000000", "IDNST", None, ("SIRET", "00000000000000", STRUCTURES)),
        ("1.2.250.1.999.1", "FINEG", None, ("FINEG", "1.2.250.1.999.1", STRUCTURES)),
        ("UF12", "UF", "urn:x-finess:670000000", ("UF", "UF12", "urn:x-finess:670000000")),
    ],
)
def test_structures_are_normalised(
    value: str, type_: str | None, system: str | None, expected: tuple[str | None, str, str | None]
) -> None:
    identifier = structure_identifier(value, type_, system)
    assert (identifier.type, identifier.value, identifier.system) == expected
