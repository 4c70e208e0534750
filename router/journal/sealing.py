"""Encryption of what the journal keeps, and the blind indexes by which it is found again.

A 32-byte master key, made by `passerelle init`, gives two keys by HKDF: one for AES-256-GCM, one for keyed digests.
Once the master key was changed, the keys come from the journal's ring (`router.journal.keyring`): several that open,
the newest of which seals. A sealed value is `version byte | key number (2 bytes, only where it is not the first key) |
12-byte nonce | ciphertext and tag`; the plain text is compressed first (zstd), as a journal is mostly repetition. The
associated data binds a value to its place, so that one row's content cannot be moved to another.
"""

from __future__ import annotations

import hashlib
import os
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Protocol

import zstandard
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from router.faults import Fault, JournalFault

KEY_BYTES = 32
NONCE_BYTES = 12
NUMBER_BYTES = 2
PLAIN, COMPRESSED = b"\x01", b"\x02"
NUMBERED = {b"\x03": PLAIN, b"\x04": COMPRESSED}
"""Versions of a value that names its key, and what they are without that."""
SMALL = 2048
"""Below this many bytes compression saves less than it costs while an acknowledgement is waited for."""

MAX_PLAIN = 256 * 1024 * 1024
"""No sealed value is larger than this once opened, whatever its header says."""


REMEMBERED_TOKENS = 8192
"""Tokens that one Sealer keeps at hand."""


class KeyFault(Fault):
    """The key is missing, malformed, or not the one that this journal was sealed with."""


class KeyAway(KeyFault, JournalFault):
    """The master key was changed, and the new one is not here: what needs it waits, until its file is brought."""


@dataclass(frozen=True, slots=True)
class Keys:
    """The keys of a journal at one moment: those that open, by number, the newest of which seals; the index's own.

    Number 0 is the key that the first master key gives; what it sealed names no number.
    """

    master: bytes
    seals: Mapping[int, bytes]
    index: bytes

    @property
    def newest(self) -> int:
        """The number of the key that seals."""
        return max(self.seals)


class Ring(Protocol):
    """Where a Sealer finds the keys of the moment."""

    def keys(self) -> Keys:
        """Give the keys that seal and open now; asked at each sealing."""
        ...

    def keys_with(self, number: int) -> Keys:
        """Give the keys, looked up again when this number is not known yet."""
        ...

    def renew(self) -> Keys:
        """Look the keys up now, and give them."""
        ...


def first_keys(master: bytes) -> Keys:
    """Give the keys of a journal whose master key was never changed. Raises KeyFault when it is malformed."""
    if len(master) != KEY_BYTES:
        raise KeyFault(f"the journal key must be {KEY_BYTES} bytes long")
    return Keys(master, {0: derived(master, b"passerelle seal")}, derived(master, b"passerelle token"))


def master_id(master: bytes) -> str:
    """Name a master key without telling anything of it: 16 hexadecimal digits."""
    keyed = hashlib.blake2b(key=derived(master, b"passerelle token"), digest_size=16)
    return _digest(keyed, b"key id", b"").hex()[:16]


class FirstRing:
    """The keys of one master key, for who knows no journal."""

    def __init__(self, master: bytes) -> None:
        self._keys = first_keys(master)

    def keys(self) -> Keys:
        """Give them."""
        return self._keys

    def keys_with(self, number: int) -> Keys:
        """Give them: there are no others."""
        return self._keys

    def renew(self) -> Keys:
        """Give them: they never change."""
        return self._keys


class Sealer:
    """Seals and opens values, and makes blind tokens. Safe to use from one thread at a time."""

    def __init__(self, master: bytes | Ring) -> None:
        self._ring = FirstRing(master) if isinstance(master, bytes) else master
        self._aeads: dict[int, AESGCM] = {}
        self._keyed = hashlib.blake2b(key=self._ring.keys().index, digest_size=16)
        self._compressor = zstandard.ZstdCompressor(level=1)
        self._decompressor = zstandard.ZstdDecompressor()
        self._tokens: dict[tuple[str, ...], int] = {}

    def clone(self) -> Sealer:
        """Give another Sealer of the same keys, for another thread."""
        return Sealer(self._ring)

    @property
    def master(self) -> bytes:
        """The master key, to hand to a worker process."""
        return self._ring.keys().master

    def renew(self) -> None:
        """Know of a change of the keys at once, for all Sealers of this journal in this process."""
        self._ring.renew()

    def expect(self, number: int) -> None:
        """Know the key of this number, which the journal says is in use. Raises KeyAway when it is not here."""
        self._ring.keys_with(number)

    @property
    def missing(self) -> str:
        """Say why nothing can be sealed here until a key file is brought; empty where all is well."""
        try:
            self._ring.keys()
        except KeyFault as fault:
            return str(fault)
        return ""

    def seal(self, plain: bytes, place: bytes) -> bytes:
        """Compress and encrypt; `place` (table, column) is authenticated with the value."""
        keys = self._ring.keys()
        number = keys.newest
        small = len(plain) < SMALL
        if number == 0:
            head = PLAIN if small else COMPRESSED
        else:
            head = (b"\x03" if small else b"\x04") + number.to_bytes(NUMBER_BYTES, "big")
        nonce = os.urandom(NONCE_BYTES)
        packed = plain if small else self._compressor.compress(plain)
        return head + nonce + self._aead(number, keys).encrypt(nonce, packed, place + head)

    def open(self, sealed: bytes, place: bytes) -> bytes:
        """Decrypt and decompress.

        Raises KeyFault when the key is not the right one or the value was altered, KeyAway when it is not here yet.
        """
        version, number = sealed[:1], key_number(sealed)
        start = 1 + (NUMBER_BYTES if version in NUMBERED else 0)
        head, nonce = sealed[:start], sealed[start : start + NONCE_BYTES]
        try:
            aead = self._aead(number, self._ring.keys_with(number))
            packed = aead.decrypt(nonce, sealed[start + NONCE_BYTES :], place + head)
        except (InvalidTag, ValueError, KeyError):  # ValueError: shorter than its own nonce; KeyError: a retired key
            raise KeyFault(
                "a value of the journal does not open with this key: wrong key file or damaged row"
            ) from None
        if NUMBERED.get(version, version) == PLAIN:
            return packed
        return self._decompressor.decompress(packed, max_output_size=MAX_PLAIN)

    def is_newest(self, sealed: bytes) -> bool:
        """Whether a value was sealed by the key that seals now."""
        return key_number(sealed) == self._ring.keys().newest

    def _aead(self, number: int, keys: Keys) -> AESGCM:
        found = self._aeads.get(number)
        if found is None:
            found = self._aeads[number] = AESGCM(keys.seals[number])
        return found

    def digest(self, *parts: bytes) -> bytes:
        """Make a keyed 16-byte digest of some parts, unambiguous about where one ends."""
        return _digest(self._keyed, *parts)

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


def key_number(sealed: bytes) -> int:
    """Say which key sealed a value."""
    return int.from_bytes(sealed[1 : 1 + NUMBER_BYTES], "big") if sealed[:1] in NUMBERED else 0


def _digest(keyed: hashlib.blake2b, *parts: bytes) -> bytes:
    state = keyed.copy()
    for part in parts:
        state.update(len(part).to_bytes(8, "little"))
        state.update(part)
    return state.digest()


def derived(master: bytes, purpose: bytes) -> bytes:
    """Give the 32-byte key of one purpose that a master key holds (HKDF, SHA-256)."""
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
