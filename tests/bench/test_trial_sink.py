"""The lean receiver gives the same requests however the stream is cut."""

from __future__ import annotations

import asyncio
from itertools import pairwise

import pytest
from hypothesis import given, settings, strategies as st

from router.trial.sink import (
    FhirSink,
    http_answer,
    idempotency_key,
    port_of,
    serve_sink,
    transaction_response,
)

BODIES = (b'{"entry":[{"request":{}}]}', b"", b'{"text":"\r\n\r\n"}')
STREAM = b"".join(
    b"POST /fhir HTTP/1.1\r\nHost: x\r\nIdempotency-Key: k%d\r\nContent-LENGTH: %d\r\n\r\n%b" % (rank, len(body), body)
    for rank, body in enumerate(BODIES)
)


class Wire(asyncio.Transport):
    """A transport that keeps what was written."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.state = "open"

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += bytes(data)

    def abort(self) -> None:
        self.state = "aborted"

    def close(self) -> None:
        self.state = "closed"


@settings(max_examples=60)
@given(st.lists(st.integers(1, len(STREAM) - 1), max_size=8))
def test_any_split_gives_the_same_requests(cuts: list[int]) -> None:
    taken: list[tuple[str, bytes]] = []

    def take(head: bytes, body: bytes) -> bytes:
        taken.append((idempotency_key(head), body))
        return http_answer(200, b"{}")

    sink, wire = FhirSink(take), Wire()
    sink.connection_made(wire)
    edges = [0, *sorted(set(cuts)), len(STREAM)]
    for begin, end in pairwise(edges):
        sink.data_received(STREAM[begin:end])
    assert taken == [("k0", BODIES[0]), ("k1", BODIES[1]), ("k2", BODIES[2])]
    assert wire.written.count(b"HTTP/1.1 200") == 3


def test_a_request_without_length_is_refused() -> None:
    sink, wire = FhirSink(lambda _head, _body: b""), Wire()
    sink.connection_made(wire)
    sink.data_received(b"POST /fhir HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n")
    assert wire.written.startswith(b"HTTP/1.1 411")
    assert wire.state == "closed"


def test_expectation_is_met_before_the_body() -> None:
    sink, wire = FhirSink(lambda _head, body: http_answer(200, body)), Wire()
    sink.connection_made(wire)
    sink.data_received(b"POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
    assert wire.written == b"HTTP/1.1 100 Continue\r\n\r\n"
    sink.data_received(b"{}")
    assert wire.written.endswith(b"\r\n\r\n{}")


def test_no_answer_cuts_the_connection() -> None:
    sink, wire = FhirSink(lambda _head, _body: None), Wire()
    sink.connection_made(wire)
    sink.data_received(b"GET / HTTP/1.1\r\n\r\n")
    assert (wire.state, wire.written) == ("aborted", b"")


def test_response_has_an_entry_a_request() -> None:
    assert transaction_response(b'"request" "request"').count(b"201 Created") == 2


async def test_sink_listens() -> None:
    server = await serve_sink(lambda _head, body: http_answer(201, body))
    async with server:
        reader, writer = await asyncio.open_connection("127.0.0.1", port_of(server))
        writer.write(b"POST / HTTP/1.1\r\nContent-Length: 4\r\n\r\nabcd")
        assert (await reader.readuntil(b"abcd")).startswith(b"HTTP/1.1 201")
        writer.close()
        await writer.wait_closed()


@pytest.mark.parametrize("head", [b"POST / HTTP/1.1\r\nHost: x", b""])
def test_no_key_is_an_empty_text(head: bytes) -> None:
    assert idempotency_key(head) == ""
