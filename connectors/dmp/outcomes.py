"""From what the DMP answered to what the engine does about it (fact sheet dmp §4.7)."""

from __future__ import annotations

from connectors.contracts import Hold, Outcome, Refused, Retry
from connectors.dmp.answers import Refusal, Trouble
from connectors.dmp.client import NEVER_ALLOWED
from connectors.dmp.errors import Kind
from connectors.dmp.parcels import Wanted
from mappings.xds.guards import PREFIX
from schemas.finding import Finding, Severity


def guard(name: str, message: str, where: str = "dmp") -> Finding:
    """Say why a person must decide."""
    return Finding(severity=Severity.ERROR, code=PREFIX + name, where=where, message=message)


def held(*findings: Finding) -> Hold:
    """Hold for these reasons."""
    more = f" (and {len(findings) - 1} more)" if len(findings) > 1 else ""
    return Hold(f"held: {findings[0].message}{more}", findings=findings)


def after_trouble(trouble: Trouble, wanted: Wanted) -> Outcome:
    """Decide after a call without a usable answer."""
    if trouble.code == NEVER_ALLOWED:
        return held(guard("rights", trouble.detail))
    if trouble.kind is Kind.CALLER or not trouble.reached:
        return Retry(trouble.detail, trouble.answer, trouble.after, reached=False)
    if trouble.kind is Kind.LATER:
        references = wanted.references() if trouble.in_doubt else ()
        return Retry(trouble.detail, trouble.answer, trouble.after, references=references)
    if trouble.kind is Kind.PATIENT:
        return held(guard("patient", trouble.detail))
    return Refused(trouble.detail, trouble.answer)


def after_refusal(refusal: Refusal) -> Outcome:
    """Decide after the registry's own no."""
    match refusal.kind:
        case Kind.CALLER:
            return Retry(refusal.sentence, refusal.answer, reached=False)
        case Kind.LATER:
            return Retry(refusal.sentence, refusal.answer)
        case Kind.PATIENT:
            return Hold(f"held: {refusal.sentence}", refusal.answer, (guard("patient", refusal.sentence),))
        case Kind.DEPOSITED:
            return Hold(f"held: {refusal.sentence}", refusal.answer, (guard("deposited", refusal.sentence),))
        case _:
            return Refused(refusal.sentence, refusal.answer)
