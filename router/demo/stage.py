"""The stage of the demonstration: a hospital, a laboratory, a coordination tool, MSSanté, the DMP, a router."""

from __future__ import annotations

import asyncio
import json
import secrets
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from connectors.ins.sandbox import InsiSandbox
from connectors.sandbox.coordination import Coordination, serving
from connectors.sandbox.mail_authority import write_secret
from connectors.sandbox.mllp import MllpSender
from connectors.sandbox.people import BY_USED_NAME, DOUBLE_IPP, ROSE, WITHOUT_INS, Person, population
from connectors.sandbox.registration import import_bundle, import_file
from connectors.sandbox.reports import LABORATORY_AUTHORITY
from router.demo.circle import CircleTools, circle_tools, open_dossiers
from router.demo.stage_outside import Outside, dmp_sections, furnish, mail_sections, outside
from router.trial.folder import make_folder
from router.trial.process import Listening, RouterProcess, run_command

ADMINISTRATOR = "admin"
PRACTICE = "urn:oid:1.2.250.1.999.35.9"
"""The invented practice that numbers whom the dossier knows by traits alone."""
NOTES_KEY = "notes.key"
"""The file of the key that the coordination tool shows when it posts a note."""
FOLLOWED = 12
"""How many people the coordination dossier follows, Mme Rose among them."""


@dataclass(frozen=True, slots=True)
class Stage:
    """Everything that plays: where the router listens, the folders, the tool and the people that it follows."""

    folder: Path
    router: RouterProcess
    listening: Listening
    tool: Coordination
    outside: Outside
    password: str
    notes_key: str = ""
    circle: CircleTools | None = None
    insi: InsiSandbox | None = None
    people: tuple[Person, ...] = field(default_factory=lambda: population(FOLLOWED))

    @property
    def inbox(self) -> Path:
        """Where the laboratory drops its files."""
        return self.folder / "in"

    @property
    def practitioner(self) -> Path:
        """Where the general practitioner's copies arrive."""
        return self.folder / "practitioner"

    def sender(self, source: str) -> MllpSender:
        """Make a connection to one of the router's MLLP sources."""
        return MllpSender.to(self.listening.sources[source])


def configuration(fhir_url: str, web_port: int, services: Outside, insi_url: str = "http://127.0.0.1:9/lps") -> str:
    """Write the demonstration's configuration, as an administrator could."""
    return f"""\
# The demonstration: a hospital and a laboratory on one side, a coordination tool and a practitioner on the other, and
# the two national services, MSSanté and the DMP. All of them are the sandbox's, on this machine.

[journal]
data = "data"

[web]
listen = "127.0.0.1:{web_port}"

[identity]
environment = "test"

[dossier]
api = true
subscriber_networks = ["127.0.0.0/8"]  # the tools of this machine are told by plain http
subscriber_http = true

[insi]
url = "{insi_url}"            # the real one needs a contract and a certificate
authorisation = "DEMO"
emitter = "10B0000000"
reverify_days = 0

[sources.hopital]
connector = "mllp"
listen = "127.0.0.1:0"
format = "hl7v2"

[sources.laboratoire]
connector = "mllp"
listen = "127.0.0.1:0"
format = "hl7v2"

[sources.depot]
connector = "directory"       # HPRIM Médecin, HPRIM Santé and CDA, recognised by their content
folder = "in"
every = 0.5
settle_seconds = 0            # the sandbox's laboratory renames its files into the folder, whole

[sources.dossier]
connector = "http"            # notes that the coordination tool posts, as FHIR Communications
listen = "127.0.0.1:0"
path = "/notes"
format = "fhir"
api_keys = ["${{file:{NOTES_KEY}}}"]

[destinations.coordination]
connector = "fhir"
url = "{fhir_url}"
retry = {{ first_delay = 1.0, max_delay = 30.0 }}

[destinations.medecin-traitant]
connector = "directory"
folder = "practitioner"
format = "hprim-medecin"

{mail_sections(services)}
{dmp_sections(services)}
# --- What goes where.

[[routes]]
name = "Résultats, séjours et documents vers le dossier de coordination"
when = "item.kind in ['lab_report', 'stay', 'document'] && patient.in_coordination"
to = ["coordination"]

[[routes]]
name = "Copie des résultats au médecin traitant"
when = "item.kind == 'lab_report' && patient.in_coordination"
to = ["medecin-traitant"]

[[routes]]
name = "Notes du dossier au médecin traitant, par MSSanté"
when = "item.kind == 'note' && patient.in_coordination"
sources = ["dossier"]
to = ["messagerie-medecin"]

[[routes]]
name = "Lettres de l'hôpital au DMP"
when = "item.kind == 'document'"
sources = ["hopital"]
to = ["dmp"]
"""


@asynccontextmanager
async def staged(folder: Path, port: int) -> AsyncIterator[Stage]:
    """Set the stage in a fresh folder, and take it down at the end: the router first, gracefully, then the tool.

    `port` is the dashboard's; a free one is taken when it is not free. Raises TrialFault when the router does not run.
    """
    tool = Coordination()
    password, notes_key = secrets.token_urlsafe(9), secrets.token_urlsafe(24)
    people = population(FOLLOWED)
    async with (
        serving(tool) as url,
        InsiSandbox(others=(ROSE, WITHOUT_INS, BY_USED_NAME)) as insi,
        outside(folder, (*people, WITHOUT_INS, BY_USED_NAME)) as services,
    ):
        text = configuration(url, free_or_any(port), services, insi.url)
        secrets_of_tools = await asyncio.to_thread(_prepare, folder, text, password, people, notes_key)
        router = RouterProcess(folder)
        try:
            listening = await asyncio.to_thread(router.start)
            async with circle_tools(listening.web, secrets_of_tools) as circle:
                yield Stage(folder, router, listening, tool, services, password, notes_key, circle, insi, people)
        finally:
            # Shielded: a Ctrl-C while it stops must not leave a router behind.
            await asyncio.shield(asyncio.to_thread(router.__exit__))


def _prepare(folder: Path, text: str, password: str, people: tuple[Person, ...], notes_key: str) -> tuple[str, str]:
    make_folder(folder, text, password=password)
    write_secret(folder / NOTES_KEY, notes_key.encode())
    furnish(folder)
    for name in ("in", "practitioner"):
        (folder / name).mkdir(exist_ok=True)
    listed = folder / "patients.json"
    followed = (*people, BY_USED_NAME)
    listed.write_text(json.dumps(import_bundle(followed, LABORATORY_AUTHORITY)), encoding="utf-8")
    by_hand = folder / "patients.csv"
    by_hand.write_text(import_file((WITHOUT_INS,), f"{PRACTICE}", with_ins=False), encoding="utf-8")
    double = folder / "double.csv"
    double.write_text(import_file((replace(ROSE, ipp=DOUBLE_IPP),), with_ins=False), encoding="utf-8")
    for file in (listed, by_hand, double):
        run_command("patients", "import", str(file), "--config", str(folder / "passerelle.toml"))
    return open_dossiers(folder)


def free_or_any(port: int) -> int:
    """Give the port when nobody listens there, else 0, which takes a free one."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return 0
    return port
