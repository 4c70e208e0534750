"""What a notice says where health data may travel: plain sentences, in French as the mails of MSSanté are."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from router.dossier.happenings import Event
from schemas.item import Item, StayItem

SUBJECT = "Dossier de coordination : nouvelle information"
"""The subject of a mail: it says nothing of anybody (ECO MSSanté; the subject is not protected)."""

_TITLES = {
    Event.ADMISSION: "Admission à l’hôpital",
    Event.PLANNED: "Admission prévue à l’hôpital",
    Event.DISCHARGE: "Sortie de l’hôpital",
    Event.DATE: "La date de sortie prévue a changé",
    Event.ANNULLED: "Une information donnée auparavant est annulée",
    Event.DOCUMENT: "Un document est arrivé dans le dossier",
    Event.NOTE: "Une note est arrivée dans le cahier de liaison",
    Event.URGENT_NOTE: "Une note urgente est arrivée dans le cahier de liaison",
    Event.LAB: "Des résultats d’examens sont arrivés",
    Event.CRITICAL: "Des résultats d’examens critiques sont arrivés",
    Event.CORRECTED: "Des résultats que vous avez lus sont corrigés",
    Event.TASK: "Une demande est arrivée, ou a changé d’état",
    Event.TASK_ENDED: "Une demande a reçu sa réponse",
    Event.EMERGENCY: "Un accès en urgence (bris de glace) a été ouvert",
}


def title_of(event: str) -> str:
    """Give one sentence about what happened."""
    try:
        return _TITLES[Event(event)]
    except ValueError:
        return "Nouvelle information dans le dossier"


def text_of(event: str, item: Item | None, at: datetime, zone: ZoneInfo) -> str:
    """Give the text of a mail that only tells: what happened, when, where; the rest is in the dossier."""
    lines = [f"{title_of(event)}."]
    if isinstance(item, StayItem):
        hospital = item.content.hospital
        if hospital is not None and hospital.name:
            lines.append(f"Établissement : {hospital.name}")
    lines.append(f"Signalé le {at.astimezone(zone):%d/%m/%Y à %H:%M}.")
    lines.append("Le détail est dans le dossier de coordination.")
    return "\n".join(lines)
