"""What the stored queries look at in an entry or a lot, taken out once when it is kept."""

from __future__ import annotations

from connectors.sandbox.dmp import names
from connectors.sandbox.dmp.metadata import Registered
from connectors.sandbox.dmp.store import Facts

_CODES = {
    "ClassCode": names.CLASS_CODE,
    "TypeCode": names.TYPE_CODE,
    "FormatCode": names.FORMAT_CODE,
    "ConfidentialityCode": names.CONFIDENTIALITY,
    "EventCodeList": names.EVENT_CODE,
    "HealthcareFacilityTypeCode": names.FACILITY_TYPE,
    "PracticeSettingCode": names.PRACTICE_SETTING,
    "ContentType": names.CONTENT_TYPE,
}
_SLOTS = {
    "CreationTime": "creationTime",
    "ServiceStartTime": "serviceStartTime",
    "ServiceStopTime": "serviceStopTime",
    "SubmissionTime": "submissionTime",
    "ReferenceIdList": names.REFERENCE_IDS,
}


def facts_of(one: Registered) -> Facts:
    """Take out codes (`code^^scheme`), times, reference ids, authors and, of a lot, its source."""
    facts: Facts = {
        name: [f"{found.code}^^{next(iter(found.coding_schemes), '')}" for found in one.coded(scheme)]
        for name, scheme in _CODES.items()
    }
    facts.update({name: list(one.slots.get(slot, ())) for name, slot in _SLOTS.items()})
    facts["AuthorPerson"] = [
        value
        for scheme in (names.AUTHOR, names.LOT_AUTHOR)
        for author in one.coded(scheme)
        for value in author.slots.get("authorPerson", ())
    ]
    source = one.identifier(names.LOT_SOURCE)
    facts["SourceId"] = [source] if source else []
    facts["Title"] = [one.title]
    return {name: values for name, values in facts.items() if values}
