"""From an Item and the routes that took it to the Deliveries: one for each destination, or one for each recipient.

A destination that has `recipients` is written to once for each person or structure who is to have the Item
(`router.recipients`); whoever should and cannot is a held Delivery without content, with its reason.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson

from mappings.contracts import Correspondence, Format, FormatError, Rendition
from mappings.registry import format_named
from mappings.uuids import uuid5_text
from router.engine.plan import DestinationPlan, Plan, RoutePlan
from router.identity.patients import Patient
from router.identity.standing import leaving_token
from router.journal.blobs import LARGE
from router.journal.correspondence import PreparedMail, prepared_mail
from router.journal.operations import PARCEL_DETAIL_PLACE, PARCEL_PLACE, PreparedDelivery
from router.journal.sealing import Sealer
from router.journal.store import Store
from router.journal.tables import WORST, DeliveryState
from router.recipients.addressing import Addressing
from router.recipients.deciding import Asked, Chosen, Left, addressed_to
from schemas.finding import Finding, Severity
from schemas.item import Item

DELIVERY_NAMESPACE = UUID("0b8c7f3a-53a5-5f0e-8a46-504153534552")
"""Namespace of Deliveries' identities: the same message, reading, Item, destination and recipient give the same."""


@dataclass(frozen=True, slots=True)
class Leaving:
    """An Item as it leaves: `name` is that of its message and place in it, `mark` what sets an undone sending apart."""

    name: str
    mark: str
    item: Item
    patient: Patient | None
    now: datetime


@dataclass(frozen=True, slots=True)
class _Target:
    """One Delivery to be: where to, by which route, under which identity; for whom, if it is for one recipient."""

    destination: str
    route: str
    identity: str
    plan: DestinationPlan
    recipient: str = ""
    facts: Mapping[str, object] = field(default_factory=dict)
    ins_token: int | None = None


class Parcels:
    """Writes Items for destinations. Not shared between threads."""

    def __init__(self, plan: Plan, store: Store, sealer: Sealer) -> None:
        self._plan = plan
        self._store = store
        self._sealer = sealer
        self._addressing = Addressing(plan.place.data, store, sealer)

    def deliveries(self, leaving: Leaving, routes: Mapping[str, RoutePlan]) -> Iterator[PreparedDelivery]:
        """Give the Deliveries of an Item, in the order of its routes."""
        token = leaving_token(self._sealer, leaving.item.patient)
        for destination, route in routes.items():
            plan = self._plan.destinations[destination]
            name = f"{leaving.name}/{destination}{leaving.mark}"
            identity = uuid5_text(DELIVERY_NAMESPACE.bytes, name)
            target = _Target(destination, route.name, identity, plan, ins_token=token)
            if plan.recipients is None:
                yield self._written(target, leaving.item, leaving.now, {})
            else:
                yield from self._addressed(target, name, leaving)

    def apart(
        self,
        item: Item,
        destination: str,
        route: str,
        name: str,
        now: datetime,
        *,
        usual: Mapping[str, str] | None = None,
        always: Mapping[str, str] | None = None,
    ) -> PreparedDelivery:
        """Write an Item for whom it names, beside any route; the same name gives the same identity.

        `usual` are options of the format unless the destination says otherwise, `always` whatever it says.
        """
        target = _Target(
            destination, route, uuid5_text(DELIVERY_NAMESPACE.bytes, name), self._plan.destinations[destination]
        )
        own = {name: value for name, value in (usual or {}).items() if name not in target.plan.options}
        prepared = self._written(target, item, now, {**own, **(always or {})})
        return replace(prepared, ins_token=leaving_token(self._sealer, item.patient))

    def _addressed(self, target: _Target, name: str, leaving: Leaving) -> Iterator[PreparedDelivery]:
        """Give one Delivery for each recipient, and one, held, for each who cannot be written to."""
        assert target.plan.recipients is not None  # noqa: S101 - the caller looked
        known = leaving.patient.identity if leaving.patient is not None else None
        practitioner = leaving.item.patient.general_practitioner or (known.general_practitioner if known else None)
        number = leaving.patient.id if leaving.patient is not None else None
        outcome = self._addressing.decide(
            Asked(leaving.item, practitioner, number), target.plan.recipients, leaving.now
        )
        for chosen in outcome.chosen:
            one = self._for(target, name, chosen.address, _facts(chosen))
            item = addressed_to(leaving.item, (chosen.recipient,))
            prepared = self._written(one, item, leaving.now, {"audience": chosen.audience.value}, chosen.findings)
            if chosen.held and prepared.state is DeliveryState.PENDING:
                prepared = replace(prepared, state=DeliveryState.HELD, detail=chosen.held[:400])
            yield prepared
        for left in outcome.left:
            yield self._left(self._for(target, name, left.key, {"reasons": _words(left)}), left)

    def _for(self, target: _Target, name: str, key: str, facts: Mapping[str, object]) -> _Target:
        # Keyed: who sees the identity (a Message-ID is made of it) cannot try addresses until one fits.
        digest = self._sealer.token("recipient", key) & 0xFFFF_FFFF_FFFF_FFFF
        identity = uuid5_text(DELIVERY_NAMESPACE.bytes, f"{name}/{digest:016x}")
        return replace(target, identity=identity, recipient=key, facts=facts)

    def _written(
        self,
        target: _Target,
        item: Item,
        now: datetime,
        options: Mapping[str, str],
        findings: tuple[Finding, ...] = (),
    ) -> PreparedDelivery:
        plan = target.plan
        context = self._plan.writes(target.destination, now, target.identity)
        assert context is not None  # noqa: S101 - routes lead to destinations of this plan
        if options:
            context = replace(context, options={**plan.options, **options})
        fmt = format_named(plan.format)
        try:
            rendition = fmt.write(item, context)
        except FormatError as refused:
            return self._unwritable(target, fmt, f"cannot be written: {refused.message}")
        except Exception as defect:
            detail = f"cannot be written: defect in the writer ({type(defect).__name__})"
            return self._unwritable(target, fmt, detail)
        return self._delivery(target, rendition, (*findings, *rendition.findings))

    def _delivery(self, target: _Target, rendition: Rendition, findings: tuple[Finding, ...]) -> PreparedDelivery:
        content = rendition.content
        large = len(content) > LARGE
        blob = self._store.blobs.put(content) if large else None
        return PreparedDelivery(
            destination=target.destination,
            route=target.route,
            identity=target.identity,
            format=target.plan.format,
            media_type=rendition.media_type,
            filename=rendition.filename[:160],
            size=len(content),
            sealed_content=None if large else self._sealer.seal(content, PARCEL_PLACE),
            blob=blob,
            sealed_detail=self._detail(target, findings, rendition.attachments),
            worst=max((WORST[finding.severity] for finding in findings), default=0),
            has_attachments=bool(rendition.attachments),
            ins_token=target.ins_token,
            recipient=target.recipient,
            mail=self._mail(target, rendition.correspondence),
        )

    def _mail(self, target: _Target, said: Correspondence | None) -> PreparedMail | None:
        return prepared_mail(self._sealer, said, target.destination, target.identity) if said is not None else None

    def _left(self, target: _Target, left: Left) -> PreparedDelivery:
        """Make the held Delivery that says who cannot be written to, and why: it has nothing to send."""
        fmt = format_named(target.plan.format)
        finding = left.finding
        return replace(
            self._unwritable(target, fmt, f"held: {left.message} ({left.code})"),
            state=DeliveryState.HELD,
            worst=WORST[finding.severity],
            sealed_detail=self._detail(target, (finding,), {}),
        )

    def _detail(self, target: _Target, findings: tuple[Finding, ...], attachments: Mapping[str, bytes]) -> bytes | None:
        detail: dict[str, Any] = dict(target.facts)
        if target.recipient:
            detail["recipient"] = target.recipient
        if findings:
            detail["findings"] = [finding.model_dump(mode="json") for finding in findings]
        if attachments:
            detail["attachments"] = {name: base64.b64encode(data).decode() for name, data in attachments.items()}
        return self._sealer.seal(orjson.dumps(detail), PARCEL_DETAIL_PLACE) if detail else None

    def _unwritable(self, target: _Target, fmt: Format, detail: str) -> PreparedDelivery:
        return PreparedDelivery(
            destination=target.destination,
            route=target.route,
            identity=target.identity,
            format=fmt.name,
            media_type=fmt.media_type,
            filename="",
            size=0,
            sealed_content=None,
            blob=None,
            sealed_detail=self._detail(target, (), {}),
            worst=WORST[Severity.ERROR],
            state=DeliveryState.DEAD,
            detail=detail[:400],
            recipient=target.recipient,
        )


def _facts(chosen: Chosen) -> dict[str, object]:
    return {"audience": chosen.audience.value, "reasons": [reason.value for reason in chosen.reasons]}


def _words(left: Left) -> list[str]:
    return [reason.value for reason in left.reasons]
