"""Refusals of the API: RFC 9457 problem details, one sentence each."""

from __future__ import annotations

from http import HTTPStatus

from fastapi.responses import JSONResponse


class Refused(Exception):
    """The request is understood and cannot be done: its status and one sentence that quotes nobody's data."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status
        self.sentence = sentence


def problem(status: int, sentence: str) -> JSONResponse:
    """Make a problem details answer."""
    try:
        title = HTTPStatus(status).phrase
    except ValueError:
        title = "Error"
    content = {"type": "about:blank", "title": title, "status": status, "detail": sentence}
    return JSONResponse(content, status, media_type="application/problem+json")
