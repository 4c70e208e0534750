"""The life of one message, as a list of moments: received, read, each sending and what it came to."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from markupsafe import Markup

from router.journal.queries_message import DeliveryLine, MessageDetail
from router.journal.tables import DeliveryState, ItemState, MessageState
from router.web.formatting import Formats
from router.web.masking import masked
from router.web.states import mark

MOST_ATTEMPTS = 8
"""Attempts of one Delivery that are told; of more, the first ones and the last ones."""

GOOD = (DeliveryState.DELIVERED, DeliveryState.ACKNOWLEDGED)


@dataclass(frozen=True, slots=True)
class Moment:
    """One thing that happened (or that waits: `at` then lies ahead). `took` is microseconds."""

    at: int
    tone: str
    shape: str
    title: Markup
    detail: str = ""
    took: int | None = None
    ahead: bool = False


def timeline(message: MessageDetail, formats: Formats) -> list[Moment]:
    """Tell a message's life in order."""
    say, line = formats.texts.say, message.line
    moments = [
        Moment(
            line.received_at,
            *mark("message", "received"),
            say("timeline.received", source=_strong(line.source)),
            " · ".join(part for part in (line.peer, formats.size(line.size)) if part),
        )
    ]
    if line.processed_at is not None:
        moments.append(_processed(message, line.processed_at, formats))
    for delivery in message.deliveries:
        moments += _sendings(delivery, formats)
    return sorted(moments, key=lambda moment: (moment.ahead, moment.at))


def _processed(message: MessageDetail, at: int, formats: Formats) -> Moment:
    say, line = formats.texts.say, message.line
    took = at - line.received_at
    if line.state is MessageState.REJECTED:
        first = next((finding for finding in message.findings if finding.severity.value == "error"), None)
        detail = f"{first.code} · {first.message}" if first is not None else ""
        return Moment(at, *mark("message", "rejected"), say("timeline.rejected"), detail, took)
    count = len(message.current)
    detail = say("timeline.items", count=count, format=line.format or "?")
    if line.state is MessageState.HELD:
        return Moment(at, *mark("message", "held"), say("timeline.held"), str(detail), took)
    return Moment(at, *mark("message", "processed"), say("timeline.processed"), str(detail), took)


def _sendings(delivery: DeliveryLine, formats: Formats) -> Iterator[Moment]:
    say, name = formats.texts.say, _strong(delivery.destination)
    attempts = list(delivery.attempts)
    if len(attempts) > MOST_ATTEMPTS:
        attempts = attempts[: MOST_ATTEMPTS // 2] + attempts[-MOST_ATTEMPTS // 2 :]
    for attempt in attempts:
        # `timeline.held` is the message's own.
        key = "held_delivery" if attempt.outcome == "held" else attempt.outcome
        title = say(f"timeline.{key}", destination=name, number=attempt.number)
        yield Moment(
            attempt.ended_at,
            *mark("attempt", attempt.outcome),
            title,
            attempt.detail,
            attempt.ended_at - attempt.started_at,
        )
    for receipt in delivery.receipts:
        word = receipt.stage if receipt.positive else "refused"
        yield Moment(
            receipt.at, *mark("receipt", word), say(f"timeline.receipt_{word}", destination=name), receipt.detail
        )
    if delivery.state is DeliveryState.CANCELLED:
        title = say("timeline.cancelled", destination=name)
        yield Moment(delivery.ended_at or delivery.created_at, *mark("delivery", "cancelled"), title, delivery.detail)
    elif delivery.state is DeliveryState.DEAD and not attempts:
        title = say("timeline.unwritable", destination=name)
        yield Moment(delivery.ended_at or delivery.created_at, *mark("delivery", "dead"), title, delivery.detail)
    elif delivery.state is DeliveryState.RETRYING and delivery.next_attempt_at is not None:
        title = say("timeline.next", destination=name)
        yield Moment(delivery.next_attempt_at, *mark("delivery", "retrying"), title, ahead=True)
    elif delivery.state is DeliveryState.PENDING:
        title = say("timeline.pending", destination=name)
        yield Moment(delivery.created_at, *mark("delivery", "pending"), title, ahead=True)


def headline(message: MessageDetail, formats: Formats) -> Markup:
    """Say in one sentence where a message came from, whose it is, and what became of it."""
    say, line = formats.texts.say, message.line
    came = "headline.received" if formats.is_today(line.received_at) else "headline.received_on"
    parts = [say(came, source=_strong(line.source), time=formats.moment(line.received_at))]
    if line.state is MessageState.RECEIVED:
        parts.append(say("headline.waiting"))
    elif line.state is MessageState.REJECTED:
        parts.append(say("headline.rejected"))
    else:
        parts += _whose(message, formats)
        parts += _where(message, formats)
    return Markup(", ").join(parts) + "."


def _whose(message: MessageDetail, formats: Formats) -> Iterator[Markup]:
    say = formats.texts.say
    people = {masked(item.line.patient) for item in message.current if item.line.patient}
    if any(item.line.state.value == "held" for item in message.current):
        yield say("headline.held")
    elif len(people) == 1:
        yield say("headline.attached", patient=next(iter(people)))
    elif people:
        yield say("headline.attached_many", count=len(people))


def _where(message: MessageDetail, formats: Formats) -> Iterator[Markup]:
    say = formats.texts.say
    latest: dict[str, DeliveryLine] = {}
    for item in message.current:
        for delivery in item.deliveries:
            latest[delivery.destination] = delivery
    states = {item.line.state for item in message.current}
    if ItemState.REFUSED in states:
        yield say("headline.refused")
    elif not latest and ItemState.HELD not in states:
        yield say("headline.unrouted")
    for name, delivery in latest.items():
        if delivery.state in GOOD and delivery.ended_at is not None:
            took = formats.duration(delivery.ended_at - message.line.received_at)
            yield say("headline.delivered", destination=_strong(name), duration=took)
        else:
            held = delivery.state is DeliveryState.HELD  # `headline.held` is the message's own
            key = "held_delivery" if held else delivery.state.value
            yield say(f"headline.{key}", destination=_strong(name))


def _strong(name: str) -> Markup:
    return Markup("<strong>{}</strong>").format(name)
