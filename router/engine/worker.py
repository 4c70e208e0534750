"""The worker: from the bytes of a message to Items, the patients they belong to, and the bytes to deliver.

It runs in processes of its own, in batches, so that reading and writing formats never delays an acknowledgement. It
reads the journal (patients, blobs) and writes nothing to it but blobs; what it prepared is committed by the engine.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

import orjson
from pydantic import ValidationError

from mappings.contracts import FormatError, Reading
from mappings.registry import detect, format_named
from router.bulk.rerouting import ChosenItem, Rerouted
from router.codes.maps import CodeMaps, KeptMaps
from router.codes.reading import NO_CODES, CodeReader, ItemCodes
from router.conversion import read_content
from router.desk.leaving import BY_PERSON, attached_by_person
from router.dossier.answering import BY_ANSWER, answered
from router.dossier.store.jobs import ItemJob, PatientJob, Projected, project
from router.dossier.store.projection import Means
from router.dossier.telling import Telling, telling_of
from router.engine.attachments import blobs_of, with_data, without_data
from router.engine.clock import micros
from router.engine.outcomes import first_error
from router.engine.parcels import Leaving, Parcels
from router.engine.plan import Plan, RoutePlan
from router.engine.routing import item_view, looks_into_content, patient_view, routes_of
from router.engine.searchable import identity_tokens, searchable, sender_tokens
from router.engine.summary import summarise
from router.engine.versioned import as_kept, mappings_in_force
from router.identity.attached import attached, without_ins
from router.identity.flows import asked, flow_of
from router.identity.flows_parted import PREPARED_ANEW
from router.identity.matching import ONLY_A_PERSON, Decision, HoldReason, Matcher, alarm, authority_of
from router.identity.patients import Patient, load_patients
from router.journal.asking import ANY_DOSSIER, ask
from router.journal.correspondence import PreparedMail, prepared_mail
from router.journal.mapping_versions import MappingsInForce, MappingsKept, mappings_of
from router.journal.operations import (
    BODY_PLACE,
    REPORT_PLACE,
    SUMMARY_PLACE,
    PreparedItem,
    PreparedMessage,
)
from router.journal.readers import AS_CONFIGURED, ReaderChoice
from router.journal.receipts import receipt_of
from router.journal.routing import SEEN, RoutingSeen, routing_digest
from router.journal.sealing import loose
from router.journal.store import ReadSession, Store, open_store
from router.journal.tables import WORST, ItemState, MessageState
from schemas.finding import Finding, Severity
from schemas.identifiers import InsEnvironment
from schemas.item import ITEM, Item, NoteItem, ReceiptItem, dump_item

FORMER = 4
"""Former versions of the mappings that a worker holds ready."""

REMEMBERED_ROUTES = 1024
"""What routes said of Items, as it is kept: the same words for most of them."""


@dataclass(frozen=True, slots=True)
class RawMessage:
    """A message as the journal has it."""

    message_id: int
    source: str
    content: bytes | None
    blob: str | None
    control_id: str
    message_type: str
    received_at: datetime
    replays: int = 0
    filename: str | None = None
    siblings: dict[str, bytes] = field(default_factory=dict)
    undone: int = 0
    reader: ReaderChoice = AS_CONFIGURED
    mappings: int | None = None
    """The version of the mappings that it is to be read with; None: those in force."""


@dataclass(frozen=True, slots=True)
class HeldItem:
    """A held Item that may go on now.

    `patient_id` is whose a person decided that it is, by `decision_id`; None where the rules decide. `undone` counts
    the attachments of it that were undone: what is sent anew must not be taken for what was sent then. `reason` is why
    it waits.
    """

    item_id: int
    message_id: int
    source: str
    control_id: str
    message_type: str
    ordinal: int
    replays: int
    body: bytes
    patient_id: int | None = None
    decision_id: int | None = None
    undone: int = 0
    reason: str | None = None


@dataclass(slots=True)
class _Draft:
    """A message being worked on."""

    raw: RawMessage
    format: str | None
    reading: Reading
    codes: tuple[ItemCodes, ...] = ()


class Worker:
    """Prepares messages according to one Plan, with its mappings or, `kept`, those of then. Not for several threads."""

    def __init__(self, plan: Plan, store: Store | None = None, *, kept: MappingsKept | None = None) -> None:
        self._plan = plan if kept is None else as_kept(plan, kept)
        self._kept = kept
        self._former: dict[int, Worker] = {}
        self._in_force: tuple[int, MappingsInForce] | None = None
        self._store = store or open_store(plan.place, master=plan.master, migrate=False)
        self._sealer = self._store.sealer.clone()
        self._patients: dict[tuple[int, int], Patient] = {}
        self._matcher = Matcher(
            self._sealer,
            policy=plan.policy,
            environment=None if plan.environment is None else InsEnvironment(plan.environment.value),
            remembered=self._patients,
        )
        maps = CodeMaps(plan.code_maps) if kept is None else KeptMaps(kept.maps)
        self._codes = CodeReader(maps, self._sealer)
        self._parcels = Parcels(self._plan, self._store, self._sealer)
        self._routing = routing_digest(plan.routing)
        self._needs_content = looks_into_content(plan.routes)
        self._dossiers = False
        self._told: dict[tuple[object, ...], str] = {}
        own = ReadSession(self._store) if store is None and plan.place.is_sqlite else None
        self._session, self._reading = own, own.reading if own is not None else self._store.reading

    @property
    def plan(self) -> Plan:
        """What it works by."""
        return self._plan

    @property
    def store(self) -> Store:
        """The journal that it reads."""
        return self._store

    def close(self) -> None:
        """Close the worker's own connections to the journal."""
        if self._session is not None:
            self._session.close()
        self._store.close()

    def process(self, raws: Sequence[RawMessage], now: datetime) -> list[PreparedMessage]:
        """Prepare messages, in their order; each with the version of the mappings that it asks for."""
        if any(raw.mappings is not None for raw in raws):
            return self._with_former(raws, now)
        self._codes.begin(self._store, surely=any(raw.replays for raw in raws))
        drafts = [self._read(raw) for raw in raws]
        decisions = self._identify((draft for draft in drafts if draft.reading.items), look_for_dossiers=True)
        decisions |= self._answers(drafts, decisions, now)
        return [self._prepare(draft, decisions, now) for draft in drafts]

    def _with_former(self, raws: Sequence[RawMessage], now: datetime) -> list[PreparedMessage]:
        found: dict[int, PreparedMessage] = {}
        for number in dict.fromkeys(raw.mappings for raw in raws):
            same = [replace(raw, mappings=None) for raw in raws if raw.mappings == number]
            found |= {one.message_id: one for one in self._as_of(number).process(same, now)}
        return [found[raw.message_id] for raw in raws]

    def _as_of(self, number: int | None) -> Worker:
        """Give who reads with a version; one that the journal does not have (any more) is read with those in force.

        The message then says that it was read with another one than was asked for.
        """
        if number is None:
            return self
        if number not in self._former:
            with self._store.reading() as connection:
                kept = mappings_of(connection, self._sealer, number)
            if kept is None:
                return self
            while len(self._former) >= FORMER:
                del self._former[next(iter(self._former))]
            self._former[number] = Worker(self._plan, self._store, kept=kept)
        return self._former[number]

    def _mappings(self) -> MappingsInForce:
        maps = self._codes.maps
        if self._in_force is None or self._in_force[0] != maps.turns:
            self._in_force = (maps.turns, mappings_in_force(self._plan, maps.in_force(), self._kept))
        return self._in_force[1]

    def reconsider(self, held: Sequence[HeldItem], now: datetime) -> list[PreparedItem]:
        """Look at held Items again; gives those whose patient is now known for certain, or decided by a person.

        One that was to be prepared anew, and whose patient is not certain any more, is given as held for that reason.
        """
        drafts = []
        for one in held:
            item = ITEM.validate_json(one.body)
            raw = RawMessage(
                one.message_id,
                one.source,
                None,
                None,
                one.control_id,
                one.message_type,
                now,
                one.replays,
                undone=one.undone,
            )
            drafts.append(_Draft(raw, None, Reading(items=(with_data(item, self._store.blobs),))))
        decisions = self._identify(drafts) | self._decided(held, drafts)
        released = []
        for one, draft in zip(held, drafts, strict=True):
            item = draft.reading.items[0]
            decision = decisions[id(item)]
            if decision.patient is None and one.reason not in PREPARED_ANEW:
                continue
            prepared = self._prepare_item(draft, item, one.ordinal, decision, now)
            if decision.patient is None:
                prepared = replace(prepared, state=ItemState.HELD, deliveries=(), follow=None)
            if prepared.untold:
                # Nobody prepares it again when a dossier is opened meanwhile: what it is for one goes along.
                prepared = replace(prepared, tell=self._tell(item), untold=False)
            released.append(replace(prepared, item_id=one.item_id, decision_id=one.decision_id))
        return released

    def reroute(
        self, chosen: Sequence[ChosenItem], routes: Mapping[str, str], mark: str, now: datetime
    ) -> list[Rerouted]:
        """Write Items for destinations that a person chose, each under the name of a route, whatever its condition."""
        plans = {name: RoutePlan(route, "true", frozenset(), (name,), True) for name, route in routes.items()}
        numbers = sorted({one.patient_id for one in chosen if one.patient_id is not None})
        with self._store.reading() as connection:
            patients = load_patients(connection, self._sealer, numbers, self._patients)
        return [self._rerouted(one, plans, patients.get(one.patient_id or 0), mark, now) for one in chosen]

    def _rerouted(
        self, one: ChosenItem, plans: Mapping[str, RoutePlan], patient: Patient | None, mark: str, now: datetime
    ) -> Rerouted:
        try:
            item = with_data(ITEM.validate_json(one.body), self._store.blobs)
        except (ValidationError, OSError) as problem:
            return Rerouted(one.item_id, problem=type(problem).__name__)
        leaving = without_ins(item) if one.candidates or one.patient_id is None else item
        if patient is not None:
            leaving = (attached_by_person if one.by_person else attached)(item, patient.identity)
        name = f"{one.message_id}/{one.replays}/{one.ordinal}"
        made = tuple(self._parcels.deliveries(Leaving(name, mark, leaving, patient, now), plans))
        seen = patient.updated_at if patient is not None else None
        return Rerouted(one.item_id, made, patient.id if patient is not None else None, seen)

    def project(self, jobs: Sequence[ItemJob | PatientJob], now: datetime) -> list[Projected]:
        """Make resources of the dossier from Items and patients."""
        means = Means(self._sealer, self._store.blobs, self._plan.environment, self._plan.timezone)
        return project(jobs, means, now, lambda item: with_data(item, self._store.blobs))

    def _decided(self, held: Sequence[HeldItem], drafts: Sequence[_Draft]) -> dict[int, Decision]:
        numbers = sorted({one.patient_id for one in held if one.patient_id is not None})
        if not numbers:
            return {}
        with self._store.reading() as connection:
            patients = load_patients(connection, self._sealer, numbers, self._patients)
        return {
            id(draft.reading.items[0]): Decision(patients.get(one.patient_id), None, BY_PERSON)
            for one, draft in zip(held, drafts, strict=True)
            if one.patient_id is not None
        }

    # --- read ---------------------------------------------------------------------------------------------------

    def _read(self, raw: RawMessage) -> _Draft:
        source = self._plan.sources.get(raw.source)
        content = raw.content if raw.content is not None else self._store.blobs.get(raw.blob or "")
        context = self._plan.reads(
            raw.source, raw.received_at, charset=raw.reader.charset, filename=raw.filename, siblings=raw.siblings
        )
        chosen = raw.reader.format or (source.format if source else None)
        name: str | None = None
        codes: tuple[ItemCodes, ...] = ()
        try:
            fmt = format_named(chosen) if chosen else detect(content)
            name = fmt.name
            reading, codes = self._codes.read(read_content(fmt, content, context), raw.source)
        except FormatError as refused:
            finding = Finding(
                severity=Severity.ERROR, code=refused.code, where=refused.where[:160], message=refused.message
            )
            reading = Reading(findings=(finding,))
        except Exception as defect:
            # A reader must raise nothing else: it is a defect of ours, said as such, and the message is kept.
            reading = Reading(findings=(_defect("reader.defect", defect),))
        return _Draft(raw, name, reading, codes=codes)

    # --- identify -----------------------------------------------------------------------------------------------

    def _identify(self, drafts: Iterable[_Draft], *, look_for_dossiers: bool = False) -> dict[int, Decision]:
        items = [item for draft in drafts for item in draft.reading.items]
        if not items:
            return {}
        with self._reading() as connection:
            if look_for_dossiers and not self._dossiers:
                self._dossiers = bool(ask(connection, ANY_DOSSIER))
            decisions = self._matcher.decide(connection, [(asked(item), authority_of(item)) for item in items])
        return {id(item): decision for item, decision in zip(items, decisions, strict=True)}

    def _answers(self, drafts: Sequence[_Draft], decisions: dict[int, Decision], now: datetime) -> dict[int, Decision]:
        """Take answers to our own mails into the dossiers that they belong to; gives whose they are."""
        found: dict[int, Decision] = {}
        for draft in drafts:
            notes = [one for one in draft.reading.items if isinstance(one, NoteItem) and one.content.in_reply_to]
            for note in notes:
                if decisions[id(note)].patient is not None:
                    continue
                with self._store.reading() as connection:
                    answer = answered(connection, self._sealer, note, now)
                    if answer is None:
                        continue
                    patients = load_patients(connection, self._sealer, [answer.patient_id], self._patients)
                items = tuple(answer.item if one is note else one for one in draft.reading.items)
                draft.reading = replace(draft.reading, items=items)
                found[id(answer.item)] = Decision(patients.get(answer.patient_id), None, BY_ANSWER)
        return found

    # --- route and write ----------------------------------------------------------------------------------------

    def _prepare(self, draft: _Draft, decisions: dict[int, Decision], now: datetime) -> PreparedMessage:
        reading = draft.reading
        reason = alarm(reading.findings) if reading.findings else None
        items = tuple(
            self._prepare_item(draft, item, ordinal, Decision(None, reason) if reason else decisions[id(item)], now)
            for ordinal, item in enumerate(reading.items)
        )
        worst = max((WORST[finding.severity] for finding in reading.findings), default=0)
        if any(item.state is ItemState.HELD for item in items):
            state = MessageState.HELD
        elif not items and worst == WORST[Severity.ERROR]:
            state = MessageState.REJECTED
        else:
            state = MessageState.PROCESSED
        report = None
        if reading.findings or reading.unread:
            report = self._sealer.seal(_report(reading), REPORT_PLACE)
        rejection = first_error(reading.findings) if state is MessageState.REJECTED else None
        return PreparedMessage(
            message_id=draft.raw.message_id,
            state=state,
            format=draft.format,
            worst=worst,
            unread=len(reading.unread),
            sealed_report=report,
            items=items,
            rejection=rejection,
            unmapped=self._codes.unmapped(draft.codes),
            mail=self._mail(draft),
            received_at=micros(draft.raw.received_at) if reading.correspondence is not None else 0,
            mappings=self._mappings(),
        )

    def _mail(self, draft: _Draft) -> PreparedMail | None:
        said, raw = draft.reading.correspondence, draft.raw
        return prepared_mail(self._sealer, said, raw.source, f"message/{raw.message_id}") if said is not None else None

    def _prepare_item(self, draft: _Draft, item: Item, ordinal: int, decision: Decision, now: datetime) -> PreparedItem:
        stopped = decision.reason in ONLY_A_PERSON
        verdicts, routes = ({}, {}) if stopped else self._routes(draft, item, decision)
        # Somebody was recognised and not attached: an INS may not leave on the sender's word alone.
        leaving = without_ins(item) if decision.candidates else item
        if decision.patient is not None:
            complete = attached_by_person if decision.by == BY_PERSON else attached
            leaving = complete(item, decision.patient.identity)
        raw = draft.raw
        name, mark = f"{raw.message_id}/{raw.replays}/{ordinal}", f"/{raw.undone}" if raw.undone else ""
        deliveries = tuple(self._parcels.deliveries(Leaving(name, mark, leaving, decision.patient, now), routes))
        # A receipt names no patient and waits for none.
        waits = decision.patient is None and (stopped or not isinstance(item, ReceiptItem))
        if deliveries:
            state = ItemState.ROUTED
        elif waits:
            state = ItemState.HELD
        else:
            state = ItemState.UNROUTED
        stored = without_data(item, self._store.blobs)
        body = dump_item(stored)
        return PreparedItem(
            ordinal=ordinal,
            key=item.id[:40],
            kind=item.kind,
            state=state,
            reason=(decision.reason or HoldReason.NO_MATCH).value if waits else None,
            patient_id=decision.patient.id if decision.patient is not None else None,
            lane=self._lane(item, decision),
            routes=self._told_routes(verdicts, decision, draft) if verdicts else None,
            sealed_summary=self._sealer.seal(summarise(item), SUMMARY_PLACE),
            sealed_body=self._sealer.seal(body, BODY_PLACE),
            tokens=self._tokens(item, decision, draft, draft.codes[ordinal] if draft.codes else NO_CODES),
            deliveries=deliveries,
            blobs=blobs_of(stored, self._store.blobs),
            decision=decision.row or None,
            candidates=" ".join(map(str, decision.candidates)) or None if waits else None,
            patient_seen=decision.patient.updated_at if decision.patient is not None else None,
            follow=None if stopped else flow_of(item, decision.patient, decision.by, authority_of(item)),
            receipt=None if stopped else receipt_of(item, self._sealer),
            tell=self._tell(item) if decision.patient is not None and self._dossiers else None,
            untold=decision.patient is not None and not self._dossiers,
        )

    def _told_routes(self, verdicts: dict[str, bool | str], decision: Decision, draft: _Draft) -> str:
        known = decision.patient is not None
        in_coordination = decision.patient is not None and decision.patient.in_coordination
        test = bool(draft.reading.test)
        key = (*verdicts.items(), known, in_coordination, test)
        told = self._told.get(key)
        if told is None:
            if len(self._told) >= REMEMBERED_ROUTES:
                self._told.clear()
            seen = RoutingSeen(self._routing, known, in_coordination, test)
            told = self._told[key] = orjson.dumps({**verdicts, SEEN: seen.dump()}).decode()
        return told

    def _tell(self, item: Item) -> Telling | None:
        return telling_of(item, self._sealer, self._plan.notice_rules, self._plan.timezone)

    def _routes(
        self, draft: _Draft, item: Item, decision: Decision
    ) -> tuple[dict[str, bool | str], dict[str, RoutePlan]]:
        raw = draft.raw
        patient = decision.patient
        variables: dict[str, object] = {
            "item": item_view(item, whole=self._needs_content),
            "patient": patient_view(
                known=patient is not None, in_coordination=patient is not None and patient.in_coordination
            ),
            "source": raw.source,
            "message": {"type": raw.message_type, "control_id": raw.control_id, "test": bool(draft.reading.test)},
        }
        return routes_of(self._plan.routes, item, raw.source, variables, attached=patient is not None)

    def _lane(self, item: Item, decision: Decision) -> int:
        if decision.patient is not None:
            return self._sealer.token("lane", str(decision.patient.id))
        identity = item.patient
        if identity.ins is not None:
            return self._sealer.token("lane", "ins", identity.ins.matricule)
        if identity.identifiers:
            first = identity.identifiers[0]
            return self._sealer.token("lane", "id", first.system or "", first.value)
        names = (identity.birth_name or identity.used_name or identity.family_name or "", identity.birth_date or "")
        return self._sealer.token("lane", "traits", *names)

    def _tokens(self, item: Item, decision: Decision, draft: _Draft, codes: ItemCodes) -> tuple[int, ...]:
        values = searchable(item, draft.reading.correspondence)
        tokens = {self._sealer.token("value", loose(value)) for value in values if value}
        tokens |= sender_tokens(self._sealer, item.sender)
        if codes.sightings:
            tokens |= self._codes.tokens(codes)
        if decision.patient is None:
            tokens |= identity_tokens(self._sealer, item.patient)
        return tuple(sorted(tokens))


def _report(reading: Reading) -> bytes:
    return orjson.dumps(
        {
            "findings": [finding.model_dump(mode="json") for finding in reading.findings],
            "unread": [[one.where, one.text] for one in reading.unread],
            "charset": reading.charset,
        }
    )


def _defect(code: str, defect: Exception) -> Finding:
    message = f"a defect of Passerelle ({type(defect).__name__}) kept this message from being read; please report it"
    return Finding(severity=Severity.ERROR, code=code, where="reader", message=message)
