"""What the pages about safety say is there: every test that they name, every setting, and a test for every threat."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
NAMED = re.compile(r"`(tests/[\w./]+\.py)((?:::\w+)*)`")
PAGES = ("docs/security.md", "docs/operations/limits.md")


@cache
def names_in(path: str) -> frozenset[str]:
    """Give the tests of a file: `test_x`, and `Class::test_x`."""
    found: set[str] = set()
    for node in ast.parse((PROJECT / path).read_text()).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            found.add(node.name)
        elif isinstance(node, ast.ClassDef):
            inner = (one for one in node.body if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef))
            found |= {f"{node.name}::{one.name}" for one in inner}
    return frozenset(found)


def missing(text: str) -> list[str]:
    """Give what is named and is not there."""
    return [
        path + test
        for path, test in NAMED.findall(text)
        if not (PROJECT / path).is_file() or (test and test.removeprefix("::") not in names_in(path))
    ]


def rows(text: str) -> list[list[str]]:
    """Give the rows of the tables whose last column says what proves them."""
    found: list[list[str]] = []
    proved = False
    for line in text.splitlines():
        if not line.startswith("|"):
            proved = False
            continue
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if cells[-1] == "proved by":
            proved = True
        elif proved and set(cells[-1]) != {"-"}:
            found.append(cells)
    return found


@pytest.mark.parametrize("page", PAGES)
def test_every_test_that_a_page_names_is_there(page: str) -> None:
    text = (PROJECT / page).read_text()
    assert missing(text) == []
    assert len(NAMED.findall(text)) > 20
    first = next(found for found in NAMED.finditer(text) if found[2])
    assert missing(text.replace(first[0], first[0].replace("::", "::no_"))), "a test that is not there is seen"


@pytest.mark.parametrize("page", PAGES)
def test_every_row_is_proved_by_something(page: str) -> None:
    found = rows((PROJECT / page).read_text())
    assert len(found) > 20
    assert [cells[0] + cells[1] for cells in found if not NAMED.search(cells[-1])] == []


def test_every_room_and_every_kind_of_threat_is_looked_at() -> None:
    text = (PROJECT / "docs/security.md").read_text()
    for room in ("schemas and mappings", "connectors", "engine and journal", "router/web", "dossier", "nodes"):
        assert re.search(rf"(?m)^## .*{room}", text), room
    letters = {letter for cells in rows(text) for letter in cells[0].split(", ")}
    assert letters == set("STRIDE")


def test_every_setting_that_the_limits_name_exists() -> None:
    text = (PROJECT / "docs/operations/limits.md").read_text()
    reference = (PROJECT / "docs/configuration.md").read_text()
    settings = set(
        re.findall(r"`(?:\[\w+\] |tls\.)?((?:max|idle|read|frame|message|head|body|proofs|calls|batch|over)_\w+)", text)
    )
    assert len(settings) > 15
    assert [name for name in sorted(settings) if f"`{name}`" not in reference] == []


def test_the_pages_are_linked() -> None:
    readme = (PROJECT / "README.md").read_text()
    for page in (*PAGES, "docs/fuzzing.md", "docs/operations/release.md", "SECURITY.md"):
        assert f"({page})" in readme, page
