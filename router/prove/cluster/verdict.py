"""What a campaign found, and whether it holds."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from router.prove.verdict import Verdict, judge, print_accounts


@dataclass(frozen=True, slots=True)
class Seen:
    """One fault and what was seen of it.

    `began`, `ended` and `recovered` are seconds after the load began; `recovered` is when nothing that was sent before
    the end was on its way any more, None when that did not come. `held_up` is how long the slowest message was on its
    way, `acknowledged_after` how long it waited for its answer: from its sending, or from the fault's end where a part
    that exists once was away (`outage`). `messages` were on their way meanwhile, `beyond` of them past the limit.
    """

    kind: str
    sentence: str
    host: str
    began: float
    ended: float
    recovered: float | None
    outage: bool
    words: list[str]
    held_up: float
    acknowledged_after: float
    messages: int
    beyond: int
    lanes_moved: int
    largest_backlog: int


@dataclass(frozen=True, slots=True)
class Ownership:
    """What was seen of the lanes: how many there are, how often they were looked at, and what must not be.

    `went_back` had a fence that became older, `twice` were called theirs by two nodes at once, `nobodys` and `doubled`
    were nobody's and two nodes' when all was quiet at the end.
    """

    lanes: int
    takings: int
    samples: int
    statements: int
    went_back: list[str] = field(default_factory=list)
    twice: list[str] = field(default_factory=list)
    nobodys: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class ClusterVerdict:
    """A campaign: who took part, the faults, the accounts of messages, the lanes.

    `limit` is seconds of failover; `not_stopped` are the nodes that did not end as they should when asked to.
    """

    nodes: list[str]
    network: str
    limit: float
    faults: list[Seen]
    left_out: list[str]
    ownership: Ownership
    accounts: Verdict
    not_stopped: list[str] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        """True when nothing is amiss."""
        return not self.reasons

    def as_json(self) -> dict[str, object]:
        """Give everything as plain values, the verdict first."""
        return {"holds": self.holds, **asdict(self)}


def judge_cluster(verdict: ClusterVerdict) -> list[str]:
    """List what is amiss, one sentence each; empty when the campaign holds."""
    lanes = verdict.ownership
    checks = (
        (bool(verdict.faults), "no fault was made"),
        (lanes.lanes > 0 and lanes.samples > 0, "no lane was ever seen in the journal"),
        (lanes.statements > 0, "no node was ever heard"),
        (not lanes.went_back, f"the fence went back of {_some(lanes.went_back)}"),
        (not lanes.twice, f"two nodes kept calling theirs {_some(lanes.twice)}"),
        (not lanes.nobodys, f"at the end nobody owned {_some(lanes.nobodys)}"),
        (not lanes.doubled, f"at the end two nodes owned {_some(lanes.doubled)}"),
    )
    amiss = [sentence for right, sentence in checks if not right]
    for seen in verdict.faults:
        if seen.recovered is None:
            amiss.append(f"after `{seen.kind}` of {seen.host} traffic did not come back")
        elif seen.held_up > verdict.limit:
            amiss.append(
                f"`{seen.kind}` of {seen.host} held a message up for {seen.held_up:.1f} s, past {verdict.limit:.0f} s"
            )
        if seen.messages == 0:
            amiss.append(f"no message was on its way during `{seen.kind}` of {seen.host}: it proves nothing")
    if verdict.not_stopped:
        amiss.append(f"asked to stop, {_some(verdict.not_stopped)} did not end as it should")
    return [*judge(verdict.accounts), *amiss]


def print_cluster_verdict(verdict: ClusterVerdict, console: Console) -> None:
    """Print the report that people read."""
    print_accounts(
        verdict.accounts,
        console,
        title=f"{len(verdict.nodes)} nodes on {verdict.network}, seed {verdict.accounts.seed}",
        under=("faults", f"{len(verdict.faults)} in {verdict.accounts.seconds:.0f} s"),
    )
    lanes = verdict.ownership
    amiss = len({*lanes.went_back, *lanes.twice, *lanes.nobodys, *lanes.doubled})
    console.print(
        f"Lanes: {lanes.lanes}, taken {lanes.takings} times; {amiss} of them ever owned wrongly "
        f"({lanes.samples} looks at the journal, {lanes.statements} statements of nodes)."
    )
    table = Table(
        "at", "fault", "host", "lasted", "held up", "answer", "moved", "backlog", box=SIMPLE_HEAD, padding=(0, 1, 0, 0)
    )
    for column in table.columns:
        column.no_wrap = True
    for seen in verdict.faults:
        table.add_row(
            f"{seen.began:.0f} s",
            seen.kind,
            seen.host,
            f"{seen.ended - seen.began:.1f} s",
            "not back" if seen.recovered is None else f"{seen.held_up:.1f} s",
            f"{seen.acknowledged_after:.1f} s",
            str(seen.lanes_moved),
            str(seen.largest_backlog),
            style="bold red" if seen.recovered is None or seen.held_up > verdict.limit else "",
        )
    console.print(table)
    console.print(
        f"held up: the longest that a message was on its way (limit {verdict.limit:.0f} s); answer: the longest wait "
        "for an acknowledgement; both from the sending, or from the end of an outage of PostgreSQL or of its disk; "
        "moved: lanes that changed hands."
    )
    for sentence in verdict.left_out:
        console.print(f"Left out: {sentence}.", style="yellow")
    if verdict.holds:
        console.print("It holds: nothing acknowledged was lost.", style="bold green")
    for reason in verdict.reasons:
        console.print(f"It does not hold: {reason}.", style="bold red")


def _some(names: list[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
