from __future__ import annotations

from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, strategies as st

from mappings.xds import datatypes
from mappings.xds.identities import oid_of, source_id_of, unique_id_of
from schemas.actors import Organization, Professional, Recipient, Telecom
from schemas.coding import Identifier
from schemas.identifiers import PROFESSIONALS, STRUCTURES
from schemas.identity import Ins

PARIS = ZoneInfo("Europe/Paris")
TEXTS = st.text(st.characters(exclude_categories=("C", "Z")), min_size=1, max_size=12)


@pytest.mark.parametrize(
    ("canonical", "utc"),
    [
        ("2026-01-15T09:30:00+01:00", "20260115083000"),
        ("2026-07-15T00:30:00+02:00", "20260714223000"),
        ("2026-01-15T09:30+01:00", "202601150830"),
        ("2026-07-15T09:30:00", "20260715073000"),
        ("2026-01-15T09:30:00.250Z", "20260115093000"),
        ("2026-01-15", "20260115"),
        ("2026-01", "202601"),
        ("2026", "2026"),
        (None, None),
        ("0001-01-01T00:30:00+14:00", None),
    ],
)
def test_times_are_written_in_utc_at_the_precision_that_is_known(canonical: str | None, utc: str | None) -> None:
    assert datatypes.write_time(canonical, PARIS) == utc


@pytest.mark.parametrize(
    ("text", "iso", "as_xds_wants"),
    [
        ("20260115083000", "2026-01-15T08:30:00Z", True),
        ("202601150830", "2026-01-15T08:30Z", True),
        ("20260115", "2026-01-15", True),
        ("2026", "2026", True),
        ("20260115093000+0100", "2026-01-15T09:30:00+01:00", False),
        ("20261315", None, False),
        ("20260230", None, False),
        ("202613", None, False),
        ("20260132083000", None, False),
        ("hier", None, False),
    ],
)
def test_times_are_read(text: str, iso: str | None, as_xds_wants: bool) -> None:
    assert datatypes.read_time(text) == (iso, as_xds_wants)


def test_the_ins_and_local_numbers() -> None:
    ins = Ins(matricule="279035121518989", oid="1.2.250.1.213.1.4.10")
    assert datatypes.write_ins(ins) == "279035121518989^^^&1.2.250.1.213.1.4.10&ISO^NH"
    local = Identifier(system="urn:oid:1.2.250.1.999.67.2", value="IPP-1", type="PI")
    assert datatypes.write_identifier(local) == "IPP-1^^^&1.2.250.1.999.67.2&ISO^PI"
    assert datatypes.read_cx("IPP-1^^^&1.2.250.1.999.67.2&ISO^PI") == local
    assert datatypes.read_cx("IPP-1^^^1.2.250.1.999.67.2^PI") == local
    assert datatypes.read_cx("^^^&1.2&ISO") is None
    named = Identifier(system="urn:x-authority:CH%20FICTIF", value="7", type="PI")
    assert datatypes.read_cx(datatypes.write_identifier(named)) == named


@pytest.mark.parametrize(
    ("person", "text"),
    [
        (
            Professional(
                identifiers=(Identifier(system=PROFESSIONALS, value="99700000017", type="RPPS"),),
                family_name="TESTEUR",
                given_name="Hélène",
            ),
            "899700000017^TESTEUR^Hélène^^^^^^&1.2.250.1.71.4.2.1&ISO^D^^^IDNPS",
        ),
        (
            Professional(
                identifiers=(Identifier(system=PROFESSIONALS, value="999999999", type="ADELI"),), family_name="TESTEUR"
            ),
            "0999999999^TESTEUR^^^^^^^&1.2.250.1.71.4.2.1&ISO^D^^^IDNPS",
        ),
        (
            Professional(
                identifiers=(Identifier(system=PROFESSIONALS, value="3990000017/AGENT1", type="EI"),),
                family_name="TESTEUR",
            ),
            "3990000017/AGENT1^TESTEUR^^^^^^^&1.2.250.1.71.4.2.1&ISO^D^^^EI",
        ),
        (Professional(family_name="TESTEUR", given_name="Paul"), "^TESTEUR^Paul"),
    ],
)
def test_professionals(person: Professional, text: str) -> None:
    assert datatypes.write_xcn(person) == text
    assert datatypes.read_xcn(text) == person


def test_professionals_as_others_write_them() -> None:
    assert datatypes.write_xcn(Professional()) is None
    assert datatypes.write_xcn(Professional(name="Dr Sans-Numéro")) == "^Dr Sans-Numéro^"
    assert datatypes.read_xcn("Gerald Smitty") == Professional(name="Gerald Smitty")
    assert datatypes.read_xcn("^^") is None


def test_structures() -> None:
    hospital = Organization(
        name="HÔPITAL & FICTIF", identifiers=(Identifier(system=STRUCTURES, value="990000017", type="FINEG"),)
    )
    text = "HÔPITAL \\T\\ FICTIF^^^^^&1.2.250.1.71.4.2.2&ISO^IDNST^^^1990000017"
    assert datatypes.write_xon(hospital) == text
    assert datatypes.read_xon(text) == hospital
    assert datatypes.write_xon(Organization(name="CABINET")) == "CABINET"
    assert datatypes.read_xon("CABINET") == Organization(name="CABINET")
    assert datatypes.read_xon("") is None
    siret = Organization(identifiers=(Identifier(system=STRUCTURES, value="99999999900017", type="SIRET"),))
    assert datatypes.read_xon(datatypes.write_xon(siret) or "") == siret


def test_intended_recipients() -> None:
    mail = Telecom(kind="mssante", value="paul@fictif.mssante.fr")
    whole = Recipient(
        organization=Organization(name="CABINET"),
        professional=Professional(family_name="TESTEUR", given_name="Paul", telecoms=(mail,)),
    )
    assert datatypes.read_recipient(datatypes.write_recipient(whole) or "") == whole
    place = Recipient(organization=Organization(name="CABINET", telecoms=(mail,)))
    assert datatypes.read_recipient(datatypes.write_recipient(place) or "") == place
    assert datatypes.write_recipient(Recipient()) is None
    assert datatypes.read_recipient("||") is None


@given(TEXTS, TEXTS)
def test_separators_inside_a_value_are_escaped(family: str, given: str) -> None:
    person = Professional(family_name=family, given_name=given)
    text = datatypes.write_xcn(person) or ""
    assert text.count("^") == 2
    assert not set("&|~") & set(text)
    assert datatypes.read_xcn(text) == person


def test_identities_are_always_the_same_and_are_oids() -> None:
    assert oid_of("a", "b") == oid_of("a", "b") != oid_of("a", "c")
    assert len(oid_of("a")) <= 64
    assert unique_id_of("urn:oid:1.2.3^X-1") == "1.2.3^X-1"
    assert unique_id_of("00000000-0000-0000-0000-00000000000A") == "2.25.10"
    assert unique_id_of("DOC 7") is None
    assert unique_id_of(None) is None
    finess = Organization(identifiers=(Identifier(system=STRUCTURES, value="990000017", type="FINEG"),))
    assert source_id_of(finess) == ("1.2.250.1.71.4.2.2.1990000017", False)
    assert source_id_of(None)[1]
