"""The rights matrix, cell by cell, against the fact sheet's own table (PDT-INF-526)."""

from __future__ import annotations

from pathlib import Path

import pytest

from connectors.sandbox.dmp.rights import Access, Profile, Right, cell

ROWS = {
    "TD0.2": Right.EXISTENCE,
    "TD0.3 declare authorised": Right.AUTHORISE,
    "TD2.1": Right.SUBMIT,
    "TD3.1 metadata": Right.METADATA,
    "TD3.3a mask": Right.MASK,
    "TD3.3a unmask": Right.UNMASK,
    "TD3.3b make visible": Right.SHOW_PATIENT,
    "TD3.3d archive / unarchive": Right.ARCHIVE,
}
COLUMNS = (
    Profile.PROFESSIONAL,
    Profile.DOCTOR,
    Profile.OCCUPATIONAL,
    Profile.TREATING,
    Profile.EMPLOYEE,
    Profile.STRUCTURE,
)
MODES = {
    Profile.OCCUPATIONAL: (Access.NORMAL,),
    Profile.TREATING: (Access.NORMAL, Access.BREAK_GLASS),
    Profile.EMPLOYEE: (Access.NORMAL,),
    Profile.STRUCTURE: (Access.NORMAL, Access.REGULATION),
}


@pytest.mark.shared_data
def test_the_matrix_is_the_published_one(shared_data: Path) -> None:
    text = (shared_data.parent / "specs" / "dmp.md").read_text(encoding="utf-8")
    table = {
        line.split("|")[1].strip(): [part.strip().replace("*", "") for part in line.split("|")[2:8]]
        for line in text.splitlines()
        if line.startswith("| TD") and line.count("|") == 8
    }
    compared = 0
    for name, right in ROWS.items():
        for number, profile in enumerate(COLUMNS):
            # An employee's submission has a row of its own, TD2.2, and is the same message.
            by_card = (right, profile) == (Right.SUBMIT, Profile.EMPLOYEE)
            published = table["TD2.2" if by_card else name][number]
            modes = MODES.get(profile, tuple(Access))
            words = published.partition(" (")[0].split("/")
            words = words * len(modes) if len(words) == 1 else words
            for access, word in zip(modes, words, strict=True):
                sign = cell(right, profile, access)
                # Masked documents have a note of their own in the table: `m` is a yes there.
                assert {"y": "y", "own": "o", "-": "-"}[word] == sign.replace("m", "y"), (name, profile, access)
                compared += 1
    assert compared > 80


def test_a_structure_reads_nothing_and_deletes_its_own() -> None:
    assert cell(Right.RETRIEVE, Profile.STRUCTURE, Access.NORMAL) == "-"
    assert cell(Right.METADATA, Profile.STRUCTURE, Access.NORMAL) == "-"
    assert cell(Right.DELETE, Profile.STRUCTURE, Access.NORMAL) == "o"
    assert cell(Right.RETRIEVE, Profile.OCCUPATIONAL, Access.NORMAL) == "-"
    assert cell(Right.SUBMIT, Profile.EMPLOYEE, Access.NORMAL) == "y"
