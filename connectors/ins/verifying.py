"""Verification of an INS that is already held: `OK | KO | UNKNOWN`.

The schemas of INSi's own verification operations (WS_INS3 to 5) are not public: `Verifier` is the place for them.
`SearchVerifier` verifies by the search, which is: the same traits must give the same matricule.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from connectors.ins.answers import Found, NotFound, Reply
from connectors.ins.client import InsiClient, Traced
from connectors.ins.comparison import compare
from connectors.ins.sought import Insufficient, sought_of
from schemas.identity import PatientIdentity


class Verdict(StrEnum):
    """What a verification says. UNKNOWN changes nothing: INSi did not answer, or not about one person."""

    OK = "ok"
    KO = "ko"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Verification:
    """A verdict, a stable code for its reason, and what INSi replied."""

    verdict: Verdict
    code: str
    reply: Reply | None = None


class Verifier(Protocol):
    """Something that verifies an identity's INS."""

    async def verify(self, identity: PatientIdentity) -> Verification:
        """Verify; never raises for what INSi or the network did."""


class SearchVerifier:
    """Verifies by asking for the traits again."""

    def __init__(self, client: InsiClient, traced: Traced | None = None) -> None:
        self._client = client
        self._traced = traced

    async def verify(self, identity: PatientIdentity) -> Verification:
        """Search, and judge the reply."""
        if identity.ins is None:
            return Verification(Verdict.UNKNOWN, "insi.no_ins")
        sought = sought_of(identity)
        if isinstance(sought, Insufficient):
            return Verification(Verdict.UNKNOWN, "insi.traits.insufficient")
        return judged(identity, await self._client.search(sought, self._traced))


def judged(identity: PatientIdentity, reply: Reply) -> Verification:
    """Judge a reply about an identity that holds an INS."""
    if isinstance(reply, NotFound):
        return Verification(Verdict.KO, "insi.nobody", reply)
    if not isinstance(reply, Found):
        return Verification(Verdict.UNKNOWN, reply.code, reply)
    if identity.ins is None or reply.current.ins != identity.ins:
        former = identity.ins is not None and any(one.ins == identity.ins for one in reply.history)
        return Verification(Verdict.KO, "insi.ins.changed" if former else "insi.ins.other", reply)
    if not compare(identity, reply.traits).agrees:
        return Verification(Verdict.KO, "insi.traits.differ", reply)
    return Verification(Verdict.OK, "00", reply)
