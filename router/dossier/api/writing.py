"""Writing: steps are resolved and allowed first, all of them; only then is anything kept, in the same transaction.

One that is refused leaves nothing of the others. What was asked and by which rule it was decided is kept either way.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Row

from router.dossier.accesses import Access as Decided
from router.dossier.api.bundles import http_date, instant, shown
from router.dossier.api.calls import Answer, Call
from router.dossier.api.care_teams import (
    KIND as TEAM,
    apply_team,
    circle_drafts,
    lines_for,
    understood_team,
)
from router.dossier.api.files import kept_as
from router.dossier.api.journaling import journaled, numbered
from router.dossier.api.mentions import ask_party, mentioned, name_parties
from router.dossier.api.numbers import identifiers_of, numbers_of, unresolved
from router.dossier.api.outcomes import Refused, no_patient, not_found, too_wide
from router.dossier.api.patches import patched
from router.dossier.api.planned import Planned, Written
from router.dossier.api.queries import criterion
from router.dossier.api.reading import refused_of
from router.dossier.api.service import Service, keep_note
from router.dossier.api.steps import SHARED, Step, Verb
from router.dossier.classifying import author_token
from router.dossier.context import Thing
from router.dossier.keeping import By
from router.dossier.store.access import Access
from router.dossier.store.away import marked_by_stays
from router.dossier.store.drafts import LIVE, Draft, Files, draft
from router.dossier.store.elements import Json, Resource, child, children, said
from router.dossier.store.indexing import index
from router.dossier.store.parameters import OF_NOBODY
from router.dossier.store.projection import copied, renamed
from router.dossier.store.requests import KIND, is_apart
from router.dossier.store.searching import Found, Query, Search, TooWide
from router.dossier.store.writing import Keeper
from router.journal.operations import Change
from router.journal.unit import Unit
from router.journal.view import View
from schemas.habilitation import Action, DataCategory
from schemas.visibility import Mark

_PATIENT = {
    "RelatedPerson": ("patient",),
    "Consent": ("patient",),
    "Task": ("for",),
    "Appointment": ("participant.actor",),
}


async def write(service: Service, call: Call, prepare: Callable[[Call], Sequence[Step]]) -> list[Planned]:
    """Do the steps of a request, all or none. Raises Refused."""
    steps = await service.journal.look(lambda _: list(prepare(call)))
    for step in steps:
        kind = "DocumentReference" if step.verb is Verb.FILE else step.kind
        call.require("read" if step.verb is Verb.FIND else "write", kind)
    written = await service.journal.submit(Change(lambda unit: Writing(unit, service, call).run(steps), note="dossier"))
    if written.refused is not None:
        raise written.refused
    service.changed()
    return written.done


async def one(service: Service, call: Call, prepare: Callable[[Call], Step]) -> Answer:
    """Answer a request that changes one resource."""
    (done,) = await write(service, call, lambda asked: [prepare(asked)])
    headers = {"ETag": f'W/"{done.version}"', "Last-Modified": http_date(done.at)}
    if done.status == 201:
        headers["Location"] = f"{call.base}/{done.key}/_history/{done.version}"
    if call.strict_total or done.resource is None:
        return Answer(done.status if done.resource is not None else 200, content=b"", headers=headers)
    return Answer(done.status, _shown(done), headers=headers)


async def transaction(service: Service, call: Call, prepare: Callable[[Call], Sequence[Step]]) -> Answer:
    """Answer a transaction Bundle."""
    done = await write(service, call, prepare)
    entries: list[Json] = []
    for planned in done:
        if planned.step.verb is Verb.FILE:
            entries.append(_file(call, planned))
            continue
        response: Resource = {
            "status": "201 Created" if planned.status == 201 else "200 OK",
            "location": f"{planned.key}/_history/{planned.version}",
            "etag": f'W/"{planned.version}"',
            "lastModified": instant(planned.at),
        }
        entries.append({"fullUrl": f"{call.base}/{planned.key}", "response": response})
    return Answer(resource={"resourceType": "Bundle", "type": "transaction-response", "entry": entries})


def _file(call: Call, planned: Planned) -> Resource:
    if not planned.key:  # a short text, which stays inside its document
        return {"response": {"status": "200 OK"}}
    status = "201 Created" if planned.status == 201 else "200 OK"
    return {"fullUrl": f"{call.base}/{planned.key}", "response": {"status": status, "location": planned.key}}


def _shown(done: Planned) -> Resource:
    kind, _, logical_id = done.key.partition("/")
    return shown(
        Found(0, kind, logical_id, None, done.version, done.at, LIVE, done.resource or {}),
    )


class Writing:
    """Does the steps of one call within a transaction of the journal."""

    def __init__(self, unit: Unit, service: Service, call: Call) -> None:
        self._unit = unit
        self._service = service
        self._call = call
        self._blobs = service.blobs
        self._access = Access(
            View(unit.connection, unit.sealer, service.blobs), service.door, call.may.reader, call.now
        )
        self._search = Search(self._access)
        self._decided: list[Decided] = []

    def run(self, steps: Sequence[Step]) -> Written:
        """Do them, or say why none was done."""
        try:
            planned = self._within_reach(steps)
        except Refused as refused:
            self._note(f"refused {steps[0].kind}")
            return Written(refused=refused)
        self._keep(planned)
        self._name_files(planned)
        self._note(", ".join(one.key for one in planned if one.step.verb not in {Verb.FIND, Verb.FILE}))
        return Written(planned)

    def _note(self, what: str) -> None:
        keep_note(self._unit, self._call, what, self._decided)

    # --- before anything is written ---------------------------------------------------------------------------------

    def _within_reach(self, steps: Sequence[Step]) -> list[Planned]:
        try:
            return self._planned(steps)
        except TooWide:
            raise too_wide() from None

    def _planned(self, steps: Sequence[Step]) -> list[Planned]:
        planned = [self._resolved(step) for step in steps]
        keys = [one.key for one in planned if one.step.verb not in {Verb.FIND, Verb.FILE} and one.found is None]
        keys += [one.key for one in planned if one.found is not None and one.step.verb in {Verb.UPDATE, Verb.PATCH}]
        if len(keys) != len(set(keys)):
            raise Refused(422, "Two entries change the same resource.", where=("Bundle.entry",))
        names = {one.step.url: one.key for one in planned if one.step.url and one.key}
        for one in planned:
            try:
                self._allowed(one, names)
            except Refused as refused:
                if not one.step.where:
                    raise
                places = tuple(f"{one.step.where}.resource.{place}" for place in refused.where) or (one.step.where,)
                raise Refused(refused.status, refused.sentence, where=places, code=refused.code) from None
        for one in planned:
            if one.step.kind == "List" and one.indexed is not None:
                self._ask_submission(one, planned)
            if one.step.kind == TEAM and one.resource is not None and one.patient is not None:
                self._understand_team(one, planned)
        return planned

    def _understand_team(self, team: Planned, planned: Sequence[Planned]) -> None:
        """Compare a CareTeam with the circle; relatives of the same request become members by it."""
        assert team.resource is not None and team.patient is not None  # noqa: S101, PT018
        resources = {one.key: one.resource or (one.found.resource if one.found else None) for one in planned}
        known = {one.key: one.resource for one in mentioned(self._search, [team.resource], self._call.base)}
        people = [said(child(one, "member"), "reference") for one in children(team.resource, "participant")]
        known |= {one.key: one.resource for one in self._search.by_keys(key for key in people if key)}
        known |= {key: resource for key, resource in resources.items() if resource is not None}
        known = {key: {"resourceType": key.partition("/")[0], **one} for key, one in known.items() if key != team.key}
        lines = lines_for(self._unit, team.patient.patient or 0, self._call.now)
        whole = team.step.verb is Verb.UPDATE
        team.team = understood_team(team.resource, known, lines, self._call.now, whole=whole)
        for one in planned:
            one.absorbed = one.step.kind == "RelatedPerson" and one.step.verb is Verb.CREATE and one.key in people

    def _resolved(self, step: Step) -> Planned:
        if step.verb is Verb.FILE:
            return Planned(step, "")
        if step.verb is Verb.FIND:
            found = self._patient_like(step)
            return Planned(step, found.key, found, version=found.version, at=found.at)
        if step.verb is Verb.CREATE:
            there = self._there(step)
            if there is not None:
                return Planned(step, there.key, there, version=there.version, at=there.at)
            return Planned(step, f"{step.kind}/{self._service.new_id()}", status=201)
        target = self._target(step)
        if target is None:  # a conditional update that found nothing makes one (FHIR R4 §3.1.0.4.3)
            return Planned(step, f"{step.kind}/{self._service.new_id()}", status=201)
        if step.if_match is not None and step.if_match != target.version:
            raise Refused(412, "Somebody changed it meanwhile: read it again.")
        return Planned(step, target.key, target)

    def _there(self, step: Step) -> Found | None:
        """Give what a conditional creation finds, or the directory's own entry under the same number."""
        if step.matching is not None:
            return self._only(step.matching)
        if step.kind not in SHARED or step.resource is None:
            return None
        numbers = identifiers_of(step.resource)
        if not numbers:
            return None
        query = Query(step.kind, (criterion(step.kind, "identifier", ",".join(numbers)),), count=2)
        page = self._search.page(query)
        return page.matches[0] if page.matches else None

    def _only(self, query: Query) -> Found | None:
        page = self._search.page(replace(query, count=2), counted=False)
        live = [found for found in page.matches if found.state == LIVE]
        if len(live) > 1:
            raise Refused(412, "The condition finds several resources.")
        return live[0] if live else None

    def _target(self, step: Step) -> Found | None:
        if step.matching is not None:
            found = self._only(step.matching)
            if found is None and step.verb is not Verb.UPDATE:
                raise not_found(step.kind)
            return found
        found = self._search.one(step.kind, step.logical_id)
        if found is None:
            self._decided += refused_of(self._access, self._search, step.kind, step.logical_id)
        if found is None or found.state != LIVE:
            raise not_found(step.kind)
        return found

    def _patient_like(self, step: Step) -> Found:
        """Find the patient whom an entry means: a tool never makes one, it names one that the dossier knows."""
        found: list[Found] = []
        if step.logical_id:
            there = self._search.one("Patient", step.logical_id)
            found = [] if there is None else [there]
        elif step.matching is not None:
            found = self._search.page(replace(step.matching, count=2)).matches
        elif step.resource is not None and (numbers := identifiers_of(step.resource)):
            query = Query("Patient", (criterion("Patient", "identifier", ",".join(numbers)),), count=2)
            found = self._search.page(query).matches
        if len(found) != 1:
            raise no_patient("Patient")
        return found[0]

    def _allowed(self, planned: Planned, names: dict[str, str]) -> None:
        step = planned.step
        if step.verb in {Verb.FIND, Verb.FILE} or (step.verb is Verb.CREATE and planned.found is not None):
            return
        if step.verb is Verb.UPDATE and planned.found is not None and step.kind in SHARED:
            raise Refused(403, f"A {step.kind} of the directory is not changed by a tool.")
        resource = self._content(planned, names)
        planned.resource = resource
        if step.kind in OF_NOBODY:
            planned.indexed = index(self._unit.sealer, resource)
            return
        if step.kind == KIND:
            name_parties(self._search, resource, self._call.base)
        planned.indexed = index(self._unit.sealer, resource)
        if self._is_request_apart(planned, resource):
            ask_party(self._call.may.reader, resource)
            return
        planned.patient = self._whose(resource, planned)
        planned.indexed = index(self._unit.sealer, resource)
        if step.kind == TEAM:
            self._ask_team(planned.patient)
            return
        if step.kind == "List":  # seen as what it submits, which is known once everything is
            return
        self._ask(planned)
        deposits = self._service.settings.deposits
        if deposits is not None and step.verb in {Verb.CREATE, Verb.UPDATE} and step.kind == "DocumentReference":
            sent_as = f"{self._call.method} {step.kind}"[:32]
            deposits.check(self._unit.connection, self._unit.sealer, resource, planned.patient, sent_as)

    def _content(self, planned: Planned, names: dict[str, str]) -> Resource:
        step, found = planned.step, planned.found
        if step.verb is Verb.PATCH and found is not None:
            return patched(found.resource, step.patch)
        if step.verb is Verb.DELETE and found is not None:
            return {**found.resource, "status": "entered-in-error"}
        resource = renamed(step.resource or {}, names)
        assert isinstance(resource, dict)  # noqa: S101 - renaming keeps the shape
        if place := unresolved(resource):
            raise Refused(422, "A reference points at an entry that is not in the Bundle.", where=(place,))
        kind, _, logical_id = planned.key.partition("/")
        return {**resource, "resourceType": kind, "id": logical_id}

    def _whose(self, resource: Resource, planned: Planned) -> Found:
        """Give the patient whom a resource is about: by reference, by number, or contained. Raises Refused."""
        kind = planned.step.kind
        for path in _PATIENT.get(kind, ("subject",)):
            first, _, rest = path.partition(".")
            for node in children(resource, first):
                reference = child(node, rest) if rest else node
                found = self._person(reference or {}, resource)
                if found is not None:
                    known = None if planned.found is None else planned.found.patient
                    if planned.found is not None and known != found.patient and (known is not None or kind != KIND):
                        raise Refused(422, "A resource is never moved to another patient.", where=(f"{kind}.{first}",))
                    return found
        raise no_patient(f"{kind}.{_PATIENT.get(kind, ('subject',))[0]}")

    def _person(self, reference: Resource, resource: Resource) -> Found | None:
        said_as = said(reference, "reference").removeprefix(f"{self._call.base}/")
        if said_as.startswith("Patient/"):
            return self._search.one("Patient", said_as.partition("/")[2].partition("/")[0])
        numbers: list[str] = []
        if said_as.startswith("Patient?"):
            _, _, numbers_text = said_as.partition("identifier=")
            numbers = [numbers_text] if numbers_text else []
        elif said_as.startswith("#"):
            inside = [one for one in children(resource, "contained") if f"#{said(one, 'id')}" == said_as]
            numbers = [number for one in inside for number in identifiers_of(one)]
        elif not said_as and (identifier := child(reference, "identifier")) is not None:
            numbers = numbers_of([identifier])
        if not numbers:
            return None
        query = Query("Patient", (criterion("Patient", "identifier", ",".join(numbers)),), count=2)
        found = self._search.page(query).matches
        if len(found) != 1:
            return None
        if not said_as.startswith("#"):
            reference["reference"] = found[0].key
        return found[0]

    def _ask(self, planned: Planned) -> None:
        indexed, patient, step = planned.indexed, planned.patient, planned.step
        assert indexed is not None and patient is not None and patient.patient is not None  # noqa: S101, PT018
        thing = Thing(DataCategory(indexed.category), Mark(indexed.marks), indexed.at, indexed.author, indexed.thing)
        reader = self._call.may.reader
        own = reader.tokens | {author_token(self._unit.sealer, key) for key in reader.structures}
        written = step.verb in {Verb.CREATE, Verb.UPDATE}
        if written and thing.category is DataCategory.NOTES and thing.author is not None and thing.author not in own:
            raise Refused(403, "A note is written in the name of who asks: its author is whom On-Behalf-Of names.")
        things = [thing]
        if planned.found is not None and planned.found.thing is not None:
            things.append(planned.found.thing)
            row = self._row(planned.found)
            of_partner = row.owner is None and step.verb is not Verb.PATCH
            mine = row.author in reader.tokens if row.author is not None else row.owner == reader.tool
            note = planned.found.thing.category is DataCategory.NOTES and step.verb is not Verb.PATCH
            if of_partner or (note and not mine):
                raise Refused(403, "Only its author changes it.")
        for one in things:
            self._decided += self._access.decisions(Action.WRITE, [patient.patient], one)
            if not self._access.may(Action.WRITE, patient.patient, one).allowed:
                raise Refused(403, f"This reader may not write this {step.kind} in this dossier.")

    def _ask_submission(self, planned: Planned, others: Sequence[Planned]) -> None:
        """Let a submission set be seen by who may see what it submits, and be written by who may write that."""
        assert planned.resource is not None and planned.indexed is not None  # noqa: S101, PT018
        items = {said(child(one, "item"), "reference") for one in children(planned.resource, "entry")}
        known = [(one.indexed.category, one.indexed.marks) for one in others if one.key in items and one.indexed]
        there = [one.thing for one in self._search.by_keys(sorted(items)) if one.thing is not None]
        known += [(thing.category.value, int(thing.marks)) for thing in there]
        if not known:
            raise Refused(422, "A submission set names a document of its own transaction.", where=("List.entry",))
        marks = planned.indexed.marks
        for _, more in known:
            marks |= more
        planned.indexed = replace(planned.indexed, category=known[0][0], marks=marks)
        self._ask(planned)

    def _ask_team(self, patient: Found) -> None:
        """Let who may write identities and contacts change a circle. Raises Refused."""
        assert patient.patient is not None  # noqa: S101 - a Patient is somebody's
        thing = Thing(DataCategory.IDENTITY)
        self._decided += self._access.decisions(Action.WRITE, [patient.patient], thing)
        if not self._access.may(Action.WRITE, patient.patient, thing).allowed:
            raise Refused(403, "This reader may not change the circle of this dossier.")

    def _is_request_apart(self, planned: Planned, resource: Resource) -> bool:
        """Say whether a Task is about somebody of whom this reader knows no dossier here."""
        if planned.step.kind != KIND or (planned.found is not None and planned.found.patient is not None):
            return False
        return is_apart(resource) and self._person(child(resource, "for") or {}, resource) is None

    def _row(self, found: Found) -> Row[Any]:
        row = self._keeper_row(found)
        if row is None:
            raise not_found(found.type)
        return row

    def _keeper_row(self, found: Found) -> Row[Any] | None:
        return Keeper(self._unit, self._call.now).row(found.type, found.logical_id)

    # --- then ---------------------------------------------------------------------------------------------------------

    def _keep(self, planned: Sequence[Planned]) -> None:
        fresh = [one for one in planned if one.resource is not None]
        if not fresh:
            return
        people = {one.patient.key: one.patient for one in fresh if one.patient is not None}
        whole = [
            numbered(one.resource, 1 if one.found is None else one.found.version + 1)
            for one in fresh
            if one.resource is not None
        ]
        final = any(one.step.verb in {Verb.PATCH, Verb.DELETE} for one in fresh)
        known = [*people.values(), *mentioned(self._search, whole, self._call.base)]
        message_id = journaled(self._unit, self._blobs, self._call, whole, known, final=final)
        keeper = Keeper(self._unit, self._call.now)
        files = Files(self._unit.sealer, self._blobs)
        drafts: list[Draft] = []
        edited = [one for one in fresh if one.step.verb in {Verb.PATCH, Verb.DELETE}]
        for one in edited:
            self._edit(keeper, one)
        teams = [one for one in fresh if one.team is not None]
        absorbed = [one for one in fresh if one.absorbed]
        fresh = [one for one in fresh if one not in edited and one.team is None and not one.absorbed]
        for one in fresh:
            assert one.resource is not None and one.indexed is not None  # noqa: S101, PT018
            whose = None if one.patient is None else one.patient.patient
            if whose is not None:
                one.resource = copied(one.resource)
                if one.step.kind == "Appointment":
                    self._mark(one, whose)
                files.detach(one.resource, whose, one.indexed)
            drafts.append(draft(self._unit.sealer, one.resource, whose, indexed=one.indexed))
        owner = self._call.may.reader.tool
        kept = {
            f"{each.type}/{each.logical_id}": each
            for each in keeper.keep([*drafts, *files.drafts], owner=owner, message_id=message_id)
        }
        for one in fresh:
            each = kept[one.key]
            one.version, one.at = each.version, each.at
        for one in teams:
            self._keep_team(keeper, one, absorbed)

    def _keep_team(self, keeper: Keeper, planned: Planned, absorbed: Sequence[Planned]) -> None:
        """Change the circle, and keep it as it is now; whoever waits for the follower would read what was before."""
        assert planned.team is not None and planned.patient is not None  # noqa: S101, PT018
        patient = planned.patient.patient
        assert patient is not None  # noqa: S101 - a Patient is somebody's
        by = By(self._call.may.reader.name, self._call.now, f"written by the tool {self._call.may.reader.tool}")
        apply_team(self._unit, patient, planned.team, by)
        kept = keeper.keep(circle_drafts(self._unit, self._blobs, patient, self._call.now))
        [team] = [each for each in kept if each.type == TEAM]
        planned.key, planned.version, planned.at = f"{TEAM}/{team.logical_id}", team.version, team.at
        row = self._search.one(TEAM, team.logical_id)
        planned.resource = planned.resource if row is None else row.resource
        relatives = [each for each in kept if each.type == "RelatedPerson" and each.created]
        for one, each in zip(absorbed, relatives, strict=False):
            one.key, one.version, one.at = f"RelatedPerson/{each.logical_id}", each.version, each.at

    def _mark(self, planned: Planned, patient: int) -> None:
        """Mark a visit to somebody who is in hospital; a mark that the tool read and sends back says nothing."""
        assert planned.resource is not None  # noqa: S101 - the caller looked
        planned.resource = marked_by_stays(self._unit, planned.resource, patient, self._call.now)
        planned.indexed = index(self._unit.sealer, planned.resource)

    @staticmethod
    def _name_files(planned: Sequence[Planned]) -> None:
        """Say of each file that came as an entry under which reference it is kept, with its document."""
        documents = [one for one in planned if one.step.files]
        for one in (one for one in planned if one.step.verb is Verb.FILE):
            for document in documents:
                there = document.resource or (document.found.resource if document.found is not None else {})
                for url, place in document.step.files:
                    if url == one.step.url:
                        one.key, one.status = kept_as(there, place), document.status

    def _edit(self, keeper: Keeper, planned: Planned) -> None:
        """Patch or delete what is there; whose it is, and that a resend of it is no news, stays as it was."""
        assert planned.found is not None and planned.resource is not None  # noqa: S101, PT018
        row = self._row(planned.found)
        planned.version = row.version + 1
        if planned.step.verb is Verb.DELETE:
            planned.at = keeper.withdraw(row)
            planned.resource = None
        else:
            planned.at = keeper.change(row, planned.resource, digest=bytes(row.digest)).at
