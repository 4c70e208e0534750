"""`passerelle reroute` and `passerelle bulk`: previewed, asked, written down for the router to carry out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from web_journal import open_journal
from web_traffic import fill

from router.cli.base import run
from router.journal.mapping_versions import EndMappings, MappingsKept, keep_mappings, pack
from router.journal.operations import Change, apply_at_once
from router.journal.parted import part
from router.journal.store import JournalPlace, open_store

CONFIGURATION = """
[sources.labo-sud]
connector = "directory"
folder = "in"

[destinations.spico]
connector = "directory"
folder = "out"
format = "fhir"

[destinations.medecin]
connector = "directory"
folder = "out"
format = "fhir"

[[routes]]
name = "tout"
to = ["spico"]
"""
NOW = 1_795_339_800_000_000


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A router's folder with a filled journal."""
    for name in ("in", "out"):
        (tmp_path / name).mkdir()
    (tmp_path / "passerelle.toml").write_text(CONFIGURATION, encoding="utf-8")
    fill(open_journal(tmp_path / "data"), NOW).store.close()
    return tmp_path


def told(capsys: Any, folder: Path, *arguments: str) -> tuple[int, str]:
    """Run a command on the folder; gives its status and what it said."""
    status = run([*arguments, "--config", str(folder)])
    said = capsys.readouterr()
    return status, said.out + said.err


def test_dead_ones_are_rerouted_and_followed(folder: Path, capsys: Any) -> None:
    status, said = told(capsys, folder, "reroute", "--dead", "spico", "--to", "medecin", "--set-aside", "--yes")
    assert status == 0
    assert "3 item(s) will leave, about 1 patient(s)." in said
    assert "to medecin: 3" in said
    assert "Action 1; a running router takes it up at once" in said
    assert told(capsys, folder, "bulk", "show", "1") == (
        0,
        "reroute destination:medecin: running, 0 of 3, 0 acted upon\n",
    )
    assert "reroute" in told(capsys, folder, "bulk", "list")[1]
    assert told(capsys, folder, "bulk", "stop", "1") == (0, "Stopped.\n")
    assert told(capsys, folder, "bulk", "stop", "1")[0] == 1
    assert told(capsys, folder, "bulk", "undo", "1") == (1, "Nothing of action 1 can be taken back.\n")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--message", "1"), "name either --to DESTINATION or --route ROUTE"),
        (("--message", "1", "--to", "nowhere"), "there is no destination nowhere; there are: spico, medecin"),
        (("--message", "1", "--route", "rien"), "there is no route “rien”; there are: tout"),
        (("--to", "spico"), "name messages (--message), or deliveries (--delivery, --dead)"),
    ],
)
def test_what_makes_no_sense_is_one_sentence(
    folder: Path, capsys: Any, arguments: tuple[str, ...], sentence: str
) -> None:
    assert told(capsys, folder, "reroute", *arguments) == (2, f"passerelle: {sentence}\n")


def test_nothing_to_do_and_no_such_action(folder: Path, capsys: Any) -> None:
    status, said = told(capsys, folder, "reroute", "--message", "1", "--route", "tout")
    assert status == 1
    assert "left alone, has_it: 1" in said
    assert told(capsys, folder, "bulk", "show", "99") == (2, "passerelle: there is no action 99\n")


def test_messages_are_read_again_with_a_version_of_the_mappings(folder: Path, capsys: Any) -> None:
    ends = {"labo-sud": EndMappings("directory", "hprim-sante", "cp1252", {"secret": "not for everybody"})}
    store = open_store(JournalPlace.at(folder / "data"))
    kept = pack(MappingsKept("0.0.1", "Europe/Paris", ends, {}, ()))
    apply_at_once(store, Change(lambda unit: keep_mappings(unit, [kept], NOW)))
    store.close()
    assert "1 " in told(capsys, folder, "mappings", "list")[1]
    assert told(capsys, folder, "mappings", "show", "1") == (
        0,
        "Passerelle 0.0.1, Europe/Paris\n  source labo-sud: directory, hprim-sante, cp1252, secret=•••\n",
    )
    status, said = told(capsys, folder, "mappings", "compare", "1", "--message", "1")
    assert status == 1
    assert "1 of 1 message(s) would come out otherwise." in said
    assert "Version 1 was used with Passerelle 0.0.1" in said
    status, said = told(capsys, folder, "replay", "--message", "1", "--mappings", "1", "--yes")
    assert (status, "1 will go again" in said) == (0, True)
    assert told(capsys, folder, "replay", "--message", "1", "--mappings", "4")[0] == 2
    assert told(capsys, folder, "mappings", "compare", "4", "--message", "1")[0] == 2


def test_what_is_not_sent_again_as_it_is_is_told_with_the_reason(folder: Path, capsys: Any) -> None:
    store = open_store(JournalPlace.at(folder / "data"))
    apply_at_once(store, Change(lambda unit: part(unit, [3])))
    store.close()
    status, said = told(capsys, folder, "replay", "--delivery", "3", "--delivery", "4", "--yes")
    assert status == 0
    assert "1 will go again" in said
    assert "Delivery 3 is left as it is. This delivery was prepared for a patient whom it is no longer about" in said
    assert "Delivery 4" not in said
