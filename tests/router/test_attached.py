"""What leaves carries the register's numbers and, where the rules allow it, its INS; the sender's own words stay."""

from __future__ import annotations

import pytest

from router.identity.attached import attached, completed
from schemas.coding import Identifier
from schemas.identity import IdentityAttribute, IdentityStatus, Ins, PatientIdentity, Sex
from schemas.identity_event import IdentityEvent
from schemas.item import IdentityItem, LabReportItem, Provenance
from schemas.lab import LabReport

INS = Ins(matricule="238053523800024", oid="1.2.250.1.213.1.4.10")
IPP = Identifier(system="urn:oid:1.2.3", value="IPP1", type="PI")
LAB = Identifier(system="urn:x-authority:LABFIC", value="PAT1", type="PI")
KNOWN = PatientIdentity(
    ins=INS,
    status=IdentityStatus.QUALIFIED,
    identifiers=(IPP, LAB),
    birth_name="TESTROSE",
    birth_given_names=("ROSE", "MARIE"),
    first_given_name="ROSE",
    birth_date="1938-05-12",
    sex=Sex.FEMALE,
    birth_place="35238",
)
SENT = PatientIdentity(identifiers=(LAB,), family_name="TESTROSE", given_name="ROSE", birth_date="1938-05-12")


def test_a_laboratory_number_is_completed_by_the_ins_and_its_traits() -> None:
    leaving = completed(SENT, KNOWN)
    assert (leaving.ins, leaving.status) == (INS, IdentityStatus.QUALIFIED)
    assert leaving.identifiers == (LAB, IPP)
    assert (leaving.birth_name, leaving.birth_given_names, leaving.sex) == ("TESTROSE", ("ROSE", "MARIE"), Sex.FEMALE)
    assert (leaving.family_name, leaving.given_name) == ("TESTROSE", "ROSE")


def test_nothing_to_add_gives_the_same_object() -> None:
    assert completed(KNOWN, KNOWN) is KNOWN
    item = LabReportItem(id="1", patient=KNOWN, source=Provenance(format="hl7v2", where=""), content=LabReport())
    assert attached(item, KNOWN) is item


@pytest.mark.parametrize(
    "status", [None, IdentityStatus.PROVISIONAL, IdentityStatus.RETRIEVED, IdentityStatus.VALIDATED]
)
def test_only_a_qualified_identity_lends_its_ins(status: IdentityStatus | None) -> None:
    leaving = completed(SENT, KNOWN.model_copy(update={"status": status}))
    assert (leaving.ins, leaving.status, leaving.birth_name) == (None, None, None)
    assert leaving.identifiers == (LAB, IPP)


@pytest.mark.parametrize("attribute", [IdentityAttribute.DOUBTFUL, IdentityAttribute.FICTITIOUS])
@pytest.mark.parametrize("whose", ["sent", "known"])
def test_a_doubtful_or_fictitious_identity_gets_no_ins(attribute: IdentityAttribute, whose: str) -> None:
    sent, known = (
        one.model_copy(update={"attributes": (attribute,)}) if name == whose else one
        for name, one in (("sent", SENT), ("known", KNOWN))
    )
    assert completed(sent, known).ins is None


def test_a_received_ins_that_may_not_be_used_is_replaced_by_ours_with_its_status() -> None:
    leaving = completed(SENT.model_copy(update={"ins": INS, "status": IdentityStatus.VALIDATED}), KNOWN)
    assert (leaving.ins, leaving.status) == (INS, IdentityStatus.QUALIFIED)


def test_an_identity_event_leaves_as_it_came() -> None:
    event = IdentityEvent(event="patient.identifier_changed", trigger="A47", ins_removed=True)
    item = IdentityItem(id="1", patient=SENT, source=Provenance(format="hl7v2", where=""), content=event)
    assert attached(item, KNOWN) is item
