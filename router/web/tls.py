"""The web server's protocol, with what it knows of the client's certificate (mutual TLS).

The TLS layer asks for a certificate and verifies it; which tool may show which is decided by the dossier's API.
"""

from __future__ import annotations

import asyncio
import ssl

from uvicorn.protocols.http.h11_impl import H11Protocol

STATE = "client_certificate"
"""Where a request's scope holds the certificate (DER), in its `state`: nothing that a client sends gets there."""


class CertifiedProtocol(H11Protocol):
    """HTTP/1.1 that notes the client's certificate for each request of its connection."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Note the certificate of a connection that was just made."""
        secured = transport.get_extra_info("ssl_object")
        shown = secured.getpeercert(binary_form=True) if isinstance(secured, ssl.SSLObject) else None
        if shown:
            self.app_state = {**self.app_state, STATE: shown}
        super().connection_made(transport)
