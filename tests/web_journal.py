"""A journal that is filled with the journal's own operations, and the people and Items that go into it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import orjson
from sqlalchemy import Connection, event

from connectors.sandbox.people import ROSE
from router.identity.patients import patient_tokens
from router.journal.attempts import RecordAttempt
from router.journal.operations import (
    BODY_PLACE,
    PARCEL_DETAIL_PLACE,
    PARCEL_PLACE,
    REPORT_PLACE,
    SUMMARY_PLACE,
    AppendMessage,
    CommitReadings,
    Notice,
    Operation,
    PreparedDelivery,
    PreparedItem,
    PreparedMessage,
)
from router.journal.sealing import loose, make_key_file
from router.journal.store import JournalPlace, Store, open_store
from router.journal.tables import DeliveryState, ItemState, MessageState
from router.journal.unit import Unit
from router.web.accounts import add_account
from router.web.keys import add_api_key
from schemas.attachment import Attachment
from schemas.coding import LOCAL, LOINC, Coding, Identifier
from schemas.finding import Finding, Severity
from schemas.identity import IdentityStatus, Ins, PatientIdentity, Sex
from schemas.item import ITEM, Item, LabReportItem, Provenance, StayItem
from schemas.lab import (
    LabChapter,
    LabReport,
    Observation,
    PreviousResult,
    QuantityValue,
    Reference,
    ResultStatus,
    TextValue,
    Unit as LabUnit,
)
from schemas.stay import Location, Stay, StayStatus

R = TypeVar("R")

SECOND, MINUTE, HOUR = 1_000_000, 60_000_000, 3_600_000_000
ADMIN, PASSWORD = "admin", "un mot de passe long"
HOSTILE = "<script>alert(1)</script>"
"""A family name that wants to be markup."""

FAMILIES = ("TESTROSE", "FICTIVAL", "ESSAIMER", "DUPONTEST", "MARTINFICTIF", "LE TESTEUR")
GIVEN = ("MARIE", "JEANNE", "PAUL", "LUCIE", "RENE", "ANDRE")

ORU = (
    "MSH|^~\\&|LABO-FICTIF|LABFIC|PASSERELLE|CH|20261122101204||ORU^R01^ORU_R01|{control}|T|2.5|||||FRA|UNICODE UTF-8\r"
    "PID|1||IPP{number}^^^CH-FICTIF&1.2.250.1.999.35.1&ISO^PI||{family}^{given}^^^^^L||19{year}0305|F\r"
    "OBR|1||LAB{number}^LABFIC|58410-2^NFS^LN|||20261122081000\r"
    "OBX|1|NM|718-7^Hémoglobine^LN||7.1|g/dL|12.0-16.0|LL|||F\r"
)


@dataclass
class Journal:
    """A store and what was put into it."""

    store: Store
    key: str = ""
    ids: dict[str, int] = field(default_factory=dict)
    _connection: Connection | None = None

    @contextlib.contextmanager
    def together(self) -> Iterator[None]:
        """Put everything that is applied inside into one transaction, for speed."""
        with self.store.writing() as self._connection:
            yield
        self._connection = None

    def apply(self, operation: Operation[R]) -> R:
        """Apply one operation in a transaction of its own."""
        shared = self._connection
        with contextlib.nullcontext(shared) if shared is not None else self.store.writing() as connection:
            unit = Unit(connection, self.store.sealer)
            result = operation.apply(unit)
            unit.flush()
        return result

    async def submit(self, operation: Operation[R]) -> R:
        """Stand for the writer."""
        return self.apply(operation)

    # --- messages -------------------------------------------------------------------------------------------------

    def message(
        self,
        at: int,
        *,
        source: str = "labo-sud",
        control: str | None = None,
        content: bytes | None = None,
        message_type: str = "ORU^R01",
        rejected: Finding | None = None,
        detail: dict[str, Any] | None = None,
    ) -> int:
        """Receive a message."""
        number = len(self.ids) + 1
        control = control if control is not None else f"MSG{number:05d}"
        self.ids[control] = number
        body = (
            content
            if content is not None
            else ORU.format(control=control, number=number, family="TESTROSE", given="MARIE", year=79).encode()
        )
        appended = self.apply(
            AppendMessage(
                identity=self.store.sealer.digest(source.encode(), control.encode()),
                received_at=at,
                source=source,
                control_id=control,
                message_type=message_type,
                peer="10.2.0.14:51234",
                size=len(body),
                content=body,
                blob=None,
                detail=orjson.dumps(detail) if detail else None,
                rejected=rejected.model_dump_json().encode() if rejected else None,
            )
        )
        self.ids[control] = appended.message_id
        return appended.message_id

    def read(
        self,
        message_id: int,
        at: int,
        items: Sequence[PreparedItem],
        *,
        findings: Sequence[Finding] = (),
        unread: Sequence[tuple[str, str]] = (),
        state: MessageState | None = None,
    ) -> list[int]:
        """Commit what a message said; gives the numbers of the Deliveries that may be sent."""
        held = any(item.state is ItemState.HELD for item in items)
        report = {
            "findings": [one.model_dump(mode="json") for one in findings],
            "unread": list(unread),
            "charset": "utf-8",
        }
        worst = {Severity.INFO: 1, Severity.WARNING: 2, Severity.ERROR: 3}
        prepared = PreparedMessage(
            message_id,
            state or (MessageState.HELD if held else MessageState.PROCESSED),
            "hl7v2",
            max((worst[one.severity] for one in findings), default=0),
            len(unread),
            self.store.sealer.seal(orjson.dumps(report), REPORT_PLACE) if findings or unread else None,
            tuple(items),
        )
        return [queued.delivery_id for queued in self.apply(CommitReadings([prepared], at))]

    def item(
        self,
        item: Item,
        *,
        line: str,
        patient_id: int | None = 1,
        state: ItemState = ItemState.ROUTED,
        reason: str | None = None,
        abnormal: str | None = None,
        to: Sequence[str] = ("spico", "medecin"),
        routes: dict[str, bool | str] | None = None,
        numbers: Sequence[str] = (),
        delivery_state: DeliveryState = DeliveryState.PENDING,
        delivery_detail: str | None = None,
    ) -> PreparedItem:
        """Prepare an Item, with a Delivery to each destination."""
        sealer, patient = self.store.sealer, item.patient
        summary = {
            "patient": {
                "family": patient.birth_name,
                "given": patient.first_given_name,
                "birth_date": patient.birth_date,
                "sex": patient.sex.value if patient.sex else None,
            },
            "line": line,
            "abnormal": abnormal,
            "title": line.split(",")[0],
            "status": "final",
        }
        tokens = {sealer.token("value", loose(number)) for number in numbers}
        if patient_id is None:
            tokens |= set(patient_tokens(sealer, patient))
        return PreparedItem(
            ordinal=0,
            key=item.id,
            kind=item.kind,
            state=state,
            reason=reason,
            patient_id=patient_id,
            lane=patient_id or 99,
            routes=orjson.dumps(routes).decode() if routes is not None else None,
            sealed_summary=sealer.seal(orjson.dumps(summary), SUMMARY_PLACE),
            sealed_body=sealer.seal(ITEM.dump_json(item), BODY_PLACE),
            tokens=tuple(sorted(tokens)),
            deliveries=tuple(self.delivery(name, delivery_state, delivery_detail) for name in to),
        )

    def delivery(
        self, destination: str, state: DeliveryState = DeliveryState.PENDING, detail: str | None = None
    ) -> PreparedDelivery:
        """Prepare a Delivery of a small FHIR Bundle."""
        content = orjson.dumps({"resourceType": "Bundle", "type": "transaction", "total": 12, "note": HOSTILE})
        finding = Finding(severity=Severity.WARNING, code="fhir.lost", where="patient.ins", message="is not carried")
        extra = {"findings": [finding.model_dump(mode="json")]}
        return PreparedDelivery(
            destination=destination,
            route="résultats",
            identity=f"8c0c1e4a-{len(self.ids):04d}",
            format="fhir",
            media_type="application/fhir+json",
            filename="bundle.json",
            size=len(content),
            sealed_content=self.store.sealer.seal(content, PARCEL_PLACE),
            blob=None,
            sealed_detail=self.store.sealer.seal(orjson.dumps(extra), PARCEL_DETAIL_PLACE),
            worst=0,
            state=state,
            detail=detail,
        )

    def attempt(
        self,
        delivery: int,
        at: int,
        state: DeliveryState,
        *,
        number: int = 1,
        outcome: str = "",
        detail: str = "",
        answer: bytes = b"",
        next_at: int | None = None,
        took: int = 42_000,
    ) -> None:
        """Record one sending."""
        self.apply(
            RecordAttempt(
                delivery,
                number,
                at,
                at + took,
                outcome or state.value,
                detail,
                answer,
                state,
                next_attempt_at=next_at,
            )
        )

    def notice(self, at: int, severity: str, component: str, message: str) -> None:
        """Keep a notice."""
        self.apply(Notice(at, component, severity, "engine.trouble", "", message))


def person(number: int = 0, family: str | None = None) -> PatientIdentity:
    """Give a fictitious patient."""
    return PatientIdentity(
        ins=Ins(matricule=f"27903512151{number:04d}", oid="1.2.250.1.213.1.4.10"),
        identifiers=(Identifier(system="urn:oid:1.2.250.1.999.35.1", value=f"IPP{number:06d}", type="PI"),),
        birth_name=family or FAMILIES[number % len(FAMILIES)],
        birth_given_names=(GIVEN[number % len(GIVEN)],),
        first_given_name=GIVEN[number % len(GIVEN)],
        birth_date=f"19{30 + number % 60}-03-05",
        sex=Sex.FEMALE,
        birth_place="35238",
    )


def rose(number: str = "IPP-ROSE", **changes: Any) -> PatientIdentity:
    """Give the person whom the sandbox of INSi knows, as somebody wrote her down: validated, without INS."""
    return PatientIdentity(
        status=IdentityStatus.VALIDATED,
        identifiers=(Identifier(system="urn:x-authority:FICTIVE", value=number, type="PI"),),
        birth_name=ROSE.birth_name,
        birth_given_names=ROSE.birth_given_names,
        first_given_name=ROSE.given_name,
        birth_date=ROSE.birth_date.isoformat(),
        sex=Sex(ROSE.sex),
        birth_place=ROSE.birth_place,
    ).model_copy(update=changes)


def report(patient: PatientIdentity, key: str, *, number: str = "LAB1") -> LabReportItem:
    """Give a laboratory report with something of everything: flags, a range, a previous value, a text, a PDF."""

    def quantity(label: str, code: str, value: str, unit: str, low: str, high: str, flag: str) -> Observation:
        return Observation(
            label=label,
            codes=(Coding(system=LOINC, code=code), Coding(system=LOCAL, code=label[:4].upper())),
            value=QuantityValue(number=value, text=value.replace(".", ",")),
            unit=LabUnit(raw=unit, ucum=unit),
            reference=Reference(low=low, high=high, text=f"{low}-{high}"),
            flags=(flag,),
            status=ResultStatus.FINAL,
            effective_at="2026-11-22T08:10:00+01:00",
        )

    haemoglobin = quantity("Hémoglobine", "718-7", "7.1", "g/dL", "12.0", "16.0", "LL").model_copy(
        update={
            "previous": (PreviousResult(value=QuantityValue(number="11.9", text="11,9"), effective_at="2026-11-02"),),
            "comment": "Contrôlé",
        }
    )
    blood = LabChapter(
        title="HÉMATOLOGIE",
        observations=(
            haemoglobin,
            quantity("Leucocytes", "6690-2", "6.2", "10*9/L", "4.0", "10.0", "N"),
            quantity("Plaquettes", "777-3", "455", "10*9/L", "150", "400", "H"),
        ),
    )
    bacteria = LabChapter(
        title="BACTÉRIOLOGIE",
        comment="Examen direct",
        observations=(
            Observation(
                label="Conclusion du laboratoire",
                value=TextValue(text="Absence de germe après 48 heures.\nÀ recontrôler selon la clinique."),
                status=ResultStatus.PRELIMINARY,
            ),
        ),
    )
    return LabReportItem(
        id=key,
        patient=patient,
        occurred_at="2026-11-22T08:10:00+01:00",
        source=Provenance(format="hl7v2", where="OBR[1]"),
        content=LabReport(
            report_id=number,
            status=ResultStatus.FINAL,
            title="NFS",
            issued_at="2026-11-22T10:10:00+01:00",
            chapters=(blood, bacteria),
            conclusion="Anémie sévère.",
            attachments=(
                Attachment(media_type="application/pdf", filename="../../compte rendu.pdf", data="JVBERi0xLjQK"),
            ),
        ),
    )


def stay(patient: PatientIdentity, key: str) -> StayItem:
    """Give an admission."""
    return StayItem(
        id=key,
        patient=patient,
        occurred_at="2026-11-22T09:00:00+01:00",
        source=Provenance(format="hl7v2", where="MSH-10"),
        content=Stay(
            event="stay.started",
            trigger="A01",
            status=StayStatus.IN_PROGRESS,
            visit=Identifier(value="VN778", type="VN"),
            patient_class="I",
            location=Location(unit="3301", room="12", bed="P"),
        ),
    )


def hasten(store: Store) -> Store:
    """Do without syncs to the disk: what these tests ask does not depend on them, and machines share their disks."""
    if store.place.is_sqlite:
        store.engine.dispose()
        event.listen(store.engine, "connect", lambda raw, _: raw.execute("PRAGMA synchronous=OFF").close())
    return store


def open_journal(folder: Path, url: str = "") -> Journal:
    """Make an empty journal with an administrator and an API key."""
    folder.mkdir(parents=True, exist_ok=True)
    place = JournalPlace.at(folder, url)
    if not place.key_file.exists():
        make_key_file(place.key_file)
    store = hasten(open_store(place))
    add_account(store, ADMIN, PASSWORD)
    return Journal(store, add_api_key(store, "outil"))
