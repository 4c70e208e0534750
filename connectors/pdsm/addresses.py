"""Addresses that a server gives us to follow: pages of results, files of documents. No I/O.

An address in a document was written by whoever submitted it: fetched without a look, it would make this router read
inside its own network for somebody else (SSRF), and show them our credentials. Only the server's own origin is
followed, and for files the hosts that the configuration names.
"""

from __future__ import annotations

from collections.abc import Collection
from urllib.parse import unquote

from yarl import URL


class Unfollowed(Exception):
    """An address is not followed: `code` is stable, the sentence says why without quoting the address."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def under(base: URL, relative: str) -> URL:
    """Give the address of `Type/id` below the FHIR base."""
    return URL(f"{str(base).rstrip('/')}/{relative}")


def page_address(base: URL, link: str) -> URL:
    """Give the address of a next page. Raises Unfollowed when it is not on the server's own origin."""
    address = _absolute(base, link, "pdsm.next.address")
    if address.origin() != base.origin():
        raise Unfollowed("pdsm.next.other_origin", "the next page of results is said to be on another server")
    return address


def file_address(base: URL, url: str, allowed: Collection[str]) -> URL:
    """Give the address of a document's file. Raises Unfollowed unless it is the server's own, or on an allowed host."""
    address = _absolute(base, url, "pdsm.file.address")
    if address.origin() == base.origin():
        return address
    host = f"[{address.host}]" if ":" in (address.host or "") else (address.host or "")
    names = {f"{host}:{address.port}"} | ({host} if address.is_default_port() else set())
    if not names & set(allowed):
        raise Unfollowed(
            "pdsm.file.other_host", "the file is on a host that is neither the server's own nor in allowed_hosts"
        )
    if address.scheme != "https" and base.scheme == "https":
        raise Unfollowed("pdsm.file.clear_text", "the file's address asks for it in clear text, the server's does not")
    return address


def _absolute(base: URL, written: str, code: str) -> URL:
    """Resolve what is written: `Type/id` is below the base, a path from the root stays on the same origin."""
    if ".." in unquote(written).replace("\\", "/").split("/"):
        raise Unfollowed(code, "the address climbs out of the place that it starts from")
    try:
        address = URL(written)
        if not address.absolute:
            if written.startswith("//") or address.scheme:
                raise Unfollowed(code, "the address is not one of the web")
            address = base.origin().join(address) if written.startswith("/") else under(base, written)
        plain = address.scheme in {"http", "https"} and bool(address.host) and not address.user and not address.password
        address.origin()
    except (ValueError, TypeError):
        raise Unfollowed(code, "the address cannot be read") from None
    if not plain:
        raise Unfollowed(code, "the address is not one of the web")
    return address
