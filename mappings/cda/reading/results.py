"""Observations of a CR-BIO to canonical results (cda-fr §5.2)."""

from __future__ import annotations

from typing import NamedTuple

from mappings.cda.oids import COMMENT_CODE, SUB_ID_OID
from mappings.cda.reading.actors import role
from mappings.cda.reading.datatypes import coding, concept, point, text_of
from mappings.cda.reading.node import Node
from mappings.cda.reading.ranges import ranges_of
from mappings.cda.reading.scribe import Scribe
from mappings.cda.reading.values import Measured, second_of, value_of
from schemas.actors import Organization, Professional
from schemas.coding import Coding
from schemas.lab import Observation, PreviousResult, ResultStatus, SecondResult

STATUSES = {
    "completed": ResultStatus.FINAL,
    "active": ResultStatus.PRELIMINARY,
    "aborted": ResultStatus.CANCELLED,
    "cancelled": ResultStatus.CANCELLED,
    "new": ResultStatus.REGISTERED,
    "held": ResultStatus.REGISTERED,
    "suspended": ResultStatus.REGISTERED,
    "nullified": ResultStatus.ENTERED_IN_ERROR,
}
"""ActStatus of an observation. `obsolete` (there is a newer one) has no word of its own and is left unknown."""

WHERE = "observation"


class Surroundings(NamedTuple):
    """What the blocks around a result say for all of theirs: specimen, laboratory, validating biologist and when."""

    specimen: str | None = None
    laboratory: Organization | None = None
    validator: Professional | None = None
    validated_at: str | None = None


def observation_of(scribe: Scribe, node: Node, around: Surroundings) -> Observation:
    """Read one result."""
    code = node.first("code")
    named = concept(scribe, code) if code is not None else None
    codes = named.codes if named else ()
    where = _where(codes)
    value_nodes = node.all("value")
    first = value_of(scribe, value_nodes[0], where) if value_nodes else Measured(None)
    ranges = ranges_of(scribe, node, first.unit, where)
    own = validation_of(scribe, node)
    values: dict[str, object] = {
        "label": named.text if named else None,
        "codes": codes,
        "sub_id": _sub_id(node),
        "value": first.value,
        "unit": first.unit,
        "reference": ranges.first,
        "flags": flags_of(node),
        "status": status_of(scribe, node, where),
        "effective_at": point(scribe, node.first("effectiveTime"), where),
        "issued_at": own.at or around.validated_at,
        "method": coding(scribe, node.first("methodCode")),
        "specimen": around.specimen,
        "second": _second(scribe, value_nodes, ranges.second, where),
        "comment": comment_of(scribe, node),
        "previous": _previous(scribe, node, codes),
        "performer": performer_of(scribe, node) or around.laboratory,
        "validated_by": own.professional or around.validator,
    }
    if named is None or (named.text is None and not codes):
        scribe.notes.warning("cda.result.unnamed", WHERE, "a result with neither code nor name")
    return Observation.model_validate({name: value for name, value in values.items() if value is not None})


def _where(codes: tuple[Coding, ...]) -> str:
    """Say which result a Finding is about: by its code, which is no health data by itself."""
    return f"{WHERE} {codes[0].code[:40]}" if codes else WHERE


def _sub_id(node: Node) -> str | None:
    """Take the sub-id that we wrote."""
    number = node.first("id")
    if number is None or number.peek("root") != SUB_ID_OID:
        return None
    number.get("root")
    return number.get("extension")


def status_of(scribe: Scribe, node: Node, where: str) -> ResultStatus:
    """Read statusCode; one that is missing or not known is a Finding."""
    code = node.first("statusCode")
    said = (code.get("code") or "").lower() if code is not None else ""
    status = STATUSES.get(said)
    if status is None:
        what = "is not known" if said else "is missing"
        scribe.notes.warning("cda.status.unknown" if said else "cda.status.missing", where, f"a status {what}")
        return ResultStatus.UNKNOWN
    return status


def flags_of(node: Node) -> tuple[str, ...]:
    """Read interpretationCode (ObservationInterpretation): the letters are those of table 0078."""
    found = []
    for one in node.all("interpretationCode"):
        code = one.get("code")
        if code is not None:
            one.use()
            found.append(code)
    return tuple(found)


def _second(scribe: Scribe, value_nodes: list[Node], reference: object, where: str) -> SecondResult | None:
    """Read the same result in a second unit: a translation of the value, else a second value."""
    if not value_nodes:
        return None
    found = second_of(value_nodes[0], scribe, where) if value_nodes[0].children else Measured(None)
    if found.value is None and len(value_nodes) > 1:
        found = value_of(scribe, value_nodes[1], where)
    if found.value is None:
        return None
    return SecondResult.model_validate({"value": found.value, "unit": found.unit, "reference": reference})


def _previous(scribe: Scribe, node: Node, codes: tuple[Coding, ...]) -> tuple[PreviousResult, ...]:
    """Read the earlier results (entryRelationship REFR) of the same analysis."""
    kept: list[PreviousResult] = []
    for relation in node.all("entryRelationship"):
        earlier = relation.first("observation")
        if relation.peek("typeCode") != "REFR" or earlier is None:
            continue
        code = earlier.first("code")
        if code is not None and (not codes or code.peek("code") in (None, codes[0].code)):
            code.use()
        status = earlier.first("statusCode")
        if status is not None and status.peek("code") == "completed":
            status.use()
        value = earlier.first("value")
        found = value_of(scribe, value, f"{WHERE}/previous") if value is not None else Measured(None)
        at = point(scribe, earlier.first("effectiveTime"), f"{WHERE}/previous")
        if found.value is None:
            scribe.notes.warning("cda.previous.empty", f"{WHERE}/previous", "an earlier result has no value")
            continue
        kept.append(PreviousResult(value=found.value, unit=found.unit, effective_at=at))
    return tuple(kept)


def comment_of(scribe: Scribe, node: Node) -> str | None:
    """Read the comments (act 48767-8) that stand directly in an observation, organizer or act."""
    said: list[str] = []
    for relation in node.children:
        if relation.name not in ("entryRelationship", "component"):
            continue
        act = relation.first("act")
        if act is not None and is_comment(act):
            code, text, status = act.first("code"), act.first("text"), act.first("statusCode")
            found = text_of(scribe, text) if text is not None else None
            for one in (code, status):
                if one is not None:
                    one.use()
            if found:
                said.append(found)
    return "\n".join(said) or None


def is_comment(act: Node) -> bool:
    """Tell an act that is a comment."""
    code = act.first("code")
    return code is not None and code.peek("code") == COMMENT_CODE


def performer_of(scribe: Scribe, node: Node) -> Organization | None:
    """Read the laboratory that did it (performer PRF); the person there is left unread unless it is said elsewhere."""
    who = node.first("performer", "assignedEntity")
    place = who.first("representedOrganization") if who is not None else None
    return role(scribe, who).organization if who is not None and place is not None else None


class Validation(NamedTuple):
    """Who validated, and when."""

    professional: Professional | None
    at: str | None


def validation_of(scribe: Scribe, node: Node) -> Validation:
    """Read the validating biologist (participant AUTHEN): the first of them."""
    for participant in node.all("participant"):
        who = participant.first("participantRole")
        if participant.peek("typeCode") == "AUTHEN" and who is not None:
            return Validation(role(scribe, who).professional, point(scribe, participant.first("time"), "participant"))
    return Validation(None, None)
