"""Actions on many rows: planned and previewed, carried out batch by batch by the engine, stopped, undone.

A job and its rows are in the journal: a batch and what it did are one transaction, so that a job goes on after a
restart where it was, and whoever asks (dashboard, API, command line) only writes what is to be done.
"""
