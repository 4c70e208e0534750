"""One-time codes (RFC 6238): enrolled with a telephone, each used once; recovery codes for the day it is lost.

The secret is sealed in the journal, bound to its account. Of a code that was used the step is kept, and no code of that
step or an earlier one passes again. A telephone's clock may be one step (30 s) early or late.
"""

from __future__ import annotations

import hmac
import secrets

import pyotp
import segno
from sqlalchemy import Connection, delete, func, insert, select, update

from router.journal import tables
from router.journal.auditing import append_audit
from router.journal.operations import Change
from router.journal.sealing import Sealer
from router.journal.unit import Unit
from router.web.accounts import digest

STEP_MICROS = 30_000_000
DRIFT = 1
"""Steps that a telephone's clock may be off, either way."""

RECOVERY_CODES = 10
_ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"
"""Letters and digits of recovery codes: none that looks like another. 16 of them are 79 bits."""


def new_secret() -> str:
    """Give a new secret, in base 32 as telephones take it."""
    return pyotp.random_base32()


def step_of(secret: str, code: str, *, now: int, last: int | None) -> int | None:
    """Give the step whose code this is, None when it is none of the current ones or was used. `now` is microseconds."""
    made, present = pyotp.TOTP(secret), now // STEP_MICROS
    found = None
    for step in range(present - DRIFT, present + DRIFT + 1):
        if hmac.compare_digest(made.generate_otp(step).encode(), code.encode()) and (last is None or step > last):
            found = step
    return found


def provisioning(secret: str, account: str, issuer: str) -> str:
    """Give the address that a telephone's application reads from the drawing."""
    return pyotp.TOTP(secret).provisioning_uri(name=account, issuer_name=issuer)


def drawing(text: str) -> str:
    """Draw a text as a QR code: an inline SVG that needs no style of its own, dark on light in any theme."""
    return str(segno.make(text, error="m").svg_inline(scale=4, border=3, dark="#000", light="#fff", svgclass="qr"))


def begin_enrolment(name: str, *, actor: str, now: int) -> Change[None]:
    """Keep a new secret for an account, in force once a code of it was given."""
    secret = new_secret()

    def change(unit: Unit) -> None:
        sealed = unit.sealer.seal(secret.encode(), _place(name))
        _set(unit, name, sealed_totp=sealed, totp_at=None, totp_step=None)
        append_audit(unit, actor=actor, action="begin codes", target=f"account {name}", detail="", now=now)

    return Change(change, note="totp")


def enrolling_secret(connection: Connection, sealer: Sealer, name: str) -> str | None:
    """Give the secret of an enrolment that is under way, to be shown to its owner."""
    column = tables.account.c
    row = connection.execute(select(column.sealed_totp, column.totp_at).where(column.name == name)).one_or_none()
    if row is None or row.sealed_totp is None or row.totp_at is not None:
        return None
    return sealer.open(bytes(row.sealed_totp), _place(name)).decode()


def confirm_enrolment(name: str, code: str, *, session: bytes, now: int) -> Change[list[str]]:
    """Put an enrolment in force by its first code, and give the recovery codes; none when the code is wrong.

    The session that did it has shown a code: it counts as signed in by one.
    """
    codes = ["".join(secrets.choice(_ALPHABET) for _ in range(16)) for _ in range(RECOVERY_CODES)]

    def change(unit: Unit) -> list[str]:
        secret = enrolling_secret(unit.connection, unit.sealer, name)
        step = None if secret is None else step_of(secret, code, now=now, last=None)
        if step is None:
            return []
        _set(unit, name, totp_at=now, totp_step=step)
        unit.connection.execute(delete(tables.recovery_code).where(tables.recovery_code.c.account == name))
        for one in codes:
            unit.connection.execute(insert(tables.recovery_code).values(code_hash=_kept(name, one), account=name))
        row = tables.session.c
        unit.connection.execute(update(tables.session).where(row.token_hash == session).values(method="code"))
        append_audit(unit, actor=name, action="enrol codes", target=f"account {name}", detail="", now=now)
        return [f"{one[:4]}-{one[4:8]}-{one[8:12]}-{one[12:]}" for one in codes]

    return Change(change, note="totp")


def use_code(name: str, code: str, *, now: int) -> Change[str]:
    """Use a code to sign in: `code` or `recovery` when it passed, an empty text when it did not."""
    plain = "".join(char for char in code.lower() if char.isalnum())

    def change(unit: Unit) -> str:
        column = tables.account.c
        row = unit.connection.execute(
            select(column.sealed_totp, column.totp_at, column.totp_step).where(column.name == name)
        ).one_or_none()
        if row is None or row.sealed_totp is None or row.totp_at is None:
            return ""
        secret = unit.sealer.open(bytes(row.sealed_totp), _place(name)).decode()
        step = step_of(secret, plain, now=now, last=row.totp_step)
        if step is not None:
            _set(unit, name, totp_step=step)
            return "code"
        recovery = tables.recovery_code.c
        used = update(tables.recovery_code).where(
            recovery.code_hash == _kept(name, plain), recovery.account == name, recovery.used_at.is_(None)
        )
        if not unit.connection.execute(used.values(used_at=now)).rowcount:
            return ""
        append_audit(unit, actor=name, action="use recovery code", target=f"account {name}", detail="", now=now)
        return "recovery"

    return Change(change, note="totp")


def recovery_left(connection: Connection, name: str) -> int:
    """Count the recovery codes that were not used."""
    column = tables.recovery_code.c
    found = select(func.count()).select_from(tables.recovery_code)
    return connection.execute(found.where(column.account == name, column.used_at.is_(None))).scalar_one()


def _place(name: str) -> bytes:
    return b"account.sealed_totp " + name.encode()


def _kept(name: str, code: str) -> bytes:
    return digest(f"{name} {code}")


def _set(unit: Unit, name: str, **values: object) -> None:
    unit.connection.execute(update(tables.account).where(tables.account.c.name == name).values(values))
