"""Every action of the dashboard, as a table: on which page, which form, what is filled in, what is said afterwards.

`tests/web/test_web_every_action_*.py` do each in a language; `tests/web/test_web_every_page_*.py` fail when a page
offers one that is not here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import pyotp
from web_actions_scene import OTHER
from web_journal import ADMIN, PASSWORD

NEW_PASSWORD = "un autre mot de passe long"
TRY = "MSH|^~\\&|LABO|SUD|P|P|20260305081000||ORU^R01^ORU_R01|TRY1|P|2.5|||||FRA|8859/1\r\n"
TOTP_SECONDS = 30_000_000


@dataclass(frozen=True)
class Act:
    """One action.

    `kind` is where it is posted, numbers as `#`. `start` is the page that offers it, empty for the one that the action
    before led to. `form` chooses among the forms posted there, `button` what is pressed in it. `fill` gives fields by
    their names. `tick` is a box to tick first; where a telephone shows none, `narrow` is the form and button that act
    on all rows instead. `says` are keys of the catalogue of which one stands on the page afterwards. `before` and
    `after` do what no form can.
    """

    kind: str
    start: str = ""
    says: tuple[str, ...] = ()
    fill: Mapping[str, str] = field(default_factory=dict)
    form: str = ""
    button: str = "button:not([type=button])"
    tick: str = ""
    narrow: tuple[str, str] | None = None
    downloads: bool = False
    partial: bool = False
    before: Callable[[Any], None] | None = None
    after: Callable[[Any], None] | None = None

    @property
    def name(self) -> str:
        """What its picture is called."""
        chosen = re.sub(r"[^a-z]+", "-", self.button if self.button.startswith("button[") else self.form).strip("-")
        return "-".join(part for part in (re.sub(r"\W+", "-", self.kind.replace("#", "")).strip("-"), chosen) if part)


_NAMED = re.compile(r"^/flows/(source|destination|route)s/.+/(pause|resume|test)$")


def kind_of(path: str) -> str:
    """Give the kind of an address that something is posted to: numbers and names are left out."""
    clear = urlsplit(path).path
    if named := _NAMED.match(clear):
        return f"/flows/#/{named[2]}"
    parts = clear.split("/")
    return "/".join("#" if re.fullmatch(r"\d+|[0-9a-f-]{16,}|[A-Za-z0-9_-]{12}", part) else part for part in parts)


def _enrol(hand: Any) -> None:
    """Read the secret that was shown, as a telephone would."""
    hand.secret = hand.page.locator("code.secret").inner_text().replace(" ", "")


def _code(hand: Any) -> None:
    hand.given["code"] = pyotp.TOTP(hand.secret).generate_otp(hand.served.now // TOTP_SECONDS)


def _later(hand: Any) -> None:
    hand.served.now += TOTP_SECONDS
    _code(hand)


def _hold_back(hand: Any) -> None:
    hand.served.held.back = True


def _go_on(hand: Any) -> None:
    hand.served.held.back = False


def _elsewhere(hand: Any) -> None:
    hand.served.another_session(ADMIN)
    hand.served.another_session(ADMIN)


def _theirs(hand: Any) -> None:
    hand.served.another_session(OTHER)


def _draft(hand: Any) -> None:
    hand.given["text"] = hand.served.loaded.path.read_text(encoding="utf-8") + "\n[web]\nidle_minutes = 45\n"


def _file(hand: Any) -> None:
    hand.served.differs = True


def _slow(hand: Any) -> None:
    hand.slow()


def _usual(hand: Any) -> None:
    hand.usual()


def _of(name: str) -> str:
    return f"form:has(input[name=name][value='{name}'])"


PROCESSED = "/messages?state=processed"
FIRST = "tbody input[type=checkbox]"

ACTS = (
    # Words of a page that are no form's: hidden names.
    Act("/items/#/reveal", "/messages", (), form=".whose", button="button.patient", partial=True),
    Act("/patients/#/reveal", "/dossiers/1", (), form=".whose", button="button.patient", partial=True),
    Act("/messages/#/items/#/seen", "/messages/1/why", (), form=".whose", button="button", partial=True),
    Act("/mail/#/subject", "/mail", (), form=".whose", button="button.patient", partial=True),
    Act("/dmp/#/title", "/dmp", (), form=".whose", button="button.patient", partial=True),
    # Looking for something, and keeping the search.
    Act("/preferences", "/", ("nav.today",), form=".switches", button="button[name=language][aria-pressed]"),
    Act("/messages/search", "/messages", ("search.results",), {"text": "testrose"}, form=".search"),
    Act("/mail/search", "/mail", ("nav.mail",), {"text": "testrose"}, form=".search"),
    Act("/searches", PROCESSED, ("saved.all",), {"name": "Traités"}),
    Act("/searches/#/pin", PROCESSED, ("saved.all",)),
    Act("/messages/export", PROCESSED, button="button[name=shape][value=csv]", downloads=True),
    Act("/searches/#/forget", PROCESSED, ("nav.messages",)),
    # Messages and deliveries.
    Act("/messages/#/replay", "/messages/1/replay?mappings=1", ("headline.waiting",)),
    Act("/messages/#/replay", "/messages/4", ("headline.waiting",)),
    Act("/messages/replay", PROCESSED, ("bulk.title_replay_messages",), tick=FIRST, button="button.main",
        narrow=("form[data-bulk]", "button[name=all]")),
    Act("/bulk/#/mappings", "", ("bulk.effect_replay_then",), {"mappings": "1"}, button="button:not([name])"),
    Act("/bulk/#/mappings", "", ("whatif.sum",), {"mappings": "1"}, button="button[name=compare]"),
    Act("/messages/reroute", PROCESSED, ("bulk.title_reroute",), {"target": "destination:medecin"}, tick=FIRST,
        form="form[data-bulk]", button="button[formaction='/messages/reroute']", narrow=("form.all", "button")),
    Act("/deliveries/plan", "/deliveries?state=dead", ("bulk.preview_cancel_deliveries",), tick=FIRST,
        form="form[data-bulk]", button="button[name=action][value=cancel]",
        narrow=("form.all", "button[name=action][value=cancel]")),
    Act("/bulk/#/start", "", ("bulk.state_done",)),
    Act("/bulk/#/undo", "", ("bulk.state_done",)),
    Act("/deliveries/plan", "/deliveries?state=dead", ("bulk.preview_replay_deliveries",), tick=FIRST,
        form="form[data-bulk]", button="button[name=action][value=replay]",
        narrow=("form.all", "button[name=action][value=replay]")),
    Act("/bulk/#/start", "", ("bulk.state_running",), before=_hold_back),
    Act("/bulk/#/stop", "", ("bulk.state_stopped",), after=_go_on),
    Act("/deliveries/#/cancel", "/messages/7/sent", ("state.delivery.cancelled",)),
    Act("/deliveries/#/replay", "/messages/7/sent", ("state.delivery.pending",)),
    # The identity desk.
    Act("/identities/#/search", "/identities", ("nav.identities",), {"text": "rose"}, form=".search"),
    Act("/identities/#/insi", "/identities?reason=insi_to_call", ("insi_result.found",), {"about": "dossier"}),
    Act("/identities/#/insi/accept", "", ("insi.accepted_done",)),
    Act("/identities/#/decide", "/identities?reason=insi_to_call", ("desk_done.attach",), form=":has([value=attach])"),
    Act("/identities/decisions/#/undo", "", ("identity.undone",)),
    Act("/identities/#/decide", "/identities", ("desk_done.task",), form=":has([value=task])"),
    Act("/identities/#/decide", "/identities", ("desk_done.doubtful",), form=":has([value=doubtful])"),
    Act("/identities/#/decide", "/identities", ("desk_done.refuse",), form=":has([value=refuse])"),
    Act("/identities/tasks/#/close", "/identities/tasks", ("identity.none_tasks",), {"why": "prévenu"}),
    Act("/identities/merges/#/undo", "/identities/merges/1", ("merges.done",), {"why": "deux personnes"}),
    # Alarms.
    Act("/alarms/#/acknowledge", "/alarms", ("alarm.acknowledged",)),
    Act("/alarms/#/hour", "/alarms", ("alarm.snoozed",)),
    Act("/alarms/#/morning", "/alarms", ("alarm.snoozed",)),
    # Flows and the configuration.
    Act("/flows/#/pause", "/flows/destinations/medecin", ("flows.paused_by",), {"reason": "panne du disque"}),
    Act("/flows/#/resume", "/flows/destinations/medecin", ("flows.pause",)),
    Act("/flows/#/test", "/flows/destinations/medecin", ("flows.tested",)),
    Act("/try", "/try", ("try.read",), {"message": TRY}),
    Act("/configuration", "/configuration", ("configuration.checked",), before=_draft),
    Act("/whatif", "", ("whatif.running",), {"last": "100"}, before=_slow),
    Act("/whatif/trial/#/stop", "", ("whatif.explain",), after=_usual),
    Act("/configuration/discard", "/configuration", ("configuration.draft_of_file",)),
    Act("/configuration", "/configuration", ("configuration.checked",), before=_draft),
    Act("/configuration/apply", "", ("configuration.running",), {"comment": "moins de saisies"}),
    Act("/configuration/versions/#/draft", "/configuration/versions/1", ("configuration.checked",)),
    Act("/configuration/file", "/configuration", ("configuration.running", "configuration.applied"), before=_file),
    # Codes.
    Act("/codes/map", "/codes", ("codes.done",), {"target": "14749-6"}, form=":has([value=GLY])",
        button="button.main"),
    Act("/codes/replay", "", ("bulk.title_replay_messages",)),
    Act("/codes/unmap", "/codes?view=mapped", ("codes.none_mapped",)),
    Act("/directory/refresh", "/directory", ("directory.mailboxes",)),
    # Dossiers.
    Act("/dossiers/#/consents", "/dossiers/1", ("dossier.withdraw",), {"collected_by": "TESTCOORD"}),
    Act("/dossiers/#/consents/#/withdraw", "/dossiers/1", ("dossier.withdrawn",), {"why": "demande"}),
    Act("/dossiers/#/members/#/end", "/dossiers/1", ("member_state.ended",), {"why": "parti"}),
    Act("/dossiers/#/restrictions/#/lift", "/dossiers/1", ("dossier.consents",)),
    Act("/dossiers/#/state", "/dossiers/1", ("dossier_state.suspended",), {"why": "hospitalisée"},
        button="button[value=suspended]"),
    # The audit.
    Act("/audit/verify", "/audit", ("audit.chain.title",)),
    # People.
    Act("/people/add", "/people", ("people.once_password",), {"name": "nouvelle", "role": "auditor"}),
    Act("/people/role", "/people", ("people.done_role",), {"role": "auditor"}, form=_of(OTHER)),
    Act("/people/sessions", "/people", ("people.done_sessions",), form=_of(OTHER), before=_theirs),
    Act("/people/lock", "/people", ("people.done_lock",), form=_of(OTHER)),
    Act("/people/unlock", "/people", ("people.done_unlock",), form=_of(OTHER)),
    Act("/people/password", "/people", ("people.once_password",), form=_of(OTHER)),
    Act("/people/key", "/people", ("people.once_key",), {"name": "programme", "days": "30"}),
    Act("/people/revoke", "/people", ("people.done_revoke",), form=_of("programme")),
    # One's own account.
    Act("/account/sessions/#/end", "/account", ("account.sessions",), before=_elsewhere),
    Act("/account/sessions/end-others", "/account", ("account.sessions",)),
    Act("/account/password", "/account", ("account.done_password",),
        {"password": PASSWORD, "new": NEW_PASSWORD, "again": NEW_PASSWORD}),
    Act("/account/codes/begin", "/account", ("account.codes_scan",), {"password": NEW_PASSWORD}, after=_enrol),
    Act("/account/codes/confirm", "", ("account.recovery_help",), before=_code),
    Act("/logout", "/", ("login.enter",)),
    Act("/login", "", ("login.code_title",), {"name": ADMIN, "password": NEW_PASSWORD}, form=":has([type=password])"),
    Act("/login/code", "", ("nav.today",), before=_later),
    Act("/people/codes", "/people", ("people.done_codes",), form=_of(ADMIN)),
    Act("/account/codes/begin", "/account", ("account.codes_scan",), {"password": NEW_PASSWORD}, after=_enrol),
    Act("/account/codes/confirm", "", (), before=_later),
    Act("/account/codes/off", "/account", ("account.done_off",), {"password": NEW_PASSWORD}),
)  # fmt: skip

ELSEWHERE = {
    "/login/oidc/{name}/backchannel": "a provider's server posts there: tests/web/test_web_oidc.py",
}
"""What is posted by no page."""
