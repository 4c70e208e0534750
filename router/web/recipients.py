"""For whom a Delivery is, as pages show it: a patient's address is an INS, and is masked."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select

from router.journal import tables
from router.journal.operations import PARCEL_DETAIL_PLACE
from router.journal.view import View
from router.web.masking import HIDDEN
from schemas.mailboxes import is_patient_address


@dataclass(frozen=True, slots=True)
class ShownRecipient:
    """`shown` is an address, or a number without a known mailbox; `audience` is empty for who is not written to."""

    shown: str
    audience: str
    reasons: tuple[str, ...]


def recipient_of(view: View, delivery: int) -> ShownRecipient | None:
    """Give the recipient of a Delivery, None where its destination does not tell recipients apart."""
    column = tables.delivery_content.c
    sealed = view.connection.execute(select(column.sealed_detail).where(column.delivery_id == delivery)).scalar()
    detail = view.json_object(sealed, PARCEL_DETAIL_PLACE)
    key, audience, reasons = detail.get("recipient"), detail.get("audience"), detail.get("reasons")
    if not isinstance(key, str) or not key:
        return None
    words = tuple(one for one in reasons if isinstance(one, str)) if isinstance(reasons, list) else ()
    return ShownRecipient(_shown(key), audience if isinstance(audience, str) else "", words)


def shown_address(address: str) -> str:
    """Give an address as pages and the API may show it: a patient's is an INS, and only its domain is left."""
    return f"{HIDDEN}@{address.rpartition('@')[2]}" if is_patient_address(address) else address


def _shown(key: str) -> str:
    if is_patient_address(key):
        return shown_address(key)
    kind, _, number = key.partition("|")
    if number:
        return f"{kind.upper()} {number}" if kind in {"rpps", "finess"} else ""
    return key if "@" in key else ""
