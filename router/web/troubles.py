"""What is wrong, as sentences: cause, effect, and what to press; the worst first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from markupsafe import Markup

from router.journal.pauses import FlowSide, Pause
from router.journal.queries_deliveries import FailureGroup
from router.journal.storage import Outlook
from router.watch.alarms import Alarm
from router.watch.sentences import disk_sentence, sentence
from router.watch.signs import SignKind
from router.web.alarm_actions import Action, alarm_action
from router.web.boards import HOUR, Board, FlowLine
from router.web.context import AppliedFile, RouteStatus
from router.web.ends import FULL_DAYS, FULL_NOW_DAYS
from router.web.flow_places import href_of
from router.web.formatting import Formats
from router.web.peer_words import in_words
from router.web.states import DOWN

MOST_CAUSES = 4
"""Causes of failure told on the overview; the page of Deliveries tells them all."""

SLOW = 30_000_000
"""Microseconds after which messages that wait to be read are worth a sentence."""

LATE = 300_000_000
"""The same for Deliveries that wait to be sent."""

TOLD_BY_OTHERS = frozenset({SignKind.DOWN, SignKind.BACKLOG, SignKind.UNREAD, SignKind.DISK})


@dataclass(frozen=True, slots=True)
class Trouble:
    """One sentence. `tone` and `shape` are those of states; `weight` orders them, the heaviest first."""

    weight: int
    tone: str
    shape: str
    sentence: Markup
    actions: tuple[Action, ...]


def troubles(
    board: Board,
    formats: Formats,
    *,
    identity_hours: int = 24,
    receipt_hours: int = 24,
    alarms: Sequence[Alarm] = (),
    routes: Sequence[RouteStatus] = (),
    applied: AppliedFile | None = None,
    outlook: Outlook | None = None,
) -> list[Trouble]:
    """Say what is wrong, worst first; an empty list when all is well.

    Held Items are an alert once the oldest waits for more than `identity_hours`. `alarms` are those that go on;
    `outlook` says how fast the disk fills.
    """
    found = [
        *_sources(board, formats),
        *_destinations(board, formats),
        *_routes(routes, formats),
        *_configuration(applied, formats),
        *_failures(board, formats),
        *_held_deliveries(board, formats),
        *_people(board, formats, identity_hours),
        *_mails(board, formats, receipt_hours),
        *_pace(board, formats),
        *_storage(board, formats, outlook),
        *_certificates(board, formats),
        *_alarms(alarms, formats),
        *_notices(board, formats),
    ]
    return sorted(found, key=lambda trouble: -trouble.weight)


def _sources(board: Board, formats: Formats) -> Iterator[Trouble]:
    say = formats.texts.say
    for line in board.sources:
        if line.status.state in DOWN:
            sentence = say("trouble.source_down", name=_name(line), detail=_detail(line, formats))
            flow = Action(say("trouble.see_flow"), href_of("source", line.status.name))
            yield Trouble(90, "red", "square", sentence, (flow, Action(say("trouble.see_notices"), "/notices")))
        elif line.status.paused:
            see = Action(say("trouble.see_flow"), href_of(FlowSide.SOURCE, line.status.name))
            said = say("trouble.source_paused", name=_name(line), by=_paused_by(line.status.pause, formats))
            yield Trouble(46 if line.status.pause else 15, "grey", "pause", said, (see,))


def _destinations(board: Board, formats: Formats) -> Iterator[Trouble]:
    say = formats.texts.say
    for line in board.destinations:
        waiting = line.backlog.pending
        see = Action(say("trouble.see_waiting"), _deliveries("retrying", line.status.name))
        effect = say("trouble.waiting", count=waiting.count.count, shown=formats.capped(waiting.count))
        if line.status.state == "removed":
            if waiting:
                yield _left_behind(line, effect, formats)
        elif line.status.state in DOWN:
            again = line.backlog.next_attempt_at
            next_at = (
                say("trouble.next_attempt", time=formats.time(again)) if again and again > board.at else Markup("")
            )
            sentence = say(
                "trouble.destination_down",
                name=_name(line),
                since=Markup(" {}").format(formats.since(since)) if (since := _since(line)) is not None else "",
                detail=_detail(line, formats),
                effect=effect if waiting else Markup(""),
                next=next_at,
            )
            yield Trouble(100, "red", "square", sentence, (see,))
        elif line.status.paused:
            sentence = say(
                "trouble.destination_paused",
                name=_name(line),
                by=_paused_by(line.status.pause, formats),
                effect=effect if waiting else Markup(""),
            )
            resume = Action(say("trouble.see_flow"), href_of(FlowSide.DESTINATION, line.status.name))
            yield Trouble(50, "grey", "pause", sentence, (resume, see) if waiting else (resume,))
        elif line.backlog.retrying:
            sentence = say(
                "trouble.retrying",
                count=line.backlog.retrying,
                shown=formats.number(line.backlog.retrying),
                name=_name(line),
                detail=_quoted(line.backlog.detail, formats),
            )
            yield Trouble(40, "amber", "again", sentence, (see,))
        elif waiting.oldest_at is not None and board.at - waiting.oldest_at > LATE:
            sentence = say("trouble.late", name=_name(line), effect=effect, since=formats.since(waiting.oldest_at))
            see = Action(say("trouble.see_waiting"), _deliveries("pending", line.status.name))
            yield Trouble(45, "amber", "quarter", sentence, (see,))


def _left_behind(line: FlowLine, effect: Markup, formats: Formats) -> Trouble:
    """Tell of Deliveries whose destination is no longer configured: nobody will send them."""
    say, name = formats.texts.say, line.status.name
    state = "retrying" if line.backlog.retrying else "pending"
    fields = {"state": state, "destination": name, "all": "1", "action": "cancel"}
    actions = (
        Action(say("trouble.see_or_reroute"), _deliveries(state, name)),
        Action(say("trouble.set_aside"), "/deliveries/plan", fields),
    )
    sentence = say("trouble.left_behind", name=_name(line), effect=effect)
    return Trouble(78, "amber", "triangle", sentence, actions)


def _routes(routes: Sequence[RouteStatus], formats: Formats) -> Iterator[Trouble]:
    say = formats.texts.say
    for route in routes:
        if route.pause is not None:
            name, by = Markup("<strong>{}</strong>").format(route.name), _paused_by(route.pause, formats)
            see = Action(say("trouble.see_flow"), href_of(FlowSide.ROUTE, route.name))
            yield Trouble(49, "grey", "pause", say("trouble.route_paused", name=name, by=by), (see,))


def _configuration(applied: AppliedFile | None, formats: Formats) -> Iterator[Trouble]:
    """Tell of a file that is not what runs, and of sections that wait for a start."""
    if applied is None:
        return
    say = formats.texts.say
    see = Action(say("trouble.see_configuration"), "/configuration")
    if applied.differs:
        yield Trouble(44, "amber", "triangle", say("trouble.file_differs"), (see,))
    if applied.waits_for_start:
        names = ", ".join(f"[{name}]" for name in applied.waits_for_start)
        yield Trouble(43, "amber", "again", say("trouble.waits_for_start", names=names), (see,))


def _paused_by(pause: Pause | None, formats: Formats) -> Markup:
    say = formats.texts.say
    if pause is None:
        return say("trouble.paused_by_file")
    return say("trouble.paused_by", actor=pause.actor, since=formats.since(pause.at), reason=pause.reason)


def _failures(board: Board, formats: Formats) -> Iterator[Trouble]:
    say = formats.texts.say
    groups = board.situation.failures.groups
    offered: set[str] = set()
    for rank, group in enumerate(groups[:MOST_CAUSES]):
        sentence = say(
            "trouble.dead",
            count=group.count,
            shown=formats.number(group.count),
            name=Markup("<strong>{}</strong>").format(group.destination),
            detail=_quoted(group.detail, formats),
            since=formats.since(group.first_at),
        )
        actions = [Action(say("trouble.see_failures"), cause_href(group))]
        if group.destination not in offered:
            offered.add(group.destination)
            fields = {"state": "dead", "destination": group.destination, "all": "1", "action": "replay"}
            label = say("trouble.resend_all", name=group.destination)
            actions.append(Action(label, "/deliveries/plan", fields))
        yield Trouble(80 - rank, "red", "square", sentence, tuple(actions))
    others = groups[MOST_CAUSES:]
    if others:
        sentence = say("trouble.other_causes", count=len(others), shown=formats.number(len(others)))
        href = "/deliveries?" + urlencode({"state": "dead"})
        yield Trouble(80 - MOST_CAUSES, "red", "square", sentence, (Action(say("trouble.see_failures"), href),))


def _held_deliveries(board: Board, formats: Formats) -> Iterator[Trouble]:
    say, groups = formats.texts.say, board.situation.held_deliveries.groups
    if not groups:
        return
    count = sum(group.count for group in groups)
    sentence = say(
        "trouble.held_deliveries",
        count=count,
        shown=formats.number(count),
        since=formats.since(min(group.first_at for group in groups)),
        detail=_quoted(groups[0].detail, formats),
    )
    href = "/deliveries?" + urlencode({"state": "held"})
    yield Trouble(62, "violet", "diamond", sentence, (Action(say("trouble.see_held"), href),))


def _people(board: Board, formats: Formats, identity_hours: int) -> Iterator[Trouble]:
    say, found = formats.texts.say, board.situation
    if found.held:
        late = found.held.oldest_at is not None and board.at - found.held.oldest_at > identity_hours * HOUR
        sentence = say(
            "trouble.held_late" if late else "trouble.held",
            count=found.held.count.count,
            shown=formats.capped(found.held.count),
            since=formats.since(found.held.oldest_at),
            hours=identity_hours,
        )
        weight, tone = (85, "red") if late else (60, "violet")
        yield Trouble(weight, tone, "diamond", sentence, (Action(say("trouble.decide"), "/identities"),))
    if found.rejected.count:
        sentence = say("trouble.rejected", count=found.rejected.count, shown=formats.capped(found.rejected))
        href = "/messages?" + urlencode({"state": "rejected"})
        yield Trouble(55, "red", "square", sentence, (Action(say("trouble.see_messages"), href),))


def _mails(board: Board, formats: Formats, hours: int) -> Iterator[Trouble]:
    say, found = formats.texts.say, board.mails
    see = say("trouble.see_mails")
    if found.refused.count:
        count, shown = found.refused.count, formats.capped(found.refused)
        href = "/mail?" + urlencode({"state": "refused"})
        yield Trouble(61, "red", "square", say("trouble.mails_refused", count=count, shown=shown), (Action(see, href),))
    if found.waiting.count:
        sentence = say(
            "trouble.mails_waiting",
            count=found.waiting.count,
            shown=formats.capped(found.waiting),
            hours=hours,
            since=formats.since(found.waiting_since),
        )
        href = "/mail?" + urlencode({"state": "waiting"})
        yield Trouble(41, "amber", "quarter", sentence, (Action(see, href),))


def _pace(board: Board, formats: Formats) -> Iterator[Trouble]:
    say, waiting = formats.texts.say, board.situation.unread
    if waiting.oldest_at is not None and board.at - waiting.oldest_at > SLOW:
        sentence = say(
            "trouble.unread",
            count=waiting.count.count,
            shown=formats.capped(waiting.count),
            since=formats.since(waiting.oldest_at),
        )
        href = "/messages?" + urlencode({"state": "received"})
        yield Trouble(65, "amber", "quarter", sentence, (Action(say("trouble.see_messages"), href),))


def _storage(board: Board, formats: Formats, outlook: Outlook | None) -> Iterator[Trouble]:
    say, free = formats.texts.say, formats.size(board.storage.free)
    see = Action(say("trouble_action.space"), "/#space")
    days = None if outlook is None else outlook.days_left(board.storage)
    if board.storage.is_short:
        yield Trouble(95, "red", "square", say("trouble.disk", free=free), (see,))
    elif days is not None and days <= FULL_DAYS:
        grave = days <= FULL_NOW_DAYS
        weight, tone, shape = (86, "red", "square") if grave else (44, "amber", "triangle")
        yield Trouble(weight, tone, shape, disk_sentence(days, free, formats), (see,))


def _certificates(board: Board, formats: Formats) -> Iterator[Trouble]:
    see = Action(formats.texts.say("trouble_action.ends"), "/#ends")
    for note in board.certificates:
        sentence = formats.texts.say(
            f"trouble.certificate_{note.trouble.value}",
            owner=Markup("<strong>{}</strong>").format(note.owner),
            day=f"{formats.day(note.until)} {note.until.year}" if note.until is not None else "",
        )
        if note.stops:
            yield Trouble(88, "red", "square", sentence, (see,))
        else:
            yield Trouble(42, "amber", "triangle", sentence, (see,))


def _alarms(alarms: Sequence[Alarm], formats: Formats) -> Iterator[Trouble]:
    """Tell of alarms that nobody has taken up; what is down or late has its own sentence already."""
    say = formats.texts.say
    for alarm in alarms:
        failing = alarm.kind is SignKind.ERRORS and alarm.side == "destination"
        if failing or alarm.kind in TOLD_BY_OTHERS or alarm.quiet(formats.now):
            continue
        silent = alarm.kind is SignKind.SILENCE
        actions = (alarm_action(alarm, formats), Action(say("trouble_action.take_up"), f"/alarms#alarm-{alarm.id}"))
        yield Trouble(87 if silent else 58, "red" if silent else "amber", "triangle", sentence(alarm, formats), actions)


def _notices(board: Board, formats: Formats) -> Iterator[Trouble]:
    say, found = formats.texts.say, board.situation.troubles
    if found:
        last = found[0]
        sentence = say(
            "trouble.notices",
            count=len(found),
            shown=formats.number(len(found)),
            component=last.component,
            message=last.message,
            time=formats.time(last.at),
        )
        yield Trouble(30, "amber", "triangle", sentence, (Action(say("trouble.see_notices"), "/notices"),))


def cause_href(group: FailureGroup) -> str:
    """Give the address of the Deliveries of one cause."""
    query = {"state": group.state.value, "destination": group.destination, "cause": group.cause}
    return "/deliveries?" + urlencode(query)


def _deliveries(state: str, destination: str) -> str:
    return "/deliveries?" + urlencode({"state": state, "destination": destination})


def _since(line: FlowLine) -> int | None:
    """Say since when a destination is down: as the engine knows it, else since what waits longest does."""
    since = line.status.since
    return line.backlog.pending.oldest_at if since is None else int(since.timestamp() * 1_000_000)


def _name(line: FlowLine) -> Markup:
    return Markup("<strong>{}</strong>").format(line.status.name)


def _detail(line: FlowLine, formats: Formats) -> Markup:
    return _quoted(line.status.detail or line.backlog.detail, formats)


def _quoted(detail: str, formats: Formats) -> Markup:
    return formats.texts.say("trouble.detail", detail=in_words(detail, formats.texts)) if detail else Markup("")
