"""What a page answers instead of itself.

NotSignedIn              nobody, or somebody whose session is over
NotAllowed               a form that does not prove where it comes from
  NotEntitled            somebody whose role does not go so far
NotEnrolled              somebody whose role asks for one-time codes, before they are enrolled
NotThere                 what was asked for does not exist
"""

from __future__ import annotations


class NotSignedIn(Exception):
    """There is no valid session or key."""


class NotAllowed(Exception):
    """The request does not prove that it comes from one of our pages."""


class NotEntitled(NotAllowed):
    """The account's role does not allow it."""


class NotEnrolled(Exception):
    """The account must enrol one-time codes first."""


class NotThere(Exception):
    """There is no such thing."""
