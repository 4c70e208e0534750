"""Changes of what is in the DMP already (ITI-57): deletion, archive, visibility. Pure (fact sheet dmp §5, TD3.3).

The DMP takes two kinds: a new status of an entry, or the whole entry again with other confidentiality codes.
"""

from __future__ import annotations

from dataclasses import replace

from lxml import etree

from mappings.xds import vocabulary
from mappings.xds.ebrim_writing import submit_objects_request
from mappings.xds.model import Association, Code, DocumentEntry, Submission, SubmissionSet
from mappings.xds.writing import UPDATE_STATUS

SYMBOL = "Document01"
VISIBILITY_CODES = ("MASQUE_PS", "INVISIBLE_PATIENT", "INVISIBLE_REPRESENTANTS_LEGAUX")


def status_change(lot: SubmissionSet, entry_uuid: str, before: str, after: str) -> etree._Element:
    """Write a new status of an entry."""
    slots = (("OriginalStatus", (before,)), ("NewStatus", (after,)))
    link = Association("as01", UPDATE_STATUS, lot.entry_uuid, entry_uuid, slots)
    return submit_objects_request(Submission(lot, (), (link,)))


def visibility_change(lot: SubmissionSet, entry: DocumentEntry, codes: tuple[Code, ...]) -> etree._Element:
    """Write an entry again, with other confidentiality codes: the next version of its metadata.

    `entry` is the current one as the registry gave it; it keeps its logical id, and names the version that it replaces.
    """
    again = replace(
        entry, entry_uuid=SYMBOL, confidentiality_codes=codes, logical_id=entry.logical_id or entry.entry_uuid
    )
    slots = (("SubmissionSetStatus", ("Original",)), ("PreviousVersion", (entry.version or "1",)))
    link = Association("as01", vocabulary.HAS_MEMBER, lot.entry_uuid, SYMBOL, slots)
    return submit_objects_request(Submission(lot, (again,), (link,)))


def with_visibility(entry: DocumentEntry, name: str, *, present: bool) -> tuple[Code, ...]:
    """Give the confidentiality codes of an entry with one of visibility added or taken away; N, R and V stay.

    Raises ValueError for a code that is none of visibility.
    """
    code = vocabulary.known_code("confidentiality", name) if name in VISIBILITY_CODES else None
    if code is None:
        raise ValueError(f"{name} is not a visibility code")
    others = tuple(one for one in entry.confidentiality_codes if one.code != name)
    return (*others, code) if present else others
