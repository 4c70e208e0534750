"""The page of a tool, as its users would have it open: alerts first, then the news, then the notices as they came.

It asks for itself again each second, so that what a webhook tells is there without a click. Everybody is fictitious.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from html import escape
from typing import TYPE_CHECKING, TypeVar
from zoneinfo import ZoneInfo

if TYPE_CHECKING:
    from connectors.sandbox.tools.tool import Tool

T = TypeVar("T")
PARIS = ZoneInfo("Europe/Paris")
SHOWN = 40
"""Lines of each list that are shown, the newest."""

POLICY = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; base-uri 'none'"

STYLE = """\
:root{color-scheme:light dark}body{font:16px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:46rem;padding:0 1rem}
:root,body{background:Canvas;color:CanvasText}h1{margin:0;line-height:1.2}
h1 small{display:block;font-weight:400;font-size:.5em}ul{list-style:none;padding:0;margin:.5rem 0 2rem}
.alert{border-left:.3rem solid #c2410c;background:#c2410c18;padding:.6rem .9rem;margin:.5rem 0;border-radius:.3rem}
.alert.calm{border-color:#0e7490;background:#0e749018}.alert b{display:block}.soft{opacity:.75}
.none{border:1px dashed #8888;padding:.9rem;border-radius:.3rem}
table{border-collapse:collapse;width:100%}th,td{text-align:left;padding:.25rem .6rem .25rem 0;vertical-align:top;
border-bottom:1px solid #8884}.wide{overflow-x:auto}code{font-size:.85em;overflow-wrap:anywhere}
"""

SCRIPT = """\
const board = document.getElementById("board");
let shown = "";
async function look() {
  try {
    const answer = await fetch("/board", {cache: "no-store"});
    const text = await answer.text();
    if (answer.ok && text !== shown) { board.innerHTML = text; shown = text; }
    document.getElementById("gone").hidden = true;
  } catch { document.getElementById("gone").hidden = false; }
  setTimeout(look, 1000);
}
setTimeout(look, 1000);
"""

_KINDS = {
    "handshake": "poignée de main",
    "heartbeat": "battement",
    "event-notification": "événement",
    "query-status": "état",
    "empty": "sans contenu",
}


def page(tool: Tool) -> str:
    """Write the whole page."""
    label = escape(tool.profile.label)
    about = f"<p>{escape(tool.about)}</p>" if tool.about else ""
    return (
        '<!DOCTYPE html><html lang="fr"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f'<title>{label} · {escape(tool.name)}</title><link rel="stylesheet" href="/page.css">'
        '<script src="/page.js" defer></script></head><body>'
        f"<h1>{label} <small>outil joué par le bac à sable, pour {escape(tool.user_name)}</small></h1>{about}"
        '<p id="gone" class="none" role="status" hidden>L’outil ne répond plus.</p>'
        f'<main id="board" aria-live="polite">{board(tool)}</main></body></html>'
    )


def board(tool: Tool) -> str:
    """Write what changes."""
    alerts = "".join(
        f'<li class="alert{"" if one.urgent else " calm"}"><b>{escape(one.title)}</b>'
        f"{escape(' · '.join(part for part in (one.whose, one.place) if part))}"
        f'<span class="soft"> survenu le {_day(one.happened)}, reçu à {_clock(one.at)}</span></li>'
        for one in _newest(tool.alerts)
    )
    news = "".join(
        f'<li>{escape(one.word)} <span class="soft">{escape(one.title or one.reference)}</span></li>'
        for one in _newest(tool.feed)
    )
    told = "".join(
        f"<tr><td>{_clock(one.at)}</td><td>{_KINDS.get(one.kind, escape(one.kind))}</td><td>{escape(one.topic)}</td>"
        f"<td>{', '.join(map(str, one.events))}</td><td>{one.status}</td></tr>"
        for one in _newest(tool.notices)
    )
    events = sum(one.kind == "event-notification" for one in tool.notices)
    nothing = '<p class="none">Rien n’est arrivé.</p>'
    table = (
        '<div class="wide"><table><thead><tr><th>Heure</th><th>Avis</th><th>Sujet</th><th>N°</th><th>Réponse</th></tr>'
        f"</thead><tbody>{told}</tbody></table></div>"
    )
    return (
        f"<h2>Alertes ({len(tool.alerts)})</h2>{f'<ul>{alerts}</ul>' if alerts else nothing}"
        f"<h2>Nouveautés ({len(tool.feed)})</h2>{f'<ul>{news}</ul>' if news else nothing}"
        f"<h2>Avis reçus par webhook ({len(tool.notices)}, dont {events} d’événement)</h2>{table if told else nothing}"
    )


def _newest(lines: Sequence[T]) -> Sequence[T]:
    return lines[::-1][:SHOWN]


def _clock(at: float) -> str:
    return datetime.fromtimestamp(at, PARIS).strftime("%H:%M:%S")


def _day(happened: str) -> str:
    try:
        return datetime.fromisoformat(happened).astimezone(PARIS).strftime("%d/%m à %H:%M")
    except ValueError:
        return escape(happened)
