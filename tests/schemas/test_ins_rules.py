"""The national test cases of identity: each row of the shared tables holds."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from schemas.birth_dates import BirthDate, DateFault, birth_date
from schemas.birth_places import kind_of_place
from schemas.identifiers import check_matricule
from schemas.identity import IdentityAttribute, IdentityStatus, Sex
from schemas.identity_status import StatusEvent, after, attributes_agree, ins_usable, status_of, withdraws_ins
from schemas.ins_crosscheck import cross_check
from schemas.ins_datamatrix import DatamatrixFault, InsDatamatrix, read_datamatrix, write_datamatrix
from schemas.traits import NameKind, checked_name, first_in_list, loosened, normalised

SEXES = {"M": Sex.MALE, "F": Sex.FEMALE}


def cases(shared_data: Path, name: str) -> Iterator[dict[str, str]]:
    with (shared_data / "ins" / "testcases" / name).open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter=";"))
    assert rows
    yield from rows


@pytest.mark.shared_data
def test_matricules(shared_data: Path) -> None:
    for row in cases(shared_data, "nir.csv"):
        found = check_matricule(row["input"].strip("“”"))
        assert (found.verdict, found.key or "") == (row["expected_code"], row["computed_key"].strip("–-")), row["id"]


@pytest.mark.shared_data
def test_names(shared_data: Path) -> None:
    for row in cases(shared_data, "names.csv"):
        assert checked_name(row["input"].strip("“”"), NameKind(row["profile"])) == row["expected"], row["id"]


@pytest.mark.shared_data
def test_birth_dates(shared_data: Path) -> None:
    for row in cases(shared_data, "birthdates.csv"):
        found = birth_date(row["input"])
        said = f"{found.value} {found.kind}" if isinstance(found, BirthDate) else found.value
        assert said == row["expected"], row["id"]


def test_partial_dates_are_completed_like_those_with_zeros() -> None:
    assert birth_date("1958-05") == birth_date("1958-05-00")
    assert birth_date("1958") == birth_date("1958-00-00")
    assert birth_date("0000-05-01") is DateFault.YEAR


@pytest.mark.shared_data
def test_places(shared_data: Path) -> None:
    for row in cases(shared_data, "cog.csv"):
        assert kind_of_place(row["input"]) == row["expected_class"], row["id"]


@pytest.mark.shared_data
def test_first_given_names(shared_data: Path) -> None:
    for row in cases(shared_data, "first_given_in_list.csv"):
        assert first_in_list(row["first_given"], row["given_list"]) is (row["expected"] == "true"), row["id"]


@pytest.mark.shared_data
def test_cross_checks(shared_data: Path) -> None:
    for row in cases(shared_data, "nir_trait_crosscheck.csv"):
        found = cross_check(row["matricule"], SEXES[row["sex"]], row["birthdate"], row["cog"])
        assert "+".join(found) == row["expected_warnings"].replace("NONE", ""), row["id"]


@pytest.mark.shared_data
def test_datamatrices(shared_data: Path) -> None:
    for row in cases(shared_data, "datamatrix.csv"):
        payload = row["expected_payload (<GS> = 0x1D)"]
        given_ = InsDatamatrix(
            row["matricule"], row["oid"], row["given_list"], row["birth_family"], row["sex"], row["birthdate_iso"],
            row["cog"] or None,
        )  # fmt: skip
        written = write_datamatrix(given_)
        assert written == payload.replace("<GS>", "\x1d"), row["id"]
        assert len(written) == int(row["length_in_characters"])
        for rendering in ("\x1d", "<GS>", "^]"):
            found = read_datamatrix(payload.replace("<GS>", rendering))
            assert (found.matricule, found.oid, found.born, found.place) == (
                given_.matricule, given_.oid, given_.born, given_.place,
            )  # fmt: skip
            assert found.birth_name == normalised(given_.birth_name)


def test_blocks_in_another_order_and_names_that_look_like_blocks() -> None:
    one = InsDatamatrix("180017505600004", "1.2.250.1.213.1.4.8", "S FICTIF", "TEST", "M", "1980-01-15")
    written = write_datamatrix(one)
    head, body = written[:26], written[26:]
    swapped = head + "S5M" + "S4S5M S6\x1d" + body.replace("S4TEST\x1d", "").replace("S5M", "", 1)
    assert read_datamatrix(swapped).birth_name == "S5M S6"


@pytest.mark.parametrize("text", ["", "IS01", "IS02" + "0" * 22, "IS01" + "0" * 22 + "S1180017505600004", "S1" * 40])
def test_what_is_no_datamatrix_is_said(text: str) -> None:
    with pytest.raises(DatamatrixFault):
        read_datamatrix(text)


@given(st.text(max_size=200))
def test_any_scan_is_read_or_refused(text: str) -> None:
    try:
        found = read_datamatrix("IS01" + "0" * 22 + text)
    except DatamatrixFault:
        return
    assert found.matricule
    assert found.birth_name


@given(st.text(max_size=40))
def test_normalising_twice_changes_nothing_more(text: str) -> None:
    assert normalised(normalised(text)) == normalised(text)
    assert loosened(loosened(text)) == loosened(text)


def test_statuses_are_made_of_two_facts_and_taken_away_by_doubt() -> None:
    made = {
        (insi, trust): status_of(from_insi=insi, high_trust=trust) for insi in (False, True) for trust in (False, True)
    }
    assert made == {
        (False, False): IdentityStatus.PROVISIONAL,
        (False, True): IdentityStatus.VALIDATED,
        (True, False): IdentityStatus.RETRIEVED,
        (True, True): IdentityStatus.QUALIFIED,
    }
    for attribute in (IdentityAttribute.DOUBTFUL, IdentityAttribute.FICTITIOUS):
        assert status_of(from_insi=True, high_trust=True, attributes=[attribute]) is IdentityStatus.PROVISIONAL
        assert not ins_usable(IdentityStatus.QUALIFIED, [attribute])
    assert ins_usable(IdentityStatus.QUALIFIED, [IdentityAttribute.HOMONYM])
    assert not ins_usable(IdentityStatus.VALIDATED, [])


def test_attributes_that_may_stand_together() -> None:
    doubtful, homonym, fictitious = (
        IdentityAttribute.DOUBTFUL,
        IdentityAttribute.HOMONYM,
        IdentityAttribute.FICTITIOUS,
    )
    assert attributes_agree([doubtful, homonym])
    assert attributes_agree([fictitious])
    assert not attributes_agree([fictitious, homonym])
    assert not attributes_agree([fictitious, doubtful])


@given(st.sampled_from(IdentityStatus), st.lists(st.sampled_from(StatusEvent), max_size=8))
def test_qualified_is_reached_only_by_insi_and_a_document_or_by_the_card(
    start: IdentityStatus, events: list[StatusEvent]
) -> None:
    status = start
    for event in events:
        before, status = status, after(status, event)
        if status is IdentityStatus.QUALIFIED and before is not IdentityStatus.QUALIFIED:
            earned = {
                StatusEvent.INSI_CONFIRMED: IdentityStatus.VALIDATED,
                StatusEvent.DOCUMENT_CHECKED: IdentityStatus.RETRIEVED,
            }
            assert event is StatusEvent.CARD_READ or before is earned[event]
        assert withdraws_ins(before, status) is (
            before is IdentityStatus.QUALIFIED and status is not IdentityStatus.QUALIFIED
        )
