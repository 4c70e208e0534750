"""What is remembered of one patient between two rounds: since when, and what became of each document. No I/O."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

import orjson

from schemas.identity import IdentityAttribute, IdentityStatus, Ins, PatientIdentity


class Seen(StrEnum):
    """What became of a document."""

    TAKEN = "t"
    """Handed over as a Message."""
    KNOWN = "k"
    """Already known here: our own submission, or come by another way."""
    REFUSED = "r"
    """Handed over as a rejected Message: its file cannot be had, or is not what it should be."""
    REPLACED = "s"
    """A document that came since replaces it."""
    DELETED = "d"
    """Its deletion was handed over."""
    ABSENT = "a"
    """The server gives it no more, which was said: it was deleted there, or hidden from us."""


def usable_ins(identity: PatientIdentity) -> Ins | None:
    """Give the INS under which a patient may be asked for: that of a qualified identity that nothing casts doubt on."""
    doubt = {IdentityAttribute.DOUBTFUL, IdentityAttribute.FICTITIOUS} & set(identity.attributes)
    return identity.ins if identity.status is IdentityStatus.QUALIFIED and not doubt else None


@dataclass(slots=True)
class Following:
    """One patient's state. `since` is when the last complete round over this patient began; None before the first.

    `seen` is by unique id; `ids` gives the unique id by the server's own, which submissions name. `compared` is when
    what was taken was last compared with what the server still gives.
    """

    since: datetime | None = None
    seen: dict[str, Seen] = field(default_factory=dict)
    ids: dict[str, str] = field(default_factory=dict)
    compared: datetime | None = None

    @property
    def held(self) -> bool:
        """Whether some document of this patient is known here whose end would matter."""
        return any(state in {Seen.TAKEN, Seen.KNOWN} for state in self.seen.values())

    def dumped(self) -> bytes:
        """Write it for the connector's memory."""
        since = self.since.isoformat() if self.since is not None else None
        compared = self.compared.isoformat() if self.compared is not None else None
        return orjson.dumps({"since": since, "seen": self.seen, "ids": self.ids, "compared": compared})


def memory_key(patient: int) -> str:
    """Name what is remembered of the patient of this number in the register."""
    return f"patient/{patient}"


def recalled(content: bytes | None) -> Following:
    """Read what the memory kept; a patient begins anew when there is nothing, or nothing that can be read.

    Beginning anew costs a search: documents that are known here are not taken twice.
    """
    if content is None:
        return Following()
    try:
        given = orjson.loads(content)
        since, compared = given["since"], given["compared"]
        return Following(
            datetime.fromisoformat(since) if since is not None else None,
            {str(name): Seen(state) for name, state in given["seen"].items()},
            {str(server_id): str(name) for server_id, name in given["ids"].items()},
            datetime.fromisoformat(compared) if compared is not None else None,
        )
    except (orjson.JSONDecodeError, AttributeError, KeyError, TypeError, ValueError):
        return Following()
