"""The log as JSON: what happens to each message by its number, and nothing that it says."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import select

from connectors.contracts import Refused
from router.config.model import ObserveSection
from router.journal import tables
from router.observe.logs import log_as_json, notices


@pytest.fixture
def logged() -> Iterator[io.StringIO]:
    root, stream = logging.getLogger(), io.StringIO()
    before, level = list(root.handlers), logging.getLogger("passerelle.messages").level
    handler = log_as_json(stream)
    yield stream
    root.removeHandler(handler)
    for one in before:
        root.addHandler(one)
    logging.getLogger("passerelle.messages").setLevel(level)
    notices.propagate = False


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


async def test_the_life_of_a_message_is_logged_by_its_number(make_rig: Callable[..., Any], logged: io.StringIO) -> None:
    rig = make_rig()
    rig.observe = ObserveSection(log_format="json")
    rig.answer = lambda _parcel: Refused("TESTROSE is unknown to this partner")
    await rig.start()
    await rig.know("ROSE")
    await rig.submit(1, "ROSE")
    await rig.until(lambda: rig.states(tables.delivery) == {"dead": 1})
    await rig.stop()
    by_event = {one["event"]: one for one in lines(logged) if one["logger"] == "passerelle.messages"}
    read, attempt = by_event["message.read"], by_event["delivery.attempt"]
    assert (read["message_id"], read["source"], read["state"], read["deliveries"]) == (1, "labo", "processed", 1)
    assert (attempt["message_id"], attempt["delivery_id"], attempt["outcome"]) == (1, 1, "refused")
    assert "ROSE" not in logged.getvalue(), "not even what the partner answered"


async def test_a_notice_is_logged_with_its_code(make_rig: Callable[..., Any], logged: io.StringIO) -> None:
    rig = make_rig()
    await rig.start()
    rig.engine.notices.trouble("pipeline", "the disk is full")

    def kept() -> bool:
        with rig.engine.store.reading() as connection:
            return "the disk is full" in list(connection.execute(select(tables.notice.c.message)).scalars())

    await rig.until(kept)
    await rig.stop()
    said = next(one for one in lines(logged) if one["event"] == "notice")
    assert (said["level"], said["component"], said["code"]) == ("error", "pipeline", "engine.trouble")


def test_the_words_of_a_library_and_of_an_exception_are_left_out(logged: io.StringIO) -> None:
    try:
        raise ValueError("TESTROSE, 1 79 03 35 121 518")
    except ValueError:
        logging.getLogger("imapclient").exception("mail for %s", "179033512151889@patient.mssante.fr")
        logging.getLogger("passerelle.web").exception("a page failed")
    library, ours = lines(logged)
    assert library["event"] == "library"
    assert library["exception"] == ours["exception"] == "ValueError"
    assert ours["said"] == "a page failed"
    assert "TESTROSE" not in logged.getvalue()
    assert "1790" not in logged.getvalue()
