"""INSi on this machine, with fictitious people: for tests, demonstrations and integrators.

    async with InsiSandbox(population(20)) as insi:
        settings = InsiSettings(url=insi.url, authorisation="TEST", emitter="10B0000000")
        insi.mood = Mood.SLOW                     # … or DOWN, HTML, TECHNICAL, UNKNOWN_SOFTWARE

It holds the persons of INSi's qualification platform that are public, with their quirks, twins who need a birth place
to be told apart, and whoever it is given. `calls` counts requests; with the folder of the public schemas, `violations`
says what each request broke. Written apart from the client's reader and writer.

`passerelle sandbox insi` serves it until interrupted.
"""

from __future__ import annotations

import asyncio
import csv
import ssl
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from importlib.resources import files
from pathlib import Path
from typing import Self

from aiohttp import web
from lxml import etree

from connectors.ins import sandbox_replies as replies
from connectors.ins.sandbox_schemas import RequestSchemas
from connectors.sandbox.people import INS_TEST_OID, Person
from mappings.contracts import FormatError
from mappings.xml_source import parse_xml
from schemas.traits import loosened, normalised

RIGHTS = frozenset({"INSI-AUTO", "INSI-MANU"})


class Mood(StrEnum):
    """How the service behaves."""

    WELL = "well"
    DOWN = "down"
    """Connections are cut."""
    SLOW = "slow"
    """No answer until the sandbox is left."""
    HTML = "html"
    """A maintenance page, HTTP 200."""
    BUSY = "busy"
    """HTTP 503 with Retry-After: 30."""
    FORBIDDEN = "forbidden"
    """HTTP 403 without a SOAP message."""
    TECHNICAL = "technical"
    """Fault siram_40, insi_102."""
    UNKNOWN_SOFTWARE = "unknown_software"
    """Fault siram_100, desir_550."""
    NO_RIGHTS = "no_rights"
    """Fault DESIR_560."""
    SEVERAL = "several"
    """02, whoever is asked about."""
    NOBODY = "nobody"
    """01, whoever is asked about."""
    STRANGER = "stranger"
    """00, with a person who is not the one asked about."""


@dataclass(frozen=True, slots=True)
class Insured:
    """A person as INSi holds one; `answers_to` are given names by which alone it is found, when not all are."""

    birth_name: str
    given_names: tuple[str, ...]
    sex: str
    birth_date: str
    birth_place: str | None
    matricule: str
    oid: str
    history: tuple[str, ...] = ()
    answers_to: tuple[str, ...] = ()
    behaviour: str = ""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a request asks."""

    birth_name: str
    given_names: tuple[str, ...]
    sex: str
    birth_date: str
    birth_place: str | None


def known_people() -> tuple[Insured, ...]:
    """Give the public persons of the qualification platform, and our twins."""
    text = files("connectors.ins").joinpath("sandbox_people.csv").read_text(encoding="utf-8")
    return tuple(
        Insured(
            row["birth_name"],
            tuple(row["given_names"].split()),
            row["sex"],
            row["birth_date"],
            row["birth_place"] or None,
            row["matricule"],
            row["oid"],
            tuple(row["history"].split()),
            tuple(row["answers_to"].split()),
            row["behaviour"],
        )
        for row in csv.DictReader(text.splitlines(), delimiter=";")
    )


def insured(person: Person) -> Insured:
    """Give a sandbox's person as INSi holds them."""
    born = person.birth_date.isoformat()
    names = person.birth_given_names
    return Insured(person.birth_name, names, person.sex, born, person.birth_place, person.matricule, INS_TEST_OID)


@dataclass(slots=True)
class InsiSandbox:
    """Listens on a free port of this machine. `authorisations` are the software numbers it knows; empty: any."""

    others: Iterable[Person | Insured] = ()
    authorisations: frozenset[str] = frozenset()
    tls: ssl.SSLContext | None = None
    schemas: Path | None = None
    port: int = 0
    mood: Mood = Mood.WELL
    moods: list[Mood] = field(default_factory=list)
    """Moods of the next calls, before `mood` holds."""
    people: list[Insured] = field(default_factory=list)
    calls: int = 0
    asked: list[Asked] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)
    url: str = ""
    _runner: web.AppRunner | None = None
    _leaving: asyncio.Event = field(default_factory=asyncio.Event)
    _checks: RequestSchemas | None = None

    async def __aenter__(self) -> Self:
        self.people = [*known_people(), *(insured(one) if isinstance(one, Person) else one for one in self.others)]
        self._checks = RequestSchemas(self.schemas) if self.schemas is not None else None
        app = web.Application(client_max_size=1 << 20)
        app.router.add_post("/lps", self._post)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port, ssl_context=self.tls).start()
        port = self._runner.addresses[0][1]
        self.url = f"{'https' if self.tls is not None else 'http'}://127.0.0.1:{port}/lps"
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._leaving.set()
        if self._runner is not None:
            await self._runner.cleanup()

    async def _post(self, request: web.Request) -> web.Response:
        self.calls += 1
        content = await request.read()
        mood = self.moods.pop(0) if self.moods else self.mood
        if mood is Mood.SLOW:
            await self._leaving.wait()
        if mood is Mood.DOWN and request.transport is not None:
            request.transport.abort()
        if mood is Mood.HTML:
            return web.Response(
                text="<html><body><p>Service en maintenance<br></body></html>", content_type="text/html"
            )
        if mood is Mood.BUSY:
            return web.Response(status=503, headers={"Retry-After": "30"})
        if mood is Mood.FORBIDDEN:
            return web.Response(status=403, text="Forbidden")
        status, body = self._answer(request, content, mood)
        return web.Response(status=status, body=body, content_type="application/soap+xml", charset="utf-8")

    def _answer(self, request: web.Request, content: bytes, mood: Mood) -> tuple[int, bytes]:
        if mood in FAULTS:
            return 500, FAULTS[mood]
        if not _has_rights(request):
            return 500, replies.NO_RIGHTS
        if request.content_type != "application/soap+xml":
            return 415, b""
        try:
            envelope = parse_xml(content, code="sandbox")
        except FormatError:
            return 400, b""
        if self._checks is not None:
            found = self._checks.problems(envelope)
            self.violations += found
            if found:
                return 500, replies.fault("Sender", None, "sandbox_xsd")
        asked, software = _asked(envelope), _first(envelope, "IDAM")
        if asked is None:
            return 500, replies.fault("Sender", None, "sandbox_request")
        if self.authorisations and software not in self.authorisations:
            return 500, replies.UNKNOWN_SOFTWARE
        self.asked.append(asked)
        return self._found(asked, mood)

    def _found(self, asked: Asked, mood: Mood) -> tuple[int, bytes]:
        if mood is Mood.SEVERAL:
            return 200, replies.result("02", "Plusieurs identites trouvees")
        if mood is Mood.STRANGER:
            return 200, replies.result("00", "OK", replies.person(STRANGER))
        found = [one for one in self.people if matches(one, asked) and mood is not Mood.NOBODY]
        behaviours = {one.behaviour for one in found}
        if "technical_trouble" in behaviours:
            return 500, replies.TECHNICAL
        if not found or "not_found" in behaviours:
            return 200, replies.result("01", "Aucune identite trouvee")
        if len(found) > 1:
            return 200, replies.result("02", "Plusieurs identites trouvees")
        return 200, replies.result("00", "OK", replies.person(found[0]))


FAULTS = {
    Mood.TECHNICAL: replies.TECHNICAL,
    Mood.UNKNOWN_SOFTWARE: replies.UNKNOWN_SOFTWARE,
    Mood.NO_RIGHTS: replies.NO_RIGHTS,
}

STRANGER = Insured("TESTAUTRUI", ("CLAUDE",), "M", "1955-06-30", "29019", "155062901900072", INS_TEST_OID)


def matches(one: Insured, asked: Asked) -> bool:
    """Say whether a person has the traits that are asked; hyphens and blanks differ, as they do for INSi."""
    if (one.birth_name, one.sex, one.birth_date) != (asked.birth_name, asked.sex, asked.birth_date):
        return False
    if asked.birth_place is not None and one.birth_place not in (None, asked.birth_place):
        return False
    whole = " ".join(one.given_names)
    alone = one.answers_to or one.given_names
    if len(asked.given_names) == 1:
        name = asked.given_names[0]
        return name in alone or name == whole or (not one.answers_to and whole.startswith(name + " "))
    return bool(asked.given_names) and set(asked.given_names) <= set(one.given_names)


def _has_rights(request: web.Request) -> bool:
    """With a client certificate, look at its common name as the service does; without TLS there is none to look at."""
    certificate = request.get_extra_info("peercert")
    if not certificate:
        return True
    names = {value for part in certificate.get("subject", ()) for key, value in part if key == "commonName"}
    return bool(names & RIGHTS)


def _asked(envelope: etree._Element) -> Asked | None:
    found = next(envelope.iter("{http://www.cnamts.fr/INSiRecSans}RECSANSVITALE"), None)
    if found is None:
        return None
    words: dict[str, list[str]] = {}
    for child in found:
        words.setdefault(etree.QName(child).localname, []).append(child.text or "")
    try:
        asked = Asked(
            words["NomNaissance"][0],
            tuple(words["Prenom"]),
            words["Sexe"][0],
            words["DateNaissance"][0],
            next(iter(words.get("LieuNaissance", ())), None),
        )
    except KeyError:
        return None
    names = (asked.birth_name, *asked.given_names)
    return asked if all(name == normalised(name) and loosened(name) for name in names) else None


def _first(envelope: etree._Element, name: str) -> str:
    return next((element.text or "" for element in envelope.iter("{*}" + name)), "")
