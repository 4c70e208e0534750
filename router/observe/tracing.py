"""Traces for OpenTelemetry: one a message, its spans made from the journal's rows and sent by OTLP over HTTP.

    receive            it was there, and committed                                   (root)
      read             from then until it was read, identified and routed
      route            what the routes came to: items and Deliveries
      deliver          one attempt at one destination
      receipt          what the partner said of it later, linked to the message that said so

Attributes are numbers of rows, names of the configuration and words of ours.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags

from router.journal.sealing import Sealer
from router.observe.happened import Answered, Attempted, Happening, MessageRead
from router.observe.names import TraceNames

logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)  # that it fails is said by a notice, once a minute

About = Mapping[str, str | int | bool]
"""Attributes of a span."""

GROUP = 1000
SECONDS = 5.0
_NANOS = 1000
_SCOPE = InstrumentationScope("passerelle")
_BAD = frozenset({"retry", "unreachable", "refused", "rejected"})


class Collector:
    """Sends spans to one collector (implements `router.observe.observer.Listener`)."""

    def __init__(self, address: str, sealer: Sealer, version: str) -> None:
        self._address = address.rstrip("/")
        self._spans = Spans(TraceNames(sealer), version)
        self._exporter = OTLPSpanExporter(endpoint=f"{self._address}/v1/traces", timeout=SECONDS)

    def tell(self, happened: Sequence[Happening]) -> None:
        """Send what happened; raises OSError when the collector does not take it."""
        spans = list(self._spans.of(happened))
        for start in range(0, len(spans), GROUP):
            if self._exporter.export(spans[start : start + GROUP]) is not SpanExportResult.SUCCESS:
                raise OSError(
                    "the collector of [observe] otlp does not take traces; messages flow on, "
                    "what happens meanwhile has no trace there"
                )

    def close(self) -> None:
        """Close its connections."""
        self._exporter.shutdown()  # type: ignore[no-untyped-call]  # the library's own


class Spans:
    """Makes spans."""

    def __init__(self, names: TraceNames, version: str) -> None:
        self._names = names
        self._resource = Resource({"service.name": "passerelle", "service.version": version})

    def of(self, happened: Iterable[Happening]) -> Iterator[ReadableSpan]:
        """Give the spans of what happened."""
        for one in happened:
            if isinstance(one, MessageRead):
                yield from self._message(one)
            elif isinstance(one, Attempted):
                yield self._attempt(one)
            else:
                yield self._receipt(one)

    def _message(self, one: MessageRead) -> Iterator[ReadableSpan]:
        number, times = one.message_id, (one.received_at, one.processed_at)
        about: About = {
            "passerelle.message.id": number,
            "passerelle.source": one.source,
            "passerelle.message.type": one.message_type,
            "passerelle.message.size": one.size,
        }
        # Told again with each replay, it is the same to the byte: who keeps spans by their names keeps one.
        arrived = (one.received_at, one.received_at)
        yield self._span("receive", number, self._root(number), None, arrived, about, SpanKind.CONSUMER)
        read: About = {
            **about,
            "passerelle.message.state": one.state,
            "passerelle.format": one.format,
            "passerelle.replays": one.replays,
        }
        named, root = self._names.span("read", number, one.replays), self._root(number)
        yield self._span("read", number, named, root, times, read, outcome=one.state)
        routed: About = {
            "passerelle.message.id": number,
            "passerelle.items": one.items,
            "passerelle.deliveries": one.deliveries,
        }
        named, at = self._names.span("route", number, one.replays), (one.processed_at, one.processed_at)
        yield self._span("route", number, named, self._root(number), at, routed)

    def _attempt(self, one: Attempted) -> ReadableSpan:
        about: About = {
            "passerelle.message.id": one.message_id,
            "passerelle.delivery.id": one.delivery_id,
            "passerelle.destination": one.destination,
            "passerelle.format": one.format,
            "passerelle.attempt": one.number,
            "passerelle.outcome": one.outcome,
        }
        named, times = self._names.span("attempt", one.delivery_id, one.number), (one.started_at, one.ended_at)
        root = self._root(one.message_id)
        return self._span("deliver", one.message_id, named, root, times, about, SpanKind.PRODUCER, one.outcome)

    def _receipt(self, one: Answered) -> ReadableSpan:
        about: About = {
            "passerelle.message.id": one.message_id,
            "passerelle.delivery.id": one.delivery_id,
            "passerelle.destination": one.destination,
            "passerelle.receipt.stage": one.stage,
            "passerelle.receipt.positive": one.positive,
        }
        named, root = self._names.span("receipt", one.receipt_id), self._root(one.message_id)
        link = Link(self._context(one.by_message_id, self._root(one.by_message_id)))
        word = "" if one.positive else "refused"
        times = (one.at, one.at)
        return self._span("receipt", one.message_id, named, root, times, about, outcome=word, links=(link,))

    def _root(self, message_id: int) -> int:
        return self._names.span("receive", message_id)

    def _context(self, message_id: int, span: int) -> SpanContext:
        return SpanContext(self._names.trace(message_id), span, is_remote=False, trace_flags=TraceFlags(1))

    def _span(
        self,
        name: str,
        message_id: int,
        span: int,
        parent: int | None,
        times: tuple[int, int],
        about: About,
        kind: SpanKind = SpanKind.INTERNAL,
        outcome: str = "",
        links: Sequence[Link] = (),
    ) -> ReadableSpan:
        return ReadableSpan(
            name,
            context=self._context(message_id, span),
            parent=self._context(message_id, parent) if parent is not None else None,
            resource=self._resource,
            attributes=about,
            links=links,
            kind=kind,
            status=Status(StatusCode.ERROR) if outcome in _BAD else Status(StatusCode.UNSET),
            start_time=times[0] * _NANOS,
            end_time=times[1] * _NANOS,
            instrumentation_scope=_SCOPE,
        )
