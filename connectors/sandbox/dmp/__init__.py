"""The sandbox DMP: a registry and repository of documents on this machine, for fictitious people.

Written from the public specifications, from raw XML, sharing neither parser nor builder nor table with the connector
that speaks to the DMP, so that the two cannot agree by sharing a mistake.

    server, packaging, mime      HTTP and mutual TLS, multipart in and out
    service, envelope, vihf      SOAP, who calls, what is asked; `rights` is the DMP's matrix
    lots, rules, deposits        ITI-41: what a lot must be, and what the store says of it
    queries, updates, patients   ITI-18, ITI-57, TD0.2 to TD0.4
    store, population, others    one SQLite file, who is in it, and what others deposited
    trouble                      what goes wrong on demand
"""

from connectors.sandbox.dmp.server import DmpSandbox
from connectors.sandbox.dmp.trouble import Trouble

__all__ = ["DmpSandbox", "Trouble"]
