"""The ****LAB**** block: RES and TEX lines into chapters, results and comments (hprim 2.4, 2.5.13 and 2.5.14)."""

from __future__ import annotations

import re
import textwrap
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, field

from mappings.hprim_medecin.layout import Line, RawReport
from mappings.hprim_medecin.record import (
    Draft,
    Profile,
    Res,
    add_second,
    completes,
    is_placeholder,
    read_res,
    split_res,
)
from mappings.notes import Notes
from mappings.plain_text import squeezed, without_controls, without_entities
from schemas.lab import LabChapter

SPECIAL_TITLES = {
    "conclusion": "conclusion",
    "conclusions": "conclusion",
    "commentaire": "comment",
    "commentaires": "comment",
    "commentairegeneral": "comment",
    "renseignementscliniques": "clinical_information",
}
"""Titles under which plain lines are not a chapter but a part of the report."""

_FRAMED = re.compile(r"(?P<frame>-{3,}|={3,}|\*+)\s*(?P<title>[^-=*\s].*?)\s*(?:-{3,}|={3,}|\*+)")
_NO_TITLE = re.compile(r"-{4,}\s{2,}-{4,}")
_SPACED = re.compile(r"(?:\S\s){2,}\S(?:\s{2,}(?:\S\s)*\S)*")
_LONGEST_TITLE = 60
_RULE = frozenset("-=*_.~ \t")
"""A line of these alone is a drawn rule: it says nothing."""


@dataclass(frozen=True, slots=True)
class Coded:
    """The coded part of a report. `text` is all its TEX lines, for a report that has no text of its own."""

    chapters: tuple[LabChapter, ...]
    text: str
    results: int
    conclusion: str | None = None
    comment: str | None = None
    clinical_information: str | None = None


def title_of(line: str) -> str | None:
    """Give the title that a TEX line is, or None: in capitals (spaced or not), between stars, dashes or equal signs.

    A line moved in by one to three blanks is never a title: laboratories, and our writer, put comments there.
    `----  ----`, our writer's way to end a chapter without beginning another, is an empty title.
    """
    text = line.rstrip()
    if 1 <= len(text) - len(text.lstrip()) <= 3:
        return None
    text = text.strip()
    if not text or len(text) > _LONGEST_TITLE + 40:
        return None
    if framed := _FRAMED.fullmatch(text):
        return _unspaced(framed["title"])
    if _NO_TITLE.fullmatch(text):
        return ""
    letters = [char for char in text if char.isalpha()]
    if len(letters) < 3 or len(text) > _LONGEST_TITLE or text[-1] in ".!?;," or any(char in "|<>=" for char in text):
        return None
    digits = sum(char.isdigit() for char in text)
    return _unspaced(text.rstrip(" :")) if all(char.isupper() for char in letters) and digits <= 2 else None


def _unspaced(title: str) -> str:
    """Write `H E M A T O L O G I E` in one word; two blanks or more separate words."""
    if not _SPACED.fullmatch(title):
        return squeezed(title)
    words = re.split(r"\s{2,}", title)
    return " ".join(word.replace(" ", "") for word in words)


def special_title(title: str) -> str | None:
    """Give the part of the report (`conclusion`, `comment`, `clinical_information`) that a title announces, or None."""
    folded = unicodedata.normalize("NFKD", title.casefold())
    return SPECIAL_TITLES.get("".join(char for char in folded if char.isalpha()))


@dataclass(slots=True)
class _Tex:
    rank: int
    text: str


@dataclass(slots=True)
class _Chapter:
    title: str | None
    titles: list[_Tex] = field(default_factory=list)
    comment: list[str] = field(default_factory=list)
    drafts: list[Draft] = field(default_factory=list)


class Counter:
    """Ranks of RES and TEX lines run through the whole file, so that an address names one line."""

    def __init__(self) -> None:
        self.res = 0
        self.tex = 0


def read_coded(
    report: RawReport, profile: Profile, ranks: Counter, notes: Notes, in_text: Callable[[str], bool]
) -> Coded:
    """Read a report's coded lines; `in_text` tells whether a line is in the readable text already."""
    return _Block(profile, ranks, notes, in_text).read(report.records, report.cut)


class _Block:
    def __init__(self, profile: Profile, ranks: Counter, notes: Notes, in_text: Callable[[str], bool]) -> None:
        self.profile = profile
        self.ranks = ranks
        self.notes = notes
        self.in_text = in_text
        self.chapters = [_Chapter(None)]
        self.waiting: list[_Tex] = []
        self.all_text: list[_Tex] = []
        self.unplaced: list[_Tex] = []
        self.placeholders = 0

    def read(self, records: list[Line], cut: Line | None) -> Coded:
        for line in records:
            text = without_controls(line.text).lstrip() if line.is_record else line.text
            kind = text[:3].upper() if line.is_record else ""
            if line is cut and not _closed(text):
                self.notes.leave(line.where, line.text)
            elif kind == "RES":
                self._res(text)
            elif kind == "TEX":
                self._tex(text.partition("|")[2])
            elif not line.blank:
                self.notes.warning("hprim.record.unknown", line.where, "neither RES nor TEX: not read")
                self.notes.leave(line.where, line.text)
        self._place()
        return self._coded()

    def _res(self, text: str) -> None:
        self.ranks.res += 1
        res = split_res(self.ranks.res, text, self.notes)
        self._place(res)
        drafts = self.chapters[-1].drafts
        if is_placeholder(res):
            self.placeholders += 1
            self.notes.info(
                "hprim.res.placeholder", f"RES[{res.rank}]", "neither label nor value: an announced analysis"
            )
            self.notes.leave(f"RES[{res.rank}]", text)
        elif drafts and completes(res, drafts[-1]):
            add_second(drafts[-1], res, self.profile, self.notes)
        else:
            drafts.append(read_res(res, self.profile, self.notes))

    def _tex(self, raw: str) -> None:
        self.ranks.tex += 1
        tex = _Tex(self.ranks.tex, without_entities(raw).rstrip())
        self.all_text.append(tex)
        title = title_of(tex.text)
        if title is None:
            self.waiting.append(tex)
            return
        self._place()
        last = self.chapters[-1]
        if title and last.title and not (last.drafts or last.comment or special_title(title)):
            last.title = f"{last.title} - {title}"
            last.titles.append(tex)
        else:
            self.chapters.append(_Chapter(title or None, [tex]))

    def _place(self, before: Res | None = None) -> None:
        """Give the waiting TEX lines to the result above them, else to the chapter; `before` is the result below."""
        lines, self.waiting = self.waiting, []
        chapter = self.chapters[-1]
        kept: list[str] = []
        for tex in lines:
            neighbours = [before, chapter.drafts[-1].res if chapter.drafts else None]
            if any(res is not None and _prints(tex.text, res) for res in neighbours):
                self.unplaced.append(tex)
            elif not tex.text.strip() or not set(tex.text) <= _RULE:
                kept.append(tex.text)
        block = textwrap.dedent("\n".join(kept)).strip("\n")
        if block.strip():
            (chapter.drafts[-1].comment if chapter.drafts else chapter.comment).append(block)

    def _coded(self) -> Coded:
        chapters: list[LabChapter] = []
        parts: dict[str, list[str]] = {}
        for chapter in self.chapters:
            comment = "\n".join(chapter.comment) or None
            part = special_title(chapter.title or "") if not chapter.drafts else None
            if chapter is self.chapters[0] and not chapter.drafts:
                comment = "\n".join(line for line in (comment or "").split("\n") if not self.in_text(line)) or None
                part = "comment"
            if part and comment:
                parts.setdefault(part, []).append(comment)
            elif chapter.drafts or comment:
                observations = tuple(draft.finished() for draft in chapter.drafts)
                chapters.append(LabChapter(title=chapter.title, comment=comment, observations=observations))
            else:
                self.unplaced.extend(chapter.titles)
        results = sum(len(chapter.observations) for chapter in chapters)
        text = "\n".join(tex.text for tex in self.all_text).strip("\n")
        for tex in self.unplaced:
            if not self.in_text(tex.text):
                self.notes.leave(f"TEX[{tex.rank}]", tex.text)
        joined = {part: "\n".join(lines) for part, lines in parts.items()}
        return Coded(tuple(chapters), text, results, **joined)


def _closed(text: str) -> bool:
    """Tell whether a RES line at which the file stops is whole up to its status (RES-10) or its last field."""
    cells = text.split("|")
    return text[:3].upper() == "RES" and (
        len(cells) >= 14 or (len(cells) == 10 and cells[9].strip().upper() in {"F", "R", "C"})
    )


def _prints(text: str, res: Res) -> bool:
    """Tell whether a TEX line only prints a RES line: its label, alone or with its value (hprim 2.5.14)."""
    line, label = squeezed(text).casefold(), squeezed(without_entities(res.fields[2])).casefold().rstrip(" :.")
    if not label or not line.startswith(label):
        return False
    rest = line[len(label) :].replace(",", ".")
    value = re.escape(squeezed(res.fields[5]).casefold().replace(",", "."))
    return not rest.strip(" :.") or (bool(value) and re.search(rf"(?<![\w.]){value}(?![\w])", rest) is not None)
