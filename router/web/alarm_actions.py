"""Where to press when there is an alarm: the page that shows its cause."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlencode

from markupsafe import Markup

from router.watch.alarms import Alarm
from router.watch.signs import SignKind
from router.web.flow_places import href_of
from router.web.formatting import Formats


@dataclass(frozen=True, slots=True)
class Action:
    """Where to press. With `fields`, a form is posted there, by whoever may operate."""

    label: Markup
    href: str
    fields: Mapping[str, str] = field(default_factory=dict)


def alarm_action(alarm: Alarm, formats: Formats) -> Action:
    """Give the page of what an alarm is about."""
    say, name = formats.texts.say, alarm.subject
    side = alarm.side or "source"
    match alarm.kind:
        case SignKind.SILENCE:
            return Action(say("trouble_action.profile"), href_of("source", name) + "/profile")
        case SignKind.ERRORS if side == "destination":
            query = urlencode({"state": "dead", "destination": name})
            return Action(say("trouble_action.failures"), f"/deliveries?{query}")
        case SignKind.ERRORS:
            query = urlencode({"state": "rejected", "source": name})
            return Action(say("trouble_action.unreadable"), f"/messages?{query}")
        case SignKind.BACKLOG:
            query = urlencode({"state": "pending", "destination": name})
            return Action(say("trouble.see_waiting"), f"/deliveries?{query}")
        case SignKind.CODES:
            return Action(say("trouble_action.codes"), "/codes?" + urlencode({"sender": name}))
        case SignKind.DRIFT:
            query = urlencode({"source": name, "worst": "warning"})
            return Action(say("trouble_action.warnings"), f"/messages?{query}")
        case SignKind.UNREAD:
            return Action(say("trouble.see_messages"), "/messages?" + urlencode({"state": "received"}))
        case SignKind.DISK:
            return Action(say("trouble_action.space"), "/#space")
        case SignKind.NODE:
            return Action(say("trouble_action.nodes"), "/nodes")
        case SignKind.DOWN:
            return Action(say("trouble.see_flow"), href_of(side, name))
