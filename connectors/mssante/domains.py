"""Which domains may write and be written to: those of the settings and, where wished, of the national white list."""

from __future__ import annotations

from connectors.annuaire.white_list import FOLDER, KeptWhiteList
from connectors.contracts import Services
from connectors.mssante.heads import within
from connectors.mssante.settings import MssanteDestinationSettings, MssanteSourceSettings
from mappings.contracts import FormatError
from schemas.finding import Finding, Severity


class Domains:
    """The domains of one source or destination.

    Until there is a first white list the settings alone hold, which is said once; a kept one that was damaged allows
    nobody until it is replaced.
    """

    def __init__(self, settings: MssanteSourceSettings | MssanteDestinationSettings, services: Services) -> None:
        self._allowed = settings.allowed_domains
        self._services = services
        self._kept = KeptWhiteList(services.folder / FOLDER) if settings.white_list else None
        self._told = False

    def allow(self, domain: str) -> bool:
        """Say whether a domain may write, or be written to."""
        if not within(domain, self._allowed):
            return False
        if self._kept is None:
            return True
        try:
            found = self._kept.current()
        except FormatError as damaged:
            self._tell(damaged.code, f"{damaged.message}: no domain is allowed until the white list is refreshed")
            return False
        if found is None:
            self._tell("white_list.none", "there is no white list yet: `allowed_domains` alone holds until there is")
            return True
        return found.allowed(domain)

    def _tell(self, code: str, message: str) -> None:
        if not self._told:
            self._told = True
            self._services.report(Finding(severity=Severity.WARNING, code=code, where="white_list", message=message))
