"""One Item into one document.

Options of a partner:

    custodian_finess, custodian_name    the structure that keeps the document, when the source does not give its number
    responsible_rpps, responsible_family, responsible_given    who answers for the document, when nobody is named
    practice_setting, facility_type, encounter_type, document_type, author_specialty    codes of JDV_J04, J02, J142,
                                        J07 and J01, when the source has none
    patient_id_root, number_root        OIDs under which patients and reports are numbered, when the source gives none
"""

from __future__ import annotations

from mappings.cda.writing.lab_report import write_lab_report
from mappings.cda.writing.level1 import write_document
from mappings.contracts import Rendition, WriteContext, WriteRefused
from mappings.notes import Notes
from mappings.safe_names import safe_stem
from schemas.item import DocumentItem, Item, LabReportItem

MEDIA_TYPE = "text/xml"


def write_item(item: Item, context: WriteContext) -> Rendition:
    """Write a `document` (level 1, or the CDA that it already is) or a `lab_report` (CR-BIO 2024.01).

    Raises WriteRefused for another kind, for a document without a body that level 1 can hold, and for a patient whom
    no conformant header can name; FormatError `cda.option` for an option that is not in its value set.
    """
    notes = Notes()
    if isinstance(item, LabReportItem):
        content = write_lab_report(item, context, notes)
    elif isinstance(item, DocumentItem):
        content = write_document(item, context, notes)
    else:
        raise WriteRefused("cda.kind", "kind", f"a CDA carries documents and laboratory reports, not {item.kind}")
    return Rendition(content, MEDIA_TYPE, f"{safe_stem(context.identity)}.xml", notes.findings)
