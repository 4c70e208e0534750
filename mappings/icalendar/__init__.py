"""Calendars (iCalendar, RFC 5545) for the agendas of people: written, for any calendar program to subscribe to."""

from __future__ import annotations

from mappings.icalendar.writing import Entry, State, calendar

__all__ = ["Entry", "State", "calendar"]
