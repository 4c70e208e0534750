"""How numbers, sizes, times and durations are written, in French and in English, in a person's own zone."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from markupsafe import Markup

from router.web.texts import Texts

if TYPE_CHECKING:  # the terminal writes with this module too, and needs no journal for it
    from router.journal.view import Capped

MICROS = 1_000_000
NARROW = "\u202f"
"""Narrow no-break space: groups thousands in French."""

NO_BREAK = "\u00a0"
_SIZES = ("octets", "ko", "Mo", "Go", "To")
_SIZES_EN = ("bytes", "kB", "MB", "GB", "TB")


@dataclass(frozen=True, slots=True)
class Formats:
    """Writes values for one reader at one moment (`now`, microseconds)."""

    texts: Texts
    zone: ZoneInfo
    now: int

    @property
    def french(self) -> bool:
        """Whether the reader reads French."""
        return self.texts.language == "fr"

    def number(self, value: int) -> str:
        """Write a whole number with its thousands apart."""
        return f"{value:,}".replace(",", NARROW if self.french else ",")

    def capped(self, value: Capped) -> str:
        """Write a count that may have stopped at its cap: `1 000+`."""
        return self.number(value.count) + ("+" if value.more else "")

    def decimal(self, value: float, digits: int = 1) -> str:
        """Write a number with so many decimals, without those that say nothing."""
        text = f"{value:,.{digits}f}"
        if "." in text:
            text = text.rstrip("0").rstrip(".")
        if self.french:
            text = text.replace(",", NARROW).replace(".", ",")
        return text

    def rate(self, per_minute: float) -> str:
        """Write a rate: a second when it is lively, else a minute, else an hour."""
        if per_minute <= 0:
            return "–"
        for value, unit in ((per_minute / 60, "second"), (per_minute, "minute"), (per_minute * 60, "hour")):
            if value >= 1 or unit == "hour":
                return str(self.texts.say(f"rate.{unit}", value=self.decimal(value, 1 if value < 10 else 0)))
        return "–"

    def size(self, count: int) -> str:
        """Write a size in bytes, by thousands."""
        value, rank = float(count), 0
        names = _SIZES if self.french else _SIZES_EN
        if count < 2:
            return f"{count}{NO_BREAK}{names[0].removesuffix('s')}"
        while value >= 1000 and rank < len(names) - 1:
            value, rank = value / 1000, rank + 1
        return f"{self.decimal(value, 0 if rank == 0 or value >= 100 else 1)}{NO_BREAK}{names[rank]}"

    def duration(self, micros: int) -> str:
        """Write how long something took or has been waiting."""
        seconds = max(0, micros) / MICROS
        if seconds < 0.001:
            return f"<{NO_BREAK}1{NO_BREAK}ms"
        if seconds < 0.1:
            return f"{self.decimal(seconds * 1000, 0)}{NO_BREAK}ms"
        if seconds < 60:
            return f"{self.decimal(seconds, 1 if seconds < 10 else 0)}{NO_BREAK}s"
        minutes = int(seconds // 60)
        if minutes < 60:
            return f"{minutes}{NO_BREAK}min"
        hours, rest = divmod(minutes, 60)
        if hours < 48:
            return f"{hours}{NO_BREAK}h" + (f"{NO_BREAK}{rest:02d}" if rest else "")
        return f"{self.number(hours // 24)}{NO_BREAK}{'j' if self.french else 'd'}"

    def local(self, micros: int) -> datetime:
        """Give a moment in the reader's zone."""
        return datetime.fromtimestamp(micros // MICROS, UTC).replace(microsecond=micros % MICROS).astimezone(self.zone)

    def clock(self, micros: int) -> str:
        """Write the time of day, to the second."""
        return f"{self.local(micros):%H:%M:%S}"

    def exact(self, micros: int) -> str:
        """Write a moment to the millisecond, with its zone."""
        moment = self.local(micros)
        thousandths = f"{moment.microsecond // 1000:03d}"
        day = f"{moment:%d/%m/%Y}" if self.french else f"{moment:%Y-%m-%d}"
        return f"{day} {moment:%H:%M:%S}{',' if self.french else '.'}{thousandths} {self.zone.key}"

    def short(self, micros: int) -> str:
        """Write a moment for reading: relative under an hour, else the hour, else the date."""
        age = self.now - micros
        if -5 * MICROS <= age < 5 * MICROS:
            return str(self.texts.say("time.now"))
        if age < 0:
            return self._ahead(-age, micros)
        if age < 60 * MICROS:
            return str(self.texts.say("time.ago", duration=f"{age // MICROS}{NO_BREAK}s"))
        if age < 3600 * MICROS:
            return str(self.texts.say("time.ago", duration=f"{age // (60 * MICROS)}{NO_BREAK}min"))
        return self._dated(micros)

    def _ahead(self, wait: int, micros: int) -> str:
        if wait < 3600 * MICROS:
            return str(self.texts.say("time.ahead", duration=self.duration(wait)))
        return self._dated(micros)

    def _dated(self, micros: int) -> str:
        moment, today = self.local(micros), self.local(self.now)
        if moment.date() == today.date():
            return f"{moment:%H:%M}"
        if moment.date() == (today - timedelta(days=1)).date():
            return str(self.texts.say("time.yesterday", time=f"{moment:%H:%M}"))
        if moment.year == today.year:
            return f"{self.day(moment)} {moment:%H:%M}"
        return f"{moment:%d/%m/%Y}" if self.french else f"{moment:%Y-%m-%d}"

    def day(self, moment: datetime) -> str:
        """Write a day of the year."""
        return f"{moment.day}{NO_BREAK}{self.texts.say(f'month.{moment.month}')}"

    def date(self, micros: int) -> str:
        """Write a moment's day, with its year unless that is this one."""
        moment = self.local(micros)
        year = "" if moment.year == self.local(self.now).year else f"{NO_BREAK}{moment.year}"
        return self.day(moment) + year

    def weekday(self, moment: datetime) -> str:
        """Write a day of the week, shortened."""
        return str(self.texts.say(f"weekday.{moment.isoweekday()}"))

    def time(self, micros: int | None) -> Markup:
        """Mark a moment up: short to read, exact on hover and for machines."""
        if micros is None:
            return Markup("–")
        machine = datetime.fromtimestamp(micros // MICROS, UTC).isoformat()
        return Markup('<time datetime="{}" title="{}">{}</time>').format(
            machine, self.exact(micros), self.short(micros)
        )

    def since(self, micros: int | None) -> Markup:
        """Mark up since when something lasts: a duration under an hour, else the moment."""
        if micros is None:
            return Markup("")
        age = self.now - micros
        if age < 3600 * MICROS:
            shown = self.texts.say("time.for", duration=self.duration(max(MICROS, age // MICROS * MICROS)))
        else:
            shown = self.texts.say("time.since", moment=self._dated(micros))
        machine = datetime.fromtimestamp(micros // MICROS, UTC).isoformat()
        return Markup('<time datetime="{}" title="{}">{}</time>').format(machine, self.exact(micros), shown)

    def is_today(self, micros: int) -> bool:
        """Say whether a moment is of this day, where the reader is."""
        return self.local(micros).date() == self.local(self.now).date()

    def moment(self, micros: int) -> Markup:
        """Mark a moment up with its time of day to the second; its date only when it is not today."""
        shown = self.clock(micros) if self.is_today(micros) else f"{self.day(self.local(micros))} {self.clock(micros)}"
        machine = datetime.fromtimestamp(micros // MICROS, UTC).isoformat()
        return Markup('<time datetime="{}" title="{}">{}</time>').format(machine, self.exact(micros), shown)

    def partial(self, text: str | None) -> str:
        """Write a canonical date or date-time (ISO 8601 cut at any precision) for reading."""
        if not text:
            return ""
        day, _, clock = text.partition("T")
        parts = day.split("-")
        shown = "/".join(reversed(parts)) if self.french else day
        return f"{shown} {clock[:5]}" if clock else shown
