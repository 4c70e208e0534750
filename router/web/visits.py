"""One request as the pages see it: who asks, in which language, zone and colours."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from starlette.requests import Request

from router.web.sessions import Session
from router.web.texts import DEFAULT, LANGUAGES, Texts

SESSION_COOKIE = "passerelle_session"
LANGUAGE_COOKIE, THEME_COOKIE, ZONE_COOKIE = "passerelle_language", "passerelle_theme", "passerelle_zone"
THEMES = ("auto", "light", "dark")

LIVE_HEADER = "X-Live"
"""Sent by a page that refreshes itself: no action of its user."""

_ZONE = re.compile(r"^[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z][A-Za-z0-9_+-]*){0,2}$")


@dataclass(frozen=True, slots=True)
class Visit:
    """A request. `session` is None only on the pages that anybody may see; `form` holds what was posted."""

    path: str
    now: int
    texts: Texts
    zone: ZoneInfo
    theme: str
    session: Session | None = None
    form: Mapping[str, list[str]] = field(default_factory=dict)
    partial: bool = False

    @property
    def account(self) -> str:
        """The account's name; empty when nobody is signed in."""
        return "" if self.session is None else self.session.account

    def may(self, right: str) -> bool:
        """Whether the account's role gives it a right (`router.web.rights.Right`)."""
        return self.session is not None and right in self.session.rights

    @property
    def csrf(self) -> str:
        """What every form must bring back."""
        return "" if self.session is None else self.session.csrf

    @property
    def key(self) -> bytes:
        """The session's own key: what is remembered for it is nobody else's."""
        return b"" if self.session is None else self.session.key

    def posted(self, name: str) -> str:
        """Give one posted value, or an empty text."""
        return next(iter(self.form.get(name, ())), "")


def visit_of(request: Request, *, now: int, zone: ZoneInfo, session: Session | None = None) -> Visit:
    """Make a Visit of a request; what its cookies say is only believed when it is one of the known values."""
    cookies = request.cookies
    language = cookies.get(LANGUAGE_COOKIE, DEFAULT)
    theme = cookies.get(THEME_COOKIE, THEMES[0])
    return Visit(
        request.url.path,
        now,
        Texts.of(language if language in LANGUAGES else DEFAULT),
        zone_of(cookies.get(ZONE_COOKIE, "")) or zone,
        theme if theme in THEMES else THEMES[0],
        session,
        partial=request.headers.get("HX-Request") == "true",
    )


def zone_of(name: str) -> ZoneInfo | None:
    """Give a time zone by its name, or None for what is none."""
    if not _ZONE.match(name):
        return None
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None
