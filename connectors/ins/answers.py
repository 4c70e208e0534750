"""What INSi may answer, as typed values: no answer is never taken for «nobody found».

Found         00: one person; whether it is *our* person is for the comparison of traits to say
NotFound      01
Several       02: no identity is given
NoAnswer      INSi, the network or the reply failed: nothing is known of the person
Rejected      INSi refuses the caller or the request: worth no second try, worth an alert
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from schemas.identity import Ins


@dataclass(frozen=True, slots=True)
class Matricule:
    """An INS of the reply with the dates between which it held, as they were sent (a former one may have none)."""

    ins: Ins
    since: str | None = None
    until: str | None = None


@dataclass(frozen=True, slots=True)
class CertifiedTraits:
    """The traits of INSi, byte for byte. `given_names` is the list, names separated by blanks; dates stay texts."""

    birth_name: str | None = None
    first_given_name: str | None = None
    given_names: str | None = None
    sex: str | None = None
    birth_date: str | None = None
    birth_place: str | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """One person. `warnings` are stable codes (a key that does not verify…); `reply` is the content as it came."""

    current: Matricule
    traits: CertifiedTraits
    history: tuple[Matricule, ...] = ()
    warnings: tuple[str, ...] = ()
    reply: bytes = field(default=b"", repr=False)

    code: str = "00"


@dataclass(frozen=True, slots=True)
class NotFound:
    """Nobody has these traits."""

    code: str = "01"


@dataclass(frozen=True, slots=True)
class Several:
    """More than one person has these traits."""

    code: str = "02"


@dataclass(frozen=True, slots=True)
class NoAnswer:
    """INSi did not say. `again` when the same call may succeed later, `after` seconds when it said when.

    `called` is False when no call was made. `detail` is one sentence without health data.
    """

    code: str
    detail: str
    again: bool = True
    after: float | None = None
    called: bool = True


@dataclass(frozen=True, slots=True)
class Rejected:
    """INSi will not serve this. `everyone` when it is the caller that is refused, whoever is asked about."""

    code: str
    detail: str
    everyone: bool = False


Reply = Found | NotFound | Several | NoAnswer | Rejected


@dataclass(frozen=True, slots=True)
class CallTrace:
    """One call, without anything of the person: `message_id` is the wsa:MessageID, `code` what `Reply.code` says."""

    message_id: str
    started_at: datetime
    milliseconds: int
    attempt: int
    status: int | None
    code: str
