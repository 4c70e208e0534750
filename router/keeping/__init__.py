"""Keeping the journal safe from the loss of its machine: back-ups made beside a running router, and restored."""
