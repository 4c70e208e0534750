"""Errors that are made to be read: one sentence that says what, where and what to do.

The command line prints them as they are; anything else that reaches it is a defect of ours.

    Fault
      ConfigurationFault    passerelle.toml cannot be used (router.config.load)
      ConditionFault        a route's condition is wrong or fails (router.engine.conditions)
      CannotServe           the router cannot start (router.engine.serve)
      KeyFault              the journal's key is missing or wrong, or a value was damaged (router.journal.sealing)
        KeyAway             the newest key is not here yet: a JournalFault as well, for what waits for the journal
      JournalFault          the journal cannot be opened or used (router.journal.store)
        JournalFull           no room: nothing was committed
        JournalBusy           another process holds it for too long
      AlreadyRunning        another router works on the journal (router.journal.locking)
      TrialFault            a demonstration, bench or proof cannot go on (router.trial.process)
        RouterDidNotStart     its router ended, or did not listen in time
      PackageFault          a validation package cannot be used (router.validation.faults)
      AccountFault          an account or key cannot be made or changed so (router.web.accounts)
      UnknownPatient        there is no patient of that number (router.identity.insi)
      ValidationUnavailable a document could not be checked (router.validation.faults)
"""

from __future__ import annotations


class Fault(Exception):
    """An error whose text is for a person; it holds no health data."""


class JournalFault(Fault):
    """The journal cannot be opened or used."""


class BodyFault(Exception):
    """The body of a request is too large, or comes too slowly: the outermost layer answers (`router.web.guard`)."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status
        self.sentence = sentence
