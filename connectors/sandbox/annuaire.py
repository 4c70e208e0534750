"""The sandbox of the Annuaire: its FHIR API with fictitious professionals, on a free port of this machine.

    async with AnnuaireSandbox(professionals(200)) as annuaire: ...     # annuaire.url, annuaire.mood

Pages, the quota (429), ETag, the red list and deactivated people are as the real one has them; files of extractions and
the white list are served beside (`serve`). From the command line: `passerelle sandbox annuaire`.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from hashlib import sha256
from typing import Any, Self

import orjson
from aiohttp import web

from connectors.annuaire.reading import EMAIL_TYPE, FINESS_SYSTEM, MAILBOX, RPPS_SYSTEM
from connectors.sandbox.people import COMMUNES, MEN, NAMES, WOMEN

KEY = "cle-fictive"
NOS = "https://mos.esante.gouv.fr/NOS"
Json = dict[str, Any]


class Mood(StrEnum):
    """How the sandbox behaves."""

    WELL = "well"
    BUSY = "busy"
    HTML = "html"
    DOWN = "down"
    ELSEWHERE = "elsewhere"
    """The link to the next page leads to another server."""
    CIRCLE = "circle"


@dataclass(frozen=True, slots=True)
class SandboxProfessional:
    """A professional: `red` puts the mailbox on the red list, `active` is False once the number was withdrawn."""

    rpps: str
    family: str
    given: str
    address: str
    finess: str = "990000001"
    structure: str = "CABINET FICTIF"
    postal_code: str = "35000"
    city: str = "RENNES"
    red: bool = False
    active: bool = True


def professionals(count: int, seed: int = 1) -> list[SandboxProfessional]:
    """Draw professionals."""
    draw = random.Random(seed)
    drawn = []
    for number in range(count):
        _, postal_code, city = draw.choice(COMMUNES)
        family, given = draw.choice(NAMES), draw.choice(draw.choice((WOMEN, MEN)))
        address = f"{given}.{family}.{number}@medecin.mssante.invalid".lower()
        structure = f"STRUCTURE FICTIVE {draw.choice(NAMES)}"
        drawn.append(
            SandboxProfessional(
                f"999{number:08d}", family, given, address, f"99{number:07d}", structure, postal_code, city
            )
        )
    return drawn


@dataclass(slots=True)
class AnnuaireSandbox:
    """The API. `page` is the size of its pages whatever is asked, `quota` how many calls it answers before 429."""

    people: Sequence[SandboxProfessional] = ()
    page: int = 50
    quota: int | None = None
    mood: Mood = Mood.WELL
    calls: list[str] = field(default_factory=list)
    """Paths with queries, in their order."""
    files: dict[str, bytes] = field(default_factory=dict)
    url: str = ""
    root: str = ""
    _runner: web.AppRunner | None = None

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_get("/fhir/v2", self._api)
        app.router.add_get("/fhir/v2/{kind}", self._api)
        app.router.add_get("/files/{name}", self._file)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.root = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        self.url = f"{self.root}/fhir/v2"
        return self

    async def __aexit__(self, *exc: object) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    def serve(self, name: str, content: bytes) -> str:
        """Serve a file; gives its address."""
        self.files[name] = content
        return f"{self.root}/files/{name}"

    async def _file(self, request: web.Request) -> web.Response:
        self.calls.append(request.path_qs)
        content = self.files.get(request.match_info["name"])
        if content is None:
            return web.Response(status=404)
        tag = f'"{sha256(content).hexdigest()[:16]}"'
        if request.headers.get("If-None-Match") == tag:
            return web.Response(status=304)
        return web.Response(body=content, headers={"ETag": tag})

    async def _api(self, request: web.Request) -> web.Response:
        self.calls.append(request.path_qs)
        if self.mood is Mood.DOWN and request.transport is not None:
            request.transport.abort()
        if self.mood is Mood.HTML:
            return web.Response(text="<html><body>Portail</body></html>", content_type="text/html")
        if self.mood is Mood.BUSY or (self.quota is not None and len(self.calls) > self.quota):
            return web.Response(status=429, headers={"Retry-After": "20"})
        if request.headers.get("ESANTE-API-KEY") != KEY:
            return web.Response(status=401, text="unauthorized")
        query = dict(request.query)
        kind = query.pop("_kind", request.match_info.get("kind", ""))
        start = int(query.pop("_start", "0"))
        query.pop("_count", None)
        found = [one for one in self.people if _matches(one, kind, query)]
        body = orjson.dumps(self._bundle(kind, query, found, start))
        tag = f'W/"{sha256(body).hexdigest()[:16]}"'
        if request.headers.get("If-None-Match") == tag:
            return web.Response(status=304)
        return web.Response(body=body, headers={"ETag": tag}, content_type="application/fhir+json")

    def _bundle(self, kind: str, query: Json, found: list[SandboxProfessional], start: int) -> Json:
        page = found[start : start + self.page]
        entries = [one for person in page for one in _resources(person, kind, query)]
        link = []
        if start + self.page < len(found):
            host = "https://ailleurs.invalid" if self.mood is Mood.ELSEWHERE else self.root
            step = 0 if self.mood is Mood.CIRCLE else start + self.page
            wanted = "&".join(f"{name}={value}" for name, value in query.items() if name != "_include")
            link.append({"relation": "next", "url": f"{host}/fhir/v2?_kind={kind}&_start={step}&{wanted}"})
        return {
            "resourceType": "Bundle",
            "type": "searchset",
            "link": link,
            "entry": [{"resource": one} for one in entries],
        }


def _matches(one: SandboxProfessional, kind: str, query: Json) -> bool:
    exact = query.get("mailbox-mss:exact")
    if exact is not None:
        return kind == "PractitionerRole" and exact == one.address
    if "identifier" in query:
        number = query["identifier"].rpartition("|")[2]
        return bool(number == (one.finess if kind == "Organization" else one.rpps))
    name = query.get("name", "").upper()
    return bool(name) and one.active and (one.family.startswith(name) or one.given.startswith(name))


def _resources(one: SandboxProfessional, kind: str, query: Json) -> list[Json]:
    if not one.active:
        numbers = [{"system": RPPS_SYSTEM, "value": one.rpps}]
        return [{"resourceType": "Practitioner", "id": f"p-{one.rpps}", "active": False, "identifier": numbers}]
    person = {
        "resourceType": "Practitioner",
        "id": f"p-{one.rpps}",
        "active": True,
        "identifier": [
            {"system": "urn:oid:1.2.250.1.71.4.2.1", "value": f"8{one.rpps}"},
            {"system": RPPS_SYSTEM, "value": one.rpps},
        ],
        "name": [{"family": one.family, "given": [one.given], "suffix": ["DR"]}],
        "qualification": [
            {"code": {"coding": [{"system": f"{NOS}/TRE_G15-ProfessionSante/FHIR/TRE-G15-ProfessionSante",
                                  "code": "10", "display": "Médecin"}]}}
        ],
    }  # fmt: skip
    place = {
        "resourceType": "Organization",
        "id": f"o-{one.finess}",
        "active": True,
        "identifier": [{"system": FINESS_SYSTEM, "value": one.finess}],
        "name": one.structure,
        "address": [{"postalCode": one.postal_code, "city": one.city}],
        "telecom": [{"system": "email", "value": "accueil@exemple.invalid"}],
    }
    role = {
        "resourceType": "PractitionerRole",
        "id": f"r-{one.rpps}",
        "active": True,
        "practitioner": {"reference": f"Practitioner/p-{one.rpps}"},
        "organization": {"reference": f"Organization/o-{one.finess}"},
        "telecom": [_mailbox(one)],
    }
    if kind == "Organization":
        return [place]
    if kind == "PractitionerRole":
        return [role, person, place] if "_include" in query else [role]
    if "_revinclude" in query:
        return [person, role]
    return [{**person, "telecom": [_mailbox(one)]}]


def _mailbox(one: SandboxProfessional) -> Json:
    metadata = [
        {"url": "type", "valueCodeableConcept": {"coding": [{"code": "PER"}]}},
        {"url": "listeRouge", "valueBoolean": one.red},
    ]
    extension = [
        {"url": EMAIL_TYPE, "valueCoding": {"code": "MSSANTE"}},
        {"url": MAILBOX, "extension": metadata},
    ]
    return {"system": "email", "value": one.address, "extension": extension}
