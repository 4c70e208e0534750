"""RNIV statuses: two independent facts make four statuses, attributes take them away, and few transitions are legal.

| | no document of high trust | a document of high trust |
|---|---|---|
| traits not from INSi | provisional | validated |
| traits from INSi | retrieved | qualified |

A doubtful or fictitious identity is provisional whatever else is known, its INS invalid and INSi not asked (EXI SI 07,
EXI ID 24 and 26).
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

from schemas.identity import IdentityAttribute, IdentityStatus

_UNUSABLE = frozenset({IdentityAttribute.DOUBTFUL, IdentityAttribute.FICTITIOUS})
_TOGETHER = frozenset({IdentityAttribute.DOUBTFUL, IdentityAttribute.HOMONYM})


def status_of(*, from_insi: bool, high_trust: bool, attributes: Iterable[IdentityAttribute] = ()) -> IdentityStatus:
    """Give the status that two facts and the attributes make."""
    if _UNUSABLE & set(attributes):
        return IdentityStatus.PROVISIONAL
    if from_insi:
        return IdentityStatus.QUALIFIED if high_trust else IdentityStatus.RETRIEVED
    return IdentityStatus.VALIDATED if high_trust else IdentityStatus.PROVISIONAL


def attributes_agree(attributes: Iterable[IdentityAttribute]) -> bool:
    """Say whether these attributes may stand together: only doubtful and homonym do."""
    given = set(attributes)
    return len(given) <= 1 or given == _TOGETHER


def ins_usable(status: IdentityStatus | None, attributes: Iterable[IdentityAttribute]) -> bool:
    """Say whether the INS of such an identity may be used and sent (EXI ID 29)."""
    return status is IdentityStatus.QUALIFIED and not _UNUSABLE & set(attributes)


class StatusEvent(StrEnum):
    """What may change a status."""

    INSI_CONFIRMED = "insi_confirmed"
    """INSi answered 00 and every strict trait agrees."""
    DOCUMENT_CHECKED = "document_checked"
    """A document of high trust was checked against the person."""
    CARD_READ = "card_read"
    """The carte Vitale application gave the identity: qualified at once, INSi not asked."""
    TRAIT_EDITED = "trait_edited"
    VERIFICATION_FAILED = "verification_failed"
    DOUBT = "doubt"


_S = IdentityStatus
_UP = {
    StatusEvent.INSI_CONFIRMED: {_S.PROVISIONAL: _S.RETRIEVED, _S.VALIDATED: _S.QUALIFIED},
    StatusEvent.DOCUMENT_CHECKED: {_S.PROVISIONAL: _S.VALIDATED, _S.RETRIEVED: _S.QUALIFIED},
    StatusEvent.TRAIT_EDITED: {_S.RETRIEVED: _S.PROVISIONAL, _S.QUALIFIED: _S.VALIDATED},
    StatusEvent.VERIFICATION_FAILED: {_S.RETRIEVED: _S.PROVISIONAL, _S.QUALIFIED: _S.VALIDATED},
}


def after(status: IdentityStatus, event: StatusEvent) -> IdentityStatus:
    """Give the status after an event; one that changes nothing leaves it."""
    if event is StatusEvent.CARD_READ:
        return IdentityStatus.QUALIFIED
    if event is StatusEvent.DOUBT:
        return IdentityStatus.PROVISIONAL
    return _UP[event].get(status, status)


def withdraws_ins(before: IdentityStatus, status: IdentityStatus) -> bool:
    """Say whether a change of status takes back an INS that was given out: partners must be told (A47)."""
    return before is IdentityStatus.QUALIFIED and status is not IdentityStatus.QUALIFIED
