"""Encryption of what the journal keeps, and the blind indexes by which it is found again.

A 32-byte master key, made by `passerelle init`, gives two keys by HKDF: one for AES-256-GCM, one for keyed digests.
A sealed value is `version byte | 12-byte nonce | ciphertext and tag`; the plain text is compressed first (zstd), as a
journal is mostly repetition. The associated data binds a value to its place, so that one row's content
cannot be moved to another.
"""

from __future__ import annotations

import hashlib
import os
import unicodedata
from functools import lru_cache
from pathlib import Path

import zstandard
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from router.faults import Fault

KEY_BYTES = 32
NONCE_BYTES = 12
PLAIN, COMPRESSED = b"\x01", b"\x02"
SMALL = 2048
"""Below this many bytes compression saves less than it costs while an acknowledgement is waited for."""

MAX_PLAIN = 256 * 1024 * 1024
"""No sealed value is larger than this once opened, whatever its header says."""


REMEMBERED_TOKENS = 8192
"""Tokens that one Sealer keeps at hand."""


class KeyFault(Fault):
    """The key is missing, malformed, or not the one that this journal was sealed with."""


class Sealer:
    """Seals and opens values, and makes blind tokens, with one master key. Safe to use from one thread at a time."""

    def __init__(self, master: bytes) -> None:
        if len(master) != KEY_BYTES:
            raise KeyFault(f"the journal key must be {KEY_BYTES} bytes long")
        self._master = master
        self._aead = AESGCM(_derive(master, b"passerelle seal"))
        self._keyed = hashlib.blake2b(key=_derive(master, b"passerelle token"), digest_size=16)
        self._compressor = zstandard.ZstdCompressor(level=1)
        self._decompressor = zstandard.ZstdDecompressor()
        self._tokens: dict[tuple[str, ...], int] = {}

    def clone(self) -> Sealer:
        """Give another Sealer of the same key, for another thread."""
        return Sealer(self._master)

    @property
    def master(self) -> bytes:
        """The master key, to hand to a worker process."""
        return self._master

    def seal(self, plain: bytes, place: bytes) -> bytes:
        """Compress and encrypt; `place` (table, column) is authenticated with the value."""
        nonce = os.urandom(NONCE_BYTES)
        if len(plain) < SMALL:
            return PLAIN + nonce + self._aead.encrypt(nonce, plain, place + PLAIN)
        packed = self._compressor.compress(plain)
        return COMPRESSED + nonce + self._aead.encrypt(nonce, packed, place + COMPRESSED)

    def open(self, sealed: bytes, place: bytes) -> bytes:
        """Decrypt and decompress. Raises KeyFault when the key is not the right one or the value was altered."""
        version = sealed[:1]
        try:
            packed = self._aead.decrypt(sealed[1 : 1 + NONCE_BYTES], sealed[1 + NONCE_BYTES :], place + version)
        except (InvalidTag, ValueError):  # ValueError: shorter than its own nonce
            raise KeyFault(
                "a value of the journal does not open with this key: wrong key file or damaged row"
            ) from None
        if version == PLAIN:
            return packed
        return self._decompressor.decompress(packed, max_output_size=MAX_PLAIN)

    def digest(self, *parts: bytes) -> bytes:
        """Make a keyed 16-byte digest of some parts, unambiguous about where one ends."""
        state = self._keyed.copy()
        for part in parts:
            state.update(len(part).to_bytes(8, "little"))
            state.update(part)
        return state.digest()

    def token(self, kind: str, *values: str) -> int:
        """Make a blind index entry: a signed 64-bit integer that reveals nothing without the key.

        Those of patients and senders are asked for with each of their messages: the latest are remembered.
        """
        asked = (kind, *values)
        token = self._tokens.get(asked)
        if token is None:
            raw = self.digest(kind.encode(), *(value.encode() for value in values))
            if len(self._tokens) >= REMEMBERED_TOKENS:
                self._tokens.clear()
            token = self._tokens[asked] = int.from_bytes(raw[:8], "little", signed=True)
        return token


def _derive(master: bytes, purpose: bytes) -> bytes:
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=purpose).derive(master)


def file_control_id(sealer: Sealer, filename: str) -> str:
    """Give the control id of a file: its name may hold its patient's, so the journal shows a digest of it."""
    return f"file-{sealer.digest(b'file', filename.encode()).hex()[:12]}"


@lru_cache(maxsize=8192)
def loose(text: str) -> str:
    """Fold a name for comparison: upper case, no accents, letters and digits only."""
    decomposed = unicodedata.normalize("NFKD", text.replace("œ", "oe").replace("Œ", "OE").replace("æ", "ae"))
    return "".join(char for char in decomposed.upper() if char.isalnum() and char.isascii())


def make_key_file(path: Path) -> None:
    """Write a new master key, readable by its owner only. Raises FileExistsError rather than replace one."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as handle:
        handle.write(os.urandom(KEY_BYTES).hex() + "\n")
        handle.flush()
        os.fsync(handle.fileno())


def read_key_file(path: Path) -> bytes:
    """Read a master key. Raises KeyFault with what to do when there is none or it is not one."""
    try:
        return bytes.fromhex(path.read_text(encoding="ascii").strip())
    except FileNotFoundError:
        raise KeyFault(f"no key file at {path}; run `passerelle init` or restore the key from its safe place") from None
    except (OSError, ValueError) as problem:
        raise KeyFault(f"the key file {path} cannot be read as a key: {type(problem).__name__}") from None
