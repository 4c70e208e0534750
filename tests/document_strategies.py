"""Realistic, obviously fictitious documents for property tests, and a view of what each says.

`from document_strategies import document_items, document_view`: every document of `document_items()` is one that a
French hospital could send: a letter as PDF or text, with the metadata of its header. `extras` adds what only some
formats carry, `without` leaves a feature out.

    extras    wishes    the delivery wishes of the ANS profile, a reply address, mail bodies
              files     further files beside the document
              special   delimiters of ER7, markup, backslashes and line ends in texts
    without   operation participants performer recipients encounter numbers period comment authenticator
              custodian labels category format events versions
"""

from __future__ import annotations

import base64
from collections.abc import Collection

from hypothesis import strategies as st
from lab_strategies import instant, instants, patients

from schemas.actors import Address, Organization, Professional, Recipient, Telecom
from schemas.attachment import Attachment
from schemas.coding import LOINC, Coding, Identifier
from schemas.document import Document, DocumentOperation, Participant, Wishes
from schemas.identifiers import PROFESSIONALS, STRUCTURES
from schemas.item import DocumentItem, Provenance
from schemas.value_sets import code_system_url

NOS = "https://mos.esante.gouv.fr/NOS/"
CONFIDENTIALITY = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
ACT = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
HOSPITAL = Organization(
    name="HOPITAL FICTIF DES ÉRABLES",
    identifiers=(Identifier(system=STRUCTURES, value="990000017", type="FINEG"),),
)
AUTHOR = Professional(
    identifiers=(Identifier(system=PROFESSIONALS, value="99700000017", type="RPPS"),),
    family_name="TESTEUR",
    given_name="Hélène",
)
COLLEAGUE = Professional(
    identifiers=(Identifier(system=PROFESSIONALS, value="99700000025", type="RPPS"),),
    family_name="FICTIF",
    given_name="Paul",
    civility="Dr",
)
GENERALIST = Professional(
    identifiers=(Identifier(system=PROFESSIONALS, value="99700000033", type="RPPS"),),
    family_name="GENERALISTE",
    given_name="Fictive",
    address=Address(lines=("1 rue Imaginaire",), city="VILLE-TEST", postal_code="99000"),
    telecoms=(Telecom(kind="mssante", value="fictive.generaliste@test.mssante.fr"),),
)
MAILBOX = Professional(telecoms=(Telecom(kind="mssante", value="secretariat@test.mssante.fr"),))

TYPES = (
    (Coding(system=LOINC, code="11490-0", display="CR de consultation"), "10"),
    (Coding(system=LOINC, code="34133-9", display="Synthèse d'épisode de soins"), "11"),
    (Coding(system=LOINC, code="18748-4", display="CR d'imagerie médicale"), "10"),
)
CATEGORY = NOS + "TRE_A03-ClasseDocument/FHIR/TRE-A03-ClasseDocument"
SETTING = Coding(system="urn:oid:1.2.250.1.213.1.1.4.9", code="ETABLISSEMENT", display="Etablissement de santé")
FACILITY = Coding(system="urn:oid:1.2.250.1.71.4.2.4", code="SA01", display="Etablissement public de santé")
SENTENCES = ("Lettre de liaison", "Sortie après deux jours", "À lire rapidement")
SPECIAL_SENTENCES = ("a | b ^ c & d ~ e", "50\\mg <b>&amp;</b>", "deux\nlignes", 'dit "bonjour"')
PDF = b"%PDF-1.4\n% fictif\n"


def _maybe(draw: st.DrawFn, strategy: st.SearchStrategy, feature: str, without: Collection[str]) -> object:
    return draw(st.none() | strategy) if feature not in without else None


@st.composite
def _wishes(draw: st.DrawFn) -> Wishes:
    said = {name: draw(st.sampled_from([True, False, None])) for name in Wishes.model_fields}
    return Wishes(**said | {"dmp": draw(st.booleans())})


@st.composite
def _participants(draw: st.DrawFn) -> Participant:
    function = Coding(system="urn:oid:2.999.2", code="F1", display="Prescripteur")
    return Participant(
        kind=draw(st.sampled_from(["REF", "INF", "authenticator", "dataEnterer"])),
        function=draw(st.sampled_from([None, function])),
        professional=draw(st.sampled_from([AUTHOR, COLLEAGUE])),
        organization=draw(st.sampled_from([None, HOSPITAL])),
        at=draw(st.none() | instants()),
    )


@st.composite
def _recipients(draw: st.DrawFn) -> Recipient:
    unit = Organization(
        name="Urologie", identifiers=(Identifier(system="urn:x-finess:990000017", value="34", type="UF"),)
    )
    return draw(
        st.sampled_from(
            [
                Recipient(professional=GENERALIST, role="RCT"),
                Recipient(professional=MAILBOX, role="RCT"),
                Recipient(organization=unit.model_copy(update={"telecoms": MAILBOX.telecoms}), role="RCT"),
            ]
        )
    )


@st.composite
def _files(draw: st.DrawFn, extras: Collection[str]) -> tuple[Attachment, ...]:
    sentence = draw(st.sampled_from(SENTENCES)).encode()
    media_type, content = draw(st.sampled_from([("application/pdf", PDF + sentence), ("text/plain", sentence)]))
    first = Attachment(
        media_type=media_type, size=len(content), data=base64.b64encode(content).decode(),
        filename=draw(st.sampled_from([None, "lettre.pdf"])),
    )  # fmt: skip
    image = Attachment(media_type="image/png", title="Cliché", size=8, data=base64.b64encode(b"\x89PNG1234").decode())
    return (first, image) if "files" in extras and draw(st.booleans()) else (first,)


@st.composite
def document_items(draw: st.DrawFn, *, extras: Collection[str] = (), without: Collection[str] = ()) -> DocumentItem:
    """Documents, as the module describes them."""
    number = draw(st.integers(1, 10**6))
    sentence = st.sampled_from(SENTENCES + (SPECIAL_SENTENCES if "special" in extras else ()))
    kind, category = draw(st.sampled_from(TYPES))
    operation = DocumentOperation.CREATE if "operation" in without else draw(st.sampled_from(list(DocumentOperation)))
    bare = draw(st.booleans())
    document_id = f"2.999.3.{number}" if bare else f"2.999.3^D{number}"
    wished = "wishes" in extras and draw(st.booleans())
    encounter = "encounter" not in without and draw(st.booleans())
    start, end = sorted((draw(instants()), draw(instants())), key=instant)
    has_period = "period" not in without and draw(st.booleans())
    performs = "performer" not in without and draw(st.booleans())
    visit = Identifier(system="urn:oid:2.999.9", value=f"V{number}", type=draw(st.sampled_from(["VN", "AN"])))
    labels = (Coding(system=CONFIDENTIALITY, code=draw(st.sampled_from(["N", "R"]))),)
    participants = () if "participants" in without else tuple(draw(st.lists(_participants(), max_size=2)))
    recipients = () if "recipients" in without else tuple(draw(st.lists(_recipients(), max_size=2, unique=True)))
    document = Document(
        document_id=document_id,
        set_id=_maybe(draw, st.just(f"2.999.4^S{number}"), "versions", without),
        version=_maybe(draw, st.integers(1, 9), "versions", without),
        replaces_id=f"2.999.3.{number + 1}" if operation is DocumentOperation.REPLACE else None,
        operation=operation,
        status=draw(st.sampled_from([None, "final", "preliminary"])),
        type=kind,
        category=_maybe(draw, st.just(Coding(system=CATEGORY, code=category)), "category", without),
        format=_maybe(
            draw,
            st.just(Coding(system="urn:oid:1.3.6.1.4.1.19376.1.2.3", code="urn:ihe:iti:xds-sd:pdf:2008")),
            "format",
            without,
        ),
        title=draw(sentence),
        language=draw(st.sampled_from([None, "fr-FR"])),
        created_at=draw(instants()),
        author=AUTHOR,
        author_organization=draw(st.sampled_from([None, HOSPITAL])),
        author_role=draw(st.sampled_from([None, Coding(system="urn:oid:2.999.2", code="ATTPHYS", display="Référent")])),
        other_authors=draw(st.sampled_from([(), (COLLEAGUE,)])),
        legal_authenticator=_maybe(draw, st.just(COLLEAGUE), "authenticator", without),
        custodian=_maybe(draw, st.just(HOSPITAL), "custodian", without),
        confidentiality=labels if "labels" not in without and draw(st.booleans()) else (),
        order_id=_maybe(draw, st.just(f"DEM{number}"), "numbers", without),
        report_id=_maybe(draw, st.just(f"RES{number}"), "numbers", without),
        visit=visit if encounter else None,
        event_codes=draw(st.sampled_from([(), (Coding(system="urn:oid:1.2.250.1.213.2.5", code="ZZQM005"),)]))
        if "events" not in without
        else (),
        performer=COLLEAGUE if performs else None,
        performer_organization=HOSPITAL if performs else None,
        practice_setting=SETTING if performs else None,
        facility_type=FACILITY if encounter else None,
        encounter_type=Coding(system=ACT, code="IMP") if encounter else None,
        participants=participants,
        period_start=start if has_period else None,
        period_end=draw(st.sampled_from([None, end])) if has_period else None,
        wishes=draw(_wishes()) if wished else None,
        reply_to=draw(st.sampled_from([None, "reponse@test.mssante.fr"])) if wished else None,
        mail_body_professionals=draw(st.none() | sentence) if wished else None,
        mail_body_patient=draw(st.none() | sentence) if wished else None,
        recipients=recipients,
        comment=None if "comment" in without else draw(st.none() | sentence),
        attachments=draw(_files(extras)),
    )
    replaced = {DocumentOperation.REPLACE: document.replaces_id, DocumentOperation.DELETE: document_id}
    return DocumentItem(
        id=f"{number:032x}",
        occurred_at=document.created_at,
        replaces=replaced.get(operation),
        patient=draw(patients()),
        sender=HOSPITAL,
        recipients=recipients,
        content=document,
        source=Provenance(format="canonical", where="test"),
    )


def _code(code: Coding | None) -> object:
    """The code and its system, by one name whether an OID or the URL of FHIR says it."""
    return code and (code_system_url(code.system or ""), code.code)


def _person(person: Professional | None) -> object:
    if person is None:
        return None
    numbers = frozenset((one.system, one.value) for one in person.identifiers)
    mailboxes = frozenset(one.value for one in person.telecoms)
    return (numbers, person.family_name or person.name, person.given_name, mailboxes)


def _place(place: Organization | None) -> object:
    if place is None:
        return None
    numbers = frozenset((one.system, one.value) for one in place.identifiers)
    return (place.name, numbers, frozenset(one.value for one in place.telecoms))


def _participant(one: Participant) -> object:
    return (one.kind, _code(one.function), _person(one.professional), _place(one.organization), instant(one.at))


def _recipient(one: Recipient) -> object:
    return (_person(one.professional), _place(one.organization))


def _wished(wishes: Wishes | None) -> object:
    """The wishes that say yes: a wish that nobody spoke is one that says no."""
    said = wishes.model_dump() if wishes is not None else {}
    return frozenset(name for name, answer in said.items() if answer)


def document_view(item: DocumentItem) -> dict[str, object]:
    """What must survive any translation of a document, field by field, in comparable form.

    Codes are compared without their displays, times as instants, people by numbers, names and mailboxes; recipients
    are those of the Item and of the Document together; a file without a title is named by the document's.
    """
    document, patient = item.content, item.patient
    view: dict[str, object] = {name: getattr(document, name) for name in _PLAIN}
    view |= {name: _code(getattr(document, name)) for name in _CODED}
    view |= {name: _person(getattr(document, name)) for name in _PEOPLE}
    view |= {name: _place(getattr(document, name)) for name in _PLACES}
    view |= {name: instant(getattr(document, name)) for name in _TIMES}
    return view | {
        "patient": (patient.ins, patient.birth_name, patient.birth_given_names, patient.birth_date, patient.sex),
        "replaces": item.replaces,
        "other_authors": [_person(one) for one in document.other_authors],
        "confidentiality": [_code(one) for one in document.confidentiality],
        "event_codes": [_code(one) for one in document.event_codes],
        "visit": document.visit and (document.visit.system, document.visit.value, document.visit.type),
        "participants": [_participant(one) for one in document.participants],
        "wishes": _wished(document.wishes),
        "recipients": {_recipient(one) for one in (*item.recipients, *document.recipients)},
        "files": [(one.media_type, one.data) for one in document.attachments],
        "file_titles": [one.title or document.title for one in document.attachments],
        "file_names": [one.filename for one in document.attachments],
    }


_PLAIN = (
    "document_id", "set_id", "version", "replaces_id", "operation", "status", "title", "language", "order_id",
    "report_id", "reply_to", "mail_body_professionals", "mail_body_patient", "comment",
)  # fmt: skip
_CODED = ("type", "category", "format", "author_role", "practice_setting", "facility_type", "encounter_type")
_PEOPLE = ("author", "legal_authenticator", "performer")
_PLACES = ("author_organization", "custodian", "performer_organization")
_TIMES = ("created_at", "period_start", "period_end")


def changed(before: DocumentItem, after: DocumentItem) -> dict[str, tuple[object, object]]:
    """Give the fields of the view that differ, with both values."""
    one, other = document_view(before), document_view(after)
    return {name: (one[name], other[name]) for name in one if one[name] != other[name]}
