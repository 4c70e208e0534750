"""The stream of tokens: one message a lane, that is never acknowledged, and one consumer a kind of lane to hand it out.

The one who was handed a token keeps it by saying that it is still at work; JetStream hands it to another once its
holder was silent for `ack_wait`. Which of two holders came later is told by how often the token was handed out, counted
by JetStream since the consumer was made; when that was is in the consumer's metadata (`EPOCH`), and greater than any
epoch that the journal has seen.

JetStream does not look at which handing-out is spoken of: a former holder's word keeps the token in the hands of the
present one and is confirmed, and its negative acknowledgement takes it out of them. So a token is spoken of only while
it cannot be another's yet, and each question has an inbox of its own: in one that lasted, a token that came too late
for one question would be found by a later one, and be counted from the wrong moment.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection
from dataclasses import dataclass
from typing import Any

import nats.errors
import nats.js.errors
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.js.api import DiscardPolicy, RetentionPolicy, StorageType, StreamConfig
from nats.js.errors import APIError, NotFoundError

from router.cluster.contracts import Fence
from router.cluster.settings import NatsSettings

EPOCH = "passerelle-epoch"

KINDS = ("read", "send", "poll", "jobs")
"""Kinds of lanes; a consumer each, so that each kind is shared out by itself."""

_STREAM_NAME_IN_USE = 10058
_CONSUMER_EXISTS = (10105, 10148)
_WRONG_LAST_SEQUENCE = 10071
_API_SECONDS = 3.0
_SILENCE_SECONDS = 0.5
"""A question has ended when its servers say so, or so long after they should have."""

_STATUS = "Status"
_CALM = {"404", "408", "409"}
"""How a question ends that there was no token for: its time is over, or its consumer has another leader."""
_NANO = 1_000_000_000


def kind_of(lane: str) -> str:
    """Give the kind of a lane: what stands before the first point of its name."""
    return lane.partition(".")[0]


@dataclass(slots=True)
class Token:
    """A token in this node's hands. `confirmed_at` is on the clock that it was taken by, in seconds."""

    lane: str
    fence: Fence
    message: Msg
    confirmed_at: float


class Tokens:
    """Makes the stream, puts tokens into it, and gives them out."""

    def __init__(self, client: Client, settings: NatsSettings, journal_epoch: Callable[[], Awaitable[int]]) -> None:
        self._client = client
        self._settings = settings
        self._journal_epoch = journal_epoch
        self._js = client.jetstream(timeout=_API_SECONDS)
        self._ready: set[str] = set()
        self._asking: set[Subscription] = set()
        self._epochs: dict[str, int] = {}
        self._put: set[str] = set()

    def subject(self, lane: str) -> str:
        """Name the subject of a lane's token; a source's name may hold what a subject may not."""
        kind, _, rest = lane.partition(".")
        return f"{self._settings.prefix}.lanes.{kind}.{rest.encode().hex() or '-'}"

    def lane(self, subject: str) -> str:
        """Give the lane of a subject. Raises ValueError for what is none of ours."""
        kind, _, rest = subject.removeprefix(f"{self._settings.prefix}.lanes.").partition(".")
        return kind if rest == "-" else f"{kind}.{bytes.fromhex(rest).decode()}"

    async def prepare(self, kinds: Collection[str]) -> None:
        """Make the stream and the consumers of these kinds, where they are not there yet."""
        settings = self._settings
        stream = StreamConfig(
            name=settings.stream,
            subjects=[f"{settings.prefix}.lanes.>"],
            retention=RetentionPolicy.LIMITS,
            storage=StorageType.FILE,
            num_replicas=settings.copies,
            discard=DiscardPolicy.NEW,
            discard_new_per_subject=True,
            max_msgs_per_subject=1,
        )
        try:
            await self._js.stream_info(settings.stream)
        except NotFoundError:
            try:
                await self._js.add_stream(stream)
            except APIError as problem:
                if problem.err_code != _STREAM_NAME_IN_USE:  # another node was quicker
                    raise
        for kind in kinds:
            if kind not in self._ready:
                self._epochs[kind] = await self._consumer(kind)
                self._ready.add(kind)

    async def _consumer(self, kind: str) -> int:
        """Make the consumer of a kind unless it is there; gives its epoch."""
        settings = self._settings
        try:
            info = await self._js.consumer_info(settings.stream, kind)
        except NotFoundError:
            epoch = max(time.time_ns(), await self._journal_epoch() + 1)
            asked = {
                "stream_name": settings.stream,
                "action": "create",
                "config": {
                    "durable_name": kind,
                    "name": kind,
                    "filter_subject": f"{settings.prefix}.lanes.{kind}.>",
                    "deliver_policy": "all",
                    "ack_policy": "explicit",
                    "ack_wait": int(settings.ack_seconds * _NANO),
                    "max_deliver": -1,
                    "max_ack_pending": 100_000,
                    "metadata": {EPOCH: str(epoch)},
                },
            }
            # The client's own call would change a consumer that another node made in the meantime.
            await self._asked(f"$JS.API.CONSUMER.CREATE.{settings.stream}.{kind}", asked)
            info = await self._js.consumer_info(settings.stream, kind)
        return int((info.config.metadata or {}).get(EPOCH, "0"))

    async def _asked(self, subject: str, body: dict[str, Any]) -> None:
        answer = json.loads((await self._client.request(subject, json.dumps(body).encode(), timeout=_API_SECONDS)).data)
        error = answer.get("error")
        if error and error.get("err_code") not in _CONSUMER_EXISTS:
            raise APIError.from_error(error)

    async def put(self, lanes: Collection[str]) -> None:
        """Put a token into the stream for each lane that has none."""
        for lane in lanes:
            if lane in self._put:
                continue
            try:
                await self._js.publish(self.subject(lane), b"")
            except APIError as problem:
                # One message a subject: the stream refuses the second, which is what is wanted.
                if "maximum messages per subject" not in (problem.description or ""):
                    raise
            self._put.add(lane)

    def forget(self) -> None:
        """Look anew which tokens, streams and consumers there are: the servers may have lost them."""
        self._put.clear()
        self._ready.clear()

    def is_ready(self, kind: str) -> bool:
        """Whether tokens of a kind can be asked for."""
        return kind in self._ready

    async def take(
        self, kind: str, count: int, seconds: float, now: Callable[[], float]
    ) -> AsyncGenerator[Token, None]:
        """Ask for up to `count` tokens of a kind and give each as it comes, until the question ended.

        It ends after `seconds`, or when they are all there. It is not left before its servers said that it has: what
        they would hand to it afterwards would be with nobody until `ack_wait` ends.
        """
        inbox = self._client.new_inbox()
        arriving = await self._client.subscribe(inbox)
        self._asking.add(arriving)
        try:
            asked_at, clock = now(), asyncio.get_running_loop().time
            asked = {"batch": count, "expires": int(seconds * _NANO)}
            subject = f"$JS.API.CONSUMER.MSG.NEXT.{self._settings.stream}.{kind}"
            await self._client.publish(subject, json.dumps(asked).encode(), reply=inbox)
            until = clock() + seconds + _SILENCE_SECONDS
            while count:
                try:
                    message = await arriving.next_msg(max(until - clock(), 0.001))
                except nats.errors.TimeoutError:
                    return
                status = (message.headers or {}).get(_STATUS)
                if status in _CALM:
                    return
                if status:
                    raise APIError.from_msg(message)
                count -= 1
                try:
                    lane = self.lane(message.subject)
                except ValueError:  # put there by no node: it is never given out again
                    await self._client.publish(message.reply, Msg.Ack.Term)
                    continue
                fence = Fence(lane, self._epochs[kind], message.metadata.num_delivered)
                yield Token(lane, fence, message, asked_at)
        finally:
            await self._end(arriving)

    async def ask_no_more(self) -> None:
        """End the questions that stand: what is handed back after this is not handed out to this node again."""
        for arriving in list(self._asking):
            await self._end(arriving)

    async def _end(self, arriving: Subscription) -> None:
        if arriving in self._asking:
            self._asking.discard(arriving)
            await arriving.unsubscribe()

    async def keep(self, token: Token, seconds: float, now: Callable[[], float]) -> bool:
        """Say that this node is still at work on it; False when no server confirmed it in time."""
        said_at = now()
        try:
            await self._client.request(token.message.reply, Msg.Ack.Progress, timeout=seconds)
        except (nats.errors.Error, TimeoutError, OSError):
            return False
        token.confirmed_at = max(token.confirmed_at, said_at)
        return True

    async def give_back(self, token: Token, delay: float = 0.0) -> None:
        """Hand it back, for another node (or this one) to take after `delay` seconds."""
        body = b"-NAK" if not delay else b"-NAK " + json.dumps({"delay": int(delay * _NANO)}).encode()
        await self._client.publish(token.message.reply, body)
