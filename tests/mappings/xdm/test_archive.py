from __future__ import annotations

import io
import struct
import zipfile
import zlib

import pytest
from hypothesis import given, settings, strategies as st
from xdm_archives import archive

from mappings.archive import Archive, Limits, is_archive
from mappings.contracts import FormatError

SMALL = Limits(entries=10, entry_size=4 << 20, total_size=6 << 20, ratio=50)


def everything(content: bytes, limits: Limits | None = None) -> dict[str, bytes]:
    opened = Archive(content, limits)
    return {entry.name: opened.read(entry) for entry in opened.entries}


def refused(content: bytes, limits: Limits | None = None) -> str:
    with pytest.raises(FormatError) as problem:
        everything(content, limits)
    return problem.value.code


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_entries_have_their_bytes_and_their_spans(method: int) -> None:
    files = {"A/ONE.TXT": b"un" * 500, "A/EMPTY.TXT": b"", "A/B/": b""}
    content = archive(files, method)
    opened = Archive(content)
    assert {one.name: opened.read(one) for one in opened.entries} == files
    assert [one.is_folder for one in opened.entries] == [False, False, True]
    first = opened.entries[0]
    packed = content[first.start : first.end]
    assert (packed if method == zipfile.ZIP_STORED else zlib.decompress(packed, -15)) == files["A/ONE.TXT"]
    assert content[first.name_start : first.name_end] == b"A/ONE.TXT"


def test_backslashes_are_separators_and_nothing_leads_outside() -> None:
    names = ["A\\B.XML", "../../etc/passwd", "/abs", "C:\\x", "a/../../b", "n\x01l", "..", "ok..xml"]
    found = Archive(archive(dict.fromkeys(names, b"x"))).entries
    assert found[0].name == "A/B.XML"
    assert found[0].raw_name == "A\\B.XML"
    assert [one.outside for one in found] == [False, True, True, True, True, True, True, False]


def test_a_repetitive_bomb_stops_at_the_ratio() -> None:
    assert refused(archive({"B": bytes(3 << 20)}), SMALL) == "archive.ratio"


def test_sizes_are_counted_while_inflating_and_not_believed() -> None:
    bomb = bytearray(archive({"B": bytes(5 << 20)}))
    at = bomb.rfind(b"PK\x01\x02")
    struct.pack_into("<I", bomb, at + 24, 10)
    generous = Limits(entry_size=4 << 20, ratio=100_000)
    assert refused(bytes(bomb), generous) == "archive.too_large"


def test_all_entries_together_are_bounded() -> None:
    half = zlib.compress(b"")  # noise does not compress: the ratio stays low
    noise = b"".join(zlib.adler32(bytes([n % 256, n // 256, *half])).to_bytes(4, "big") * 64 for n in range(12_000))
    content = archive({"A": noise, "B": noise, "C": noise}, zipfile.ZIP_STORED)
    assert refused(content, SMALL) == "archive.too_large"
    assert refused(archive({"A": noise * 2}, zipfile.ZIP_STORED), SMALL) == "archive.too_large"


def test_a_hundred_thousand_entries_are_refused_before_any_is_made() -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as opened:
        opened.writestr("A", b"")
    one = buffer.getvalue()
    local, rest = one[: one.index(b"PK\x01\x02")], one[one.index(b"PK\x01\x02") :]
    record = rest[: rest.index(b"PK\x05\x06")]
    count = 100_000
    directory = record * count
    end = struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0)
    at = len(local) + len(directory)
    wide = struct.pack("<4sQ2H2I4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, count, count, len(directory), len(local))
    locator = struct.pack("<4sIQI", b"PK\x06\x07", 0, at, 1)
    assert refused(local + directory + wide + locator + end) == "archive.too_many"
    lying = struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, 1, 1, len(directory), len(local), 0)
    assert refused(local + directory + lying) == "archive.too_many"


def test_entries_that_share_bytes_are_a_bomb() -> None:
    content = archive({"A": b"x" * 100})
    start = content.index(b"PK\x01\x02")
    record = content[start : content.index(b"PK\x05\x06")]
    twice = content[:start] + record + record.replace(b"A", b"B")
    end = struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, 2, 2, 2 * len(record), start, 0)
    assert refused(twice + end) == "archive.overlap"


def test_zip64_is_read_within_the_bounds() -> None:
    buffer = io.BytesIO()
    with (
        zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as opened,
        opened.open("A.XML", "w", force_zip64=True) as out,
    ):
        out.write(b"<a/>" * 40)
    entry, *_ = Archive(buffer.getvalue()).entries
    assert Archive(buffer.getvalue()).read(entry) == b"<a/>" * 40


def test_what_is_encrypted_split_or_packed_otherwise_is_refused() -> None:
    plain = bytearray(archive({"A": b"x" * 10}))
    at = plain.rfind(b"PK\x01\x02")
    encrypted = plain.copy()
    encrypted[at + 8] |= 1
    assert refused(bytes(encrypted)) == "archive.encrypted"
    end = plain.rfind(b"PK\x05\x06")
    split = plain.copy()
    split[end + 4] = 3
    assert refused(bytes(split)) == "archive.split"
    assert refused(archive({"A": b"x" * 10}, zipfile.ZIP_BZIP2)) == "archive.method"


def test_damage_is_told_by_the_checksum() -> None:
    content = bytearray(archive({"A": b"x" * 10}, zipfile.ZIP_STORED))
    content[content.index(b"xxxx")] ^= 1
    assert refused(bytes(content)) == "archive.damaged"
    deflated = bytearray(archive({"A": bytes(range(256)) * 8}))
    entry = Archive(bytes(deflated)).entries[0]
    deflated[entry.start : entry.start + 4] = b"\xff\xff\xff\xff"
    assert refused(bytes(deflated)) == "archive.damaged"


def test_what_is_no_archive_and_what_is_cut() -> None:
    assert refused(b"") == "archive.not_zip"
    assert refused(b"<xml/>") == "archive.not_zip"
    whole = archive({"A": b"x" * 100, "B": b"y"})
    assert refused(whole[:60]) == "archive.truncated"
    assert is_archive(whole)
    assert not is_archive(b"PK")


def test_a_program_before_the_archive_is_stepped_over() -> None:
    opened = Archive(b"MZ" + bytes(300) + archive({"A": b"one", "B": b"two"}))
    assert [opened.read(one) for one in opened.entries] == [b"one", b"two"]


def test_archives_inside_one_another_share_their_bounds() -> None:
    inner = archive({"A": b"a" * 100})
    middle = archive({"IN.ZIP": inner}, zipfile.ZIP_STORED)
    outer = Archive(archive({"IN.ZIP": middle}, zipfile.ZIP_STORED), Limits(levels=1))
    opened = outer.open_inside(outer.entries[0])
    assert [one.name for one in opened.entries] == ["IN.ZIP"]
    with pytest.raises(FormatError) as problem:
        opened.open_inside(opened.entries[0])
    assert problem.value.code == "archive.too_nested"


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_mutations_raise_nothing_else(data: st.DataObject) -> None:
    content = bytearray(archive({"IHE_XDM/A.XML": b"<a>" * 30, "B": b"x" * 40}))
    for _ in range(data.draw(st.integers(1, 6))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    cut = bytes(content[: data.draw(st.integers(0, len(content)))]) if data.draw(st.booleans()) else bytes(content)
    code = ""
    try:
        everything(cut, SMALL)
    except FormatError as problem:
        code = problem.code
    assert not code or code.startswith("archive.")
