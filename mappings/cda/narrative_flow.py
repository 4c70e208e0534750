"""A narrative while it is read: text gathers into runs, runs into paragraphs, between blocks, within a budget."""

from __future__ import annotations

from mappings.cda.narrative_tree import Block, Break, Inline, Mark, NoteMark, Paragraph, Run


class Budget:
    """How much of a document may still be shown: characters of text, and pieces (sections, cells, items, runs…)."""

    def __init__(self, characters: int, pieces: int) -> None:
        self._characters = characters
        self._pieces = pieces
        self.spent = False

    def taken(self, text: str) -> str:
        """Give a text, or as much of it as there is room for."""
        if len(text) > self._characters:
            self.spent = True
            text = text[: self._characters]
        self._characters -= len(text)
        return text

    def piece(self) -> bool:
        """Count one piece; False when there have been too many."""
        self._pieces -= 1
        if self._pieces < 0:
            self.spent = True
        return not self.spent


class Flow:
    """Gathers what follows one another in a text, a cell or an item. Blanks at the edges of lines are dropped."""

    def __init__(self) -> None:
        self._blocks: list[Block] = []
        self._inlines: list[Inline] = []
        self._caption = ""

    def text(self, text: str, marks: frozenset[Mark], link: str | None) -> None:
        """Add text whose blanks are already folded."""
        last = self._inlines[-1] if self._inlines else None
        if last is None or isinstance(last, Break) or (isinstance(last, Run) and last.text.endswith(" ")):
            text = text.removeprefix(" ")
        if not text:
            return
        if isinstance(last, Run) and last.marks == marks and last.link == link:
            self._inlines[-1] = Run(last.text + text, marks, link)
        else:
            self._inlines.append(Run(text, marks, link))

    def inline(self, one: NoteMark) -> None:
        """Add a footnote's number."""
        self._inlines.append(one)

    def line(self) -> None:
        """End a line."""
        self._strip()
        if self._inlines:
            self._inlines.append(Break())

    def paragraph(self, caption: str = "") -> None:
        """End a paragraph; `caption` heads the next one."""
        while self._inlines and isinstance(self._inlines[-1], Break):
            self._inlines.pop()
        self._strip()
        if self._inlines or self._caption:
            self._blocks.append(Paragraph(tuple(self._inlines), self._caption))
        self._inlines, self._caption = [], caption

    def block(self, block: Block) -> None:
        """Add a block after what was gathered."""
        self.paragraph()
        self._blocks.append(block)

    def finished(self) -> tuple[Block, ...]:
        """Give all that was gathered."""
        self.paragraph()
        return tuple(self._blocks)

    def _strip(self) -> None:
        last = self._inlines[-1] if self._inlines else None
        if isinstance(last, Run):
            text = last.text.removesuffix(" ")
            if text:
                self._inlines[-1] = Run(text, last.marks, last.link)
            else:
                self._inlines.pop()
