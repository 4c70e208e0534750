"""What a node of a cluster owns at this moment: sources to read, lanes to send, the jobs that run once.

On a single machine none of this exists: `None` stands for everything.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable

from router.cluster.contracts import READ, SEND
from router.engine.worker import RawMessage
from router.journal.fencing import Fence


class ReadLanes:
    """The sources that this node reads.

    One that was just gained is *behind*: what the journal has of it is read first, from its beginning, before anything
    of it is taken with the others. `given_up` is told of a lane that the journal says is not ours.
    """

    def __init__(self, given_up: Callable[[str], None] = lambda _: None) -> None:
        self._fences: dict[str, Fence] = {}
        self._behind: dict[str, int] = {}
        self._turns: deque[str] = deque()
        self._given_up = given_up

    def gain(self, fence: Fence) -> None:
        """Read a source from now on."""
        source = fence.lane.removeprefix(READ)
        self._fences[source] = fence
        self._behind[source] = 0
        if source not in self._turns:
            self._turns.append(source)

    def lose(self, lane: str) -> None:
        """Take nothing more of a source; what is under way is refused by its fence."""
        source = lane.removeprefix(READ)
        self._fences.pop(source, None)
        self._behind.pop(source, None)

    def refused(self, fences: Iterable[Fence]) -> None:
        """Let go of what the journal says is not ours."""
        for fence in fences:
            if self._fences.get(fence.lane.removeprefix(READ)) == fence:
                self.lose(fence.lane)
                self._given_up(fence.lane)

    def fence_of(self, source: str) -> Fence | None:
        """Give under which taking a source is read, None where another node reads it."""
        return self._fences.get(source)

    def level(self) -> dict[str, Fence]:
        """Give the sources that are read with all the others, in the order of the journal."""
        return {source: fence for source, fence in self._fences.items() if source not in self._behind}

    @property
    def is_behind(self) -> bool:
        """Whether a source was gained of which older messages are still to be read."""
        return bool(self._behind)

    def next_behind(self) -> tuple[str, Fence, int] | None:
        """Give the source that is behind and whose turn it is, with the message after which it is to be read."""
        while self._turns:
            source = self._turns.popleft()
            if source in self._behind:
                self._turns.append(source)
                return source, self._fences[source], self._behind[source]
        return None

    def caught_up(self, fence: Fence, upto: int, *, whole: bool) -> bool:
        """Note up to which message a source that is behind was read. False when it is no longer that taking's."""
        source = fence.lane.removeprefix(READ)
        if self._fences.get(source) != fence or source not in self._behind:
            return False
        if whole:
            del self._behind[source]
        else:
            self._behind[source] = upto
        return True


def ours(raws: Iterable[RawMessage], fences: dict[str, Fence]) -> tuple[list[RawMessage], dict[int, Fence]]:
    """Give those of sources that are ours, and under which taking each is read."""
    kept = [raw for raw in raws if raw.source in fences]
    return kept, {raw.message_id: fences[raw.source] for raw in kept}


class SendLanes:
    """The lanes of sending that this node has, of `count` in all; a Delivery's is that of its patient.

    `still_owned` says whether a lane is owned at this very moment: a node that cannot have its owning confirmed starts
    nothing more, even before it is told that it lost something. `given_up` is told of a lane that the journal says is
    not ours.
    """

    def __init__(
        self,
        count: int,
        still_owned: Callable[[str], bool] = lambda _: True,
        given_up: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.count = count
        self._fences: dict[int, Fence] = {}
        self._still_owned = still_owned
        self._given_up = given_up

    def gain(self, fence: Fence) -> None:
        """Send a lane from now on."""
        self._fences[int(fence.lane.removeprefix(SEND))] = fence

    def lose(self, lane: str) -> int:
        """Send it no longer; gives its number."""
        number = int(lane.removeprefix(SEND))
        self._fences.pop(number, None)
        return number

    def refused(self, fences: Iterable[Fence]) -> None:
        """Let go of what the journal says is not ours."""
        for fence in fences:
            number = int(fence.lane.removeprefix(SEND))
            if self._fences.get(number) == fence:
                del self._fences[number]
                self._given_up(fence.lane)

    def fence_of(self, lane: int) -> Fence | None:
        """Give under which taking a Delivery's lane is sent, None where another node sends it."""
        return self._fences.get(lane % self.count)

    def still_owned(self, fence: Fence) -> bool:
        """Say whether something may be begun in a lane at this very moment."""
        return self._still_owned(fence.lane)

    def numbers(self) -> list[int]:
        """Give the numbers of those that are ours."""
        return sorted(self._fences)
