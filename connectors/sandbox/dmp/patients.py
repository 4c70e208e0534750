"""TD0.2 (is there a DMP, and may I), TD0.3 (I am allowed, or no longer), TD0.4 (whose DMP am I allowed on)."""

from __future__ import annotations

from datetime import datetime
from uuid import uuid4
from xml.sax.saxutils import escape, quoteattr

from lxml import etree

from connectors.sandbox.dmp import names
from connectors.sandbox.dmp.names import clark
from connectors.sandbox.dmp.refusals import FaultRaised
from connectors.sandbox.dmp.store import Authorisation, DmpStore, Patient, State
from connectors.sandbox.dmp.syntax import PatientKey
from connectors.sandbox.dmp.vihf import Caller

_XSI = 'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'
_STATUS = {State.ACTIVE: "active", State.CLOSED: "terminated"}


def existence(store: DmpStore, body: etree._Element, caller: Caller, now: datetime) -> str:
    """Answer PRPA_IN201307UV02: OK with the patient's status and the caller's authorisation, or NF."""
    identifier = body.find(f".//{{{names.HL7}}}patientIdentifier/{{{names.HL7}}}value")
    reason = body.find(f"{{{names.HL7}}}controlActProcess/{{{names.HL7}}}reasonCode")
    if identifier is None or reason is None or reason.get("code") not in ("TEST_EXST", "CNSLT_DATA"):
        raise FaultRaised("the query has not one patientIdentifier/value and a reasonCode TEST_EXST")
    key = PatientKey(identifier.get("extension", ""), identifier.get("root", ""))
    if caller.patient is not None and caller.patient != key:
        raise FaultRaised("the query is of another patient than the VIHF", subcode="XDSPatientIdDoesNotMatch")
    found = store.patient(key)
    query_id = body.find(f".//{clark(names.HL7, 'queryId')}")
    patient = None if found is None or found.state is State.OPPOSED else found
    allowed = store.authorisation(key, caller.owner.person)
    return (
        f'<PRPA_IN201308UV02 xmlns="{names.HL7}" {_XSI} ITSVersion="XML_1.0"><id root="{uuid4()}"/>'
        f'<creationTime value="{now:%Y%m%d%H%M%S}"/>'
        '<interactionId root="2.16.840.1.113883.1.6" extension="PRPA_IN201308UV02"/>'
        '<processingCode code="D"/><processingModeCode code="T"/><acceptAckCode code="NE"/>'
        f"{_receiver(body)}"
        f'<sender typeCode="SND"><device classCode="DEV" determinerCode="INSTANCE"><id root="{names.DMP_OID}"/>'
        "<softwareName>DMP</softwareName></device></sender>"
        f"{_attention(allowed) if patient is not None else ''}"
        f'<acknowledgement typeCode="AA"><targetMessage>{_id(body.find(clark(names.HL7, "id")))}</targetMessage>'
        "</acknowledgement>"
        f'<controlActProcess classCode="CACT" moodCode="EVN"><reasonCode code={quoteattr(reason.get("code", ""))} '
        'codeSystem="1.2.250.1.213.1.1.4.11"/>'
        f"{_subject(patient) if patient is not None else ''}"
        f"<queryAck>{_id(query_id, 'queryId')}"
        f'<queryResponseCode code="{"NF" if patient is None else "OK"}"/></queryAck>'
        "</controlActProcess></PRPA_IN201308UV02>"
    )


def _receiver(body: etree._Element) -> str:
    sender = body.find(f"{clark(names.HL7, 'sender')}/{clark(names.HL7, 'device')}")
    found = None if sender is None else sender.find(clark(names.HL7, "id"))
    software = None if sender is None else sender.findtext(clark(names.HL7, "softwareName"))
    return (
        f'<receiver typeCode="RCV"><device classCode="DEV" determinerCode="INSTANCE">{_id(found)}'
        f"<softwareName>{escape(software or '')}</softwareName></device></receiver>"
    )


def _id(found: etree._Element | None, name: str = "id") -> str:
    if found is None:
        return f'<{name} nullFlavor="UNK"/>'
    extension = found.get("extension")
    more = f" extension={quoteattr(extension)}" if extension else ""
    return f"<{name} root={quoteattr(found.get('root', ''))}{more}/>"


def _attention(allowed: Authorisation | None) -> str:
    state = "INEXISTANTE" if allowed is None else allowed.state
    treating = "true" if allowed is not None and allowed.treating else "false"
    return (
        '<attentionLine><keyWordText code="AUTORISATION" codeSystem="1.2.250.1.213.4.1.2.6.1"/>'
        f'<value xsi:type="CV" code="{state}" codeSystem="1.2.250.1.213.4.1.2.6.2"/></attentionLine>'
        '<attentionLine><keyWordText code="STATUT_MT" codeSystem="1.2.250.1.213.4.1.2.6.3"/>'
        f'<value xsi:type="BL" value="{treating}"/></attentionLine>'
    )


def _subject(one: Patient) -> str:
    used = f'<family qualifier="SP">{escape(one.used_name)}</family>' if one.used_name else ""
    return (
        '<subject typeCode="SUBJ" contextConductionInd="false"><registrationEvent classCode="REG" moodCode="EVN">'
        '<statusCode code="completed"/><subject1 typeCode="SBJ"><patient classCode="PAT">'
        f"<id root={quoteattr(one.key.oid)} extension={quoteattr(one.key.number)}/>"
        f'<statusCode code="{_STATUS[one.state]}"/>'
        '<patientPerson classCode="PSN" determinerCode="INSTANCE">'
        f'<name><given>{escape(one.given)}</given><family qualifier="BR">{escape(one.birth_name)}</family>{used}</name>'
        f'<administrativeGenderCode code="{one.sex}"/><birthTime value="{one.birth_date}"/></patientPerson>'
        f"{_observation('COMPTE_INTERNET_OUVERT', '1.2.250.1.213.4.1.2.9', one.attached)}"
        f"{_observation('RATTACHEMENT_ENS', '1.2.250.1.213.4.1.2.3', one.attached)}"
        f'</patient></subject1><custodian typeCode="CST"><assignedEntity classCode="ASSIGNED">'
        f'<id root="{names.DMP_OID}"/></assignedEntity></custodian></registrationEvent></subject>'
    )


def _observation(code: str, system: str, value: bool) -> str:
    return (
        '<subjectOf typeCode="SBJ"><administrativeObservation classCode="OBS" moodCode="EVN">'
        f'<code code="{code}" codeSystem="{system}"/><value xsi:type="BL" value="{str(value).lower()}"/>'
        "</administrativeObservation></subjectOf>"
    )


def set_authorisation(store: DmpStore, body: etree._Element, caller: Caller) -> str:
    """Add or remove the caller's authorisation on the DMP of the VIHF's patient; twice is no error."""
    action = (body.findtext(clark(names.HABILITATIONS, "action")) or "").strip()
    role = (body.findtext(clark(names.HABILITATIONS, "role")) or "").strip()
    if action not in ("AJOUT", "SUPPRESSION") or role not in ("", "MEDECIN_TRAITANT"):
        raise FaultRaised("setAuthorization has no action AJOUT or SUPPRESSION, or another role than MEDECIN_TRAITANT")
    key = caller.patient
    if key is None:
        raise FaultRaised("the VIHF names no patient (resource-id)")
    patient = store.patient(key)
    if patient is None or patient.state is not State.ACTIVE:
        raise FaultRaised("the patient has no active DMP", subcode="XDSUnknownPatientId")
    who = caller.owner.person
    with store.writing():
        before = store.authorisation(key, who)
        if before is not None and before.state == "INTERDITE":
            raise FaultRaised("the patient blocked this professional", subcode="DMPAccessDenied")
        if action == "AJOUT":
            treating = bool(role) or (before is not None and before.treating)
            wanted = Authorisation(who, "VALIDE", treating)
            context = (
                "Autorisation déjà présente aucune action effectuée" if before == wanted else "Autorisation ajoutée"
            )
            store.authorise(key, wanted)
        elif before is None:
            context = "Autorisation absente aucune action effectuée"
        elif role:
            store.authorise(key, Authorisation(who, "VALIDE", treating=False))
            context = "Rôle de médecin traitant supprimé"
        else:
            store.forget_authorisation(key, who)
            context = "Autorisation supprimée"
    return (
        f'<h:setAuthorizationResponse xmlns:h="{names.HABILITATIONS}"><h:output><h:status>DMPOk</h:status>'
        f"<h:context>{context}</h:context></h:output></h:setAuthorizationResponse>"
    )


_DATE_TYPES = frozenset({"LASTDOC", "LASTADD", "LASTUPDATE"})
"""Which date is compared: only LASTDOC is in a public sample; here every change is a lot, so that they agree."""


def patient_list(store: DmpStore, body: etree._Element, caller: Caller) -> str:
    """List the patients on whose DMP the caller is allowed, with a lot since a date."""
    since = (body.findtext(clark(names.PATIENTS, "startDate")) or "").strip()
    kind = (body.findtext(clark(names.PATIENTS, "dateType")) or "").strip()
    if kind not in _DATE_TYPES or not since.isdecimal():
        raise FaultRaised("patientList has no startDate in digits, or an unknown dateType")
    found = "".join(
        _listed(store, one, last, caller)
        for one in store.authorised_patients(caller.owner.person)
        if (last := max((lot.received for lot in store.lots(one.key)), default="")) >= since
    )
    return (
        f'<p:patientListResponse xmlns:p="{names.PATIENTS}"><p:output>{found}<p:status>DMPOk</p:status></p:output>'
        "</p:patientListResponse>"
    )


def _listed(store: DmpStore, one: Patient, last: str, caller: Caller) -> str:
    allowed = store.authorisation(one.key, caller.owner.person)
    treating = str(allowed is not None and allowed.treating).lower()
    return (
        f"<p:patientlistData><p:patientIdentifier><p:nationalId>{one.key.number}</p:nationalId>"
        f"<p:nationalIdType>{one.key.oid}</p:nationalIdType></p:patientIdentifier>"
        f"<p:lastName>{escape(one.birth_name)}</p:lastName><p:firstName>{escape(one.given)}</p:firstName>"
        f"<p:dateOfBirth>{one.birth_date}</p:dateOfBirth><p:MT>{treating}</p:MT><p:message>false</p:message>"
        f"<p:lastUpdateDate>{last}</p:lastUpdateDate><p:lastAddDate>{last}</p:lastAddDate></p:patientlistData>"
    )
