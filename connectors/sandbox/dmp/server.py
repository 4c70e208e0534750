"""The sandbox DMP as it listens: mutual TLS (or plain HTTP on loopback), one folder, and what goes wrong on demand.

    async with DmpSandbox(Path("dmp")) as dmp:
        dmp.urls["repository"], dmp.certificates.client        # what a client needs
        dmp.troubles.plan(Trouble.BUSY, transaction="ITI-41")

The services answer at the paths of both families of clients that are publicly known, below one base. A request from
this machine may name its own trouble (`X-Sandbox-Trouble: busy`).
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import ipaddress
import re
import ssl
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, Self, cast
from uuid import uuid4

from aiohttp import web

from connectors.sandbox.dmp.lots import Content
from connectors.sandbox.dmp.mime import MalformedMultipart, MultipartReader, PartBegins, PartData, PartEnds
from connectors.sandbox.dmp.others import deposit
from connectors.sandbox.dmp.packaging import Package, packaged
from connectors.sandbox.dmp.page import page
from connectors.sandbox.dmp.pki import Certificates, certificates_in
from connectors.sandbox.dmp.population import seed
from connectors.sandbox.dmp.refusals import NotSoap
from connectors.sandbox.dmp.rules import Checks
from connectors.sandbox.dmp.service import Answer, Call, DmpService, Part, transaction_of
from connectors.sandbox.dmp.store import DmpStore
from connectors.sandbox.dmp.trouble import Trouble, Troubles
from connectors.sandbox.dmp.xsd import MessageSchemas
from connectors.sandbox.people import Person

BASE = "/si-dmp-server/v2/services"
PATHS: dict[str, tuple[str, ...]] = {
    "repository": ("repository", "DocumentRepository_Service"),
    "registry": ("registry", "DocumentRegistry_Service"),
    "patient": ("patients", "patient"),
    "habilitation": ("habilitations", "Habilitation"),
    "patient_specific": ("PatientSpecific",),
}
"""Where each service answers, below the base; the first one is printed."""

LARGEST = 128 * 1024 * 1024
"""Bytes of one request at most."""

_IN_MEMORY = 1024 * 1024
_PIECE = 64 * 1024
_ROOT_LARGEST = 16 * 1024 * 1024


@dataclass(slots=True)
class DmpSandbox:
    """Listens on `port` (0: a free one) of `host`. Plain HTTP (`tls=False`) is for loopback alone: ValueError else."""

    folder: Path
    people: Iterable[Person] = ()
    tls: bool = True
    host: str = "127.0.0.1"
    port: int = 0
    checks: Checks = field(default_factory=Checks)
    schemas: Path | None = None
    base: str = BASE
    paths: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: PATHS)
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    troubles: Troubles = field(default_factory=Troubles)
    calls: list[str] = field(default_factory=list)
    """The transactions that were answered, in order."""
    urls: dict[str, str] = field(default_factory=dict)
    """The address of each service."""
    url: str = ""
    """The base of the services, without a final slash."""
    page_url: str = ""
    """The page for people, always plain HTTP on loopback."""
    _service: DmpService | None = None
    _certificates: Certificates | None = None
    _runners: list[web.AppRunner] = field(default_factory=list)
    _leaving: asyncio.Event = field(default_factory=asyncio.Event)

    async def __aenter__(self) -> Self:
        if not self.tls and not _is_loopback(self.host):
            raise ValueError("plain HTTP is for loopback alone")
        self.folder.mkdir(parents=True, exist_ok=True)
        self._certificates = await asyncio.to_thread(certificates_in, self.folder / "certificates")
        schemas = MessageSchemas(self.schemas) if self.schemas is not None else None
        store = DmpStore(self.folder / "dmp.sqlite")
        seed(store, self.people)
        authority = self._certificates.authority_certificate()
        self._service = DmpService(store, authority, checks=self.checks, schemas=schemas, now=self.now)
        try:
            await self._listen()
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._leaving.set()
        for runner in self._runners:
            await runner.cleanup()
        self._runners.clear()
        if self._service is not None:
            await asyncio.to_thread(self._service.store.close)

    @property
    def certificates(self) -> Certificates:
        """The certificates of the folder."""
        if self._certificates is None:
            raise RuntimeError("the sandbox has not been entered")
        return self._certificates

    @property
    def service(self) -> DmpService:
        """What answers, without HTTP."""
        if self._service is None:
            raise RuntimeError("the sandbox has not been entered")
        return self._service

    @property
    def store(self) -> DmpStore:
        """What it holds."""
        return self.service.store

    async def _listen(self) -> None:
        services = web.Application(client_max_size=LARGEST)
        for service, endings in self.paths.items():
            for ending in endings:
                services.router.add_post(f"{self.base}/{ending}", self._handler(service))
        context = self.certificates.server_context() if self.tls else None
        pages = self._pages(web.Application(client_max_size=1 << 20) if self.tls else services)
        port = await self._start(services, self.host, self.port, context)
        origin = f"{'https' if self.tls else 'http'}://{self.host}:{port}"
        self.url = f"{origin}{self.base}"
        self.urls = {service: f"{self.url}/{endings[0]}" for service, endings in self.paths.items()}
        if self.tls:
            port = await self._start(pages, "127.0.0.1", 0, None)
        self.page_url = f"http://127.0.0.1:{port}/"

    def _pages(self, app: web.Application) -> web.Application:
        app.router.add_get("/", self._page)
        app.router.add_post("/sandbox/trouble", self._plan)
        app.router.add_post("/sandbox/deposit", self._deposit)
        return app

    async def _page(self, request: web.Request) -> web.Response:
        _from_here(request)
        text = await asyncio.to_thread(page, self.store, self.troubles)
        return web.Response(text=text, content_type="text/html")

    async def _plan(self, request: web.Request) -> web.Response:
        """Plan a trouble: `{"trouble": "busy", "transaction": "ITI-41", "times": 1}`."""
        asked = await _asked(request)
        try:
            trouble, times = Trouble(str(asked.get("trouble"))), int(str(asked.get("times", 1)))
        except ValueError:
            raise web.HTTPBadRequest(text=f"trouble is none of: {', '.join(Trouble)}; times is a number\n") from None
        self.troubles.plan(trouble, transaction=str(asked.get("transaction", "")), times=times)
        return web.json_response({"planned": len(self.troubles.planned())})

    async def _deposit(self, request: web.Request) -> web.Response:
        """Deposit a document of Mme Rose's treating doctor: `{"masked": false}`."""
        asked = await _asked(request)
        unique_id = await asyncio.to_thread(deposit, self.store, masked=asked.get("masked") is True)
        return web.json_response({"uniqueId": unique_id})

    async def _start(self, app: web.Application, host: str, port: int, context: ssl.SSLContext | None) -> int:
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        self._runners.append(runner)
        await runner.setup()
        await web.TCPSite(runner, host, port, ssl_context=context).start()
        return int(runner.addresses[0][1])

    def _handler(self, service: str) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def handle(request: web.Request) -> web.StreamResponse:
            return await self._post(request, service)

        return handle

    async def _post(self, request: web.Request, service: str) -> web.StreamResponse:
        asked = self._asked_trouble(request)
        if asked is Trouble.CUT_UPLOAD:
            return await _cut(request)
        files: list[BinaryIO] = []
        try:
            call = await self._read(request, service, files)
            name = transaction_of(call.root)
            trouble = asked or self.troubles.take(name)
            if trouble is Trouble.CUT_UPLOAD:
                return await _cut(request)
            if trouble is Trouble.BAD_GATEWAY:
                return web.Response(status=502, text=_BAD_GATEWAY, content_type="text/html")
            answer = await asyncio.to_thread(self.service.answer, call, trouble)
            self.calls.append(answer.transaction)
        except NotSoap as refused:
            return web.Response(status=refused.status, text=f"{refused}\n")
        finally:
            for one in files:
                one.close()
        if trouble is Trouble.NO_ANSWER:
            await self._wait_until_left(request)
        return await self._send(request, answer, trouble)

    def _asked_trouble(self, request: web.Request) -> Trouble | None:
        said = request.headers.get("X-Sandbox-Trouble", "")
        if not said or not _is_loopback(request.remote or ""):
            return None
        try:
            return Trouble(said)
        except ValueError:
            raise web.HTTPBadRequest(text=f"X-Sandbox-Trouble is none of: {', '.join(Trouble)}\n") from None

    async def _read(self, request: web.Request, service: str, files: list[BinaryIO]) -> Call:
        kind = request.content_type
        connection = _peer_certificate(request)
        if kind == "application/soap+xml":
            return Call(service, await _whole(request), connection=connection)
        if kind != "multipart/related":
            raise NotSoap(415, "the content is neither application/soap+xml nor multipart/related")
        parameters = _parameters(request.headers.get("Content-Type", ""))
        if parameters.get("type", "") != "application/xop+xml":
            raise NotSoap(415, "the multipart type is not application/xop+xml")
        try:
            reader = MultipartReader(parameters.get("boundary", ""))
            parts = [part async for part in self._parts(request, reader, files)]
        except MalformedMultipart as problem:
            raise NotSoap(400, f"the multipart body cannot be read: {problem}") from None
        start = parameters.get("start", "").strip("<>")
        roots = [part for part in parts if part.cid == start] if start else parts[:1]
        if len(roots) != 1:
            raise NotSoap(400, "the multipart body has not exactly one root part (start)")
        root = roots[0]
        if root.content.size > _ROOT_LARGEST:
            raise NotSoap(413, "the SOAP part is too large")
        others = [part for part in parts if part is not root]
        return Call(service, root.content.read(), others, multipart=True, connection=connection)

    async def _parts(self, request: web.Request, reader: MultipartReader, files: list[BinaryIO]) -> AsyncIterator[Part]:
        part: Part | None = None
        digest = hashlib.sha1(usedforsecurity=False)
        total = 0
        async for piece in request.content.iter_chunked(_PIECE):
            total += len(piece)
            if total > LARGEST:
                raise NotSoap(413, f"the request is larger than {LARGEST // 1024 // 1024} MB")
            for event in reader.feed(piece):
                if isinstance(event, PartBegins):
                    part, digest = self._begun(event, files), hashlib.sha1(usedforsecurity=False)
                elif isinstance(event, PartData) and part is not None:
                    part.content.file.write(event.content)
                    part.content.size += len(event.content)
                    digest.update(event.content)
                elif isinstance(event, PartEnds) and part is not None:
                    part.content.sha1 = digest.hexdigest()
                    yield part
                    part = None
        reader.finish()

    def _begun(self, event: PartBegins, files: list[BinaryIO]) -> Part:
        encoding = event.headers.get("content-transfer-encoding", "binary").lower()
        if encoding not in ("binary", "8bit", "7bit"):
            raise NotSoap(415, "a part has a Content-Transfer-Encoding that MTOM does not use")
        # Closed by `_post`, whatever happens; large parts live in the folder, without a name.
        held = cast("BinaryIO", tempfile.SpooledTemporaryFile(_IN_MEMORY, dir=str(self.folder)))  # noqa: SIM115 - see above
        files.append(held)
        cid = event.headers.get("content-id", "").strip()
        return Part(cid.removeprefix("<").removesuffix(">"), Content(held, 0, ""))

    async def _wait_until_left(self, request: web.Request) -> None:
        while not self._leaving.is_set() and request.transport is not None and not request.transport.is_closing():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._leaving.wait(), 0.1)

    async def _send(self, request: web.Request, answer: Answer, trouble: Trouble | None) -> web.StreamResponse:
        package = packaged(answer, trouble)
        response = web.StreamResponse(status=answer.status, headers={"Content-Type": package.content_type})
        if trouble is Trouble.CUT_ANSWER:
            response.content_length = 1 << 20
        await response.prepare(request)
        if trouble is Trouble.CUT_ANSWER:
            await response.write(package.head[: max(1, len(package.head) // 2)])
            return await _cut(request, response)
        await self._write(response, package)
        await response.write_eof()
        return response

    async def _write(self, response: web.StreamResponse, package: Package) -> None:
        await response.write(package.head)
        for before, unique_id in package.documents:
            await response.write(before)
            chunks = self.store.chunks(unique_id)
            while (chunk := await asyncio.to_thread(next, chunks, b"")) != b"":
                await response.write(chunk)
        await response.write(package.tail)


def _from_here(request: web.Request) -> None:
    if not _is_loopback(request.remote or ""):
        raise web.HTTPForbidden(text="this page is for the machine itself\n")


async def _asked(request: web.Request) -> dict[str, object]:
    _from_here(request)
    # A page of another site cannot send this type without being asked first.
    if request.content_type != "application/json":
        raise web.HTTPUnsupportedMediaType(text="send application/json\n")
    try:
        asked = await request.json()
    except ValueError:
        raise web.HTTPBadRequest(text="this is no JSON\n") from None
    if not isinstance(asked, dict):
        raise web.HTTPBadRequest(text="send a JSON object\n")
    return asked


async def _whole(request: web.Request) -> bytes:
    content = bytearray()
    async for piece in request.content.iter_chunked(_PIECE):
        content += piece
        if len(content) > _ROOT_LARGEST:
            raise NotSoap(413, "the SOAP part is too large")
    return bytes(content)


async def _cut(request: web.Request, response: web.StreamResponse | None = None) -> web.StreamResponse:
    if request.transport is not None:
        request.transport.abort()
    return response or web.Response(status=500)


def _peer_certificate(request: web.Request) -> bytes | None:
    connection = request.transport.get_extra_info("ssl_object") if request.transport is not None else None
    if connection is None:
        return None
    certificate = connection.getpeercert(binary_form=True)
    return certificate if isinstance(certificate, bytes) else None


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


_PARAMETER = re.compile(r';\s*([\w!#$&^.+-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^;\s"]*))')


def _parameters(content_type: str) -> dict[str, str]:
    """Read the parameters of a Content-Type, quoted or not, names in lower case."""
    return {
        name.lower(): re.sub(r"\\(.)", r"\1", quoted) if quoted else plain
        for name, quoted, plain in _PARAMETER.findall(content_type)
    }


_BAD_GATEWAY = (
    "<!DOCTYPE html><html><head><title>502 Bad Gateway</title></head><body><h1>Bad Gateway</h1>"
    f"<p>Reference {uuid4()}<br></body></html>"
)
