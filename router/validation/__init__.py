"""Checking a CDA document against the package that the ANS publishes: XML schema, then ISO schematrons.

A package is the user's own folder (github ansforge/TestContenuCDA): nothing of it is shipped here. `open_package`
finds what is in it; `Package.validate` checks one document, in this process. The router checks in another one
(`router.validation.server`): Saxon is never loaded where messages are acknowledged.
"""

from router.validation.faults import PackageFault, ValidationUnavailable
from router.validation.package import Package, open_package
from router.validation.verdict import conforms

__all__ = [
    "Package",
    "PackageFault",
    "ValidationUnavailable",
    "conforms",
    "open_package",
]
