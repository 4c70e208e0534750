"""Why a signing-in through a provider is refused.

OidcFault
"""

from __future__ import annotations

from router.faults import Fault


class OidcFault(Fault):
    """A refusal. `code` says which check failed, for the audit; `shown` which sentence a person reads.

    `shown` is `unreachable` (the provider does not answer as it should), `expired` (begin again), `denied` (it
    refused, or its user did), `untrusted` (what it sent does not pass), `role` (nothing maps to a role) or
    `locked` (an administrator locked the account).
    """

    def __init__(self, code: str, shown: str = "untrusted") -> None:
        super().__init__(f"signing in through the provider was refused ({code})")
        self.code = code
        self.shown = shown
