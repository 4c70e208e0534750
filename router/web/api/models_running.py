"""What the API takes and gives about accounts, pauses and versions of the configuration."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, Field

from router.config.versions import Version, VersionOrigin, VersionState
from router.journal.pauses import LONGEST_REASON, FlowSide, Pause
from router.web.api.models import at, moment
from router.web.people import Person
from router.web.rights import Role


class AccountOut(BaseModel):
    """An account. `issuer` is the provider that it signs in through, empty for one with a password here."""

    name: str
    role: Role
    created_at: datetime
    used_at: datetime | None
    locked: bool
    paused_until: datetime | None
    one_time_codes: bool
    issuer: str
    sessions: int


class AccountIn(BaseModel):
    """A new account."""

    name: str = Field(min_length=1, max_length=80)
    role: Role


class RoleIn(BaseModel):
    """The role that an account has from its next click on."""

    role: Role


class PasswordOut(BaseModel):
    """A password that was made. It is shown this once; its holder changes it."""

    name: str
    password: str


AccountAct = Literal["lock", "unlock", "sessions", "codes", "password"]
"""Lock it, let it in again, end its sessions, forget its one-time codes, give it another password."""


class PauseOut(BaseModel):
    """A source, destination or route that a person paused."""

    side: FlowSide
    name: str
    at: datetime
    actor: str
    reason: str


class PauseIn(BaseModel):
    """Why it is paused: whoever finds it so tomorrow must know."""

    reason: str = Field(min_length=1, max_length=LONGEST_REASON)


class VersionOut(BaseModel):
    """A version of the configuration; `detail` says why it failed, or which sections wait for the next start."""

    id: int
    at: datetime
    actor: str
    origin: VersionOrigin
    comment: str
    digest: str
    base: str
    state: VersionState
    settled_at: datetime | None
    detail: str
    runs: bool


class VersionTextOut(VersionOut):
    """A version with its text."""

    text: str


class ConfigurationIn(BaseModel):
    """A configuration to check, or to apply in the place of the file whose digest is `base`."""

    text: str = Field(max_length=2_000_000)
    base: str = Field(default="", max_length=64)
    comment: str = Field(default="", max_length=400)


class CheckedOut(BaseModel):
    """What is wrong with a configuration, sentence by sentence; or what it changes, by section."""

    mistakes: list[str]
    added: list[str]
    removed: list[str]
    changed: list[str]
    at_start: list[str]
    waiting: dict[str, int]
    """Deliveries that wait for a destination that it removes: they go on waiting, nobody sends them."""


def account_out(one: Person, now: int) -> AccountOut:
    """Give an account as the API does."""
    paused = one.locked_until is not None and one.locked_until > now
    return AccountOut(
        name=one.name,
        role=one.role,
        created_at=at(one.created_at),
        used_at=moment(one.used_at),
        locked=one.disabled_at is not None,
        paused_until=moment(one.locked_until) if paused else None,
        one_time_codes=one.totp_at is not None,
        issuer=one.issuer,
        sessions=one.sessions,
    )


def pause_out(one: Pause) -> PauseOut:
    """Give a pause as the API does."""
    return PauseOut(side=one.side, name=one.name, at=at(one.at), actor=one.actor, reason=one.reason)


def version_out(one: Version, running: Version | None) -> VersionOut:
    """Give a version of the configuration as the API does."""
    return VersionOut(
        id=one.id,
        at=at(one.at),
        actor=one.actor,
        origin=one.origin,
        comment=one.comment,
        digest=one.digest,
        base=one.base,
        state=one.state,
        settled_at=moment(one.settled_at),
        detail=one.detail,
        runs=running is not None and running.id == one.id,
    )
