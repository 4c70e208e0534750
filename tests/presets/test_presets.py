"""Each preset is a configuration that loads, with the matrix, rules and words of its tool, and a page that says so."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner

from connectors.dmp.settings import DmpDestinationSettings
from connectors.sandbox.tools import ToolFault, profile, profiles
from router.cli.base import passerelle
from router.cli.sandbox_tool import NAMES
from router.config.load import load
from router.dossier.matrices import matrix_history
from router.dossier.matrix import default_matrix, differences, read_matrix
from router.dossier.notices import default_rules
from router.journal.store import open_store
from router.presets import PresetFault, files_of, matrix_of, preset, presets
from router.presets.page import page_of
from schemas.circle import RoleFamily
from schemas.dossier import CoordinationTool

DOCS = Path(__file__).resolve().parents[2] / "docs" / "tools"
EACH = pytest.mark.parametrize("name", [one.name for one in presets()])


def test_every_seed_tool_has_its_preset_and_its_profile() -> None:
    assert tuple(one.name for one in presets()) == profiles() == NAMES
    with pytest.raises(PresetFault, match="there are mespatients, parcours"):
        preset("dossier-de-nulle-part")


@EACH
def test_init_writes_it_and_check_accepts_it(name: str, tmp_path: Path) -> None:
    run = CliRunner()
    folder = str(tmp_path / "router")
    made = run.invoke(passerelle, ["init", folder, "--preset", name, "--password", "un mot de passe long"])
    assert made.exit_code == 0, made.output
    checked = run.invoke(passerelle, ["check", "--config", folder])
    assert checked.exit_code == 0, checked.output
    assert "no route leads" not in checked.output
    loaded = load(tmp_path / "router" / "passerelle.toml")
    assert loaded.configuration.dossier.api
    # What would reach a national service or an operator waits for the structure's own addresses.
    outside = [one for one in (*loaded.sources, *loaded.destinations) if one.section.connector in {"mssante", "dmp"}]
    assert all(one.section.paused for one in outside)
    assert {rule.name for rule in default_rules()} <= {rule.name for rule in loaded.notice_rules}
    store = open_store(loaded.place)
    with store.reading() as connection:
        brought = matrix_history(connection)
    store.close()
    changes = differences(default_matrix(), matrix_of(preset(name)))
    assert [one.why for one in brought] == ([f"preset {name}"] if changes else [])


def test_the_part_for_the_dmp_is_whole_once_its_marks_are_taken_away() -> None:
    text = files_of(preset("sicodom")).texts["passerelle.toml"]
    block = text[text.index("# [destinations.dmp]") :]
    found = tomllib.loads("\n".join(line.removeprefix("#").removeprefix(" ") for line in block.splitlines()))
    values = found["destinations"]["dmp"]
    assert (values.pop("connector"), values.pop("validate")) == ("dmp", "strict")
    assert set(values) <= set(DmpDestinationSettings.model_fields)
    assert [route["to"] for route in found["routes"]] == [["dmp"]]


@EACH
def test_its_words_lead_to_what_the_dossier_knows(name: str) -> None:
    found = preset(name)
    assert CoordinationTool(found.tool)
    assert {"DEM-AVIS", "OBS"} <= set(found.vocabulary.notes.values())
    assert set(found.roles.values()) <= set(RoleFamily) - {RoleFamily.PATIENT}
    assert read_matrix(files_of(found).texts["matrix.csv"]) == matrix_of(found)
    with pytest.raises(ToolFault, match=f"{found.vocabulary.label} has no kind of note called 'tweet'"):
        profile(name).note_type("tweet")


@EACH
def test_its_page_is_what_it_prints(name: str) -> None:
    page = (DOCS / f"{name}.md").read_text(encoding="utf-8")
    assert page == page_of(preset(name)), f"passerelle presets show {name} --markdown > docs/tools/{name}.md"
    assert all(row.feature in page for row in preset(name).served)


def test_the_commands_show_presets() -> None:
    run = CliRunner()
    assert "telesante-pdl" in run.invoke(passerelle, ["presets", "list"]).output
    shown = run.invoke(passerelle, ["presets", "show", "spico"])
    assert "demande d'avis: DEM-AVIS" in shown.output
    assert run.invoke(passerelle, ["presets", "show", "spico", "--file", "matrix.csv"]).output.startswith("category,")
    wrong = run.invoke(passerelle, ["presets", "show", "spico", "--file", "../secret"])
    assert wrong.exit_code != 0
