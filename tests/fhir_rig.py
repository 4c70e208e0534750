"""The dossier's FHIR API over a real journal: a scene, tools that ask, a follower that runs when it is told to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import orjson
from dossier_scene import Scene
from web_client import Answer, Browser

from mappings.contracts import PARIS
from mappings.fhir.check import check_with_fhirclient
from router.dossier.circle_door import CircleDoor
from router.dossier.habilitations import HABILITATION_PLACE
from router.dossier.store.drafts import patient_id
from router.dossier.store.following import Follower
from router.dossier.store.jobs import ItemJob, PatientJob, Projected, project
from router.dossier.store.projection import Means
from router.dossier.tools.registry import add_tool
from router.journal import tables
from router.journal.operations import Change
from router.journal.store import Store
from router.journal.unit import Unit
from router.web.app import create_app
from router.web.context import DossierOffer, WebContext
from schemas.habilitation import Habilitation, HolderKind, Level

DOCTOR = "https://rpps.esante.gouv.fr|89900000001"
NURSE = "https://rpps.esante.gouv.fr|89900000002"


class InProcess:
    """Projects here and now."""

    def __init__(self, store: Store) -> None:
        self._means = Means(store.sealer.clone(), store.blobs, None, PARIS)

    async def project(self, jobs: Sequence[ItemJob | PatientJob], now: datetime) -> list[Projected]:
        return project(jobs, self._means, now, lambda item: item)


@dataclass
class Rig:
    """A scene and what serves it."""

    scene: Scene
    secrets: dict[str, str] = field(default_factory=dict)
    changes: int = 0

    def __post_init__(self) -> None:
        store = self.scene.journal.store
        self.follower = Follower(store, self.scene.journal, InProcess(store), self.moment, lambda _: None)
        self.app = create_app(
            WebContext(
                store=store,
                submit=self.scene.journal.submit,
                now=self.moment,
                dossier=DossierOffer(CircleDoor(), changed=self._changed),
                version="1",
            )
        )

    def _changed(self) -> None:
        self.changes += 1

    def moment(self) -> datetime:
        """The scene's present."""
        return datetime.fromtimestamp(self.scene.now / 1_000_000, UTC)

    async def follow(self) -> None:
        """Follow the journal to its end."""
        await self.follower.begin()
        while await self.follower.once():
            pass

    def tool(self, name: str = "spico", *scopes: str, user: str = DOCTOR, **more: Any) -> Client:
        """Register a tool, habilitated for everything, and give its client."""
        if name not in self.secrets:
            secret, change = add_tool(name, scopes or ("read", "write", "subscribe"), now=self.scene.now, **more)
            self.scene.journal.apply(change)
            self.secrets[name] = secret or ""
            self.habilitate(name)
        return Client(self, name, user)

    def habilitate(self, tool: str, level: Level = Level.ALL) -> None:
        """Let a tool act at all."""
        one = Habilitation(holder=HolderKind.TOOL, name=tool, level=level, start="2026-01-01")

        def change(unit: Unit) -> None:
            values = {
                "holder": "tool",
                "start_at": 0,
                "granted_at": self.scene.now,
                "granted_by": "claire",
                "sealed_body": unit.sealer.seal(one.model_dump_json().encode(), HABILITATION_PLACE),
            }
            unit.connection.execute(tables.habilitation.insert().values(values))

        self.scene.journal.apply(Change(change))

    @property
    def patient(self) -> str:
        """The reference of the scene's patient."""
        return f"Patient/{patient_id(self.scene.patient)}"

    def rows(self, table: Any = tables.resource) -> list[Any]:
        """Rows of a table."""
        return self.scene.rows(table)


@dataclass
class Client:
    """A tool that asks on behalf of somebody; every answer is read by fhirclient as well."""

    rig: Rig
    name: str
    user: str

    async def call(
        self, method: str, path: str, body: Any = None, *, media_type: str = "application/fhir+json", **headers: str
    ) -> Answer:
        """Make a request; headers are written with underscores."""
        sent = {"Authorization": f"Bearer {self.name}:{self.rig.secrets[self.name]}"}
        if self.user:
            sent["On-Behalf-Of"] = self.user
        content = body if isinstance(body, bytes) else b"" if body is None else orjson.dumps(body)
        if content:
            sent["Content-Type"] = media_type
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        self.rig.scene.now += 1_000
        answer = await Browser(self.rig.app).call(method, f"/fhir/{path}".rstrip("/"), content, sent)
        assert answer.status != 500, [row.message for row in self.rig.rows(tables.notice)]
        if answer.headers.get("content-type", "").startswith("application/fhir+json") and answer.body:
            assert not check_with_fhirclient(answer.body), answer.text
        return answer

    async def get(self, path: str, **headers: str) -> Answer:
        """Read or search."""
        return await self.call("GET", path, **headers)

    async def found(self, path: str) -> list[dict[str, Any]]:
        """Search, page by page; gives the matches."""
        matches: list[dict[str, Any]] = []
        while path:
            answer = await self.get(path)
            assert answer.status == 200, answer.text
            bundle = answer.json()
            matches += [one["resource"] for one in bundle.get("entry", []) if one["search"]["mode"] == "match"]
            links = {one["relation"]: one["url"] for one in bundle.get("link", [])}
            path = links.get("next", "").partition("/fhir/")[2]
        return matches
