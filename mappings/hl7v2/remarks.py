"""NTE: comments, and the few things that Passerelle itself says in an NTE because ORU has no place for them.

NTE-4 tells ours apart, in the local coding system `99PASSERELLE`. Any other receiver sees an ordinary comment.
"""

from __future__ import annotations

from mappings.hl7v2.er7 import Segment
from mappings.hl7v2.notebook import Notebook
from mappings.hl7v2.syntax import NULL

OURS = "99PASSERELLE"
CONCLUSION = "CONCLUSION"
REPORT_TEXT = "REPORT_TEXT"
REPORT_COMMENT = "REPORT_COMMENT"
PREVIOUS = "PREVIOUS"
_LABORATORY = ("", "L")


def text_of(notes: Notebook, segments: list[Segment]) -> str | None:
    """Join the texts of some NTE into one comment, a line feed between them; None when they say nothing."""
    if not segments:
        return None
    return "\n".join(_text(notes, nte) for nte in segments).strip("\n") or None


def _text(notes: Notebook, nte: Segment) -> str:
    """Read NTE-3; an empty one is an empty line of the comment. Only the laboratory's own comments need no source."""
    if nte.raw(2) not in _LABORATORY:
        notes.leave_fields(nte, 2)
    raw = nte.raw(3)
    if not raw or raw == NULL:
        return ""
    syntax = notes.syntax
    return "\n".join(syntax.text(one) for one in syntax.repetitions(raw))


def sorted_by_role(segments: list[Segment]) -> tuple[list[Segment], dict[str, list[Segment]]]:
    """Part ordinary comments from those that NTE-4 gives a role of ours."""
    plain: list[Segment] = []
    ours: dict[str, list[Segment]] = {}
    for nte in segments:
        raw = nte.raw(4)
        if raw and OURS in raw:
            ours.setdefault(nte.code(4), []).append(nte)
        else:
            plain.append(nte)
    return plain, ours
