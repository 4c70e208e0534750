"""What the engine is given by a cluster: lanes that this node owns, bells, and who else is there.

A lane is a name, and one node at a time works on it:

`read.<source>`          reading, identifying and routing what a source received
`send.<k>`               Deliveries whose lane, divided by the number of send lanes, leaves k
`poll.<source>`          going and getting what a source that does not listen brings
`jobs`                   what must run once: housekeeping, counting, alarms, projections, re-verification

Who owns a lane is decided elsewhere (`router.cluster`); that it is true is checked by the journal
(`router.journal.fencing`). Bells and presence are hints: nothing is right or wrong by them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cache
from typing import Any, Protocol

import orjson
from pydantic import TypeAdapter, ValidationError

from router.journal.fencing import Fence as Fence

JOBS = "jobs"
"""The lane of what must run once."""

READ, SEND, POLL = "read.", "send.", "poll."
"""Begin the names of lanes of one kind."""


def read_lane(source: str) -> str:
    """Name the lane of reading what a source received."""
    return READ + source


def send_lane(number: int) -> str:
    """Name a lane of sending."""
    return f"{SEND}{number}"


def poll_lane(source: str) -> str:
    """Name the lane of going and getting what a source brings."""
    return POLL + source


class NotUnderstood(ValueError):
    """A bell or a status that another version of the router sent: it is left aside."""


@dataclass(frozen=True, slots=True)
class Bell:
    """What a node just committed: a hint to the others to look at the journal now.

    `read` are messages to read, the last one's id by source; `send` says that Deliveries were queued, `wake` that a
    person or a tool changed something (a replay, a pause, a decision, a configuration).
    """

    read: Mapping[str, int] = field(default_factory=dict)
    send: bool = False
    wake: bool = False

    def __bool__(self) -> bool:
        return bool(self.read) or self.send or self.wake

    def to_json(self) -> bytes:
        """Write it; what says nothing is left out."""
        said: dict[str, Any] = {}
        if self.read:
            said["read"] = dict(self.read)
        if self.send:
            said["send"] = True
        if self.wake:
            said["wake"] = True
        return orjson.dumps(said)

    @classmethod
    def from_json(cls, data: bytes) -> Bell:
        """Read one. Raises NotUnderstood."""
        said = _object(data)
        read = said.get("read", {})
        if not isinstance(read, dict) or not all(isinstance(number, int) for number in read.values()):
            raise NotUnderstood("a bell whose message numbers are none")
        return cls(read, said.get("send") is True, said.get("wake") is True)


@dataclass(frozen=True, slots=True)
class NodeFlow:
    """How one source or destination is doing on one node: words of its connector and numbers, no health data.

    `since` is when its state last changed (microseconds).
    """

    side: str
    name: str
    connector: str
    state: str
    detail: str = ""
    address: str = ""
    format: str = ""
    paused: bool = False
    since: int | None = None
    in_flight: int = 0
    last_failure_at: int | None = None
    figures: Mapping[str, int | float | str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class NodeStatus:
    """What a node says of itself once a second. Times are microseconds; `lanes` are those that it owns."""

    name: str
    roles: tuple[str, ...]
    version: str
    started_at: int
    at: int
    lanes: tuple[str, ...] = ()
    flows: tuple[NodeFlow, ...] = ()
    configuration: int | None = None
    """The number of the configuration that it runs with, None where it has none."""
    trouble: str = ""
    """One sentence, where a part of it does not work."""

    def to_json(self) -> bytes:
        """Write it."""
        return orjson.dumps(asdict(self))

    @classmethod
    def from_json(cls, data: bytes) -> NodeStatus:
        """Read one; what a newer version says besides is left aside. Raises NotUnderstood."""
        try:
            return _status().validate_json(data)
        except ValidationError:
            raise NotUnderstood("a node's status that lacks what every version says") from None


@cache
def _status() -> TypeAdapter[NodeStatus]:
    return TypeAdapter(NodeStatus)


def _object(data: bytes) -> dict[str, Any]:
    try:
        said = orjson.loads(data)
    except orjson.JSONDecodeError:
        raise NotUnderstood("not JSON") from None
    if not isinstance(said, dict):
        raise NotUnderstood("not a JSON object")
    return said


class Lanes(Protocol):
    """The lanes of this node."""

    def owned(self) -> Mapping[str, Fence]:
        """Give what this node owns at this moment; a lane whose owning could not be confirmed in time is gone."""

    async def run(
        self,
        wanted: Callable[[], Collection[str]],
        gained: Callable[[Fence], Awaitable[bool]],
        lost: Callable[[str], Awaitable[None]],
    ) -> None:
        """Own lanes among those `wanted`, until cancelled.

        `gained` is awaited before a lane counts as owned; False says that a newer owner exists, and it is not taken.
        `lost` is awaited when a lane is dropped, for whatever reason.
        """

    def give_up(self, lane: str) -> None:
        """Give one lane back soon: the journal says that it is another node's, or not ours; `lost` is awaited."""

    async def release(self) -> None:
        """Give every lane back at once: a graceful stop, after the engine has let go of them."""


class Bells(Protocol):
    """Rings the other nodes."""

    def ring(self, bell: Bell) -> None:
        """Tell the others; never waits, and never raises: what is lost is found by their next look."""

    def listen(self, heard: Callable[[Bell], None]) -> None:
        """Call `heard` in the event loop for each bell of another node."""


class Presence(Protocol):
    """Who is there."""

    def say(self, status: Callable[[], NodeStatus]) -> None:
        """Say once a second what `status` gives."""

    def nodes(self) -> Sequence[NodeStatus]:
        """Give those who were heard in the last 5 s, this one included, by name."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """What a node of a cluster is made with. `name` is its own, `lanes` how many send lanes there are."""

    name: str
    roles: frozenset[str]
    send_lanes: int
    lanes: Lanes
    bells: Bells
    presence: Presence
