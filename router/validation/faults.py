"""What can be wrong with a validation package, or with the process that runs it."""

from __future__ import annotations

from router.faults import Fault


class PackageFault(Fault):
    """The package cannot be used: a file is missing, or is not what it should be."""


class ValidationUnavailable(Fault):
    """A document could not be checked: the process that checks ended, or took too long."""
