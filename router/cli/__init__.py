"""The command line: `passerelle …`. Commands load what they need when they run, so that help is immediate."""

from router.cli.base import main

__all__ = ["main"]
