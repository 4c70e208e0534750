"""Items of every kind with every field filled, for round trips and robustness tests; nobody in them exists."""

from __future__ import annotations

import base64

from schemas.actors import Address, Contact, Organization, Professional, Recipient, Telecom
from schemas.appointment import Appointment, AppointmentState
from schemas.attachment import Attachment
from schemas.coding import LOCAL, LOINC, Coding, Identifier
from schemas.document import Document, DocumentOperation, Participant
from schemas.identifiers import PROFESSIONALS, STRUCTURES
from schemas.identity import IdentityAttribute, IdentityStatus, Ins, PatientIdentity, Sex
from schemas.identity_event import IdentityEvent
from schemas.item import (
    AppointmentItem,
    DocumentItem,
    IdentityItem,
    Item,
    LabReportItem,
    NoteItem,
    Provenance,
    StayItem,
    TaskItem,
)
from schemas.lab import (
    CodedValue,
    DateTimeValue,
    LabChapter,
    LabReport,
    Observation,
    ParentResult,
    PreviousResult,
    QuantityValue,
    RangeValue,
    RatioValue,
    Reference,
    ResultStatus,
    SecondResult,
    Specimen,
    TextValue,
    Unit,
)
from schemas.note import LiaisonNote
from schemas.stay import Location, Movement, MovementAction, Stay, StayStatus
from schemas.task import Task, TaskState

TEST_INS = Ins(matricule="279035121518989", oid="1.2.250.1.213.1.4.10")

HOSPITAL = Organization(
    name="HÔPITAL FICTIF",
    identifiers=(Identifier(system=STRUCTURES, value="990000017", type="FINEG"),),
    address=Address(lines=("1 rue Imaginaire",), city="VILLE-TEST", postal_code="99000", country="FRA", use="work"),
    telecoms=(Telecom(kind="phone", value="0199000000", use="work"),),
)
LAB = Organization(name="LABO FICTIF", identifiers=(Identifier(system=None, value="LABFIC"),))
UNIT = Organization(
    name="Cardiologie", identifiers=(Identifier(system="urn:x-finess:990000017", value="4021", type="UF"),)
)
DOCTOR = Professional(
    identifiers=(
        Identifier(system=PROFESSIONALS, value="99700000017", type="RPPS"),
        Identifier(system=None, value="DR 1", type="EI"),
    ),
    family_name="TESTEUR",
    given_name="Hélène",
    civility="Dr",
    specialty=Coding(
        system="https://mos.esante.gouv.fr/NOS/TRE_R38-SpecialiteOrdinale/FHIR/TRE-R38-SpecialiteOrdinale", code="SM26"
    ),
    organization=HOSPITAL,
    telecoms=(Telecom(kind="mssante", value="helene.testeur@fictif.mssante.invalid"),),
)
NAMELESS = Professional(name="Dr Sans-Numéro")
CONTAINED = Professional(family_name="INCONNU", given_name="Paul", specialty=Coding(system=LOCAL, code="CARDIO"))
PATIENT = PatientIdentity(
    ins=TEST_INS,
    status=IdentityStatus.QUALIFIED,
    attributes=(IdentityAttribute.HOMONYM,),
    identifiers=(
        Identifier(system="urn:oid:2.999.67.1", value="IPP,1|2", type="PI", assigner="HÔPITAL FICTIF"),
        Identifier(system="urn:oid:1.2.250.1.213.1.4.8", value="279035121518989", type="NH"),
        Identifier(system=None, value="LOC7", type="PT X"),
    ),
    birth_name="FICTIVE-ROSE",
    birth_given_names=("MIREILLE", "TESTA"),
    first_given_name="MIREILLE",
    used_name="D'ESSAI",
    used_given_name="MIMI",
    family_name="ROSE",
    given_name="Mireille",
    civility="Mme",
    birth_date="1979-03-05",
    birth_date_corrected=True,
    sex=Sex.FEMALE,
    birth_place="35238",
    birth_place_name="RENNES",
    addresses=(
        Address(
            lines=("2 rue du Test", "Bât. É"),
            city="VILLE",
            postal_code="99000",
            country="FRA",
            use="BDL",
            insee="35238",
        ),
    ),
    telecoms=(
        Telecom(kind="mobile", value="0600000000"),
        Telecom(kind="email", value="rose@fictif.invalid", use="NET"),
        Telecom(kind="other", value="x"),
    ),
    marital_status=Coding(system="http://terminology.hl7.org/CodeSystem/v2-0002", code="M"),
    citizenships=("FRA", "BEL"),
    deceased=None,
    confidential=True,
    general_practitioner=DOCTOR,
)
COMMON = {"patient": PATIENT, "sender": HOSPITAL, "source": Provenance(format="test", where="here")}
PDF = Attachment(
    media_type="application/pdf",
    title="Lettre",
    filename="lettre.pdf",
    size=9,
    data=base64.b64encode(b"%PDF-1.4\n").decode(),
)
MG = Unit(raw="mg/L", ucum="mg/L")


VALUES = (
    QuantityValue(number="-0.50", comparator=">=", text=">= -0,50"),
    QuantityValue(number="+.5", text="+,5"),
    RatioValue(numerator="1", denominator="128", separator="/", comparator="<", text="< 1/128"),
    RangeValue(low="3", high=None, text="3 et plus"),
    TextValue(text="Rares\n\n  colonies"),
    CodedValue(codes=(Coding(system=LOCAL, code="NFE  020", display="Deux blancs"), Coding(code="X"))),
    CodedValue(text="texte seul"),
    DateTimeValue(at="08:15"),
    DateTimeValue(at="2026-03-05T08:10:00+01:00", text="05/03/26 8h10"),
    DateTimeValue(at="2026-03"),
    DateTimeValue(at="avant-hier"),
    None,
)
OBSERVATIONS = tuple(
    Observation(
        label=f"Analyse {rank}", codes=(Coding(system=LOCAL, code="A"),), value=value, unit=MG if value else None
    )
    for rank, value in enumerate(VALUES)
)
FULL = Observation(
    label="Potassium",
    codes=(
        Coding(system=LOINC, code="2823-3", display="Potassium"),
        Coding(system="99LABO", code="K"),
        Coding(code="K2"),
    ),
    sub_id="1",
    value=QuantityValue(number="7.10", text="7.10"),
    unit=Unit(raw="mmol/L", ucum="mmol/L"),
    reference=Reference(low="3.50", high="5.10", text="3,50 - 5,10"),
    flags=("HH", "MS", "U"),
    status=ResultStatus.CORRECTED,
    effective_at="2026-03-05",
    issued_at="2026-03-05T12:00:00+01:00",
    method=Coding(system=LOCAL, code="ISE", display="Électrode"),
    specimen="S2",
    second=SecondResult(
        value=QuantityValue(number="277", text="277"),
        unit=MG,
        reference=Reference(low="137", high="199", text="137-199"),
        flags=("HH",),
    ),
    previous=(
        PreviousResult(value=QuantityValue(number="4.0", text="4.0"), unit=MG, effective_at="2026-02-01"),
        PreviousResult(value=TextValue(text="hémolysé")),
    ),
    comment="Contrôlé\ndeux fois",
    performer=HOSPITAL,
    validated_by=NAMELESS,
    access="R",
)
REPORT = LabReport(
    report_id="RES 2026/7",
    report_authority="urn:oid:2.999.5",
    order_id="DEM|7",
    order_authority=None,
    status=ResultStatus.PARTIAL,
    title="Bilan",
    codes=(Coding(system=LOCAL, code="BIL", display="Bilan"),),
    collected_at="2026-03-05T08:10:00+01:00",
    collected_until="2026-03-06T08:10:00+01:00",
    received_at="2026-03-05T09:00:00+01:00",
    issued_at="2026-03-05",
    laboratory=LAB,
    prescriber=DOCTOR,
    validated_by=CONTAINED,
    visit=Identifier(system="urn:oid:2.999.9", value="VEN-1", type="VN"),
    clinical_information="Fièvre ; contrôle de traitement",
    conclusion="Hyperkaliémie",
    comment="Reçu décongelé",
    text="Bilan\n\nPotassium  7,10",
    specimens=(
        Specimen(id="S1", type=Coding(system=LOCAL, code="SG", display="Sang"), text="tube hépariné"),
        Specimen(
            id="S2",
            identifiers=(Identifier(system="urn:oid:2.999.6", value="ECH 1"),),
            type=Coding(system=LOCAL, code="UR"),
            site=Coding(system=LOCAL, code="VESSIE", display="Vessie"),
            method=Coding(system=LOCAL, code="SONDE"),
            collected_at="2026-03-05T08:00:00+01:00",
            received_at="2026-03-05T09:00:00+01:00",
            condition="hémolysé",
        ),
    ),
    chapters=(
        LabChapter(observations=OBSERVATIONS[:2]),
        LabChapter(
            title="BIOCHIMIE",
            codes=(Coding(system=LOCAL, code="BIO", display="BIOCHIMIE"),),
            section="CH",
            status=ResultStatus.PARTIAL,
            comment="Chapitre contrôlé",
            observations=(FULL, *OBSERVATIONS[2:]),
            chapters=(
                LabChapter(
                    title="ANTIBIOGRAMME",
                    status=ResultStatus.FINAL,
                    parent=ParentResult(code=Coding(system=LOCAL, code="GERME"), sub_id="1", text="E. coli"),
                    observations=OBSERVATIONS[:1],
                ),
                LabChapter(comment="Voir le courrier"),
            ),
        ),
    ),
    attachments=(
        PDF,
        Attachment(media_type="text/plain", data=base64.b64encode(b"note").decode(), filename="note.txt"),
        Attachment(media_type="image/png", title="même nom", filename="même nom", data="iVBORw0KGgo="),
    ),
)
REPORT_ITEM = LabReportItem(
    id="1",
    occurred_at="2026-03-05T08:10:00+01:00",
    replaces="RES 2026/6",
    author=NAMELESS,
    recipients=(Recipient(professional=DOCTOR, role="copie"), Recipient(organization=HOSPITAL)),
    content=REPORT,
    **COMMON,
)

STAY = Stay(
    event="stay.started",
    trigger="A01",
    status=StayStatus.IN_PROGRESS,
    visit=Identifier(system="urn:oid:2.999.9", value="VEN-1", type="VN"),
    account=Identifier(system="urn:oid:2.999.8", value="NDA-1", type="AN"),
    pre_admission=Identifier(system="urn:oid:2.999.8", value="PRE-1", type="VN"),
    patient_class="I",
    admission_type="U",
    treatment_mode="03",
    admit_source="8",
    location=Location(
        unit="4021",
        room="12",
        bed="2",
        facility=Identifier(system="urn:x-finess:990000017", value="HF"),
        status="O",
    ),
    prior_location=Location(unit="URG"),
    movements=(
        Movement(
            identifiers=(Identifier(system="urn:oid:2.999.7", value="MVT-1"),),
            start="2026-03-05T09:41:00+01:00",
            action=MovementAction.INSERT,
            historic=False,
            original_trigger="A01",
            medical_unit=UNIT,
            care_unit=UNIT,
            nature="HMS",
        ),
        Movement(start="2026-03-06", action=MovementAction.CANCEL, historic=True),
    ),
    admitted_at="2026-03-05T09:41:00+01:00",
    discharged_at="2026-03-09T17:10:00+01:00",
    expected_admission_at="2026-03-05",
    expected_discharge_at="2026-03-09",
    reason=Coding(system=LOCAL, code="CHUTE", display="Chute"),
    discharge_disposition="6",
    discharge_destination="990000025",
    entry_mode="8",
    exit_mode="8",
    attending=DOCTOR,
    referring=NAMELESS,
    admitting=CONTAINED,
    hospital=HOSPITAL,
    contacts=(
        Contact(
            identifiers=(Identifier(system="urn:oid:2.999.4", value="C1", type="PN"),),
            family_name="ROSE",
            given_name="Fille",
            relation=Coding(system="http://terminology.hl7.org/CodeSystem/v2-0063", code="CHD"),
            role=Coding(system="http://terminology.hl7.org/CodeSystem/v2-0131", code="K"),
            address=Address(city="VILLE"),
            telecoms=(Telecom(kind="phone", value="0199000001", use="home"),),
        ),
        Contact(family_name="VOISIN"),
    ),
    protected=True,
    dmp_feeding="IO",
    dmp_consultation="IC",
    moved_from=(Identifier(system="urn:oid:2.999.67.1", value="IPP-8", type="PI"),),
)
STAY_ITEM = StayItem(id="1", occurred_at="2026-03-05T09:41:00+01:00", content=STAY, **COMMON)

DOCUMENT = Document(
    document_id="2.999.3.1",
    replaces_id="2.999.3.0",
    operation=DocumentOperation.REPLACE,
    set_id="2.999.3^LETTRE",
    version=2,
    status="AU",
    type=Coding(system=LOINC, code="11490-0", display="Lettre de liaison"),
    category=Coding(
        system="https://mos.esante.gouv.fr/NOS/TRE_A03-ClasseDocument/FHIR/TRE-A03-ClasseDocument", code="10"
    ),
    format=Coding(system="urn:oid:1.2.3", code="urn:ihe:iti:xds-sd:pdf:2008"),
    title="Lettre de liaison",
    language="fr-FR",
    created_at="2026-03-05T18:00:00+01:00",
    author=DOCTOR,
    author_organization=UNIT,
    author_role=Coding(system=LOCAL, code="ATTPHYS", display="Médecin référent"),
    other_authors=(CONTAINED, NAMELESS),
    legal_authenticator=NAMELESS,
    custodian=HOSPITAL,
    confidentiality=(Coding(system="http://terminology.hl7.org/CodeSystem/v3-Confidentiality", code="N"),),
    order_id="DEM1",
    report_id="RES1",
    visit=Identifier(system="urn:oid:2.999.9", value="VEN-1", type="VN"),
    event_codes=(Coding(system=LOCAL, code="EV"),),
    performer=CONTAINED,
    performer_organization=UNIT,
    practice_setting=Coding(system="urn:oid:2.999.10", code="ETABLISSEMENT"),
    facility_type=Coding(system="urn:oid:2.999.11", code="SA01"),
    encounter_type=Coding(system="http://terminology.hl7.org/CodeSystem/v3-ActCode", code="IMP"),
    participants=(
        Participant(kind="REF", professional=DOCTOR, at="2026-03-05"),
        Participant(kind="INF", function=Coding(system=LOCAL, code="F"), organization=HOSPITAL),
    ),
    period_start="2026-03-05",
    period_end="2026-03-09",
    recipients=(Recipient(professional=DOCTOR, role="RCT"),),
    comment="À lire",
    attachments=(PDF, PDF.model_copy(update={"title": None})),
)
DOCUMENT_ITEM = DocumentItem(
    id="1", occurred_at="2026-03-05T18:00:00+01:00", author=NAMELESS, content=DOCUMENT, replaces="2.999.3.0", **COMMON
)

EVENTS = [
    IdentityEvent(event="patient.created", trigger="A28"),
    IdentityEvent(
        event="patient.updated", trigger="A31", obtained_by="INSI", obtained_on="2026-03-01", ins_removed=True
    ),
    IdentityEvent(
        event="patient.merged",
        trigger="A40",
        absorbed=(Identifier(system="urn:oid:2.999.67.1", value="IPP-9", type="PI"),),
    ),
    IdentityEvent(
        event="patient.identifier_changed",
        trigger="A47",
        absorbed=(Identifier(system="urn:oid:2.999.67.1", value="IPP-9", type="PI"),),
    ),
    IdentityEvent(
        event="patient.linked",
        trigger="A24",
        absorbed=(Identifier(system="urn:oid:2.999.67.1", value="IPP-9", type="PI"),),
        contacts=(Contact(family_name="VOISIN"),),
    ),
]
IDENTITY_ITEMS = [
    IdentityItem(id="1", occurred_at="2026-03-05T09:00:00+01:00", content=event, **COMMON) for event in EVENTS
]

NOTE = LiaisonNote(
    note_id="note-3@fictif.mssante.invalid",
    thread="note-1@fictif.mssante.invalid",
    in_reply_to="note-2@fictif.mssante.invalid",
    type=Coding(
        system="https://mos.esante.gouv.fr/NOS/TRE_R234-TypeNote/FHIR/TRE-R234-TypeNote",
        code="OBS",
        display="Observation",
    ),
    subject="Retour à domicile",
    text="Bonjour,\n\nla patiente fictive a chuté hier.",
    sent_at="2026-03-05T18:00:00+01:00",
    sender_address="helene.testeur@fictif.mssante.invalid",
    sender_name="Dr_Hélène_TESTEUR",
    reply_to="equipe@fictif.mssante.invalid",
    urgent=True,
    visibility=(
        Coding(
            system="https://mos.esante.gouv.fr/NOS/TRE_A07-StatutVisibiliteDocument/FHIR/TRE-A07-StatutVisibiliteDocument",
            code="INVISIBLE_PATIENT",
        ),
    ),
    closed=True,
    attachments=(PDF,),
)
NOTE_ITEM = NoteItem(
    id="1",
    occurred_at="2026-03-05T17:00:00+01:00",
    author=DOCTOR,
    content=NOTE,
    replaces="note-0@fictif.mssante.invalid",
    **COMMON,
)

APPOINTMENT_ITEM = AppointmentItem(
    id="1",
    occurred_at="2026-03-09T08:30:00+01:00",
    content=Appointment(
        number=Identifier(system="urn:oid:2.999.67.20", value="RDV-1"),
        state=AppointmentState.BOOKED,
        kind=Coding(
            system="http://terminology.hl7.org/CodeSystem/service-type", code="124", display="General Practice"
        ),
        title="Aide à la toilette",
        starts_at="2026-03-09T08:30:00+01:00",
        ends_at="2026-03-09T09:30:00+01:00",
        place="à domicile",
        professionals=(DOCTOR,),
        organizations=(HOSPITAL,),
        comment="Sonner deux fois",
        created_at="2026-03-02T10:00:00+01:00",
    ),
    **COMMON,
)
TASK_ITEM = TaskItem(
    id="1",
    occurred_at="2026-03-05T09:00:00+01:00",
    content=Task(
        number=Identifier(system="urn:oid:2.999.67.21", value="SOL-1"),
        state=TaskState.IN_PROGRESS,
        kind=Coding(system=LOCAL, code="sollicitation"),
        title="Mission 1 : appui",
        reason="Retour à domicile difficile",
        urgent=True,
        requester=DOCTOR,
        owner_organization=HOSPITAL,
        authored_at="2026-03-05T09:00:00+01:00",
        changed_at="2026-03-06T11:00:00+01:00",
        due_at="2026-03-12",
        notes=("Appeler la fille.",),
    ),
    **COMMON,
)

EVERY_ITEM: tuple[Item, ...] = (
    REPORT_ITEM,
    STAY_ITEM,
    DOCUMENT_ITEM,
    NOTE_ITEM,
    APPOINTMENT_ITEM,
    TASK_ITEM,
    *IDENTITY_ITEMS,
)
