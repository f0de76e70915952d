"""Master keys by id, and the keys derived from them, one for each purpose.

The database stores digests and ciphertext together with the id of the key that made them, so a new key can come into
force while old rows are still found and read.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from collections.abc import Mapping
from functools import cache

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

#: NIST SP 800-38D §5.2.1.1 recommends 96 bits.
NONCE_BYTES = 12


def seal(key: bytes, plain: bytes, bound_to: bytes) -> bytes:
    """``plain`` under a key of 32 bytes (AES-256-GCM, nonce first), of use only where ``bound_to`` is the same."""
    nonce = os.urandom(NONCE_BYTES)
    return nonce + AESGCM(key).encrypt(nonce, plain, bound_to)


def unseal(key: bytes, sealed: bytes, bound_to: bytes) -> bytes:
    """What was sealed. Raises ``cryptography.exceptions.InvalidTag`` where key, content or ``bound_to`` is another."""
    if len(sealed) < NONCE_BYTES:
        raise InvalidTag
    return AESGCM(key).decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], bound_to)


class Keyring:
    """The master keys of an installation: 32 bytes each, named by a small integer, one of them current."""

    def __init__(self, keys: Mapping[int, bytes]) -> None:
        """The key with the highest id makes new digests and ciphertext. Raises ``ValueError``."""
        if not keys:
            raise ValueError("no master key")
        for key_id, key in keys.items():
            if len(key) != 32:
                raise ValueError(f"master key {key_id} has {len(key)} bytes, not 32")
        self.current = max(keys)
        self.ids = tuple(sorted(keys, reverse=True))
        self._keys = dict(keys)
        self.derive = cache(self._derive)

    def _derive(self, purpose: str, key_id: int) -> bytes:
        """The 32-byte key for one purpose (RFC 5869 HKDF, the purpose as ``info``)."""
        return HKDF(SHA256(), 32, salt=None, info=purpose.encode()).derive(self._keys[key_id])

    def digest(self, purpose: str, data: bytes, key_id: int | None = None) -> bytes:
        """HMAC-SHA-256 of ``data`` under the purpose's key: equal data can be found, nothing can be read."""
        key = self.derive(purpose, self.current if key_id is None else key_id)
        return hmac.digest(key, data, hashlib.sha256)

    def seal(self, purpose: str, plain: bytes, bound_to: bytes) -> bytes:
        """``plain`` under the current key of a purpose; whoever keeps it keeps ``current`` beside it."""
        return seal(self.derive(purpose, self.current), plain, bound_to)

    def unseal(self, purpose: str, sealed: bytes, bound_to: bytes, key_id: int) -> bytes:
        """What was sealed under the key of this id. Raises ``KeyError`` where that is gone, and ``InvalidTag``."""
        return unseal(self.derive(purpose, key_id), sealed, bound_to)
