from __future__ import annotations

from hypothesis import given
from lab_strategies import clinical_view, instant, lab_items

from schemas.item import ITEM

EVERYTHING = ("previous", "nested", "parent", "attachments", "text", "special")


@given(lab_items(extras=EVERYTHING))
def test_generated_reports_survive_their_own_json(item) -> None:
    again = ITEM.validate_json(ITEM.dump_json(item))
    assert again == item
    assert clinical_view(again) == clinical_view(item)


def test_instants_are_compared_as_instants() -> None:
    assert instant("2026-03-05T08:10+01:00") == instant("2026-03-05T07:10:00Z")
    assert instant("2026-03-05T08:10") == instant("2026-03-05T07:10:00Z")
    assert instant("2026-03") == "2026-03"
