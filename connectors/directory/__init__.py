"""Folders shared with a partner: files are read once and whole, and written whole or not at all (hprim §3.10)."""

from __future__ import annotations

from connectors.contracts import Connector
from connectors.directory.destination import DirectoryDestination
from connectors.directory.probe import probe_destination, probe_source
from connectors.directory.settings import DirectoryDestinationSettings, DirectorySourceSettings
from connectors.directory.source import DirectorySource

CONNECTOR = Connector(
    name="directory",
    summary="Reads the files that a partner puts in a folder; writes files into a folder.",
    source_settings=DirectorySourceSettings,
    destination_settings=DirectoryDestinationSettings,
    make_source=DirectorySource,
    make_destination=DirectoryDestination,
    probe_source=probe_source,
    probe_destination=probe_destination,
)
