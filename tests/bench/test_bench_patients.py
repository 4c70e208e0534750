"""The bench of look-ups measures what it says, among people who can be told apart."""

from __future__ import annotations

import orjson
from click.testing import CliRunner

from router.bench.patients import measure_index, person
from router.cli.lab import command_bench
from schemas.identifiers import MatriculeVerdict, check_matricule


def test_people_are_the_same_each_time_and_have_matricules_that_verify() -> None:
    people = [person(number) for number in range(1, 200)]
    assert people == [person(number) for number in range(1, 200)]
    matricules = {one.ins.matricule for one in people if one.ins is not None}
    assert len(matricules) == len(people)
    assert {check_matricule(one).verdict for one in matricules} == {MatriculeVerdict.OK}
    assert all((one.birth_name or "").startswith("TEST") for one in people)


def test_every_kind_of_look_up_is_measured() -> None:
    said: list[str] = []
    figures = measure_index(300, samples=128, say=said.append)
    assert (figures.patients, len(figures.look_ups), len(said)) == (300, 6, 2)
    assert {one.count for one in figures.look_ups} == {128}
    assert all(0 < one.p50_ms <= one.p99_ms <= one.longest_ms for one in figures.look_ups)
    assert figures.journal_mb > 0


def test_the_command_prints_the_figures() -> None:
    done = CliRunner().invoke(command_bench, ["--patients-index", "100", "--json"], standalone_mode=False)
    assert orjson.loads(done.stdout)["patients"] == 100
    shown = CliRunner().invoke(command_bench, ["--patients-index", "100"], standalone_mode=False)
    assert "known to nobody" in shown.stdout
