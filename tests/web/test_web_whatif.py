"""What if, on the dashboard: who may see a configuration, and what a kept comparison shows."""

from __future__ import annotations

from typing import Any

from web_journal import HOSTILE

from router.web.rights import Role
from router.whatif.differences import Aspect, Difference, Gathered, Report
from router.whatif.evidence import keep
from router.whatif.replaying import Scope


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
