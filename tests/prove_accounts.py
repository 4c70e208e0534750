"""Accounts that hold, for the tests of the proofs to spoil."""

from __future__ import annotations

from router.prove.ledger import report_id
from router.prove.verdict import Kill, Verdict

GOOD = Verdict(
    seed=1,
    store="SQLite",
    kills=[Kill(10, whole_group=True, while_starting=False)],
    sent=3,
    resent=2,
    acknowledged=3,
    refused=0,
    delivered=3,
    lost=[],
    never_sent=[],
    patients=2,
    out_of_order=[],
    duplicates=1,
    unrecognisable=0,
    answers_cut=1,
    answers_503=0,
    recognised=1,
    messages={"processed": 3},
    deliveries={"delivered": 1, "acknowledged": 2},
    stopped_with=0,
    seconds=1.0,
)


def body(*marks: tuple[int, int], note: str = "") -> bytes:
    return (" ".join(f'"{report_id(mark)}"' for mark in marks) + note).encode()
