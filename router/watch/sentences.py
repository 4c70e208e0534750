"""An alarm in words: what, since when, how much."""

from __future__ import annotations

from markupsafe import Markup

from router.watch.alarms import Alarm
from router.watch.nodes import NEEDED
from router.watch.signs import SignKind
from router.web.formatting import Formats


def sentence(alarm: Alarm, formats: Formats) -> Markup:
    """Say an alarm in one sentence."""
    say, facts = formats.texts.say, alarm.facts
    name = Markup("<strong>{}</strong>").format(alarm.subject)

    def number(key: str) -> int:
        value = facts.get(key, 0)
        return value if isinstance(value, int) else 0

    match alarm.kind:
        case SignKind.SILENCE:
            expected = number("expected")
            return say(
                "alarm.silence",
                count=expected,
                shown=formats.number(expected),
                name=name,
                since=formats.since(number("since")),
            )
        case SignKind.ERRORS:
            rejected, total = number("rejected"), number("total")
            key = "alarm.errors_sent" if alarm.side == "destination" else "alarm.errors"
            return say(key, count=rejected, shown=formats.number(rejected), name=name, total=formats.number(total))
        case SignKind.BACKLOG:
            count = number("count")
            return say(
                "alarm.backlog",
                count=count,
                shown=formats.number(count),
                name=name,
                since=formats.since(number("since")),
            )
        case SignKind.UNREAD:
            count = number("count")
            since = formats.since(number("since"))
            return say("trouble.unread", count=count, shown=formats.number(count), since=since)
        case SignKind.DISK:
            free, days = formats.size(number("free")), number("days")
            return disk_sentence(days, free, formats) if "days" in facts else say("trouble.disk", free=free)
        case SignKind.DOWN:
            detail = say("trouble.detail", detail=facts["detail"]) if facts.get("detail") else Markup("")
            return say("alarm.down", name=name, since=formats.since(alarm.opened_at), detail=detail)
        case SignKind.NODE:
            return _node(alarm, name, formats)
        case SignKind.CODES:
            count = number("count")
            return say("alarm.codes", count=count, shown=formats.number(count), name=name, codes=facts.get("codes", ""))
        case SignKind.DRIFT:
            key = "alarm.drift_unread" if facts.get("what") == "unread" else "alarm.drift_findings"
            return say(key, name=name, now=number("now"), before=number("before"))


def _node(alarm: Alarm, name: Markup, formats: Formats) -> Markup:
    say, facts = formats.texts.say, alarm.facts
    roles = ", ".join(say(f"nodes.role_{role}") for role in str(facts.get("roles", "")).split())
    since = facts.get("since")
    short = [say(f"alarm.node_{'one' if facts[role] else 'no'}_{role}") for role in NEEDED if role in facts]
    return Markup(" ").join(
        [
            say(
                "alarm.node",
                name=name,
                roles=roles,
                since=formats.since(since if isinstance(since, int) else alarm.opened_at),
            ),
            *short,
            say("alarm.node_do"),
        ]
    )


def disk_sentence(days: int, free: str, formats: Formats) -> Markup:
    """Say in how many days the journal's disk will be full."""
    if days == 0:
        return formats.texts.say("trouble_disk.today", free=free)
    return formats.texts.say("trouble_disk.fills", count=days, shown=formats.number(days), free=free)
