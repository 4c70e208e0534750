"""Documents are checked before they leave, where the configuration says `validate = "strict"`.

A Delivery is judged once, before its first attempt. One that does not conform is held with its findings; when a person
sends it all the same, it goes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from connectors.contracts import Parcel
from router.engine.lanes import Entry
from router.validation.faults import PackageFault, ValidationUnavailable
from router.validation.server import ValidationServer
from router.validation.verdict import conforms
from schemas.finding import Finding, Severity

DETAIL = 400


@dataclass(frozen=True, slots=True)
class Held:
    """A Delivery is not sent: a person must decide."""

    detail: str
    answer: bytes = b""


@dataclass(frozen=True, slots=True)
class Judgement:
    """What checking came to: the findings, and why it is held if it is."""

    findings: tuple[Finding, ...] = ()
    held: Held | None = None


class Gate:
    """Judges one destination's Deliveries; `routes` are those concerned, None for all."""

    def __init__(
        self,
        server: ValidationServer,
        format_name: str,
        *,
        routes: frozenset[str] | None,
        trouble: Callable[[str], None],
    ) -> None:
        self._server = server
        self._format = format_name
        self._routes = routes
        self._trouble = trouble

    async def judge(self, entry: Entry, parcel: Parcel) -> Judgement:
        """Check the documents of a Delivery. What cannot be checked is held: it may be what a receiver refuses."""
        if entry.attempts or (self._routes is not None and entry.route not in self._routes):
            return Judgement()
        beside = tuple(parcel.attachments.values())
        try:
            findings = tuple(await self._server.validate(parcel.content, self._format, beside))
        except (PackageFault, ValidationUnavailable) as fault:
            self._trouble(str(fault))
            code = "validation.package" if isinstance(fault, PackageFault) else "validation.unavailable"
            unchecked = Finding(severity=Severity.ERROR, code=code, where="", message=str(fault))
            return Judgement((unchecked,), Held("held: it could not be checked"))
        if conforms(findings):
            return Judgement(findings)
        return Judgement(findings, Held(_detail(findings)))


def _detail(findings: tuple[Finding, ...]) -> str:
    """Say what is wrong without numbers first: failures with one cause are grouped by their sentence."""
    first = next((one for one in findings if one.severity is Severity.ERROR), findings[0])
    return f"held: the document does not conform ({first.code}: {first.message})"[:DETAIL]
