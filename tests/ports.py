"""Ports at which a test's own listener can be found again after it was closed."""

from __future__ import annotations

import random
import socket

BELOW_EPHEMERAL = range(15_000, 32_000)
"""Ports that no outgoing connection is given. A client that tries again and again at a closed port of the ephemeral
range is one day connected to itself, and holds the port that a listener wants back."""


def free_port() -> int:
    """Give a port of 127.0.0.1 that nobody listens at."""
    while True:
        port = random.choice(BELOW_EPHEMERAL)
        with socket.socket() as listener:
            try:
                listener.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
