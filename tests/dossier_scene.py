"""A journal with the dossier of a fictitious person, the circle around her, and what was received about her."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from web_journal import Journal, person, report

from router.dossier.circle import add_member
from router.dossier.consents import record_consent
from router.dossier.context import Context, Reader, ReaderKind
from router.dossier.dossiers import open_dossier
from router.dossier.keeping import By, Done
from router.dossier.loading import context_of, known
from router.dossier.telling import telling_of
from router.identity.patients import register
from router.journal import tables
from router.journal.view import viewing
from schemas.actors import Organization, Professional, Telecom
from schemas.circle import Member, Relative, RoleFamily, party_keys
from schemas.coding import Coding, Identifier
from schemas.consent import Consent, ConsentChannel, ConsentKind
from schemas.document import Document
from schemas.item import DocumentItem, Item, Provenance, StayItem
from schemas.stay import Stay, StayStatus

NOW = 1_800_000_000_000_000
"""15 January 2027, 08:00 UTC."""

HOUR, DAY = 3_600_000_000, 86_400_000_000
G15 = "urn:oid:1.2.250.1.71.1.2.7"
R259 = "urn:oid:2.16.840.1.113883.5.88"
SOURCE = Provenance(format="canonical", where="test")
DAC = Organization(name="DAC FICTIF", identifiers=(Identifier(value="670000001", type="FINEG"),))
SAAD = Organization(name="SAAD FICTIF", identifiers=(Identifier(value="670000002", type="FINEG"),))
CABINET = Organization(
    name="CABINET FICTIF",
    identifiers=(Identifier(value="670000003", type="FINEG"),),
    telecoms=(Telecom(kind="mssante", value="cabinet@test.mssante.fr"),),
)
INFORMED = Consent(
    kind=ConsentKind.OPENING, at="2026-01-10", collected_by="TESTCOORD Anne", channel=ConsentChannel.ORAL
)


def rpps(value: str) -> Identifier:
    return Identifier(system="https://rpps.esante.gouv.fr", value=value, type="RPPS")


def professional(number: str, name: str, **more: Any) -> Professional:
    return Professional(identifiers=(rpps(number),), family_name=name, given_name="Test", **more)


def doctor(**more: Any) -> Member:
    """The general practitioner."""
    values: dict[str, Any] = {
        "family": RoleFamily.PHYSICIAN,
        "role": Coding(system=R259, code="PCP"),
        "profession": Coding(system=G15, code="10"),
        "professional": professional("89900000001", "TESTMEDECIN"),
        "organization": CABINET,
        "start": "2026-01-10",
        "in_care_team": True,
        "basis": "L.1110-12 2°",
    }
    return Member(**values | more)


def nurse(**more: Any) -> Member:
    values: dict[str, Any] = {
        "family": RoleFamily.HEALTH,
        "profession": Coding(system=G15, code="60"),
        "professional": professional("89900000002", "TESTINFIRMIERE"),
        "start": "2026-01-10",
        "in_care_team": True,
    }
    return Member(**values | more)


def home_help(**more: Any) -> Member:
    """The home help service, as a whole."""
    values: dict[str, Any] = {
        "family": RoleFamily.SOCIAL,
        "organization": SAAD,
        "start": "2026-01-10",
        "in_care_team": True,
    }
    return Member(**values | more)


def daughter(**more: Any) -> Member:
    values: dict[str, Any] = {
        "family": RoleFamily.RELATIVE,
        "relative": Relative(
            identifiers=(Identifier(system="urn:oid:2.999.67.8", value="FILLE-1"),),
            family_name="TESTROSE",
            given_name="Lucie",
            relation=Coding(code="DAUC"),
        ),
        "start": "2026-01-10",
    }
    return Member(**values | more)


def coordinator(**more: Any) -> Member:
    values: dict[str, Any] = {
        "family": RoleFamily.COORDINATION,
        "profession": Coding(system="urn:oid:1.2.250.1.213.1.6.1.107", code="309"),
        "professional": Professional(
            identifiers=(Identifier(system="urn:oid:2.999.67.7", value="COORD-1"),), family_name="TESTCOORD"
        ),
        "organization": DAC,
        "start": "2026-01-10",
        "in_care_team": True,
    }
    return Member(**values | more)


def reader_as(member: Member, **more: Any) -> Reader:
    """Give somebody of the circle as they ask, without their tokens."""
    kind = ReaderKind.RELATIVE if member.relative is not None else ReaderKind.PROFESSIONAL
    structure = party_keys(member.organization.identifiers) if member.organization is not None else frozenset[str]()
    keys = frozenset({"staff|1"}) if member.is_structure else party_keys(member.identifiers)
    return Reader(kind, member.label, keys, structure, **more)


def document(key: str, *, labels: tuple[str, ...] = (), author: str | None = None, **more: Any) -> DocumentItem:
    """Give a letter, or what its class and type say."""
    content: dict[str, Any] = {
        "document_id": f"2.999.1^{key}",
        "title": "Lettre",
        "category": Coding(code="10"),
        "type": Coding(code="11490-0"),
        "confidentiality": tuple(Coding(code=one) for one in labels),
        "author": professional(author, "TESTAUTEUR") if author else None,
    }
    happened = more.pop("occurred_at", "2026-03-05T10:00:00+01:00")
    return DocumentItem(
        id=key, patient=person(1), occurred_at=happened, source=SOURCE, content=Document(**content | more)
    )


def stay(key: str, event: str = "stay.started", trigger: str = "A01", *, visit: str = "VEN-1", **more: Any) -> StayItem:
    content: dict[str, Any] = {
        "event": event,
        "trigger": trigger,
        "status": StayStatus.IN_PROGRESS,
        "visit": Identifier(system="urn:oid:2.999.67.2", value=visit, type="VN"),
        "patient_class": "E",
        "hospital": Organization(name="CH FICTIF"),
    }
    happened = more.pop("occurred_at", "2026-03-05T09:41:00+01:00")
    return StayItem(id=key, patient=person(1), occurred_at=happened, source=SOURCE, content=Stay(**content | more))


@dataclass
class Scene:
    """The journal as people change it; every change is a moment later."""

    journal: Journal
    patient: int = 1
    now: int = NOW

    def by(self, actor: str = "claire", why: str = "") -> By:
        self.now += 1_000_000
        return By(actor, self.now, why)

    def know(self, number: int = 1) -> int:
        """Register a fictitious patient."""
        self.now += 1_000_000
        return self.journal.apply(register(person(number), in_coordination=False, now=self.now)).patient_id

    def open(self, consent: Consent | None = INFORMED) -> Done:
        return self.journal.apply(open_dossier(self.patient, DAC, by=self.by(), consent=consent))

    def add(self, member: Member) -> int:
        done = self.journal.apply(add_member(self.patient, member, by=self.by()))
        assert done.refusal is None, done.refusal
        return done.number or 0

    def consent(self, kind: ConsentKind, **more: Any) -> int:
        values: dict[str, Any] = {
            "kind": kind,
            "at": "2026-01-11",
            "collected_by": "TESTCOORD Anne",
            "channel": ConsentChannel.PAPER,
        }
        done = self.journal.apply(record_consent(self.patient, Consent(**values | more), by=self.by()))
        assert done.refusal is None, done.refusal
        return done.number or 0

    def receive(self, item: Item, *, patient: int | None = None) -> int:
        """Receive an Item about the patient, with what follows; gives its number."""
        self.now += 1_000_000
        message = self.journal.message(self.now, control=f"M{self.now}")
        prepared = self.journal.item(item, line="fictif", patient_id=patient or self.patient, to=())
        tell = telling_of(item, self.journal.store.sealer)
        self.journal.read(message, self.now, [replace(prepared, tell=tell)])
        return int(self.rows(tables.item)[-1].id)

    def lab(self, key: str, *, number: str = "LAB1") -> int:
        return self.receive(report(person(1), key, number=number))

    def context(self, patient: int | None = None) -> Context:
        with viewing(self.journal.store) as view:
            return context_of(view.connection, view.sealer, patient or self.patient, now=self.now)

    def reader(self, member: Member, **more: Any) -> Reader:
        return known(reader_as(member, **more), self.journal.store.sealer)

    def notices(self, *, since: int = 0) -> list[tuple[str, int, str, str]]:
        """Give the notices of alerts after this one: event, member, channel and state."""
        alerts = {row.id: row for row in self.rows(tables.alert)}
        return [
            (alerts[row.alert_id].event, row.member_id, row.channel, row.state)
            for row in self.rows(tables.alert_notice)
            if row.alert_id > since
        ]

    def rows(self, table: Any) -> list[Any]:
        with self.journal.store.reading() as connection:
            return list(connection.execute(table.select().order_by(*table.primary_key.columns)))
