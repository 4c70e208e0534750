"""A command at the terminal: who types, when, and the journal that it opens and changes, beside a running router."""

from __future__ import annotations

import getpass
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from router.cli.base import config_file

if TYPE_CHECKING:
    from router.journal.operations import Operation
    from router.journal.store import Store

R = TypeVar("R")


def actor() -> str:
    """Name who types, as the audit has it."""
    return f"{getpass.getuser()} (command line)"


def now() -> int:
    """Give the present moment, in microseconds."""
    from router.engine.clock import micros

    return micros(datetime.now(UTC))


@contextmanager
def opened(config: Path) -> Iterator[Store]:
    """Open the journal of a configuration for the time of a command."""
    from router.config.load import load
    from router.journal.store import open_store

    store = open_store(load(config_file(config)).place)
    try:
        yield store
    finally:
        store.close()


def apply(store: Store, operation: Operation[R]) -> R:
    """Apply an operation in a transaction of its own."""
    from router.journal.operations import apply_at_once

    return apply_at_once(store, operation)
