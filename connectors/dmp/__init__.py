"""The DMP (Mon espace santé) by its XDS services: submit, replace, delete, look up, retrieve.

settings    where, who acts, two certificates            vihf        the assertion of each call
soap, mtom  envelopes and what travels beside            xades       the signature of a submission
queries     ITI-18, ITI-43        changes   ITI-57       existence   TD0.2
answers     what the DMP may say  replies   reading it   errors      what each code means, in two languages
rights      who may do what, as data                     transport, client   calls
parcels     what the format xds wrote                    doubts      what may have arrived
destination, source (with pulling)                       outcomes    what the engine does about an answer
"""

from __future__ import annotations

from connectors.contracts import Connector
from connectors.dmp.destination import DmpDestination
from connectors.dmp.probe import probe
from connectors.dmp.settings import DmpDestinationSettings, DmpSourceSettings
from connectors.dmp.source import DmpSource

CONNECTOR = Connector(
    name="dmp",
    summary="Submits, replaces and deletes documents in the DMP, and retrieves those of others.",
    source_settings=DmpSourceSettings,
    destination_settings=DmpDestinationSettings,
    make_source=DmpSource,
    make_destination=DmpDestination,
    format="xds",
    source_format="xds",
    probe_source=probe,
    probe_destination=probe,
)
