from __future__ import annotations

from pathlib import Path

import pytest
from mini_package import write_package

from router.config.load import ConfigurationFault, load

TEXT = """\
[validation]
package = "ans"

[destinations.dmp]
connector = "directory"
folder = "out"
format = "cda"
validate = "strict"

[[routes]]
name = "letters"
to = ["dmp"]
validate = "strict"
"""


def _problems(folder: Path, text: str) -> list[str]:
    path = folder / "passerelle.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigurationFault) as fault:
        load(path, {})
    return list(fault.value.problems)


def test_the_package_stands_beside_the_file(tmp_path: Path) -> None:
    write_package(tmp_path / "ans")
    path = tmp_path / "passerelle.toml"
    path.write_text(TEXT, encoding="utf-8")
    loaded = load(path, {})
    assert loaded.validation_package == tmp_path / "ans"
    assert loaded.destinations[0].section.validation == "strict"
    assert "validate" not in loaded.destinations[0].section.connector_settings
    assert loaded.configuration.routes[0].validation == "strict"


def test_a_package_that_is_none_is_told_with_its_line(tmp_path: Path) -> None:
    (problem,) = _problems(tmp_path, TEXT)
    assert problem.startswith("line 2, validation.package: ")
    assert problem.endswith("is not a folder")


def test_strict_without_a_package_is_told_where_it_is_asked(tmp_path: Path) -> None:
    problems = _problems(tmp_path, TEXT.replace('[validation]\npackage = "ans"\n', ""))
    assert [one.partition(": ")[0] for one in problems] == [
        "line 6, destinations.dmp.validate",
        "line 11, routes.0.validate",
    ]


def test_an_unknown_wish_is_told(tmp_path: Path) -> None:
    write_package(tmp_path / "ans")
    (problem,) = _problems(tmp_path, TEXT.replace('"strict"', '"strickt"', 1))
    assert problem.startswith("line 8, destinations.dmp.validate: input should be 'none' or 'strict'")
