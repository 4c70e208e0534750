"""Calendars: any text survives folding and escaping, moments are UTC, identities are stable."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

from hypothesis import given, strategies as st

from mappings.icalendar import Entry, State, calendar

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
START = datetime(2026, 11, 20, 8, 30, tzinfo=timezone(timedelta(hours=1)))


def entry(**more: object) -> Entry:
    values: dict[str, object] = {
        "uid": "a1@hub.example",
        "sequence": 2,
        "changed": NOW,
        "start": START,
        "end": START + timedelta(hours=1),
        "summary": "Visite",
    }
    return Entry(**values | more)  # type: ignore[arg-type]


def unfolded(content: bytes) -> list[str]:
    """Give the lines as a reader of RFC 5545 does (§3.1)."""
    assert content.endswith(b"\r\n")
    assert b"\n" not in content.replace(b"\r\n", b"")
    return content.replace(b"\r\n ", b"").decode().split("\r\n")[:-1]


def said(lines: list[str], name: str) -> str:
    """Give the unescaped text of a property (§3.3.11)."""
    value = next(line.partition(":")[2] for line in lines if line.startswith(f"{name}:"))
    out, escaped = [], False
    for character in value:
        if escaped:
            out.append("\n" if character in "nN" else character)
            escaped = False
        elif character == "\\":
            escaped = True
        else:
            out.append(character)
    return "".join(out)


@given(st.text(st.characters(exclude_categories=("Cs", "Cc")) | st.sampled_from("\n,;\\é€😀"), max_size=300))
def test_any_text_survives_and_no_line_is_too_long(words: str) -> None:
    content = calendar("Dossier 1", [entry(summary=words, description=words)], NOW)
    assert all(len(line) <= 75 for line in content.split(b"\r\n"))
    assert all(line.decode() is not None for line in content.split(b"\r\n")), "no character is cut"
    lines = unfolded(content)
    assert said(lines, "SUMMARY") == words
    assert lines[0] == "BEGIN:VCALENDAR"
    assert lines[-1] == "END:VCALENDAR"


def test_moments_are_utc_and_what_is_cancelled_takes_no_time() -> None:
    lines = unfolded(calendar("Dossier 1", [entry(state=State.CANCELLED, end=START)], NOW))
    assert {"DTSTART:20261120T073000Z", "DTSTAMP:20261120T120000Z", "SEQUENCE:2", "UID:a1@hub.example"} <= set(lines)
    assert {"STATUS:CANCELLED", "TRANSP:TRANSPARENT"} <= set(lines)
    assert not any(line.startswith("DTEND") for line in lines), "an end that is no later than the start is none"


def test_controls_and_lines_of_the_format_cannot_be_smuggled_in() -> None:
    lines = unfolded(calendar("x\r\nX-EVIL:1", [entry(uid="a\r\nDTSTART:1", location="b\x00\x07")], NOW))
    assert not any(line.startswith("X-EVIL") for line in lines)
    assert sum(line.startswith("DTSTART") for line in lines) == 1
    assert said(lines, "LOCATION") == "b"
