from __future__ import annotations

import itertools

from hypothesis import example, given, settings, strategies as st

from connectors.mllp.codec import (
    HEAD_SIZE,
    Event,
    Frame,
    FrameDecoder,
    Garbage,
    LargeFrame,
    Part,
    TooLarge,
    Truncated,
    can_be_framed,
    enframe,
)

MESSAGE = b"MSH|^~\\&|LAB|LAB|P|P|20260305||ORU^R01|1|P|2.5\rPID|1||X\r"


def decoder(max_frame: int = 1 << 20, spool_threshold: int = 1 << 20) -> FrameDecoder:
    return FrameDecoder(max_frame, spool_threshold)


def merged(events: list[Event]) -> list[Event]:
    """Join what may legitimately be cut differently: parts of one content, garbage between two frames."""
    result: list[Event] = []
    for event in events:
        last = result[-1] if result else None
        if isinstance(event, Part) and isinstance(last, Part):
            result[-1] = Part(last.data + event.data)
        elif isinstance(event, Garbage) and isinstance(last, Garbage):
            result[-1] = Garbage(last.size + event.size, last.blank and event.blank)
        else:
            result.append(event)
    return [
        event
        for event, following in itertools.zip_longest(result, result[1:])
        if not (isinstance(event, Part) and isinstance(following, Truncated | TooLarge | None))
    ]


def decode(stream: bytes, cuts: list[int], **limits: int) -> list[Event]:
    machine = decoder(**limits)
    events: list[Event] = []
    before = 0
    for cut in [*sorted(cuts), len(stream)]:
        events += machine.feed(stream[before:cut])
        before = cut
    return merged(events + machine.finish())


def test_one_frame_in_one_read() -> None:
    assert decoder().feed(enframe(MESSAGE)) == [Frame(MESSAGE)]


def test_a_frame_split_at_every_byte() -> None:
    stream = enframe(MESSAGE)
    for cut in range(len(stream) + 1):
        machine = decoder()
        assert machine.feed(stream[:cut]) + machine.feed(stream[cut:]) == [Frame(MESSAGE)]


def test_byte_by_byte() -> None:
    machine = decoder()
    events = [event for byte in enframe(MESSAGE) * 2 for event in machine.feed(bytes([byte]))]
    assert events == [Frame(MESSAGE), Frame(MESSAGE)]


def test_several_frames_in_one_read() -> None:
    assert decoder().feed(enframe(b"a") + enframe(b"b") + enframe(b"c")) == [Frame(b"a"), Frame(b"b"), Frame(b"c")]


def test_half_a_frame_then_the_rest_and_more() -> None:
    machine = decoder()
    assert machine.feed(enframe(b"a") + b"\x0bhal") == [Frame(b"a")]
    assert machine.inside
    assert machine.feed(b"f\x1c\r\x0bnext\x1c\r") == [Frame(b"half"), Frame(b"next")]
    assert not machine.inside


def test_noise_is_counted_and_blank_noise_is_told_apart() -> None:
    events = decoder().feed(b"\r\n " + enframe(b"a") + b"GET / HTTP/1.1\r\n" + enframe(b"b"))
    assert events == [Garbage(3, True), Frame(b"a"), Garbage(16, False), Frame(b"b")]


def test_a_new_start_before_the_end_is_a_truncated_frame() -> None:
    assert decoder().feed(b"\x0bhalf of it" + enframe(b"whole")) == [Truncated(10), Frame(b"whole")]


def test_an_end_without_carriage_return() -> None:
    assert decoder().feed(b"\x0ba\x1c\x0bb\x1c\x0a\x0bc\x1c\r") == [Frame(b"a"), Frame(b"b"), Frame(b"c")]


def test_an_end_byte_that_stands_last_waits_for_silence() -> None:
    machine = decoder()
    assert machine.feed(b"\x0ba\x1c") == []
    assert machine.at_end_byte
    assert machine.silence() == [Frame(b"a")]
    assert not machine.at_end_byte
    assert machine.silence() == []
    assert machine.feed(b"\r" + enframe(b"b")) == [Garbage(1, True), Frame(b"b")]


def test_an_end_byte_that_stands_last_is_an_end_when_the_stream_ends() -> None:
    machine = decoder()
    machine.feed(b"\x0ba\x1c")
    assert machine.finish() == [Frame(b"a")]


def test_an_end_byte_inside_a_content_does_not_cut_it() -> None:
    assert decoder().feed(b"\x0btext\x1cmore\x1c\r") == [Frame(b"text\x1cmore")]


def test_nothing_is_said_of_silence_inside_a_frame() -> None:
    machine = decoder()
    machine.feed(b"\x0bhalf")
    assert machine.silence() == []
    assert machine.finish() == [Truncated(4)]
    assert machine.feed(enframe(b"too late")) == []


def test_empty_frames_are_frames() -> None:
    assert decoder().feed(b"\x0b\x1c\r") == [Frame(b"")]


def test_bytes_are_never_decoded() -> None:
    content = bytes(byte for byte in range(256) if byte not in (0x0B, 0x1C))
    assert decoder().feed(enframe(content)) == [Frame(content)]


def test_large_contents_are_given_in_parts_and_not_held() -> None:
    content = bytes(65 + number % 26 for number in range(3_000_000))
    machine = decoder(max_frame=1 << 24, spool_threshold=100_000)
    events: list[Event] = []
    stream = enframe(content)
    for start in range(0, len(stream), 65_536):
        events += machine.feed(stream[start : start + 65_536])
        assert len(machine._buffer) < 400_000
    parts = [event.data for event in events if isinstance(event, Part)]
    assert b"".join(parts) == content
    assert max(map(len, parts)) < 400_000
    assert events[-1] == LargeFrame(len(content), content[:HEAD_SIZE])


def test_a_content_at_the_threshold_is_not_large() -> None:
    assert decoder(spool_threshold=10).feed(enframe(b"x" * 10)) == [Frame(b"x" * 10)]
    assert decoder(spool_threshold=10).feed(enframe(b"x" * 11)) == [Part(b"x" * 11), LargeFrame(11, b"x" * 11)]


def test_a_content_too_large_ends_the_stream() -> None:
    machine = decoder(max_frame=20, spool_threshold=10)
    assert machine.feed(enframe(b"x" * 20))[-1] == LargeFrame(20, b"x" * 20)
    events = machine.feed(b"\x0b" + b"y" * 21)
    assert events == [TooLarge(b"y" * 20)]
    assert machine.feed(enframe(b"z")) == []
    assert machine.finish() == []


def test_a_frame_without_end_stays_within_its_limit() -> None:
    machine = decoder(max_frame=100_000, spool_threshold=100_000)
    events: list[Event] = machine.feed(b"\x0b")
    while not events:
        events = machine.feed(b"MSH|" * 1000)
    assert isinstance(events[0], TooLarge)
    assert len(machine._buffer) == 0


def test_garbage_is_not_kept() -> None:
    machine = decoder()
    total = sum(
        event.size for _ in range(200) for event in machine.feed(b"noise" * 10_000) if isinstance(event, Garbage)
    )
    assert total == 10_000_000
    assert len(machine._buffer) == 0


def test_what_can_be_framed() -> None:
    assert can_be_framed(MESSAGE)
    assert not can_be_framed(b"a\x0bb")
    assert not can_be_framed(b"a\x1cb")


ALPHABET = st.sampled_from(
    [b"\x0b", b"\x1c", b"\r", b"\n", b"\x1c\r", b"A", b"BC", b"MSH|^~\\&|", b"\x00", b"\xe9" * 9]
)


@settings(max_examples=300, deadline=None)
@given(
    stream=st.lists(ALPHABET, max_size=40).map(b"".join),
    cuts=st.lists(st.integers(0, 200), max_size=12),
    spool_threshold=st.integers(1, 30),
    max_frame=st.integers(10, 60),
)
@example(stream=b"\x0bA\x1c\r", cuts=[3], spool_threshold=5, max_frame=20)
@example(stream=b"\x0b" + b"A" * 20 + b"\x1c\r\x0bB\x1c\r", cuts=[5, 9, 22], spool_threshold=5, max_frame=20)
def test_any_split_gives_the_same_events(stream: bytes, cuts: list[int], spool_threshold: int, max_frame: int) -> None:
    whole = decode(stream, [], spool_threshold=spool_threshold, max_frame=max_frame)
    cut = decode(
        stream, [cut for cut in cuts if cut < len(stream)], spool_threshold=spool_threshold, max_frame=max_frame
    )
    singly = decode(stream, list(range(len(stream))), spool_threshold=spool_threshold, max_frame=max_frame)
    assert whole == cut
    assert whole == singly


@settings(max_examples=100, deadline=None)
@given(
    contents=st.lists(st.binary(max_size=80).filter(can_be_framed), max_size=6),
    noise=st.sampled_from([b"", b"\r\n", b"noise"]),
    cuts=st.lists(st.integers(0, 500), max_size=10),
)
def test_what_was_framed_comes_out(contents: list[bytes], noise: bytes, cuts: list[int]) -> None:
    stream = b"".join(noise + enframe(content) for content in contents)
    events = decode(stream, [cut for cut in cuts if cut < len(stream)])
    assert [event.content for event in events if isinstance(event, Frame)] == contents


class CountingBuffer(bytearray):
    """Counts the bytes that searches look at."""

    looked_at = 0

    def find(self, sub: object, start: int = 0, end: int | None = None) -> int:  # type: ignore[override]  # narrower
        until = len(self) if end is None else end
        found = super().find(sub, start, until)  # type: ignore[arg-type]  # whatever bytearray takes
        self.looked_at += (until if found < 0 else found) - start
        return found


def test_each_byte_is_looked_at_once_for_each_delimiter() -> None:
    machine = decoder()
    machine._buffer = counting = CountingBuffer()
    content = b"x\x1cy" * 5_000
    events = [event for byte in enframe(content) for event in machine.feed(bytes([byte]))]
    assert events == [Frame(content)]
    assert counting.looked_at <= 4 * len(content)
