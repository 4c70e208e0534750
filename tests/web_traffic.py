"""What went through a router, put into a journal: one message of each fate, and a day's traffic."""

from __future__ import annotations

import random
from collections.abc import Callable

from web_journal import HOSTILE, HOUR, MINUTE, SECOND, Journal, person, report, stay

from router.identity.patients import register
from router.journal.tables import DeliveryState, ItemState
from schemas.finding import Finding, Severity


def fill(journal: Journal, now: int) -> Journal:
    """Put one message of each fate into a journal; `ids` gives their numbers by name."""
    with journal.together():
        _fill(journal, now)
    return journal


def _fill(journal: Journal, now: int) -> None:
    patient = person(0)
    journal.apply(register(patient, in_coordination=True, now=now))
    line = "NFS, 4 résultats, Hémoglobine 7,1 g/dL ↓↓"
    routes: dict[str, bool | str] = {"résultats": True, "alertes": False, "essai": "the condition fails on this item"}

    done = journal.message(
        now - 50 * MINUTE, control="DONE", detail={"filename": "r.hpr", "siblings": {"a.txt": "YQ=="}}
    )
    first, second = journal.read(
        done,
        now - 50 * MINUTE + 300_000,
        [journal.item(report(patient, "a" * 32), line=line, abnormal="LL", routes=routes, numbers=("LAB1",))],
        findings=[Finding(severity=Severity.WARNING, code="hl7v2.charset", where="MSH-18", message="was guessed")],
        unread=[("ZBE-9", "inattendu")],
    )
    journal.attempt(
        first, now - 50 * MINUTE + SECOND, DeliveryState.RETRYING, outcome="retry", detail="HTTP 503", next_at=now
    )
    journal.attempt(
        first, now - 49 * MINUTE, DeliveryState.ACKNOWLEDGED, number=2, detail="HTTP 200", answer=b'{"ok": true}'
    )
    journal.attempt(second, now - 49 * MINUTE, DeliveryState.DELIVERED, detail="written, 1697 bytes")

    held = journal.message(now - 2 * HOUR, control="HELD", source="hopital", message_type="ADT^A01")
    stranger = person(3)
    journal.read(
        held,
        now - 2 * HOUR + 1,
        [
            journal.item(
                stay(stranger, "b" * 32),
                line="stay.started, A01, 3301",
                patient_id=None,
                state=ItemState.HELD,
                reason="no_match",
                to=(),
                numbers=("VN778",),
            )
        ],
    )
    journal.message(
        now - 10 * MINUTE,
        control="BAD",
        content=b"\x0bnot HL7 \x00 at all",
        message_type="",
        rejected=Finding(
            severity=Severity.ERROR, code="hl7v2.no_msh", where="line 1", message="does not begin with MSH"
        ),
    )
    for rank in range(3):
        number = journal.message(now - (30 + rank) * MINUTE, control=f"DEAD{rank}")
        (delivery,) = journal.read(
            number,
            now - (30 + rank) * MINUTE + 1,
            [journal.item(report(patient, f"{rank}" * 32), line=line, to=("spico",), numbers=(f"DOSSIER{rank}",))],
        )
        detail = f"HTTP 422: patient {800_000 + rank} unknown" if rank < 2 else "HTTP 400"
        journal.attempt(delivery, now - (29 + rank) * MINUTE, DeliveryState.DEAD, outcome="refused", detail=detail)
        journal.ids[f"delivery DEAD{rank}"] = delivery
    again = journal.message(now - 3 * MINUTE, control="AGAIN")
    (delivery,) = journal.read(
        again, now - 3 * MINUTE + 1, [journal.item(report(patient, "e" * 32), line=line, to=("spico",))]
    )
    journal.attempt(
        delivery,
        now - 2 * MINUTE,
        DeliveryState.RETRYING,
        outcome="unreachable",
        detail="connection refused",
        next_at=now + 30 * SECOND,
    )
    journal.ids["delivery AGAIN"] = delivery
    evil = journal.message(now - MINUTE, control="EVIL")
    journal.read(
        evil,
        now - MINUTE + 1,
        [
            journal.item(
                report(person(9, HOSTILE).model_copy(update={"first_given_name": HOSTILE}), "f" * 32, number=HOSTILE),
                line=HOSTILE,
                patient_id=None,
                to=("medecin",),
            )
        ],
    )
    journal.message(now - 2 * SECOND, control="NEW", source="hopital", message_type="ADT^A03")
    journal.notice(now - 5 * MINUTE, "error", "source hopital", "a frame of 12 bytes was cut short")
    journal.notice(now - 26 * HOUR, "warning", "depot", "a file was not settled")


def flood(journal: Journal, now: int, count: int, *, hours: int = 24, seed: int = 7) -> None:
    """Add a day's traffic, busier by day than by night."""
    with journal.together():
        _flood(journal, now, count, hours, seed)


def _flood(journal: Journal, now: int, count: int, hours: int, seed: int) -> None:
    chance = random.Random(seed)
    people = [person(number) for number in range(40)]
    known: list[int] = [
        journal.apply(register(patient, in_coordination=True, now=now)).patient_id for patient in people
    ]
    lines: list[Callable[[], tuple[str, str | None]]] = [
        lambda: (f"NFS, 12 résultats, Hémoglobine {chance.randint(68, 79) / 10} g/dL ↓↓".replace(".", ","), "LL"),
        lambda: ("Ionogramme, 6 résultats", None),
        lambda: (f"CRP, 1 résultat, Protéine C réactive {chance.randint(20, 90)} mg/L ↑", "H"),
        lambda: ("TP INR, 2 résultats, INR 4,2 ↑↑", "HH"),
    ]
    times = []
    while len(times) < count:
        at = now - chance.randint(0, hours * HOUR)
        hour = (at // HOUR) % 24
        if chance.random() < (1.0 if 7 <= hour <= 18 else 0.25):
            times.append(at)
    for rank, at in enumerate(sorted(times)):
        which = chance.randrange(len(people))
        patient, patient_id = people[which], known[which]
        admission = chance.random() < 0.3
        number = journal.message(
            at,
            control=f"F{rank:06d}",
            source="hopital" if admission else "labo-sud",
            message_type="ADT^A01" if admission else "ORU^R01",
        )
        key = f"{rank:032x}"
        if admission:
            prepared = journal.item(
                stay(patient, key), line="stay.started, A01, 3301", patient_id=patient_id, to=("spico",)
            )
        else:
            line, abnormal = chance.choice(lines)()
            prepared = journal.item(report(patient, key), line=line, abnormal=abnormal, patient_id=patient_id)
        for delivery in journal.read(number, at + 40_000, [prepared]):
            if chance.random() < 0.03:
                journal.attempt(
                    delivery, at + SECOND, DeliveryState.DEAD, outcome="refused", detail="HTTP 422: profile"
                )
            else:
                journal.attempt(delivery, at + 120_000, DeliveryState.ACKNOWLEDGED, detail="HTTP 200")
