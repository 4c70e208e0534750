"""Downloading an extraction or the white list: to a file, whole or not at all, and not again when it has not changed.

annuaire.download        the server does not give the file: refused, moved, cut, larger than allowed
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path

import httpx

from connectors.annuaire.settings import AnnuaireSettings
from connectors.tls import ClientTls
from mappings.contracts import FormatError


@dataclass(frozen=True, slots=True)
class Fetched:
    """Whether the file is there anew, and the tag by which the server recognises it next time."""

    changed: bool
    etag: str = ""


def fetch(url: str, path: Path, settings: AnnuaireSettings, *, etag: str = "", most_bytes: int) -> Fetched:
    """Download to `path`. Raises FormatError `annuaire.download`; a redirection is refused, it is nobody's choice."""
    try:
        return _fetched(url, path, settings, etag, most_bytes)
    except httpx.HTTPError as failure:
        raise _fault(url, f"cannot be downloaded ({type(failure).__name__})") from None
    except (OSError, ssl.SSLError) as problem:
        raise _fault(url, f"cannot be downloaded ({problem.strerror or type(problem).__name__})") from None


def _fetched(url: str, path: Path, settings: AnnuaireSettings, etag: str, most_bytes: int) -> Fetched:
    secure = url.startswith("https://")
    with (
        httpx.Client(
            verify=ClientTls(ca=settings.ca).context() if secure else False,
            proxy=str(settings.proxy) if settings.proxy is not None else None,
            timeout=httpx.Timeout(settings.timeout, connect=settings.connect_timeout),
            follow_redirects=False,
            trust_env=False,
        ) as http,
        http.stream("GET", url, headers={"If-None-Match": etag} if etag else {}) as response,
    ):
        if response.status_code == 304 and etag:
            return Fetched(False, etag)
        if response.status_code != 200:
            raise _fault(url, f"the server answers {response.status_code}")
        count = 0
        with path.open("wb") as file:
            for chunk in response.iter_bytes():
                count += len(chunk)
                if count > most_bytes:
                    raise _fault(url, "the file is larger than allowed")
                file.write(chunk)
        return Fetched(True, response.headers.get("ETag", ""))


def _fault(url: str, said: str) -> FormatError:
    return FormatError("annuaire.download", httpx.URL(url).host, f"{said}: {url}")
