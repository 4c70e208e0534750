"""What a proof found, and whether it holds."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True, slots=True)
class Kill:
    """One SIGKILL: after how many acknowledgements, the main process alone or its whole group, when it had started."""

    after: int
    whole_group: bool
    while_starting: bool


@dataclass(frozen=True, slots=True)
class Verdict:
    """The accounts of one proof.

    `messages` and `deliveries` are the journal's rows by state, read after the router was stopped. `recognised` is the
    journal's own count of messages that came again.
    """

    seed: int
    store: str
    kills: list[Kill]
    sent: int
    resent: int
    acknowledged: int
    refused: int
    delivered: int
    lost: list[str]
    never_sent: list[str]
    patients: int
    out_of_order: list[int]
    duplicates: int
    unrecognisable: int
    answers_cut: int
    answers_503: int
    recognised: int
    messages: dict[str, int]
    deliveries: dict[str, int]
    stopped_with: int | None
    seconds: float
    reasons: list[str] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        """True when nothing is amiss."""
        return not self.reasons

    def as_json(self) -> dict[str, object]:
        """Give everything as plain values, the verdict first."""
        return {"holds": self.holds, **asdict(self)}


def judge(verdict: Verdict) -> list[str]:
    """List what is amiss, one sentence each; empty when the proof holds."""
    delivered = verdict.deliveries.get("delivered", 0) + verdict.deliveries.get("acknowledged", 0)
    checks = (
        (not verdict.lost, f"{len(verdict.lost)} acknowledged messages never arrived"),
        (not verdict.never_sent, f"{len(verdict.never_sent)} reports arrived that nobody sent"),
        (verdict.refused == 0, f"{verdict.refused} messages were refused"),
        (
            verdict.acknowledged == verdict.sent,
            f"{verdict.sent - verdict.acknowledged} messages were never acknowledged",
        ),
        (not verdict.out_of_order, f"{len(verdict.out_of_order)} patients' reports arrived out of order"),
        (verdict.unrecognisable == 0, f"{verdict.unrecognisable} repeats came under another identity or content"),
        (
            verdict.messages == {"processed": verdict.sent},
            f"the journal counts {verdict.messages} where {verdict.sent} processed messages were expected",
        ),
        (
            delivered == verdict.sent == sum(verdict.deliveries.values()),
            f"the journal counts {verdict.deliveries} where {verdict.sent} delivered were expected",
        ),
        (verdict.recognised <= verdict.resent, "the journal recognised more repeats than were sent"),
        (verdict.stopped_with == 0, f"the graceful stop ended with {verdict.stopped_with}"),
    )
    return [sentence for right, sentence in checks if not right]


def print_verdict(verdict: Verdict, console: Console) -> None:
    """Print the report that people read."""
    together = sum(kill.whole_group for kill in verdict.kills)
    starting = sum(kill.while_starting for kill in verdict.kills)
    print_accounts(
        verdict,
        console,
        title=f"No loss on {verdict.store}, seed {verdict.seed}",
        under=("killed", f"{len(verdict.kills)} times: {together} with its workers, {starting} while starting"),
    )
    if verdict.holds:
        console.print("It holds: nothing acknowledged was lost.", style="bold green")
    for reason in verdict.reasons:
        console.print(f"It does not hold: {reason}.", style="bold red")


def print_accounts(verdict: Verdict, console: Console, *, title: str, under: tuple[str, str]) -> None:
    """Print the counts alone; `under` is the row that says what the router was put under."""
    table = Table(title=title, title_justify="left", show_header=False)
    rows = (
        under,
        ("sent · resent", f"{verdict.sent:,} · {verdict.resent:,}"),
        ("acknowledged", f"{verdict.acknowledged:,}"),
        ("delivered", f"{verdict.delivered:,}"),
        ("lost", f"{len(verdict.lost)}"),
        ("order kept", f"{verdict.patients - len(verdict.out_of_order)} of {verdict.patients} patients"),
        (
            "repeats received",
            f"{verdict.duplicates}, all under their first identity"
            if not verdict.unrecognisable
            else f"{verdict.duplicates}, {verdict.unrecognisable} of them not recognisable",
        ),
        ("receiver misbehaved", f"{verdict.answers_cut} answers cut, {verdict.answers_503} times 503"),
        ("repeats the journal recognised", f"{verdict.recognised}"),
        ("journal: messages", _states(verdict.messages)),
        ("journal: deliveries", _states(verdict.deliveries)),
        ("time", f"{verdict.seconds:.1f} s"),
    )
    for label, value in rows:
        table.add_row(label, value)
    console.print(table)


def _states(counts: dict[str, int]) -> str:
    return ", ".join(f"{count:,} {state}" for state, count in sorted(counts.items())) or "none"
