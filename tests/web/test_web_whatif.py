"""What if, on the dashboard: who may see a configuration, and what a kept comparison shows."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from web_journal import HOSTILE

from router.config.load import load
from router.web.rights import Role
from router.whatif.differences import Aspect, Difference, Gathered, Report
from router.whatif.evidence import keep
from router.whatif.replaying import Scope

FILE = """[journal]
data = "data"
[sources.labo-sud]
connector = "mllp"
listen = "127.0.0.1:2575"
format = "hl7v2"
[destinations.out]
connector = "directory"
folder = "out"
format = "canonical"
[[routes]]
name = "tout"
when = "true"
to = ["out"]
unattached = true
"""


def kept(site: Any) -> int:
    report = Report(200, 14, {Difference(Aspect.CONTENT, HOSTILE, "Observation.code"): Gathered(28, 14, [1, 2])})
    number: int = site.journal.apply(keep(report, Scope(200), "-a\n+<b>b</b>", actor="admin", now=site.clock[0]))
    return number


async def test_a_comparison_is_shown_with_its_examples(site: Any) -> None:
    answer = await (await site.signed_in()).get(f"/whatif/{kept(site)}")
    assert "14 messages sur 200 sortiraient autrement" in answer.plain
    assert "contenu" in answer.plain
    assert 'href="/messages/2"' in answer.text
    assert HOSTILE not in answer.text
    assert "<b>b</b>" not in answer.text
    assert (await (await site.signed_in()).get("/whatif")).status == 200


async def test_a_configuration_is_for_whoever_may_change_it(site: Any) -> None:
    number = kept(site)
    browser = await site.signed_in_as(Role.AUDITOR)
    for path in ("/whatif", f"/whatif/{number}", "/whatif/trial/x"):
        assert (await browser.get(path)).status == 403, path
    assert (await browser.post("/whatif", {"draft": "", "last": "100"})).status == 403
    admin = await site.signed_in()
    assert (await admin.get("/whatif/99")).status == 404
    assert (await admin.post("/whatif", {"draft": "", "last": "100"})).status == 404


async def test_an_example_is_shown_both_ways_and_noted(site: Any, tmp_path: Path) -> None:
    path = tmp_path / "passerelle.toml"
    path.write_text(FILE, encoding="utf-8")
    (tmp_path / "out").mkdir()
    loaded = load(path)
    site.desk.context = replace(site.desk.context, configuration=path, loaded=lambda: loaded)
    other = FILE.replace('format = "hl7v2"', 'format = "hl7v2"\ncharset = "cp1252"').replace('"true"', '"false"')
    report = Report(1, 1, {Difference(Aspect.LOST, "out", "lab_report"): Gathered(1, 1, [1])})
    change = keep(report, Scope(1), "-a", actor="admin", now=site.clock[0], text=other)
    number = site.journal.apply(change)
    browser = await site.signed_in()
    assert f'href="/whatif/{number}/messages/1"' in (await browser.get(f"/whatif/{number}")).text
    said = (await browser.get(f"/whatif/{number}/messages/1")).plain
    assert "Aujourd’hui Avec le projet" in said
    assert "ne partirait plus out" in said
    assert ("admin", "message 1", f"what-if {number}") in site.audited("compare reading")
    assert (await browser.get(f"/whatif/{number}/messages/999")).status == 404
    assert (await browser.get("/whatif/99/messages/1")).status == 404
    (tmp_path / "out").rmdir()
    broken = keep(report, Scope(1), "-a", actor="admin", now=site.clock[0], text="[nonsense]")
    said = (await browser.get(f"/whatif/{site.journal.apply(broken)}/messages/1")).plain
    assert "Ce projet ne peut pas être utilisé." in said
