"""A tool on its own: what it takes for a notice, how it refuses one, and what its command says."""

from __future__ import annotations

import hashlib
import hmac
import time
from typing import Any

import aiohttp
import orjson
import pytest
from click.testing import CliRunner

from connectors.sandbox.tools import Mood, Tool, ToolFault, profile
from connectors.sandbox.tools.client import ToolClient
from router.cli.base import passerelle

SECRET = "secret-de-bac-a-sable"
NOTICE: dict[str, Any] = {
    "resourceType": "Bundle",
    "type": "history",
    "entry": [
        {
            "resource": {
                "resourceType": "Parameters",
                "parameter": [
                    {"name": "type", "valueCode": "event-notification"},
                    {
                        "name": "notification-event",
                        "part": [
                            {"name": "event-number", "valueString": "1"},
                            {"name": "focus", "valueReference": {"reference": "http://hub/fhir/Encounter/e1"}},
                        ],
                    },
                ],
            }
        },
        {"resource": {"resourceType": "Encounter", "id": "e1", "meta": {"versionId": "1"}}},
    ],
}


async def post(tool: Tool, body: bytes, *, secret: str = SECRET, at: float | None = None, signed: bool = True) -> int:
    moment = int(time.time() if at is None else at)
    digest = hmac.new(secret.encode(), f"{moment}.".encode() + body, hashlib.sha256).hexdigest()
    headers = {"X-Passerelle-Signature": f"t={moment},v1={digest}", "X-Passerelle-Notice": "n1"} if signed else {}
    async with aiohttp.ClientSession() as session, session.post(tool.endpoint, data=body, headers=headers) as answer:
        return answer.status


def tool() -> Tool:
    return Tool(profile("spico"), "http://127.0.0.1:1", "spico", "x", _hook=SECRET)


async def test_a_notice_is_taken_once_and_said_in_the_words_of_the_tool() -> None:
    async with tool() as one:
        body = orjson.dumps(NOTICE)
        assert [await post(one, body), await post(one, body)] == [200, 200]
        assert [(line.word, line.reference) for line in one.feed] == [("événement", "Encounter/e1")]
        assert one.notices[0].focus == ("Encounter/e1",)
        assert one.notices[0].events == (1,)


async def test_what_is_not_signed_or_old_or_signed_by_others_is_refused() -> None:
    async with tool() as one:
        body = orjson.dumps(NOTICE)
        assert await post(one, body, signed=False) == 401
        assert await post(one, body, secret="un autre secret") == 401
        assert await post(one, body, at=time.time() - 301) == 401
        assert one.refused == [
            "the notice is not signed",
            "the signature of the notice is wrong",
            "the notice is old",
        ]
        assert one.feed == []


@pytest.mark.parametrize(("mood", "status"), [(Mood.OK, 200), (Mood.UNAVAILABLE, 500), (Mood.GONE, 410)])
async def test_its_mood_is_changed_from_outside(mood: Mood, status: int) -> None:
    async with tool() as one:
        base = one.endpoint.removesuffix("/notices")
        async with aiohttp.ClientSession() as session, session.put(f"{base}/mood/{mood}") as answer:
            assert answer.status == 200
        assert await post(one, orjson.dumps(NOTICE)) == status
        assert (one.feed == []) is (status >= 300)


async def test_an_address_elsewhere_is_not_followed_with_the_token() -> None:
    client = ToolClient("http://127.0.0.1:1", "spico", "x")
    with pytest.raises(ToolFault, match="elsewhere"):
        await client.call("GET", "http://ailleurs.example/fhir/Patient")
    await client.close()


def test_the_command_says_what_is_missing() -> None:
    run = CliRunner()
    asked = ["sandbox", "tool", "--profile", "spico", "--user", "https://rpps.esante.gouv.fr|89900000001"]
    without = run.invoke(passerelle, asked)
    assert without.exit_code != 0
    assert "--secret" in without.output
    nobody = run.invoke(passerelle, [*asked, "--secret", "x", "--server", "http://127.0.0.1:1"])
    assert nobody.exit_code != 0
    assert "cannot work with http://127.0.0.1:1" in nobody.output
