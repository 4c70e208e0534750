"""Drawing pages: Jinja templates that escape everything, in the reader's language, whole or only their live part."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from router.journal.queries_lines import PatientLine
from router.web.assets import asset
from router.web.charts import sparkline
from router.web.context import WebContext
from router.web.difference_words import place_words
from router.web.documents import KINDS, viewing_of
from router.web.formatting import Formats
from router.web.masking import masked, unmasked
from router.web.peer_words import finding_text, in_words, refusal_words
from router.web.places import places_for
from router.web.recipients import shown_address
from router.web.setting_words import setting_words
from router.web.states import mark
from router.web.visits import Visit

HERE = Path(__file__).parent
LIVE = "live"
"""The block of a page that is asked for again when something changed."""


class Pages:
    """Draws templates. Safe to use from several threads."""

    def __init__(self, context: WebContext) -> None:
        self._context = context
        self._environment = Environment(
            loader=FileSystemLoader(HERE / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        self._environment.globals.update(
            asset=asset,
            mark=mark,
            sparkline=sparkline,
            masked=masked,
            unmasked=unmasked,
            version=context.version,
            router_title=context.title,
            idle_minutes=context.idle_minutes,
            Markup=Markup,
            places=lambda visit: list(places_for(visit, context.offers())),
            shown_address=shown_address,
            viewing_of=viewing_of,
        )
        self._environment.tests.update({name: _is(kind) for name, kind in KINDS.items()})
        self._environment.tests["patient"] = lambda value: isinstance(value, PatientLine) and bool(value)

    def names(self) -> list[str]:
        """Give every template."""
        return list(self._environment.list_templates())

    def prepare(self, name: str) -> None:
        """Read one template, so that who first opens its page does not wait for that."""
        self._environment.get_template(name)

    def draw(self, visit: Visit, template: str, values: Mapping[str, Any], *, block: str | None = None) -> str:
        """Draw a template, or one block of it."""
        formats = Formats(visit.texts, visit.zone, visit.now)
        found = self._environment.get_template(template)
        everything: dict[str, Any] = {"visit": visit, "t": visit.texts.say, "word": visit.texts.word, "f": formats}
        everything["in_words"] = partial(in_words, texts=visit.texts)
        everything["refusal_words"] = partial(refusal_words, texts=visit.texts)
        everything["finding_text"] = partial(finding_text, texts=visit.texts)
        everything["setting_words"] = partial(setting_words, texts=visit.texts)
        everything["place_words"] = partial(place_words, texts=visit.texts)
        everything |= values
        if block is None:
            return found.render(everything)
        return "".join(found.blocks[block](found.new_context({**everything, "partial": True})))


def _is(kind: type[object]) -> Callable[[object], bool]:
    return lambda value: isinstance(value, kind)
