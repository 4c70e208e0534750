"""Somebody who does every action of the dashboard in a real browser, and looks at where each leads.

The table is `web_actions.ACTS`. After each action: the sentence that it leads to stands there in that language, nothing
is in the other one, nothing breaks the rules of screen readers, and the browser has nothing to complain of.
"""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from screen_reader import violations
from web_actions import ACTS, Act, kind_of
from web_actions_scene import Acting
from web_journal import Journal, hasten
from web_person import Person

from router.journal.store import JournalPlace, open_store
from router.web.texts import Texts, catalogue

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")


PICTURES = Path(__file__).parents[1] / "build" / "screenshots" / "actions"
OTHER_WORDS = {
    "fr": re.compile(r"\b(the|of|is|are|was|were|with|which|this|that|not|has|have|will|cannot|nothing|again|by)\b"),
    "en": re.compile(r"\b(le|la|les|des|du|est|sont|une|pour|avec|dans|qui|sur|aux|été|par|ne|ce|cette)\b"),
}
"""Small words that tell a language, and that are no word of the other one."""

GIVEN = re.compile(
    r"Absence de germe|recontrôler|Lettre de liaison|prévenu|Traités|demande|parti|hospitalisée|"
    r"moins de saisies|panne du disque|TEST|CH de Beaumont|résultats|Glycémie|was guessed|is not carried"
    r"|condition fails|does not begin with|a frame of|a file was|<script>|pytest-of"
)
"""What the scene's people and messages say themselves: it is in the language that they write."""

SPOKEN = """() => {
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT), said = [];
  const here = document.documentElement.lang;
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement, text = walker.currentNode.textContent.trim();
    if (!text || !element.checkVisibility()) continue;
    if (element.closest('code, pre, .code, textarea, script, style')) continue;
    const marked = element.closest('[lang]');
    if (marked && marked.lang !== here) continue;
    said.push(text);
  }
  return said;
}"""
SHAPE = """() => {
  const piece = (e) => e.tagName + '.' + (e.className.baseVal ?? e.className) + (e.getAttribute('role') || '');
  return [...new Set([...document.querySelectorAll('main *')].map(piece))].sort().join(' ');
}"""
"""What a page is made of: one that is made of the same pieces as another is not looked at again by axe."""


class Hand:
    """Somebody who does what the table says."""

    def __init__(self, person: Person, served: Acting, language: str, slow: Path) -> None:
        self.person, self.served, self.language, self._slow = person, served, language, slow
        self.page = person.page
        self.texts = Texts.of(language)
        self.given: dict[str, str] = {}
        self.secret = ""
        self._python = sys.executable
        self._seen: set[int] = set()

    def slow(self) -> None:
        """Have what-if comparisons take for ever."""
        sys.executable = str(self._slow)

    def usual(self) -> None:
        """Have them run as usual."""
        sys.executable = self._python

    def do(self, act: Act) -> None:
        """Do one action, until the page that it leads to stands there."""
        page = self.page
        self.given = dict(act.fill)
        if act.before is not None:
            act.before(self)
        if act.start:
            page.goto(self.served.address + act.start, wait_until="domcontentloaded")
        if act.tick:
            box = page.locator(act.tick).first
            if box.is_visible():
                box.check()
            elif act.narrow is not None:
                act = replace(act, form=act.narrow[0], button=act.narrow[1])
        if act.partial:
            self._reveal(act)
        else:
            self._post(act)
        if act.after is not None:
            act.after(self)

    def _reveal(self, act: Act) -> None:
        place = "[hx-post]"
        kinds = self.page.evaluate(
            "() => [...document.querySelectorAll('[hx-post]')].map(e => e.getAttribute('hx-post'))"
        )
        wanted = next((path for path in kinds if kind_of(path) == act.kind), None)
        assert wanted is not None, f"{self.person.path} offers no {act.kind}"
        self.page.locator(f"{place}[hx-post='{wanted}']").first.click()
        shown = self.page.locator(f"[hx-post='{wanted}']:is(button)")
        playwright.expect(shown).to_have_count(0) if act.form == ".whose" else None

    def _post(self, act: Act) -> None:
        page = self.page
        chosen = page.evaluate_handle(
            """([kind, form, button]) => {
              const clear = (path) => new URL(path, location).pathname;
              return [...document.forms].find(one => {
                const pressed = one.querySelector(button)?.getAttribute('formaction');
                const posted = pressed || one.getAttribute('action') || '';
                return one.method === 'post' && kind.test(clear(posted)) && (!form || one.matches(form))
                  && one.querySelector(button); }); }""",
            [re.compile(_pattern(act.kind)), act.form, act.button],
        ).as_element()
        assert chosen is not None, f"{page.url} offers no {act.kind} ({act.form} {act.button})"
        self._open(chosen)
        for name, value in self.given.items():
            field = chosen.query_selector(f"[name='{name}']:not([type=hidden])")
            assert field is not None, f"{act.kind} has no {name}"
            if field.evaluate("e => e.tagName") == "SELECT":
                field.select_option(value)
            else:
                field.fill(value)
        word = chosen.query_selector("[name=word]")
        if word is not None:
            word.fill(str(self.texts.say("bulk.word")))
        button = chosen.query_selector(act.button)
        if act.downloads:
            with page.expect_download() as waiting:
                button.click()
            assert waiting.value.path().stat().st_size > 0
            return
        with page.expect_navigation(wait_until="domcontentloaded"):
            if button.is_visible():
                button.click()
            else:  # a telephone shows no button beside a field of search: one presses Enter
                assert act.fill, f"{act.kind}: nothing to press"
                chosen.query_selector(f"[name='{next(iter(act.fill))}']").press("Enter")

    def _open(self, form: Any) -> None:
        """Open what hides a form: a dialog by its own button, folds by hand."""
        dialog = form.evaluate("e => e.closest('dialog:not([open])')?.id || ''")
        if dialog:
            self.page.locator(f"[data-open='{dialog}']").first.click()
        form.evaluate(
            "e => { for (let one = e; one = one.closest('details'); one = one.parentElement) one.open = true; }"
        )

    def look(self, act: Act) -> Iterator[str]:
        """Say what is wrong with the page that stands there."""
        page = self.page
        expected = [one for key in act.says for one in _said(self.texts, key)]
        if expected:
            page.wait_for_function(
                """texts => { const said = document.body.innerText.replace(/[\\s\\u00a0\\u202f]+/g, ' ').toLowerCase();
                   return texts.some(one => said.includes(one)); }""",
                arg=[" ".join(one.split()).lower() for one in expected],
            )
        if page.evaluate("document.documentElement.lang") != self.language:
            yield "is in another language"
        for text in page.evaluate(SPOKEN):
            if OTHER_WORDS[self.language].search(text.lower()) and not GIVEN.search(text):
                yield f"says in another language: {text[:160]}"
        shape = hash(page.evaluate(SHAPE))
        if shape not in self._seen:
            self._seen.add(shape)
            yield from violations(page)
        if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
            yield "is wider than the screen"
        yield from self.person.complaints
        self.person.complaints.clear()


def _pattern(kind: str) -> str:
    pattern = kind.replace("#", "[^?]+")
    return f"^{pattern}$"


def _said(texts: Texts, key: str) -> list[str]:
    """Give the longest part of a text that has no place in it, of both its forms where it has two."""
    found = catalogue(texts.language)[key]
    forms = [found] if isinstance(found, str) else [*found.values()]
    return [max(re.split(r"\{\w+\}", form), key=len).strip() for form in forms]


def wrong_after_every_action(
    chromium: Any, furnished: tuple[Path, Journal], insi: str, tmp_path: Path, language: str, scheme: str, width: int
) -> list[str]:
    """Do every action in a language, a colour scheme and a width; gives what is wrong, action by action.

    `furnished` is a folder with a journal made by `web_actions_scene.furnish`, which is copied; `insi` the address of
    the national service. A picture of each page is left in `build/screenshots/actions`.
    """
    folder = tmp_path / "router"
    shutil.copytree(furnished[0], folder)
    store = hasten(open_store(JournalPlace.at(folder / "data"), migrate=False))
    served = Acting(Journal(store, furnished[1].key, dict(furnished[1].ids)), folder, insi)
    slow = tmp_path / "slow"
    slow.write_text("#!/bin/sh\nexec sleep 600\n")
    slow.chmod(0o755)
    someone = Person(chromium, served, color_scheme=scheme, viewport={"width": width, "height": 900})
    someone.context.set_default_timeout(15_000)
    hand = Hand(someone, served, language, slow)
    someone.sign_in()
    someone.context.add_cookies([{"name": "passerelle_language", "value": language, "url": served.address}])
    pictures = PICTURES / f"{language}-{scheme}-{width}"
    pictures.mkdir(parents=True, exist_ok=True)
    wrong: list[str] = []
    try:
        for rank, act in enumerate(ACTS):
            try:
                hand.do(act)
                wrong += [f"{rank} {act.kind}: {one}" for one in hand.look(act)]
            except (AssertionError, playwright.Error) as problem:
                wrong.append(f"{rank} {act.kind}: {str(problem)[:300]} on {someone.path}")
            hand.page.screenshot(path=pictures / f"{rank:02d}-{act.name}.png")
    finally:
        hand.usual()
        someone.context.close()
        served.stop()
        store.close()
    return wrong
