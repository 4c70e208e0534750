from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from router.journal.blobs import CHUNK, BlobStore
from router.journal.sealing import KeyFault, Sealer, loose, make_key_file, read_key_file

KEY = bytes(range(32))


@given(st.binary(max_size=3000))
def test_what_is_sealed_opens_and_shows_nothing(plain: bytes) -> None:
    sealed = Sealer(KEY).seal(plain, b"here")
    assert Sealer(KEY).open(sealed, b"here") == plain
    if len(plain) > 8:
        assert plain not in sealed


def test_a_value_opens_only_in_its_place_and_with_its_key() -> None:
    sealed = Sealer(KEY).seal(b"secret" * 30, b"message")
    with pytest.raises(KeyFault, match="does not open"):
        Sealer(KEY).open(sealed, b"delivery")
    with pytest.raises(KeyFault, match="does not open"):
        Sealer(bytes(32)).open(sealed, b"message")
    with pytest.raises(KeyFault, match="does not open"):
        Sealer(KEY).open(sealed[:-1] + bytes([sealed[-1] ^ 1]), b"message")


def test_tokens_are_keyed_and_unambiguous() -> None:
    sealer = Sealer(KEY)
    assert sealer.token("name", "AB", "C") != sealer.token("name", "A", "BC")
    assert sealer.token("name", "TESTROSE") != Sealer(bytes(32)).token("name", "TESTROSE")
    assert -(2**63) <= sealer.token("x") < 2**63


@pytest.mark.parametrize(
    ("written", "folded"), [("d'Œuvre-Légère", "DOEUVRELEGERE"), (" El  Hadj ", "ELHADJ"), ("", "")]
)
def test_names_are_folded_for_comparison(written: str, folded: str) -> None:
    assert loose(written) == folded


def test_a_key_file_is_never_replaced_and_is_private(tmp_path: Path) -> None:
    path = tmp_path / "k"
    make_key_file(path)
    assert len(read_key_file(path)) == 32
    assert path.stat().st_mode & 0o077 == 0
    with pytest.raises(FileExistsError):
        make_key_file(path)
    path.write_text("not a key")
    with pytest.raises(KeyFault, match="cannot be read as a key"):
        read_key_file(path)
    with pytest.raises(KeyFault, match="no key file"):
        read_key_file(tmp_path / "absent")


@pytest.mark.parametrize("size", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK])
def test_blobs_come_back_whole_whatever_their_size(tmp_path: Path, size: int) -> None:
    blobs = BlobStore(tmp_path / "blobs", tmp_path / "spool", Sealer(KEY))
    content = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    name = blobs.put(content)
    assert blobs.get(name) == content
    spooled = blobs.spool()
    spooled.write_bytes(content)
    assert blobs.adopt(spooled) == name
    assert not spooled.exists()
    assert len(list((tmp_path / "blobs").glob("*/*"))) == 1


def test_a_damaged_blob_does_not_open(tmp_path: Path) -> None:
    blobs = BlobStore(tmp_path / "blobs", tmp_path / "spool", Sealer(KEY))
    name = blobs.put(b"a" * (2 * CHUNK + 5))
    path = next((tmp_path / "blobs").glob("*/*"))
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(KeyFault):
        blobs.get(name)
    with pytest.raises(FileNotFoundError):
        blobs.get("../../etc/passwd")


def test_the_sweep_spares_what_is_used_and_what_is_young(tmp_path: Path) -> None:
    blobs = BlobStore(tmp_path / "blobs", tmp_path / "spool", Sealer(KEY))
    used, unused = blobs.put(b"used"), blobs.put(b"unused")
    blobs.spool().write_bytes(b"left by a crash")
    now = next((tmp_path / "blobs").glob("*/*")).stat().st_mtime
    assert blobs.sweep({used}, now=now + 60) == 0
    assert blobs.sweep({used}, now=now + 7200) == 2
    assert blobs.get(used) == b"used"
    with pytest.raises(FileNotFoundError):
        blobs.get(unused)
