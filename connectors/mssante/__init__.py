"""Mailboxes of MSSanté (fact sheet mssante §2, §6, §7): mails picked up once and filed, mails sent byte for byte."""

from __future__ import annotations

from connectors.contracts import Connector
from connectors.mssante.destination import MssanteDestination
from connectors.mssante.probe import probe_destination, probe_source
from connectors.mssante.settings import MssanteDestinationSettings, MssanteSourceSettings
from connectors.mssante.source import MssanteSource

CONNECTOR = Connector(
    name="mssante",
    summary="Picks up and sends the mails of MSSanté: IMAP and submission with mutual TLS, notifications, receipts.",
    source_settings=MssanteSourceSettings,
    destination_settings=MssanteDestinationSettings,
    make_source=MssanteSource,
    make_destination=MssanteDestination,
    format="mail",
    probe_source=probe_source,
    probe_destination=probe_destination,
)
