"""The identity officer of the demonstration: at the dashboard's own forms, as a browser would send them."""

from __future__ import annotations

import asyncio
import re
from types import TracebackType
from typing import Self
from urllib.parse import parse_qs, urlsplit

import httpx

from router.desk.reasons import Why
from router.identity.insi_records import Accepted
from router.trial.patience import Patience
from router.trial.process import TrialFault

_POLL = 0.1
_PATIENCE = 20.0

_HIDDEN = re.compile(r'<input type="hidden" name="(entry|csrf)" value="([^"]*)"')


class Officer:
    """Signs in, compares, decides. Used as a context; raises TrialFault when the dashboard refuses something.

    With `leave`, what a click would attach is left to whoever watches the pages.
    """

    def __init__(self, web: str, name: str, password: str, *, leave: bool) -> None:
        self._leave = leave
        self._seen: set[int] = set()
        # The dashboard checks where a form comes from.
        self._client = httpx.AsyncClient(base_url=web, timeout=30.0, headers={"Origin": web})
        self._name = name
        self._password = password

    async def __aenter__(self) -> Self:
        page = await self._client.get("/login")
        entry = _hidden(page.text, "entry")
        signed = await self._post(
            "/login", {"entry": entry, "next": "/", "name": self._name, "password": self._password}
        )
        if signed.status_code != httpx.codes.SEE_OTHER:
            raise TrialFault(f"the identity officer could not sign in (HTTP {signed.status_code})")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, _e: BaseException | None, _t: TracebackType | None
    ) -> None:
        await self._client.aclose()

    async def resolve_by_insi(self) -> None:
        """Ask INSi about the patient that the newest held Item may be about, and take INSi's person."""
        item, patient = await self._newest()
        accepted = await self.accept(item, await self.ask_insi(item, patient))
        if accepted != Accepted.DONE:
            raise TrialFault(f"INSi's person was not taken into the register ({accepted or 'no answer'})")

    async def resolve_by_hand(self) -> bool:
        """Attach the newest held Item to the patient it may be about, unless that is left to whoever watches."""
        if self._leave:
            return False
        item, patient = await self._newest()
        await self.attach(item, patient, Why.TRAITS)
        return True

    async def _newest(self) -> tuple[int, int]:
        """Wait for an Item that was not held before and has a candidate; gives both."""
        patience = Patience(_PATIENCE)
        while not patience.ended:
            fresh = {item: about for item, about in (await self.waiting()).items() if item not in self._seen and about}
            if fresh:
                item = max(fresh)
                self._seen.add(item)
                return item, fresh[item][0]
            await asyncio.sleep(_POLL)
        raise TrialFault("the identity desk shows nothing new to decide")

    async def waiting(self) -> dict[int, list[int]]:
        """List what is held: the patients that each Item may be about, by its number."""
        listed = (await self._client.get("/api/v1/identities")).raise_for_status().json()
        found: dict[int, list[int]] = {}
        for one in listed["items"]:
            compared = (await self._client.get(f"/api/v1/identities/{one['item_id']}")).raise_for_status().json()
            found[int(one["item_id"])] = [int(candidate["patient_id"]) for candidate in compared["candidates"]]
        return found

    async def attach(self, item: int, patient: int, why: str) -> None:
        """Attach an Item to a patient."""
        await self._form(item, "decide", {"action": "attach", "patient": str(patient), "why": why})

    async def ask_insi(self, item: int, patient: int) -> str:
        """Ask INSi about a patient of the register; gives the key under which the page keeps its answer."""
        answered = await self._form(item, "insi", {"about": "dossier", "patient": str(patient)})
        return parse_qs(urlsplit(answered.headers["location"]).query)["insi"][0]

    async def accept(self, item: int, answer: str) -> str:
        """Take INSi's person into the register; gives what came of it."""
        taken = await self._form(item, "insi/accept", {"answer": answer})
        return parse_qs(urlsplit(taken.headers["location"]).query).get("accepted", [""])[0]

    async def _form(self, item: int, action: str, fields: dict[str, str]) -> httpx.Response:
        page = await self._client.get(f"/identities/{item}")
        answered = await self._post(f"/identities/{item}/{action}", {"csrf": _hidden(page.text, "csrf"), **fields})
        if answered.status_code != httpx.codes.SEE_OTHER or "refused" in answered.headers.get("location", ""):
            raise TrialFault(f"the identity desk did not take «{action}» (HTTP {answered.status_code})")
        return answered

    async def _post(self, path: str, fields: dict[str, str]) -> httpx.Response:
        return await self._client.post(path, data=fields, follow_redirects=False)


def _hidden(page: str, name: str) -> str:
    found = dict(_HIDDEN.findall(page)).get(name)
    if found is None:
        raise TrialFault(f"the dashboard's page has no field {name}")
    return str(found)
