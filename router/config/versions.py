"""Versions of the configuration, kept in the journal: drafts, what runs, what ran, what was tried and did not come up.

A version is wanted by somebody; the router that holds the journal applies it and says what became of it. That is how
the dashboard, the command line and a signal ask for the same thing, and why a router that is killed in between leaves
either the former file or the new one, and a row that says so.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import Connection, delete, func, insert, select, update

from router.journal import tables
from router.journal.auditing import append_audit
from router.journal.operations import Change
from router.journal.sealing import Sealer
from router.journal.unit import Unit

TEXT_PLACE = b"configuration_version.sealed_text"


class VersionState(StrEnum):
    """Life of a version."""

    DRAFT = "draft"
    WANTED = "wanted"
    APPLYING = "applying"
    APPLIED = "applied"
    FAILED = "failed"
    INTERRUPTED = "interrupted"


class VersionOrigin(StrEnum):
    """By which way a version was asked for; `file` is what the router found when it started."""

    DASHBOARD = "dashboard"
    COMMAND = "command"
    SIGNAL = "signal"
    FILE = "file"


UNSETTLED = (VersionState.WANTED, VersionState.APPLYING)

GIVEN_UP = 600_000_000
"""Microseconds after which nobody can still be applying a version: longer than any exchange takes."""


@dataclass(frozen=True, slots=True)
class Version:
    """A version without its text. Times are microseconds; `detail` says why it failed, or what waits for a start."""

    id: int
    at: int
    actor: str
    origin: VersionOrigin
    comment: str
    digest: str
    base: str
    state: VersionState
    settled_at: int | None
    detail: str

    @property
    def settled(self) -> bool:
        """Whether it is known what became of it."""
        return self.state not in UNSETTLED


def digest_of(text: str) -> str:
    """Give what recognises a text."""
    return hashlib.sha256(text.encode()).hexdigest()


_COLUMNS = [column for column in tables.configuration_version.c if column.name != "sealed_text"]
_VERSION = tables.configuration_version.c


def keep_draft(text: str, base: str, *, actor: str, now: int) -> Change[int]:
    """Keep somebody's draft, in the place of the one before; gives its number. `base` is the file that it changes."""

    def change(unit: Unit) -> int:
        unit.connection.execute(
            delete(tables.configuration_version).where(
                _VERSION.state == VersionState.DRAFT.value, _VERSION.actor == actor[:120]
            )
        )
        return _insert(unit, text, base, VersionState.DRAFT, VersionOrigin.DASHBOARD, "", actor, now)

    return Change(change, note="draft of the configuration")


def want_version(
    text: str, base: str, *, origin: VersionOrigin, comment: str, actor: str, now: int, draft: int | None = None
) -> Change[int]:
    """Ask the router to apply a text; gives the version's number. A `draft` that it came from is taken away."""

    def change(unit: Unit) -> int:
        if draft is not None:
            gone = delete(tables.configuration_version).where(
                _VERSION.id == draft, _VERSION.state == VersionState.DRAFT.value
            )
            unit.connection.execute(gone)
        number = _insert(unit, text, base, VersionState.WANTED, origin, comment, actor, now)
        append_audit(
            unit,
            actor=actor,
            action="apply configuration",
            target=f"configuration {number}",
            detail=" ".join(comment.split()),
            now=now,
        )
        return number

    return Change(change, note="configuration wanted")


def begin_version(number: int) -> Change[bool]:
    """Note that a wanted version is being applied; False when it is no longer wanted."""

    def change(unit: Unit) -> bool:
        wanted = (_VERSION.id == number, _VERSION.state == VersionState.WANTED.value)
        begun = update(tables.configuration_version).where(*wanted).values(state=VersionState.APPLYING.value)
        return unit.connection.execute(begun).rowcount > 0

    return Change(change, note="configuration being applied")


def settle_version(number: int, state: VersionState, *, now: int, detail: str = "") -> Change[None]:
    """Note what became of a version."""

    def change(unit: Unit) -> None:
        _settle(unit, number, state, now, detail)

    return Change(change, note="configuration settled")


def settle_at_start(text: str, *, now: int) -> Change[None]:
    """Note with which text the router starts, and what became of what a former run was asked and did not finish.

    What was being applied when it ended has been applied if the file on disk is already that one.
    """

    def change(unit: Unit) -> None:
        found, connection = digest_of(text), unit.connection
        for version in versions(connection, states=UNSETTLED):
            if version.digest == found:
                _settle(unit, version.id, VersionState.APPLIED, now, "")
            else:
                _settle(unit, version.id, VersionState.INTERRUPTED, now, "")
        running = running_version(connection)
        if running is None or running.digest != found:
            number = _insert(unit, text, found, VersionState.APPLYING, VersionOrigin.FILE, "", "", now)
            _settle(unit, number, VersionState.APPLIED, now, "")

    return Change(change, note="configuration at the start")


def first_version(text: str, *, now: int, instead: int | None = None) -> Change[None]:
    """Note with which text the first node of a cluster starts: later ones start with what the journal has.

    `instead` is a version that it stands in the place of: one of a router that was alone. What a node was asked to
    apply, and cannot be applying any more, was interrupted with it.
    """

    def change(unit: Unit) -> None:
        for version in versions(unit.connection, states=[VersionState.APPLYING]):
            if version.at < now - GIVEN_UP:
                _settle(unit, version.id, VersionState.INTERRUPTED, now, "")
        running = running_version(unit.connection)
        if running is None or running.id == instead:
            number = _insert(unit, text, digest_of(text), VersionState.APPLYING, VersionOrigin.FILE, "", "", now)
            _settle(unit, number, VersionState.APPLIED, now, "")

    return Change(change, note="configuration of a cluster")


def _settle(unit: Unit, number: int, state: VersionState, now: int, detail: str) -> None:
    # Two versions may be settled in one microsecond, and the later one runs.
    last = unit.connection.execute(select(func.max(_VERSION.settled_at))).scalar() or 0
    values = {"state": state.value, "settled_at": max(now, last + 1), "detail": detail}
    unit.connection.execute(update(tables.configuration_version).where(_VERSION.id == number).values(values))


def _insert(
    unit: Unit,
    text: str,
    base: str,
    state: VersionState,
    origin: VersionOrigin,
    comment: str,
    actor: str,
    now: int,
) -> int:
    values = {
        "at": now,
        "actor": actor[:120],
        "origin": origin.value,
        "comment": " ".join(comment.split())[:400],
        "digest": digest_of(text),
        "base": base,
        "state": state.value,
        "detail": "",
        "sealed_text": unit.sealer.seal(text.encode(), TEXT_PLACE),
    }
    made = insert(tables.configuration_version).values(values).returning(_VERSION.id)
    number: int = unit.connection.execute(made).scalar_one()
    return number


def versions(
    connection: Connection, *, states: Sequence[VersionState], before: int | None = None, limit: int = 1000
) -> list[Version]:
    """Give versions in these states, the newest first."""
    wanted = select(*_COLUMNS).where(_VERSION.state.in_([state.value for state in states]))
    if before is not None:
        wanted = wanted.where(_VERSION.id < before)
    return [_version(row) for row in connection.execute(wanted.order_by(_VERSION.id.desc()).limit(limit))]


def history(connection: Connection, *, before: int | None = None, limit: int = 100) -> list[Version]:
    """Give all versions but drafts, the newest first."""
    states = [state for state in VersionState if state is not VersionState.DRAFT]
    return versions(connection, states=states, before=before, limit=limit)


def version_of(connection: Connection, number: int) -> Version | None:
    """Give one version."""
    row = connection.execute(select(*_COLUMNS).where(_VERSION.id == number)).one_or_none()
    return None if row is None else _version(row)


def draft_of(connection: Connection, actor: str) -> Version | None:
    """Give somebody's draft."""
    found = versions(connection, states=[VersionState.DRAFT])
    return next((one for one in found if one.actor == actor[:120]), None)


def running_version(connection: Connection) -> Version | None:
    """Give the version that was applied last."""
    wanted = (
        select(*_COLUMNS)
        .where(_VERSION.state == VersionState.APPLIED.value)
        .order_by(_VERSION.settled_at.desc())
        .limit(1)
    )
    row = connection.execute(wanted).one_or_none()
    return None if row is None else _version(row)


def text_of(connection: Connection, sealer: Sealer, number: int) -> str:
    """Give a version's text. Raises LookupError when there is no such version."""
    sealed = connection.execute(select(_VERSION.sealed_text).where(_VERSION.id == number)).scalar()
    if sealed is None:
        raise LookupError(number)
    return sealer.open(sealed, TEXT_PLACE).decode()


def _version(row: object) -> Version:
    values = dict(row._mapping)  # type: ignore[attr-defined]  # SQLAlchemy's rows are not typed by column
    values |= {"state": VersionState(values["state"]), "origin": VersionOrigin(values["origin"])}
    return Version(**values)
