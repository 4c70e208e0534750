from __future__ import annotations

from typing import Any

import pytest

from router.engine.conditions import ConditionFault, compile_condition, holds, used_paths

VALUES: dict[str, Any] = {
    "item": {
        "kind": "lab_report",
        "replaces": None,
        "content": {"status": "final", "chapters": [{"title": "HEMATOLOGIE", "observations": []}]},
    },
    "patient": {"known": True, "in_coordination": False},
    "source": "labo",
    "message": {"type": "ORU^R01", "control_id": "1", "test": True},
}


@pytest.mark.parametrize(
    ("condition", "result"),
    [
        ("true", True),
        ("item.kind == 'lab_report'", True),
        ("item.kind in ['stay', 'document']", False),
        ("item.kind == 'lab_report' && patient.in_coordination", False),
        ("patient.known && !message.test", False),
        ("source == 'labo' && message.type.startsWith('ORU')", True),
        ("item.content.status == 'final'", True),
        ("item.content.chapters.exists(c, c.title == 'HEMATOLOGIE')", True),
        ("item['kind'] == 'lab_report'", True),
        ("item.replaces == null", True),
        ("'item.kind' == source", False),
    ],
)
def test_conditions_hold_or_not(condition: str, result: bool) -> None:
    assert holds(condition, VALUES) is result
    assert holds(condition, VALUES) is result, "the second time, from memory"


def test_what_is_remembered_depends_on_all_that_is_looked_at() -> None:
    condition = "item.kind == 'stay' || source == 'hospital'"
    assert not holds(condition, VALUES)
    assert holds(condition, {**VALUES, "source": "hospital"})
    assert holds(condition, {**VALUES, "item": {"kind": "stay"}})


@pytest.mark.parametrize(
    ("condition", "paths"),
    [
        ("item.kind == 'x' && patient.known", (("item", "kind"), ("patient", "known"))),
        ("source != 'item.kind'", (("source",),)),
        ("item.content.status == 'final'", None),
        ("item['kind'] == 'x'", None),
        ("has(item.kind)", (("item", "kind"),)),
        ("message.type.startsWith('O')", None),
    ],
)
def test_what_a_condition_looks_at(condition: str, paths: object) -> None:
    assert used_paths(condition) == paths


@pytest.mark.parametrize("condition", ["item.kind ==", "item.kind + 1", "item.absent == 'x'"])
def test_a_wrong_condition_is_a_fault_without_values(condition: str) -> None:
    with pytest.raises(ConditionFault) as fault:
        holds(condition, VALUES)
    assert "lab_report" not in str(fault.value)


def test_an_unknown_name_is_found_before_any_message_comes() -> None:
    with pytest.raises(ConditionFault, match="uses patiend; known names: item, message, patient, source"):
        compile_condition("patiend.known")
