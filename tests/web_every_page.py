"""Every page that can be reached by links from the overview, in both languages, colours and widths, as a browser,
a screen reader (axe-core) and hostile names meet it. New pages are found by themselves: the links are followed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

from dossier_scene import Scene, daughter, doctor, home_help
from screen_reader import violations
from web_actions import ACTS, kind_of as posted_kind
from web_journal import HOSTILE, MINUTE, Journal, hasten, open_journal, person as patient, report
from web_mails import DMP_FLOWS, MAIL_FLOWS, correspond, submit
from web_merges import wrongly_merged
from web_person import NOW, Person, Served
from web_traffic import fill, flood

from router.certificates import CertificateEnd, CertificateUse
from router.cluster.contracts import NodeStatus
from router.identity.patients import register
from router.journal.mapping_versions import EndMappings, MappingsKept, keep_mappings, pack
from router.journal.operations import Change
from router.journal.store import JournalPlace, open_store
from router.web.context import FlowStatus
from router.web.rendering import Pages

PICTURES = Path(__file__).parents[1] / "build" / "screenshots"

RTL = "‮TSET\u202d ﻂﻔﻟﺍ"
"""A name whose letters run the other way, with marks that try to turn its neighbours as well."""

LONG = "TRESLONGNOM" * 27
"""A name of nearly 300 letters without a single space."""

_NOT_PAGES = re.compile(
    r"^/(download|view|events|static|logout|metrics|health|api/v1|fhir)|[.](ics|csv|pdf|json|xml|zip)$|/export"
)
NODES = (
    NodeStatus(HOSTILE, ("receive", "web"), "1.0", NOW - MINUTE, NOW, ("poll.labo-sud",)),
    NodeStatus(LONG[:63], ("work",), "1.0", NOW - MINUTE, NOW, ("jobs", "read.labo-sud", "send.1"), trouble=RTL),
)
_EACH = 1
"""Pages of one kind that are looked at: `/messages/1` and `/messages/2` are of one kind."""

OFFERED = """() => [
  ...[...document.forms].filter(one => one.method === 'post').map(one => one.getAttribute('action')),
  ...[...document.querySelectorAll('[formaction]')].map(one => one.getAttribute('formaction')),
  ...[...document.querySelectorAll('[hx-post]')].map(one => one.getAttribute('hx-post')),
].filter(one => one)"""
"""Where a page posts to."""

MUST_BE_REACHED = frozenset(
    {
        "/", "/account", "/alarms", "/api", "/audit", "/bulk", "/codes", "/deliveries", "/dmp", "/dossiers",
        "/dossiers/#", "/flows", "/flows/sources/labo-sud", "/identities", "/identities/decisions",
        "/identities/merges", "/identities/merges/#", "/identities/tasks", "/indicators", "/mail", "/mail/#",
        "/mailboxes", "/mappings", "/mappings/#", "/messages", "/messages/#",
        "/messages/#/findings", "/messages/#/original", "/messages/#/sent", "/messages/#/side",
        "/messages/#/understood", "/messages/#/why", "/nodes", "/notices", "/people", "/whatif",
    }
)  # fmt: skip


def fill_everything(folder: Path) -> None:
    """Make its journal."""
    journal = fill(open_journal(folder), NOW)
    hasten(journal.store)
    correspond(journal, NOW)
    submit(journal, NOW)
    flood(journal, NOW, 70)
    scene = Scene(journal, now=NOW - 100 * MINUTE)
    assert scene.open().refusal is None
    for member in (doctor(), home_help(in_care_team=False), daughter()):
        scene.add(member)
    scene.lab("9" * 32)
    for rank, name in enumerate((RTL, LONG, HOSTILE), start=50):
        person = patient(rank, name).model_copy(update={"first_given_name": name})
        known = journal.apply(register(person, in_coordination=True, now=NOW)).patient_id
        number = journal.message(NOW - MINUTE + rank, control=f"{name[:60]}", source=HOSTILE)
        made = journal.item(
            report(person, f"{rank:032d}", number=name[:90]), line=name, patient_id=known, to=(HOSTILE,)
        )
        journal.read(number, NOW - MINUTE + rank + 1, [made])
        journal.notice(NOW - MINUTE, "error", name[:120], name)
    wrongly_merged(journal, NOW - MINUTE, came=False)
    kept = MappingsKept(HOSTILE, "Europe/Paris", {HOSTILE: EndMappings(LONG, RTL, "", {RTL: LONG})}, {}, ())
    journal.apply(Change(lambda unit: keep_mappings(unit, [pack(kept)], NOW)))
    journal.store.close()


@contextmanager
def serving_everything(folder: Path) -> Iterator[Served]:
    """Serve a router with everything configured, busy, and among people with hostile names, from a filled folder."""
    store = hasten(open_store(JournalPlace.at(folder), migrate=False))
    served = Served(Journal(store))
    served.flows += [*DMP_FLOWS, *MAIL_FLOWS]
    served.flows += [
        FlowStatus(HOSTILE, "source", "mllp", "failed", detail=RTL),
        FlowStatus(LONG[:80], "destination", "http", "ready"),
    ]
    desk = served.app.state.desk
    ends = (
        CertificateEnd(
            "destination dmp", CertificateUse.CLIENT, LONG, datetime.fromtimestamp(NOW / 1e6, UTC) + timedelta(days=12)
        ),
        CertificateEnd("web", CertificateUse.WEB, HOSTILE, datetime.fromtimestamp(NOW / 1e6, UTC) - timedelta(days=1)),
    )
    desk.context = replace(desk.context, certificate_ends=lambda: ends, nodes=lambda: NODES)
    desk.pages = Pages(desk.context)
    yield served
    served.stop()
    store.close()


def kind_of(path: str) -> str:
    """Give what pages of one kind have in common: numbers and keys are left out, questions as well."""
    parts = urlsplit(path).path.split("/")
    return "/".join("#" if re.fullmatch(r"\d+|[0-9a-f-]{16,}|[A-Za-z0-9_-]{22,}", part) else part for part in parts)


def pages_of(person: Person) -> Iterator[str]:
    """Follow the links from the overview; gives each page once it is shown."""
    waiting, seen, shown = ["/"], {"/"}, dict[str, int]()
    while waiting:
        path = waiting.pop(0)
        kind = kind_of(path)
        if shown.get(kind, 0) >= _EACH:
            continue
        shown[kind] = shown.get(kind, 0) + 1
        answer = person.page.goto(person.served.address + path)
        assert answer.status == 200, f"{path}: {answer.status}"
        yield path
        for link in person.page.evaluate("[...document.querySelectorAll('a[href]')].map(a => a.getAttribute('href'))"):
            there = urljoin(person.served.address + path, link)
            if not there.startswith(person.served.address + "/"):
                continue
            found = there.removeprefix(person.served.address).split("#")[0]
            if found not in seen and not _NOT_PAGES.search(urlsplit(found).path):
                seen.add(found)
                waiting.append(found)


def wrong_on_every_page(chromium: Any, everything: Served, language: str, scheme: str, width: int) -> list[str]:
    """Look at every page in a language, a colour scheme and a width; gives what is wrong, page by page.

    A picture of each is left in `build/screenshots`.
    """
    someone = Person(chromium, everything, color_scheme=scheme, viewport={"width": width, "height": 900})
    page = someone.sign_in()
    someone.context.add_cookies([{"name": "passerelle_language", "value": language, "url": everything.address}])
    pictures = PICTURES / f"{language}-{scheme}-{width}"
    pictures.mkdir(parents=True, exist_ok=True)
    wrong: list[str] = []
    reached, offered = set(), set[str]()
    for path in pages_of(someone):
        reached.add(kind_of(path))
        offered.update(map(posted_kind, page.evaluate(OFFERED)))
        name = re.sub(r"[^\w-]+", "_", path.strip("/"))[:80] or "overview"
        page.screenshot(path=pictures / f"{name}.png", full_page=True)
        wrong += [f"{path}: {one}" for one in violations(page)]
        if page.evaluate("document.documentElement.scrollWidth") > width:
            wrong.append(f"{path}: wider than {width} px")
        if page.evaluate("document.documentElement.lang") != language:
            wrong.append(f"{path}: not in {language}")
        if page.evaluate("document.querySelectorAll('h1').length") != 1:
            wrong.append(f"{path}: not one heading of the first level")
        wrong += [f"{path}: {one}" for one in someone.complaints]
        someone.complaints.clear()
    someone.context.close()
    wrong += [f"{path}: was not reached" for path in sorted(MUST_BE_REACHED - reached)]
    posted = offered - {act.kind for act in ACTS}
    return wrong + [f"{kind}: add what is new to `web_actions.ACTS`" for kind in sorted(posted)]
