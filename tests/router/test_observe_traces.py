"""One trace a message, across its whole life and across a restart, as a real collector receives it."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from sqlalchemy import select

from connectors.contracts import Delivered, Retry
from router.config.model import ObserveSection
from router.journal import tables
from router.observe.happened import Answered, Attempted, MessageRead
from router.observe.names import TraceNames
from router.observe.tracing import Spans


class Receiver:
    """An OTLP/HTTP collector that keeps the spans it is sent."""

    def __init__(self) -> None:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                request = ExportTraceServiceRequest()
                request.ParseFromString(body)
                receiver.paths.append(self.path)
                for one in request.resource_spans:
                    for scope in one.scope_spans:
                        receiver.spans.extend(scope.spans)
                receiver.bodies.append(body)
                self.send_response(receiver.status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_args: object) -> None:
                """Say nothing."""

        self.paths: list[str] = []
        self.spans: list[Span] = []
        self.bodies: list[bytes] = []
        self.status = 200
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server.server_address[1]}"
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join(10)

    def named(self, name: str) -> list[Span]:
        return [one for one in self.spans if one.name == name]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    found = Receiver()
    yield found
    found.close()


async def test_a_message_has_one_trace_from_reception_to_delivery_across_a_restart(
    make_rig: Callable[..., Any], receiver: Receiver
) -> None:
    rig = make_rig()
    rig.observe = ObserveSection(otlp=receiver.address)
    rig.answer = lambda _parcel: Retry("busy", reached=False)
    await rig.start()
    await rig.know("ROSE")
    await rig.submit(1, "ROSE")
    await rig.until(lambda: len(rig.tried) > 0 and rig.states(tables.delivery) == {"retrying": 1})
    await rig.stop()
    assert {one.name for one in receiver.spans} == {"receive", "read", "route", "deliver"}
    rig.answer = lambda _parcel: Delivered(acknowledged=True)
    await rig.start()
    await rig.until(lambda: rig.states(tables.delivery) == {"acknowledged": 1})
    await rig.stop()
    assert set(receiver.paths) == {"/v1/traces"}
    assert len({one.trace_id for one in receiver.spans}) == 1, "one trace, before and after the restart"
    root = receiver.named("receive")[0]
    assert root.parent_span_id == b""
    assert {one.parent_span_id for one in receiver.spans if one.name != "receive"} == {root.span_id}
    outcomes = [_attributes(one)["passerelle.outcome"] for one in receiver.named("deliver")]
    assert outcomes[0] == "unreachable"
    assert outcomes[-1] == "acknowledged"
    assert len({one.span_id for one in receiver.spans}) == len(receiver.spans)
    assert not any(b"TESTROSE" in body or b"IPP-ROSE" in body for body in receiver.bodies)


async def test_a_receipt_joins_the_trace_of_what_was_sent_and_links_the_message_that_brought_it(
    tmp_path: Path,
) -> None:
    from router.journal.sealing import Sealer

    spans = list(Spans(TraceNames(Sealer(bytes(32))), "1").of(
        [
            MessageRead(7, "labo", "ORU^R01", "hl7v2", "processed", 100, 10, 20, 0, 1, 1),
            Attempted(7, 3, "spico", "fhir", 1, "delivered", 20, 30),
            Answered(7, 5, 3, "spico", "read", True, 40, 9),
        ]
    ))  # fmt: skip
    receipt, names = spans[-1], TraceNames(Sealer(bytes(32)))
    assert receipt.name == "receipt"
    assert receipt.context is not None
    assert receipt.context.trace_id == names.trace(7)
    assert receipt.links[0].context.trace_id == names.trace(9)
    assert names.trace(7) != names.trace(9)


async def test_a_replay_stays_in_the_trace(make_rig: Callable[..., Any], receiver: Receiver) -> None:
    from router.journal.actions import replay_messages

    rig = make_rig()
    rig.observe = ObserveSection(otlp=receiver.address)
    await rig.start()
    await rig.know("ROSE")
    await rig.submit(1, "ROSE")
    await rig.until(lambda: rig.states(tables.delivery) == {"acknowledged": 1})
    await rig.engine.submit(replay_messages([1], actor="test", now=5))
    rig.engine.wake()
    await rig.until(lambda: rig.states(tables.delivery) == {"acknowledged": 2})
    await rig.stop()
    assert len({one.span_id for one in receiver.named("receive")}) == 1
    assert _attributes(receiver.named("read")[-1])["passerelle.replays"] == 1
    assert len(receiver.named("deliver")) == 2
    assert len({one.trace_id for one in receiver.spans}) == 1


async def test_the_header_hands_the_trace_on_where_it_is_configured(make_rig: Callable[..., Any]) -> None:
    rig = make_rig()
    rig.traceparent = True
    await rig.start()
    await rig.know("ROSE")
    await rig.submit(1, "ROSE")
    await rig.until(lambda: len(rig.sent) == 1)
    names = TraceNames(rig.engine.store.sealer.clone())
    assert rig.sent[0].traceparent == f"00-{names.trace(1):032x}-{names.span('attempt', 1, 1):016x}-01"
    await rig.stop()


async def test_nothing_is_observed_unless_it_is_asked_for(make_rig: Callable[..., Any]) -> None:
    rig = make_rig()
    await rig.start()
    assert rig.engine._observer is None
    assert rig.engine.pipeline._observed is None
    await rig.know("ROSE")
    await rig.submit(1, "ROSE")
    await rig.until(lambda: len(rig.sent) == 1)
    assert rig.sent[0].traceparent == ""
    await rig.stop()


async def test_a_collector_that_does_not_answer_is_a_notice_and_stops_nothing(
    make_rig: Callable[..., Any], receiver: Receiver
) -> None:
    rig = make_rig()
    receiver.status = 400
    rig.observe = ObserveSection(otlp=receiver.address)
    await rig.start()
    await rig.know("ROSE")
    await rig.submit(1, "ROSE")
    await rig.until(lambda: rig.states(tables.delivery) == {"acknowledged": 1})
    await rig.engine._observer.flush()

    def told() -> bool:
        with rig.engine.store.reading() as connection:
            said = list(connection.execute(select(tables.notice.c.message)).scalars())
        return any("does not take traces" in one for one in said)

    await rig.until(told)
    await rig.stop()


def test_names_are_those_of_the_journal_and_of_no_other(tmp_path: Path) -> None:
    from router.journal.sealing import Sealer

    one, other = TraceNames(Sealer(bytes(32))), TraceNames(Sealer(bytes([1]) * 32))
    assert one.trace(1) == TraceNames(Sealer(bytes(32))).trace(1)
    assert len({one.trace(1), one.trace(2), other.trace(1)}) == 3
    assert one.span("attempt", 1, 11) != one.span("attempt", 11, 1)


def _attributes(span: Span) -> dict[str, Any]:
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in span.attributes}
