"""The NATS server that tests start."""

from __future__ import annotations

import pytest

from router.prove.cluster.queues import nats_server
from router.trial.process import TrialFault


def nats_program() -> str:
    """Give the program; the test is skipped, visibly, where it is absent."""
    try:
        return nats_server()
    except TrialFault as missing:
        pytest.skip(str(missing))
