"""The page of the nodes of a cluster: who is there, and what nobody works on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from web_client import Browser
from web_journal import ADMIN, open_journal

from router.cluster.contracts import NodeStatus
from router.watch.nodes import Heard, note_heard
from router.web.app import create_app, create_watched
from router.web.context import FlowStatus, WebContext
from router.web.sessions import start_session

AT = 1_795_000_000_000_000
NODES = (
    NodeStatus(
        "nord", ("receive", "work"), "1.2.3", AT, AT, ("jobs", "read.labo", "send.0", "send.1"), configuration=7
    ),
    NodeStatus("sud", ("web",), "1.2.2", AT, AT, (), configuration=6, trouble="le disque est plein"),
)


@pytest.fixture
def site(tmp_path: Path) -> Any:
    journal = open_journal(tmp_path)
    ouest = NodeStatus("ouest", ("work",), "1.2.3", AT, AT)
    journal.apply(note_heard({"ouest": Heard(ouest, AT, is_there=True)}, AT))
    made = []

    def make(nodes: tuple[NodeStatus, ...] | None, *, watched: bool = False) -> Browser:
        context = WebContext(
            store=journal.store,
            submit=journal.submit,
            flows=lambda: [
                FlowStatus("labo", "source", "mllp", "listening"),
                FlowStatus("rx", "source", "mllp", "failed"),
            ],
            own_flows=lambda: [FlowStatus("labo", "source", "mllp", "listening")],
            nodes=None if nodes is None else lambda: nodes,
        )
        app = (create_watched if watched else create_app)(context)
        desk = app.state.desk
        made.append(desk)
        browser = Browser(app)
        token, change = start_session(ADMIN, now=desk.now(), rules=desk.rules)
        journal.apply(change)
        browser.cookies["passerelle_session"] = token
        return browser

    yield make
    for desk in made:
        desk.live.close()
        desk.close()
    journal.store.close()


@pytest.mark.parametrize(
    ("language", "words"),
    [
        (
            "fr",
            (
                "2 nœuds répondent",
                "réception, traitement",
                "le disque est plein",
                "Aucun nœud ne travaille sur : read.rx",
                "ouest était là et se tait",
            ),
        ),
        (
            "en",
            (
                "2 nodes answer",
                "receiving, working",
                "another configuration applies elsewhere",
                "No node works on: read.rx",
                "ouest was there and is silent",
            ),
        ),
    ],
)
async def test_nodes_and_what_nobody_works_on_are_shown(site: Any, language: str, words: tuple[str, ...]) -> None:
    browser = site(NODES)
    browser.cookies["passerelle_language"] = language
    answer = await browser.get("/nodes")
    said = " ".join(answer.plain.replace("\u00a0", " ").replace("\u202f", " ").split())
    assert answer.status == 200
    for word in (*words, "nord", "1.2.3"):
        assert word in said
    assert 'href="/nodes"' in (await browser.get("/")).text


async def test_a_single_machine_has_no_page_of_nodes(site: Any) -> None:
    browser = site(None)
    assert (await browser.get("/nodes")).status == 404
    assert 'href="/nodes"' not in (await browser.get("/")).text


async def test_a_node_without_pages_says_how_it_is_and_nothing_else(site: Any) -> None:
    browser = site(NODES, watched=True)
    assert (await browser.get("/health/live")).status == 200
    ready = await browser.get("/health/ready")
    assert ready.status == 200, "a source that fails on another node does not make this one unready"
    assert (await browser.get("/metrics")).status == 200
    assert (await browser.get("/messages")).status == 404
    browser.cookies.clear()
    assert (await browser.get("/metrics")).status == 401
