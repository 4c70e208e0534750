"""Reads a page as a strict browser would: what its policy forbids, what is not closed, ids that are there twice."""

from __future__ import annotations

import re
from html.parser import HTMLParser


class Checker(HTMLParser):
    """Notes what a strict policy forbids, and tags that are not closed."""

    VOID = frozenset({"meta", "link", "input", "br", "img", "hr", "use", "path", "circle", "rect"})

    def __init__(self) -> None:
        super().__init__()
        self.wrong: list[str] = []
        self.open: list[str] = []
        self.ids: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = dict(attrs)
        if "style" in names or tag == "style" or (tag == "script" and "src" not in names):
            self.wrong.append(f"inline in <{tag}>")
        self.wrong += [f"{name} on <{tag}>" for name in names if name.startswith("on")]
        for name in ("src", "href", "action"):
            value = names.get(name) or ""
            if re.match(r"(?i)^(https?:|//|javascript:|data:)", value) and tag != "a":
                self.wrong.append(f"{name}={value}")
        if names.get("id"):
            self.ids.append(str(names["id"]))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in self.VOID:
            return
        if not self.open or self.open.pop() != tag:
            self.wrong.append(f"</{tag}> closes nothing")


def check(text: str) -> Checker:
    checker = Checker()
    checker.feed(text)
    return checker
