"""What if: a draft is tried on messages of a journal; what differs comes of the draft alone, and nothing is sent."""

from __future__ import annotations

import json
import random
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, strategies as st
from sqlalchemy import func, select

from connectors.contracts import Inbound
from connectors.sandbox.analyses import NFS
from connectors.sandbox.laboratory import Laboratory
from connectors.sandbox.people import ROSE, STRANGER
from connectors.sandbox.registration import import_bundle
from connectors.sandbox.reports import LABORATORY_AUTHORITY, draw_report
from router.cli.base import run
from router.config.load import load, load_text
from router.engine.engine import Engine
from router.engine.inbox import SourceInbox
from router.journal import tables
from router.journal.sealing import make_key_file
from router.journal.store import open_store
from router.web.trials import Trials
from router.whatif.differences import Aspect, Difference, ItemSeen, Seen, Sent, differences, places
from router.whatif.evidence import changes, draft_text, kept
from router.whatif.values import values_beside

CONFIGURATION = """\
[journal]
data = "."

[engine]
workers = 0

[sources.labo]
connector = "directory"
folder = "in"
format = "hl7v2"

[destinations.medecin]
connector = "directory"
folder = "out"
format = "hprim-medecin"
paused = true

[destinations.tool]
connector = "directory"
folder = "tool"
format = "fhir"
paused = true

[[routes]]
name = "results"
when = "item.kind == 'lab_report' && patient.in_coordination"
to = ["tool"]
"""


@pytest.fixture
async def folder(tmp_path: Path) -> Path:
    """A journal with ten messages about somebody in coordination, and one about nobody known."""
    (tmp_path / "passerelle.toml").write_text(CONFIGURATION, encoding="utf-8")
    for name in ("in", "out", "tool"):
        (tmp_path / name).mkdir()
    make_key_file(tmp_path / "journal.key")
    listed = tmp_path / "patients.json"
    listed.write_text(json.dumps(import_bundle((ROSE,), LABORATORY_AUTHORITY)), encoding="utf-8")
    assert run(["patients", "import", str(listed), "--config", str(tmp_path)]) == 0
    engine = Engine(load(tmp_path / "passerelle.toml"), open_store(load(tmp_path / "passerelle.toml").place))
    await engine.start()
    inbox: SourceInbox = engine._sources["labo"].inbox
    draw, now = random.Random(1), datetime(2026, 11, 22, 10, 12, tzinfo=UTC)
    laboratory = Laboratory(now=lambda: now)
    for number in range(11):
        report = draw_report(draw, STRANGER if number == 10 else ROSE, number, now, panels=(NFS,))
        message = laboratory.oru(report).replace("718-7^Hémoglobine^LN^HB".encode(), b"HB")
        inbound = Inbound(message, now, control_id=str(number), message_type="ORU^R01")
        await inbox.outcome(await inbox.submit(inbound))
    await engine.stop()
    return tmp_path


def rows(folder: Path) -> tuple[int, ...]:
    store = open_store(load(folder / "passerelle.toml").place)
    with store.reading() as connection:
        counted = tuple(
            connection.execute(select(func.count()).select_from(table)).scalar_one()
            for table in (tables.message, tables.item, tables.delivery, tables.attempt)
        )
    store.close()
    return counted


def plan(folder: Path, draft: str, capsys: Any, *options: str) -> tuple[int, str]:
    (folder / "draft.toml").write_text(draft, encoding="utf-8")
    capsys.readouterr()
    status = run(["plan", str(folder / "draft.toml"), "--config", str(folder), *options])
    return status, " ".join(capsys.readouterr().out.split())


async def test_the_same_configuration_changes_nothing(folder: Path, capsys: Any) -> None:
    before = rows(folder)
    status, said = plan(folder, CONFIGURATION + "# a remark\n", capsys)
    assert (status, said) == (0, "0 of 11 message(s) would come out otherwise. Kept as what-if 1.")
    assert rows(folder) == before
    assert list((folder / "tool").iterdir()) == []


async def test_a_new_destination_is_gained_and_a_narrower_route_lost(folder: Path, capsys: Any) -> None:
    status, said = plan(folder, CONFIGURATION.replace('to = ["tool"]', 'to = ["medecin"]'), capsys)
    assert status == 1
    assert "gained medecin lab_report 10 #1, #2, #3, #4, #5" in said
    assert "lost tool lab_report 10" in said
    _, said = plan(folder, CONFIGURATION.replace("item.kind == 'lab_report'", "item.kind == 'stay'"), capsys)
    assert re.search(r"lost tool lab_report 10 .* 10 of 11 message\(s\)", said)


async def test_a_code_map_changes_a_place_of_what_is_sent(folder: Path, capsys: Any) -> None:
    (folder / "map.csv").write_text(
        "sender,kind,system,code,target_system,target,display\nLABFIC,code,local,HB,http://loinc.org,718-7,Hb\n",
        encoding="utf-8",
    )
    draft = '[codes]\nmaps = ["map.csv"]\n\n' + CONFIGURATION
    status, said = plan(folder, draft, capsys)
    if status == 0:
        pytest.fail(said)
    assert "content tool" in said
    assert "code" in said
    assert "718-7" not in said, "places are named, not values"
    present = load(folder / "passerelle.toml")
    store = open_store(present.place)
    with store.reading() as connection:
        text = draft_text(connection, store.sealer.clone(), 1)
        sealed = connection.execute(select(tables.what_if.c.sealed_draft)).scalar_one()
    assert text == draft
    assert b"718-7" not in sealed
    assert b"map.csv" not in sealed
    values = values_beside(store, present, load_text(text, present.path), 1, datetime.now(UTC))
    assert values is not None
    assert any("718-7" in line and one.before == () for one in values for line in one.after), "side by side"
    assert values_beside(store, present, present, 1, datetime.now(UTC)) == ()
    assert values_beside(store, present, present, 99, datetime.now(UTC)) is None
    store.close()


async def test_it_is_kept_as_evidence_and_secrets_are_struck_out(folder: Path, capsys: Any) -> None:
    draft = CONFIGURATION.replace('to = ["tool"]', 'to = ["medecin"]') + '\n[watch]\nmail_password = "ouvre-toi"\n'
    status, said = plan(folder, draft, capsys, "--last", "3", "--source", "labo", "--json")
    assert (status, json.loads(said)) == (1, {"id": 1, "compared": 3, "changed": 2})
    store = open_store(load(folder / "passerelle.toml").place)
    with store.reading() as connection:
        (one,) = kept(connection)
    store.close()
    assert (one.scope.last, one.scope.source, one.report.changed) == (3, "labo", 2)
    assert '+to = ["medecin"]' in one.draft
    assert "ouvre-toi" not in one.draft
    assert "+mail_password = (not shown)" in one.draft
    assert Difference(Aspect.GAINED, "medecin", "lab_report") in one.report.found


async def test_a_draft_that_cannot_be_used_says_why(folder: Path, capsys: Any) -> None:
    (folder / "draft.toml").write_text(CONFIGURATION.replace("hprim-medecin", "hprim-dentiste"), encoding="utf-8")
    assert run(["plan", str(folder / "draft.toml"), "--config", str(folder)]) == 2
    assert "no format 'hprim-dentiste'" in capsys.readouterr().err


# --- comparing ----------------------------------------------------------------------------------------------------

TEXT = st.sampled_from(["", "a", "b"])
SENT = st.builds(Sent, st.just("hl7v2"), st.sampled_from([b"MSH|^~\\&|A\r", b"MSH|^~\\&|B\r"]), refusal=TEXT)
ITEM = st.builds(
    ItemSeen, TEXT, TEXT, TEXT, st.sampled_from([None, 1, 2]), st.dictionaries(st.sampled_from(["x", "y"]), SENT)
)
SEEN = st.builds(
    Seen,
    st.just(1),
    st.just("labo"),
    TEXT,
    st.lists(TEXT, max_size=3).map(tuple),
    st.lists(ITEM, max_size=3).map(tuple),
)


@given(one=SEEN, other=SEEN)
def test_only_what_is_the_same_has_no_difference(one: Seen, other: Seen) -> None:
    assert list(differences(one, one)) == []
    found = list(differences(one, other))
    alike = all(a.state == b.state for a, b in zip(one.items, other.items, strict=False))
    if not found and alike and sorted(one.findings) == sorted(other.findings):
        assert [item.sent for item in one.items if item.sent] == [item.sent for item in other.items if item.sent]


def test_places_are_named_without_ranks_or_values() -> None:
    one = b"MSH|^~\\&|LABO\rPID|1||12\rOBX|1|NM|HB||7.1\rOBX|2|NM|K||4.1\r"
    other = one.replace(b"4.1", b"4.2")
    (where,) = places("hl7v2", one, other)
    assert where.startswith("OBX")
    assert "2" not in where.removeprefix("OBX")
    assert places("hl7v2", one, one + b"\r") == ["layout"]


def test_a_reference_to_a_secret_is_shown() -> None:
    diff = changes('a = "1"\n', 'a = "1"\npassword = "${LABO_PASSWORD}"\n')
    assert '+password = "${LABO_PASSWORD}"' in diff


# --- asked for on the dashboard -----------------------------------------------------------------------------------


async def test_the_dashboard_compares_in_a_process_of_its_own(folder: Path) -> None:
    trials = Trials(folder / "passerelle.toml")
    draft = CONFIGURATION.replace('to = ["tool"]', 'to = ["medecin"]')
    trial = trials.start(b"session", draft, last=100, source="", actor="admin")
    assert trial.task is not None
    assert trial.running
    await trial.task
    assert (trial.number, trial.problem, trial.done, trial.total) == (1, "", 11, 11)
    assert trials.find(b"session", trial.key) is trial
    assert trials.find(b"another", trial.key) is None
    store = open_store(load(folder / "passerelle.toml").place)
    with store.reading() as connection:
        assert [one.actor for one in kept(connection)] == ["admin"]
    store.close()


async def test_the_dashboard_says_why_a_draft_is_refused_and_stops_on_demand(folder: Path) -> None:
    trials = Trials(folder / "passerelle.toml")
    trial = trials.start(b"s", "[nonsense\n", last=100, source="", actor="admin")
    assert trial.task is not None
    await trial.task
    assert "is not valid TOML" in trial.problem
    stopped = trials.start(b"s", CONFIGURATION, last=100, source="", actor="admin")
    assert stopped.task is not None
    trials.stop(stopped)
    await stopped.task
    assert (stopped.stopped, stopped.number) == (True, None)
