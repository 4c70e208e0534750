"""A browser of a few lines: calls the application itself, keeps cookies, follows nothing unless asked."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from html import unescape
from http.cookies import SimpleCookie
from typing import Any
from urllib.parse import unquote, urlencode, urlsplit

import orjson
from fastapi import FastAPI


@dataclass
class Answer:
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes
    cookies: list[str]

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode()

    @property
    def plain(self) -> str:
        """The text without its markup, blanks folded."""
        inline = re.sub(r"</?(?:strong|b|i|time)\b[^>]*>", "", self.text)
        return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", inline)))

    def json(self) -> Any:
        """The body as JSON."""
        return orjson.loads(self.body)

    @property
    def location(self) -> str:
        """Where it leads."""
        return self.headers["location"]


@dataclass
class Browser:
    """Calls an application. `headers` go with every request."""

    app: FastAPI
    headers: dict[str, str] = field(default_factory=dict)
    cookies: dict[str, str] = field(default_factory=dict)
    scheme: str = "http"
    csrf: str = ""

    async def get(self, path: str, **headers: str) -> Answer:
        """Ask for a page."""
        return await self.call("GET", path, headers=headers)

    async def live(self, path: str) -> Answer:
        """Ask for a page's live part, as the page itself does."""
        return await self.call("GET", path, headers={"HX-Request": "true", "X-Live": "1"})

    async def post(self, path: str, fields: dict[str, Any] | None = None, *, csrf: str | None = None) -> Answer:
        """Send a form, with the session's token unless another is given."""
        form = {"csrf": self.csrf if csrf is None else csrf, **(fields or {})}
        body = urlencode(form, doseq=True).encode()
        return await self.call("POST", path, body, {"Content-Type": "application/x-www-form-urlencoded"})

    async def send(self, path: str, body: bytes | dict[str, Any], media_type: str = "application/json") -> Answer:
        """Send a body to the API."""
        content = orjson.dumps(body) if isinstance(body, dict) else body
        return await self.call("POST", path, content, {"Content-Type": media_type})

    async def call(self, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None) -> Answer:
        """Make one request."""
        parts = urlsplit(path)
        sent = {"host": "router.test", **self.headers, **(headers or {})}
        if self.cookies:
            sent["cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "http_version": "1.1",
            "method": method,
            "scheme": self.scheme,
            "path": unquote(parts.path),
            "raw_path": parts.path.encode(),
            "query_string": parts.query.encode(),
            "root_path": "",
            "headers": [(name.lower().encode(), value.encode()) for name, value in sent.items()],
            "client": ("10.0.0.9", 40000),
            "server": ("router.test", 80),
            "state": {},
        }
        asked = iter([{"type": "http.request", "body": body, "more_body": False}])
        found: dict[str, Any] = {"body": b""}

        async def receive() -> dict[str, Any]:
            return next(asked, {"type": "http.disconnect"})

        async def take(message: Any) -> None:
            if message["type"] == "http.response.start":
                found["status"], found["headers"] = message["status"], message["headers"]
            else:
                found["body"] += message.get("body", b"")

        await self.app(scope, receive, take)
        pairs = [(name.decode().lower(), value.decode()) for name, value in found["headers"]]
        answer = Answer(
            found["status"],
            dict(pairs),
            found["body"],
            [value for name, value in pairs if name == "set-cookie"],
        )
        self._keep(answer)
        return answer

    def _keep(self, answer: Answer) -> None:
        for line in answer.cookies:
            for name, morsel in SimpleCookie(line).items():
                if morsel["max-age"] == "0":
                    self.cookies.pop(name, None)
                else:
                    self.cookies[name] = morsel.value

    async def sign_in(self, name: str, password: str) -> Answer:
        """Sign in as a person does, and remember the session's token."""
        answer = await self.sign_in_only(name, password)
        if answer.status == 303:
            page = await self.get("/account")
            token = re.search(r'name="csrf" value="([^"]+)"', page.text)
            assert token is not None
            self.csrf = token[1]
        return answer

    async def sign_in_only(self, name: str, password: str) -> Answer:
        """Give a name and a password, and no more."""
        form = await self.get("/login")
        entry = re.search(r'name="entry" value="([^"]+)"', form.text)
        assert entry is not None
        return await self.post("/login", {"name": name, "password": password, "entry": entry[1]})
