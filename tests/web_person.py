"""The application on a real port, and somebody with a real browser in front of it."""

from __future__ import annotations

import asyncio
import shutil
import threading
from datetime import UTC, datetime
from typing import Any

import uvicorn
from web_journal import ADMIN, PASSWORD, Journal

from router.bulk.running import BulkRunner
from router.web.app import create_app
from router.web.context import FlowStatus, RouteStatus, WebContext

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

NOW = int(datetime(2026, 11, 22, 9, 30, tzinfo=UTC).timestamp() * 1_000_000)


class Served:
    """The application on a real port, in a thread of its own."""

    def __init__(self, journal: Journal, **context: Any) -> None:
        self.journal = journal
        self.now = NOW
        self.flows = [
            FlowStatus("labo-sud", "source", "mllp", "listening", address="0.0.0.0:2575"),
            FlowStatus("hopital", "source", "mllp", "listening", address="0.0.0.0:2576"),
            FlowStatus("spico", "destination", "fhir", "unreachable", detail="connection refused"),
            FlowStatus("medecin", "destination", "directory", "ready", address="/srv/out"),
        ]
        known: dict[str, Any] = {
            "store": journal.store,
            "submit": journal.submit,
            "flows": lambda: self.flows,
            "routes": lambda: (RouteStatus("résultats", "item.kind == 'lab_report'", ("spico",)),),
            "now": lambda: datetime.fromtimestamp(self.now / 1_000_000, UTC),
            "version": "1.2.3",
            "title": "CH de Beaumont",
        }
        self.app = create_app(WebContext(**{**known, **context}))
        config = uvicorn.Config(self.app, port=0, log_level="error", lifespan="off", timeout_graceful_shutdown=1)
        self.server = uvicorn.Server(config)
        self.started = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()
        assert self.started.wait(20)
        self.address = f"http://127.0.0.1:{self.port}"

    def _run(self) -> None:
        async def serve() -> None:
            self.server.config.load()
            self.server.lifespan = self.server.config.lifespan_class(self.server.config)
            await self.server.startup()
            self.port = self.server.servers[0].sockets[0].getsockname()[1]
            self.started.set()
            carrying = asyncio.create_task(self._carry())
            await self.server.main_loop()
            carrying.cancel()
            await asyncio.gather(carrying, return_exceptions=True)
            await self.server.shutdown()

        asyncio.run(serve())

    async def _carry(self) -> None:
        """Do what the engine does about actions on many rows."""
        now = lambda: datetime.fromtimestamp(self.now / 1_000_000, UTC)  # noqa: E731 - the context's own clock
        await BulkRunner(self.journal.store, self.journal.submit, now=now).run()

    def stop(self) -> None:
        self.server.should_exit = True
        self.thread.join(20)
        self.app.state.desk.live.close()
        self.app.state.desk.close()


class Person:
    """Somebody with a browser. What the browser complains of is kept, and fails the test at its end."""

    def __init__(self, chromium: Any, served: Served, **options: Any) -> None:
        defaults = {"viewport": {"width": 1280, "height": 900}, "timezone_id": "Europe/Paris", "locale": "fr-FR"}
        self.context = chromium.new_context(**{**defaults, **options})
        self.context.set_default_timeout(15_000)
        self.page = self.context.new_page()
        self.served = served
        self.complaints: list[str] = []
        self.page.on("console", self._note)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on(
            "dialog", lambda dialog: (self.complaints.append("a script ran: " + dialog.message), dialog.dismiss())
        )
        self.page.on("requestfailed", self._failed)

    def _note(self, message: Any) -> None:
        if message.type in {"error", "warning"} and "401" not in message.text:
            self.complaints.append(message.text)

    def _failed(self, request: Any) -> None:
        if "/events" not in request.url and "ERR_ABORTED" not in (request.failure or ""):
            self.complaints.append(f"{request.url}: {request.failure}")

    def go(self, path: str) -> Any:
        self.page.goto(self.served.address + path)
        return self.page

    def sign_in(self) -> Any:
        self.go("/login")
        self.page.get_by_label("Nom").fill(ADMIN)
        self.page.get_by_label("Mot de passe").fill(PASSWORD)
        self.page.get_by_role("button", name="Entrer").click()
        self.page.wait_for_url(self.served.address + "/")
        return self.page

    @property
    def path(self) -> str:
        return str(self.page.url).removeprefix(self.served.address)


CONTRAST = """() => {
  const rgb = (text) => { const c = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
    c.fillStyle = text; c.fillRect(0, 0, 1, 1); return [...c.getImageData(0, 0, 1, 1).data]; };
  const light = ([r, g, b]) => {
    const f = (v) => { v /= 255; return v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; };
    return 0.2126 * f(r) + 0.7152 * f(g) + 0.0722 * f(b); };
  const ground = (element) => { for (let e = element; e; e = e.parentElement) {
    const c = rgb(getComputedStyle(e).backgroundColor); if (c[3] > 250) return c; } return [255, 255, 255, 255]; };
  const low = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.textContent.trim() || !element.checkVisibility()) continue;
    const [a, b] = [light(rgb(getComputedStyle(element).color)), light(ground(element))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    const said = walker.currentNode.textContent.trim().slice(0, 30);
    if (ratio < 4.5) low.push([element.className, said, ratio.toFixed(2)].join(' '));
  }
  return [...new Set(low)];
}"""


NAMELESS = """() => [...document.querySelectorAll('input:not([type=hidden]), button, summary, a')]
  .filter(e => e.checkVisibility() && !e.labels?.length && !e.getAttribute('aria-label') && !e.textContent.trim())
  .map(e => e.outerHTML)"""
