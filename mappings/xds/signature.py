"""The signature of a submission as a document of it: its metadata (fact sheet dmp §4.5).

The signature itself is made by who holds the key. Its entry states neither hash nor size: the repository adds them.
"""

from __future__ import annotations

from mappings.xds import vocabulary
from mappings.xds.entries import ORIGINAL
from mappings.xds.identities import oid_of
from mappings.xds.model import Association, Code, DocumentEntry, Submission, SubmissionSet

SIGNATURE = "Signature01"
"""The entry UUID of the signature in its request."""

TYPE = Code("E1762", "ASTM", "Full Document")
CLASS = Code("urn:oid:1.3.6.1.4.1.19376.1.2.1.1.1", "URN", "Digital Signature")
FORMAT = Code("http://www.w3.org/2000/09/xmldsig#", "URN", "Default Signature Style")
PURPOSE = Code("1.2.840.10065.1.12.1.14", "1.2.840.10065.1.12", "Source")
HIDDEN = ("N", "MASQUE_PS", "INVISIBLE_PATIENT")


def is_signature(entry: DocumentEntry) -> bool:
    """Tell the signature of a submission from its documents."""
    return entry.type_code is not None and (entry.type_code.code, entry.type_code.scheme) in {
        (TYPE.code, TYPE.scheme),
        (TYPE.code, ""),
    }


def signature_entry(document: DocumentEntry, lot: SubmissionSet) -> DocumentEntry:
    """Make the entry of the signature of a submission from that of its document: same authors, same place."""
    codes = (vocabulary.known_code("confidentiality", code) for code in HIDDEN)
    return DocumentEntry(
        entry_uuid=SIGNATURE,
        unique_id=oid_of("signature", lot.unique_id or ""),
        mime_type="text/xml",
        patient_id=document.patient_id,
        type_code=TYPE,
        class_code=CLASS,
        format_code=FORMAT,
        practice_setting_code=document.practice_setting_code,
        healthcare_facility_type_code=document.healthcare_facility_type_code,
        confidentiality_codes=tuple(code for code in codes if code is not None),
        event_codes=(PURPOSE,),
        title="Source",
        language_code="art",
        creation_time=lot.submission_time,
        service_start_time=lot.submission_time,
        service_stop_time=lot.submission_time,
        authors=document.authors[:1],
        legal_authenticator=document.legal_authenticator,
        source_patient_id=document.patient_id,
    )


def signed(submission: Submission) -> Submission:
    """Add the entry of its signature to a submission that has none, a member of it that signs it."""
    lot = submission.submission_set
    if lot is None or not submission.entries or any(is_signature(one) for one in submission.entries):
        return submission
    entry = signature_entry(submission.entries[0], lot)
    count = len(submission.associations)
    links = (
        Association(f"as{count + 1:02d}", vocabulary.HAS_MEMBER, lot.entry_uuid, SIGNATURE, ORIGINAL),
        Association(f"as{count + 2:02d}", vocabulary.SIGNS, SIGNATURE, lot.entry_uuid, ORIGINAL),
    )
    return Submission(lot, (*submission.entries, entry), (*submission.associations, *links), submission.extra)
