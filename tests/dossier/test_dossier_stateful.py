"""Whatever is changed in whatever order, in a real journal: nobody sees in a dossier what `may` denies."""

from __future__ import annotations

from dossier_machine import Dossiers
from hypothesis import HealthCheck, settings

TestDossiers = Dossiers.TestCase
TestDossiers.settings = settings(
    max_examples=9, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck)
)
