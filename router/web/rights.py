"""Who may do what: rights, roles, and the one table that says which role has which right.

Every page and every operation of the API declares the right that it needs by the gate it is reached through
(`router.web.access`); a test walks all of them with all roles.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum


class Right(StrEnum):
    """Something that may be done."""

    LOOK = "look"
    """See flows, states, counts and lists, where patients are masked."""
    READ = "read"
    """See what messages, mails and dossiers say, and whose they are; each look is noted in the audit."""
    AUDIT = "audit"
    """See the audit: who did and saw what."""
    DECIDE = "decide"
    """Decide whose held Items are."""
    OPERATE = "operate"
    """Replay, send again, cancel, map codes, register patients, take up alarms."""
    COORDINATE = "coordinate"
    """Open and close dossiers, keep their circles, consents and restrictions."""
    CONFIGURE = "configure"
    """Change how the router is configured."""
    PEOPLE = "people"
    """Keep accounts, roles and API keys, and the habilitation matrix: who may do and see what."""


class Role(StrEnum):
    """What an account or a key is for."""

    ADMINISTRATOR = "administrator"
    OPERATOR = "operator"
    """Runs the flows."""
    IDENTITY_OFFICER = "identity_officer"
    REFERENT = "referent"
    """Mandated to keep coordination dossiers."""
    AUDITOR = "auditor"
    """Sees everything, changes nothing."""
    READ_ONLY = "read_only"
    """Sees that it flows, nothing of a patient."""


_A, _O, _I, _F, _U, _R = Role
TABLE: Mapping[Right, frozenset[Role]] = {
    Right.LOOK: frozenset({_A, _O, _I, _F, _U, _R}),
    Right.READ: frozenset({_A, _O, _I, _F, _U}),
    Right.AUDIT: frozenset({_A, _U}),
    Right.DECIDE: frozenset({_A, _I}),
    Right.OPERATE: frozenset({_A, _O}),
    Right.COORDINATE: frozenset({_A, _F}),
    Right.CONFIGURE: frozenset({_A}),
    Right.PEOPLE: frozenset({_A}),
}
"""Which roles have a right. One more comes from the configuration: `[web] operators_configure`."""


class Rights:
    """The table as it holds for one router: what the configuration adds is in it."""

    def __init__(self, *, operators_configure: bool = False) -> None:
        added = {Right.CONFIGURE: {Role.OPERATOR}} if operators_configure else {}
        self._of = {
            role: frozenset(right for right, roles in TABLE.items() if role in roles | added.get(right, set()))
            for role in Role
        }

    def of(self, role: Role) -> frozenset[Right]:
        """Give a role's rights."""
        return self._of[role]


def role_of(name: str, known: Iterable[Role] = Role) -> Role | None:
    """Give a role by its name, written with `-` or `_`; None for what is none."""
    return next((role for role in known if role.value == name.replace("-", "_")), None)
