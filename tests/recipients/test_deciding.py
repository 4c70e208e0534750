"""Who gets what: every reason, each person once, the sender's wishes, the patient's own mailbox, who is left out."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import Any

import pytest

from connectors.annuaire.entries import Correspondent, Entry, gathered
from router.recipients.circles import Circle, CircleMember
from router.recipients.deciding import Asked, Outcome, Policy, decide
from router.recipients.rules import (
    WISHES,
    Audience,
    Reason,
    Rules,
    RulesFault,
    Send,
    default_rules,
    read_rows,
    read_wishes,
)
from schemas.actors import Organization, Professional, Recipient, Telecom
from schemas.coding import Coding, Identifier
from schemas.document import Document, Wishes
from schemas.habilitation import DataCategory
from schemas.identity import IdentityAttribute, IdentityStatus, Ins, PatientIdentity
from schemas.identity_event import IdentityEvent
from schemas.item import DocumentItem, IdentityItem, Item, LabReportItem, Provenance, StayItem
from schemas.lab import LabReport
from schemas.stay import Stay, StayStatus

SOURCE = Provenance(format="canonical", where="test")
INS = Ins(matricule="279035121518989", oid="1.2.250.1.213.1.4.10")
ROSE = PatientIdentity(ins=INS, status=IdentityStatus.QUALIFIED, birth_name="TESTROSE")
HER_MAILBOX = "279035121518989@patient.mssante.fr"
DOCTOR, NURSE, BIOLOGIST = "99900000001", "99900000002", "99900000003"
POLICY = Policy(tuple(Reason), default_rules())


class Known:
    """A directory of a few lines."""

    def __init__(self, *entries: Entry) -> None:
        self._entries = list(entries)

    def person(self, rpps: str) -> Correspondent | None:
        return next(iter(gathered([one for one in self._entries if one.rpps == rpps])), None)

    def structure(self, number: str) -> list[Correspondent]:
        return gathered([one for one in self._entries if one.structure == number])

    def at(self, address: str) -> list[Correspondent]:
        return gathered([one for one in self._entries if one.address == address])


KNOWN = Known(
    Entry(address="docteur@medecin.mssante.fr", kind="PER", rpps=DOCTOR, family="TESTMEDECIN", structure="990000001"),
    Entry(address="docteur@clinique.mssante.fr", kind="PER", rpps=DOCTOR, family="TESTMEDECIN", structure="990000002"),
    Entry(address="infirmiere@infirmier.mssante.fr", kind="PER", rpps=NURSE, family="TESTSOIN"),
    Entry(rpps=BIOLOGIST, family="TESTBIO"),
    Entry(address="labo@structure.mssante.fr", kind="ORG", structure="990000003", structure_name="LABO"),
    Entry(address="urgences@ch.mssante.fr", kind="ORG", structure="990000004", structure_name="CH", service="URGENCES"),
    Entry(address="cardio@ch.mssante.fr", kind="ORG", structure="990000004", structure_name="CH", service="CARDIO"),
)


def professional(rpps: str = "", address: str = "", **more: Any) -> Professional:
    identifiers = (Identifier(system="https://rpps.esante.gouv.fr", value=rpps, type="RPPS"),) if rpps else ()
    telecoms = (Telecom(kind="mssante", value=address),) if address else ()
    return Professional(identifiers=identifiers, telecoms=telecoms, **more)


def to(rpps: str = "", address: str = "", **more: Any) -> Recipient:
    return Recipient(professional=professional(rpps, address, **more), role="RCT")


def structure(finess: str) -> Recipient:
    return Recipient(organization=Organization(identifiers=(Identifier(value=finess, type="FINEG"),)))


def letter(*recipients: Recipient, patient: PatientIdentity = ROSE, wishes: Wishes | None = None, **more: Any) -> Item:
    content = Document(wishes=wishes, category=Coding(code="10"), recipients=recipients, **more)
    return DocumentItem(id="d1", patient=patient, recipients=recipients, source=SOURCE, content=content)


def report(*recipients: Recipient) -> Item:
    return LabReportItem(id="r1", patient=ROSE, recipients=recipients, source=SOURCE, content=LabReport())


def decided(item: Item, policy: Policy = POLICY, circle: Circle = Circle(), **more: Any) -> Outcome:  # noqa: B008 - frozen
    asked = Asked(item, **{"patient_id": 1, "circle": circle, **more})
    return decide(asked, policy, KNOWN)


def sent(outcome: Outcome) -> dict[str, tuple[Reason, ...]]:
    return {one.address: one.reasons for one in outcome.chosen}


def codes(outcome: Outcome) -> list[str]:
    return [one.code for one in outcome.left]


def member(rpps: str = "", **more: Any) -> CircleMember:
    return CircleMember("TEST", rpps, **more)


def test_one_person_gets_one_copy_whatever_the_reasons() -> None:
    item = letter(to(address="Docteur@clinique.mssante.fr"), to(DOCTOR), to(DOCTOR, "docteur@medecin.mssante.fr"))
    circle = Circle((member(DOCTOR, mailbox="docteur@medecin.mssante.fr"), member(NURSE)))
    outcome = decided(item, circle=circle, general_practitioner=professional(DOCTOR))
    assert sent(outcome) == {
        "docteur@clinique.mssante.fr": (Reason.NAMED, Reason.PRACTITIONER, Reason.CIRCLE),
        "infirmiere@infirmier.mssante.fr": (Reason.CIRCLE,),
    }
    assert outcome.left == ()


def test_each_recipient_is_addressed_alone_with_its_own_mailbox() -> None:
    place = Organization(telecoms=(Telecom(kind="mssante", value="accueil@ch.mssante.fr"),))
    (chosen,) = decided(letter(to(NURSE, family_name="TESTSOIN", organization=place))).chosen
    assert chosen.recipient.professional is not None
    assert [one.value for one in chosen.recipient.professional.telecoms] == ["infirmiere@infirmier.mssante.fr"]
    assert chosen.recipient.professional.family_name == "TESTSOIN"
    assert chosen.recipient.professional.organization is None


def test_a_professional_is_written_to_where_they_act() -> None:
    at_clinic = decided(letter(), circle=Circle((member(DOCTOR, finess="990000002"),)))
    assert list(sent(at_clinic)) == ["docteur@clinique.mssante.fr"]
    elsewhere = decided(letter(), circle=Circle((member(DOCTOR),)))
    assert list(sent(elsewhere)) == ["docteur@clinique.mssante.fr"]
    assert [one.code for one in elsewhere.chosen[0].findings] == ["recipients.among"]


def test_a_structure_is_written_to_when_it_has_one_mailbox() -> None:
    assert list(sent(decided(letter(structure("990000003"))))) == ["labo@structure.mssante.fr"]
    several = decided(letter(structure("990000004")))
    assert (several.chosen, codes(several)) == ((), ["recipients.no_mailbox"])


def test_who_has_no_known_mailbox_is_told_once() -> None:
    outcome = decided(report(to(BIOLOGIST), to(BIOLOGIST), to(family_name="TESTNOM")), general_practitioner=None)
    assert codes(outcome) == ["recipients.no_mailbox", "recipients.unknown"]
    assert BIOLOGIST in outcome.left[0].message
    assert "TESTNOM" not in outcome.left[1].message
    reached = decided(report(to(BIOLOGIST), to(BIOLOGIST, "bio@medecin.mssante.fr")))
    assert (list(sent(reached)), reached.left) == (["bio@medecin.mssante.fr"], ())


def test_nobody_at_all_is_an_end_with_a_name() -> None:
    assert codes(decided(letter(), circle=Circle())) == ["recipients.none"]
    identity = IdentityItem(id="i", patient=ROSE, source=SOURCE, content=IdentityEvent(event="x", trigger="A31"))
    assert codes(decided(identity)) == ["recipients.none"]


def test_a_practitioner_follows_only_a_patient_who_is_known_for_certain() -> None:
    known = decided(report(), general_practitioner=professional(DOCTOR))
    assert sent(known) == {"docteur@clinique.mssante.fr": (Reason.PRACTITIONER,)}
    assert codes(decided(report(), general_practitioner=professional(DOCTOR), patient_id=None)) == ["recipients.none"]


def test_the_reasons_of_a_destination_are_its_own() -> None:
    only = replace(POLICY, to=(Reason.CIRCLE,))
    item = letter(to(NURSE))
    assert list(sent(decided(item, only, Circle((member(DOCTOR),))))) == ["docteur@clinique.mssante.fr"]


FLAGS = list(product((False, True), repeat=5))
LEGAL = {
    (False, False, False, True, True): {Audience.PROFESSIONAL, Audience.PATIENT},
    (False, True, False, True, False): {Audience.PROFESSIONAL},
    **{(mask, False, legal, False, True): {Audience.PATIENT} for mask in (False, True) for legal in (False, True)},
}


@pytest.mark.parametrize("flags", FLAGS)
def test_every_combination_of_wishes_is_legal_or_held(flags: tuple[bool, ...]) -> None:
    wishes = Wishes(**dict(zip(WISHES, flags, strict=True)))
    outcome = decided(letter(to(NURSE), wishes=wishes))
    audiences = {one.audience for one in outcome.chosen}
    if flags[3:] == (False, False):
        assert (audiences, codes(outcome)) == (set(), ["recipients.not_wanted"])
    elif flags in LEGAL:
        assert (audiences, codes(outcome)) == (LEGAL[flags], [])
    else:
        assert (audiences, codes(outcome)) == (set(), ["recipients.wishes"])


def test_wishes_that_say_nothing_of_mssante_leave_it_open() -> None:
    assert list(sent(decided(letter(to(NURSE), wishes=Wishes(dmp=True))))) == ["infirmiere@infirmier.mssante.fr"]


ASKED_FOR = Wishes(mssante_patient=True, mssante_professionals=False)


def test_a_patient_is_written_to_under_her_own_qualified_ins() -> None:
    (chosen,) = decided(letter(wishes=ASKED_FOR)).chosen
    assert (chosen.address, chosen.audience) == (HER_MAILBOX, Audience.PATIENT)
    test_domain = replace(POLICY, patient_domain="patient.formation.mssante.fr")
    assert list(sent(decided(letter(wishes=ASKED_FOR), test_domain))) == [
        "279035121518989@patient.formation.mssante.fr"
    ]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"patient": ROSE.model_copy(update={"status": IdentityStatus.VALIDATED})}, "patient_not_qualified"),
        ({"patient": ROSE.model_copy(update={"status": None})}, "patient_not_qualified"),
        ({"patient": ROSE.model_copy(update={"ins": None})}, "patient_not_qualified"),
        (
            {"patient": ROSE.model_copy(update={"attributes": (IdentityAttribute.DOUBTFUL,)})},
            "patient_not_qualified",
        ),
        ({"confidentiality": (Coding(code="INVISIBLE_PATIENT"),)}, "hidden_from_patient"),
    ],
)
def test_what_keeps_a_mail_from_a_patient(changes: dict[str, Any], code: str) -> None:
    outcome = decided(letter(wishes=ASKED_FOR, **changes))
    assert (outcome.chosen, codes(outcome)) == ((), [f"recipients.{code}"])


def test_an_unattached_patient_or_one_who_opposes_gets_no_mail() -> None:
    assert codes(decided(letter(wishes=ASKED_FOR), patient_id=None)) == ["recipients.patient_not_qualified"]
    opposed = decided(letter(wishes=ASKED_FOR), circle=Circle(no_patient=True))
    assert (opposed.chosen, codes(opposed)) == ((), ["recipients.patient_opposed"])


def test_the_mailbox_of_another_patient_is_never_written_to() -> None:
    other = to(address="180017505600004@patient.mssante.fr")
    outcome = decided(letter(other))
    assert (outcome.chosen, codes(outcome)) == ((), ["recipients.other_patient"])
    assert "1800175" not in outcome.left[0].message
    assert list(sent(decided(letter(to(address=HER_MAILBOX.upper()))))) == [HER_MAILBOX]


def test_nothing_goes_to_a_patient_unless_asked_for() -> None:
    assert list(sent(decided(letter(to(NURSE))))) == ["infirmiere@infirmier.mssante.fr"]
    stay = StayItem(
        id="s", patient=ROSE, source=SOURCE, recipients=(to(address=HER_MAILBOX),),
        content=Stay(event="stay.admitted", trigger="A01", status=StayStatus.FINISHED),
    )  # fmt: skip
    assert codes(decided(stay)) == ["recipients.none"]


def test_oppositions_hold_on_every_way() -> None:
    everybody = decided(letter(to(NURSE), wishes=None), circle=Circle(no_professionals=True))
    assert (everybody.chosen, codes(everybody)) == ((), ["recipients.opposed"])
    one = Circle((member(NURSE),), opposed=frozenset({f"rpps|{DOCTOR}"}))
    item = letter(to(address="docteur@medecin.mssante.fr"))
    outcome = decided(item, circle=one, general_practitioner=professional(DOCTOR))
    assert (list(sent(outcome)), codes(outcome)) == (["infirmiere@infirmier.mssante.fr"], ["recipients.opposed"])
    assert outcome.left[0].reasons == (Reason.NAMED, Reason.PRACTITIONER)


def test_what_is_masked_to_professionals_goes_by_the_rules_of_the_dossier_alone() -> None:
    item = letter(to(NURSE), confidentiality=(Coding(code="MASQUE_PS"),))
    outcome = decided(item, circle=Circle((member(DOCTOR),)))
    assert (list(sent(outcome)), codes(outcome)) == (["docteur@clinique.mssante.fr"], ["recipients.masked"])


def test_a_domain_outside_the_white_list_waits_for_a_person() -> None:
    policy = replace(POLICY, allowed=lambda address: address.endswith("@infirmier.mssante.fr"))
    outcome = decided(letter(to(NURSE), to(address="nurse@infirmier.mssante.rf")), policy)
    assert [(one.address, bool(one.held)) for one in outcome.chosen] == [
        ("infirmiere@infirmier.mssante.fr", False),
        ("nurse@infirmier.mssante.rf", True),
    ]


def test_a_table_of_ones_own_holds_in_the_place_of_ours() -> None:
    rows = read_rows("\ufeffreason,data,send,why\nnamed,lab,no,they poll\nnamed,*,yes,\npatient,lab,yes,always\n")
    rules = Rules(rows, default_rules().wishes)
    assert (rules.send(Reason.NAMED, DataCategory.LAB), rules.send(Reason.CIRCLE, DataCategory.LAB)) == (
        Send.NO,
        Send.NO,
    )
    assert list(sent(decided(report(to(NURSE)), replace(POLICY, rules=rules)))) == [HER_MAILBOX]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "line 1: there is no column reason, data, send"),
        ("reason,data,send\n", "the table has no row"),
        ("reason,data,send\nnamed,labo,yes\n", "line 2: 'labo' is not a valid DataCategory"),
        ("reason,data,send\nnamed,lab,yes\neverybody,lab,yes\n", "line 3: 'everybody' is not a valid Reason"),
    ],
)
def test_a_table_that_cannot_be_used_names_its_line(text: str, said: str) -> None:
    with pytest.raises(RulesFault, match=said):
        read_rows(text)


def test_a_table_of_wishes_that_cannot_be_used_names_its_line() -> None:
    header = ",".join((*WISHES, "result"))
    with pytest.raises(RulesFault, match="line 2: 'O' is not Y, N or"):
        read_wishes(f"{header}\nO,N,N,Y,Y,professional\n")
    with pytest.raises(RulesFault, match="line 2: 'everybody' is not a valid Audience"):
        read_wishes(f"{header}\nN,N,N,Y,Y,everybody\n")
