"""The API: keys, problems in one sentence, the same journal, and no health data in lists."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from web_client import Browser
from web_journal import PASSWORD, person

from router.journal.operations import Change
from router.journal.parted import part
from router.web.context import PatientsRefused, WebContext
from router.web.keys import add_api_key, revoke_api_key

API = "/api/v1"


@pytest.fixture
def api(site: Any) -> Browser:
    """A program with a key."""
    return Browser(site.app, headers={"Authorization": f"Bearer {site.journal.key}"})


@pytest.mark.parametrize("header", ["", "Bearer ", "Bearer guessed", "Basic YWRtaW46eA=="])
async def test_a_key_is_needed(site: Any, header: str) -> None:
    browser = Browser(site.app, headers={"Authorization": header} if header else {})
    answer = await browser.get(API + "/messages")
    assert answer.status == 401
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["www-authenticate"] == "Bearer"
    assert set(answer.json()) == {"type", "title", "status", "detail"}


async def test_a_key_is_kept_as_a_digest_and_can_be_withdrawn(site: Any) -> None:
    key = add_api_key(site.journal.store, "autre")
    browser = Browser(site.app, headers={"Authorization": f"Bearer {key}"})
    assert (await browser.get(API + "/messages")).status == 200
    assert key not in repr(site.value("SELECT group_concat(hex(key_hash)) FROM api_key"))
    assert revoke_api_key(site.journal.store, "autre")
    assert not revoke_api_key(site.journal.store, "autre")
    assert (await browser.get(API + "/messages")).status == 401
    assert add_api_key(site.journal.store, "autre") != key, "a withdrawn name may be used again"


async def test_a_session_may_read_and_must_prove_its_changes(site: Any) -> None:
    browser = await site.signed_in()
    assert (await browser.get(API + "/messages")).status == 200
    assert (await browser.send(API + "/messages/1/replay", b"")).status == 403
    browser.headers["X-CSRF-Token"] = browser.csrf
    assert (await browser.send(API + "/messages/1/replay", b"")).status == 202
    browser.headers["Sec-Fetch-Site"] = "cross-site"
    assert (await browser.send(API + "/messages/1/replay", b"")).status == 403


async def test_messages_by_filter_and_page(api: Browser) -> None:
    first = (await api.get(API + "/messages?limit=4")).json()
    assert [one["id"] for one in first["messages"]] == [9, 8, 7, 6]
    second = (await api.get(f"{API}/messages?limit=100&before={first['next']}")).json()
    assert [one["id"] for one in second["messages"]] == [5, 4, 3, 2, 1]
    assert second["next"] is None
    held = (await api.get(API + "/messages?state=held&kind=stay")).json()["messages"]
    assert [(one["id"], one["items"][0]["reason"]) for one in held] == [(2, "no_match")]
    since = (await api.get(API + "/messages?since=2026-11-22T09:27:30Z")).json()["messages"]
    assert [one["id"] for one in since] == [9, 8]
    assert since[1]["received_at"] == "2026-11-22T09:29:00Z"


async def test_lists_hold_nothing_of_a_patient(site: Any, api: Browser) -> None:
    for path in ("/messages", "/deliveries", "/flows"):
        text = (await api.get(API + path)).text
        assert "TESTROSE" not in text
        assert "Hémoglobine" not in text
    found = await api.send(API + "/messages/search", {"text": "TESTROSE"})
    assert [one["id"] for one in found.json()["messages"]] == [7, 6, 5, 4, 1]
    assert "TESTROSE" not in found.text
    assert site.audited("search") == [("key:outil", "messages", "")]


async def test_a_message_is_given_whole_and_noted(site: Any, api: Browser) -> None:
    found = (await api.get(API + "/messages/1")).json()
    assert found["items"][0]["canonical"]["patient"]["birth_name"] == "TESTROSE"
    assert found["items"][0]["routes"] == {
        "résultats": True,
        "alertes": False,
        "essai": "the condition fails on this item",
    }
    assert found["findings"][0]["code"] == "hl7v2.charset"
    assert found["unread_parts"] == [{"where": "ZBE-9", "text": "inattendu"}]
    assert [one["outcome"] for one in found["delivery_list"][0]["attempts"]] == ["retry", "acknowledged"]
    content = await api.get(API + "/messages/1/content")
    assert content.body.startswith(b"MSH|")
    assert content.headers["content-disposition"].startswith("attachment")
    assert site.audited("read message") == [("key:outil", "message 1", "api")]
    assert site.audited("download") == [("key:outil", "message 1", "api")]


@pytest.mark.parametrize(
    "path", ["/messages/999", "/messages/999/content", "/deliveries/999", "/nothing", "/messages/x"]
)
async def test_what_is_not_there_is_a_problem(api: Browser, path: str) -> None:
    answer = await api.get(API + path)
    assert answer.status in {404, 422}
    assert answer.headers["content-type"] == "application/problem+json"


async def test_replay_and_cancel(site: Any, api: Browser) -> None:
    assert (await api.send(API + "/messages/1/replay", b"")).json() == {"changed": 1}
    again = await api.send(API + "/messages/1/replay", b"")
    assert (again.status, again.json()["detail"][:33]) == (409, "This message is being read at the")
    assert (await api.send(API + "/deliveries/3/replay", b"")).status == 202
    assert (await api.send(API + "/deliveries/3/replay", b"")).status == 409
    assert (await api.send(API + "/deliveries/3/cancel", b"")).status == 202
    assert (await api.send(API + "/deliveries/3/cancel", b"")).status == 409
    assert (await api.get(API + "/deliveries/3")).json()["state"] == "cancelled"
    for path in ("/messages/999/replay", "/deliveries/999/replay", "/deliveries/999/cancel"):
        assert (await api.send(API + path, b"")).status == 404
    assert {actor for actor, _, _ in site.audited("replay delivery")} == {"key:outil"}
    assert (await api.get(API + "/messages/1/replay")).status == 404, "nothing reads messages here"
    assert (await api.get(API + "/deliveries/3/replay")).status == 405


async def test_what_may_not_be_sent_again_as_it_is_is_refused_with_the_reason(site: Any, api: Browser) -> None:
    site.journal.apply(Change(lambda unit: part(unit, [1])))
    answer = await api.send(API + "/deliveries/1/replay", b"")
    assert answer.status == 409
    assert answer.json()["detail"].endswith("and is not sent as it is: replay its message.")
    assert site.value("SELECT count(*) FROM delivery WHERE replay_of = 1") == 0


async def test_deliveries_by_filter_and_page(api: Browser) -> None:
    found = (await api.get(API + "/deliveries?state=dead&limit=2")).json()
    assert [one["id"] for one in found["deliveries"]] == [5, 4]
    rest = (await api.get(f"{API}/deliveries?state=dead&before={found['next']}")).json()
    assert [one["id"] for one in rest["deliveries"]] == [3]


async def test_a_patient_is_registered_then_brought_up_to_date(site: Any, api: Browser) -> None:
    patient = person(3)
    made = await api.send(API + "/patients", patient.model_dump_json().encode())
    assert (made.status, made.json()) == (201, {"ids": [2], "created": 1, "updated": 0, "conflicts": 0})
    assert site.woken, "what waited for this patient goes on"
    again = await api.send(API + "/patients?in_coordination=false", patient.model_dump_json().encode())
    assert again.json() == {"ids": [2], "created": 0, "updated": 1, "conflicts": 0}
    assert site.value("SELECT in_coordination FROM patient WHERE id = 2") == 0


async def test_numbers_of_two_patients_are_a_conflict(api: Browser) -> None:
    await api.send(API + "/patients", person(3).model_dump_json().encode())
    both = person(3).model_copy(update={"identifiers": (*person(3).identifiers, *person(0).identifiers)})
    answer = await api.send(API + "/patients", both.model_dump_json().encode())
    assert answer.status == 409
    assert "several known patients" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("body", "media_type", "status", "said"),
    [
        (b"{", "application/json", 400, "not JSON"),
        (b'{"birth_date": "SECRET"}', "application/json", 422, "birth_date"),
        (b'{"nonsense": "SECRET"}', "application/json", 422, "nonsense"),
        (b"[]", "application/json", 422, "body"),
        (b"a,b", "text/csv", 415, "application/json"),
        (b'{"resourceType": "Bundle"}', "application/json", 415, "application/json"),
    ],
)
async def test_patients_that_cannot_be_read(api: Browser, body: bytes, media_type: str, status: int, said: str) -> None:
    answer = await api.send(API + "/patients", body, media_type)
    assert answer.status == status
    assert said in answer.json()["detail"]
    assert "SECRET" not in answer.text


async def test_uploads_go_through_the_routers_reader(site: Any) -> None:
    from router.web.app import create_app

    def read(content: bytes, media_type: str) -> list[Any]:
        if content == b"bad":
            raise PatientsRefused("line 2 has no name")
        assert media_type == "text/csv"
        return [person(5), person(6)]

    app = create_app(WebContext(store=site.journal.store, submit=site.journal.submit, read_patients=read))
    api = Browser(app, headers={"Authorization": f"Bearer {site.journal.key}"})
    assert (await api.send(API + "/patients", b"a;b", "text/csv; charset=utf-8")).json()["created"] == 2
    refused = await api.send(API + "/patients", b"bad", "text/csv")
    assert (refused.status, refused.json()["detail"]) == (422, "line 2 has no name")
    app.state.desk.live.close()
    app.state.desk.close()


async def test_flows_have_their_figures(api: Browser) -> None:
    flows = {one["name"]: one for one in (await api.get(API + "/flows")).json()}
    assert flows["spico"]["state"] == "unreachable"
    assert flows["spico"]["waiting"] == 1
    assert flows["spico"]["failures"] == 3
    assert flows["labo-sud"]["last_hour"] == 7
    assert flows["labo-sud"]["failures"] == 1


async def test_health_needs_no_key(site: Any) -> None:
    browser = site.browser()
    assert (await browser.get(API + "/health/live")).json() == {"status": "live"}
    ready = (await browser.get(API + "/health/ready")).json()
    assert (ready["status"], ready["journal"], ready["sources"]) == ("ready", "writable", 2)
    assert ready["backlog_age_seconds"] > 0
    assert (await browser.get("/health/live")).json() == {"status": "live"}
    assert (await browser.get("/health/ready")).status == 200
    from router.web.context import FlowStatus

    site.flows.append(FlowStatus("depot", "source", "directory", "starting"))
    assert (await browser.get(API + "/health/ready")).status == 503
    site.flows[-1] = FlowStatus("depot", "source", "directory", "failed")
    assert "1 of 3 source(s) are not open" in (await browser.get("/health/ready")).json()["detail"]
    site.flows[-1] = FlowStatus("depot", "source", "directory", "failed", paused=True)
    assert (await browser.get("/health/ready")).status == 200, "what a person paused is no fault"


async def test_it_is_not_ready_when_the_journal_takes_no_write(site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from router.journal.store import JournalFull

    async def full(_operation: object) -> object:
        raise JournalFull("the journal's storage refuses to grow; free some space")

    monkeypatch.setattr(site.desk, "submit", full)
    answer = await site.browser().get("/health/ready")
    assert answer.status == 503
    assert "free some space" in answer.json()["detail"]


async def test_it_is_not_ready_when_messages_wait_for_too_long(site: Any) -> None:
    site.desk.context = replace(site.desk.context, ready_seconds=1)
    answer = await site.browser().get("/health/ready")
    assert "longer than 1 s" in answer.json()["detail"]
    assert site.value("SELECT count(*) FROM connector_memory") == 0, "the probe leaves nothing behind"


async def test_the_description_is_whole(site: Any) -> None:
    found = (await site.browser().get(API + "/openapi.json")).json()
    assert all(path.startswith(API) for path in found["paths"])
    assert len(found["paths"]) == 76


async def test_errors_of_the_journal_are_problems(site: Any, api: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    from router.journal.store import JournalFault

    def broken(*_: object, **__: object) -> None:
        raise JournalFault("the journal's database does not answer")

    monkeypatch.setattr("router.web.api.messages.find_messages", broken)
    answer = await api.get(API + "/messages")
    assert (answer.status, answer.json()["detail"]) == (503, "the journal's database does not answer.")


async def test_malformed_wishes_name_the_field_only(api: Browser) -> None:
    answer = await api.get(API + "/messages?limit=9999&state=SECRET")
    assert answer.status == 422
    assert "query.limit, query.state" in answer.json()["detail"]
    assert "SECRET" not in answer.text


def test_passwords_and_names_have_a_least_quality(site: Any) -> None:
    from router.web.accounts import AccountFault, add_account

    with pytest.raises(AccountFault, match="12 characters"):
        add_account(site.journal.store, "someone", "short")
    with pytest.raises(AccountFault, match="1 to 80"):
        add_account(site.journal.store, "some one", PASSWORD)
    with pytest.raises(AccountFault, match="already"):
        add_api_key(site.journal.store, "outil")
    with pytest.raises(AccountFault, match="1 to 80"):
        add_api_key(site.journal.store, "")
