"""Sealing what is personal: numbers under a data key of their account, PINs under a keyed pepper.

Every account has a data key of its own, kept wrapped under a master key. Destroying the wrapped key makes the numbers
of that account unreadable everywhere, backups included, while its books stay whole.
"""

from __future__ import annotations

import os
from uuid import UUID

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerifyMismatchError
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from engine.accounts.tables import NumberKind
from engine.storage.sharding import shard_of
from runtime.keyring import Keyring

KEY_BYTES = 32
#: NIST SP 800-38D §5.2.1.1 recommends 96 bits.
NONCE_BYTES = 12

#: OWASP's least argon2id: 19 MiB, two passes, one lane; about 30 ms. The pepper makes a stolen table useless anyway.
HASHER = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)


def _seal(key: bytes, plain: bytes, bound_to: bytes) -> bytes:
    nonce = os.urandom(NONCE_BYTES)
    return nonce + AESGCM(key).encrypt(nonce, plain, bound_to)


def _unseal(key: bytes, sealed: bytes, bound_to: bytes) -> bytes:
    return AESGCM(key).decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], bound_to)


class DataKey:
    """The data key of one account: seals and unseals its numbers (AES-256-GCM, nonce first)."""

    def __init__(self, account_id: UUID, key: bytes) -> None:
        self._account_id = account_id
        self._key = key

    @classmethod
    def fresh(cls, account_id: UUID) -> DataKey:
        """A new random key."""
        return cls(account_id, os.urandom(KEY_BYTES))

    @classmethod
    def unwrap(cls, keyring: Keyring, account_id: UUID, wrapped: bytes, key_id: int) -> DataKey:
        """The key out of its wrapping. Raises ``cryptography.exceptions.InvalidTag`` if either was changed."""
        return cls(account_id, _unseal(keyring.derive("account-key", key_id), wrapped, account_id.bytes))

    def wrap(self, keyring: Keyring, key_id: int) -> bytes:
        """The key as the account row keeps it, wrapped under a master key."""
        return _seal(keyring.derive("account-key", key_id), self._key, self._account_id.bytes)

    def seal(self, kind: str, number: str) -> bytes:
        """A number as a row keeps it: bound to its account and kind, so that it cannot be moved to another."""
        return _seal(self._key, number.encode(), self._account_id.bytes + kind.encode())

    def unseal(self, kind: str, sealed: bytes) -> str:
        """The number again. Raises ``cryptography.exceptions.InvalidTag`` if it is not this account's."""
        return _unseal(self._key, sealed, self._account_id.bytes + kind.encode()).decode()


class Address:
    """Where the directory may hold a number: a keyed digest, and its shard, for each master key in force."""

    __slots__ = ("digests", "shards")

    def __init__(self, keyring: Keyring, kind: NumberKind, number: str) -> None:
        """The current key's digest comes first. ``number`` is E.164 with ``+``, or an IMSI."""
        ids = (keyring.current, *(key_id for key_id in keyring.ids if key_id != keyring.current))
        self.digests = tuple(keyring.digest(kind.value, number.encode(), key_id) for key_id in ids)
        self.shards = tuple(shard_of(digest) for digest in self.digests)


def _peppered(keyring: Keyring, line_id: UUID, pin: str, key_id: int) -> bytes:
    # Bound to the line: a hash copied from another line's row matches nothing.
    return keyring.digest("pin", line_id.bytes + pin.encode(), key_id)


def hash_pin(keyring: Keyring, line_id: UUID, pin: str) -> str:
    """``key id:argon2id``. Takes about 30 ms of CPU: not for the event loop."""
    return f"{keyring.current}:{HASHER.hash(_peppered(keyring, line_id, pin, keyring.current))}"


def pin_matches(keyring: Keyring, line_id: UUID, pin: str, stored: str) -> bool:
    """Whether ``pin`` is the one that was hashed. Takes about 30 ms of CPU: not for the event loop."""
    key_id, _, digest = stored.partition(":")
    try:
        return HASHER.verify(digest, _peppered(keyring, line_id, pin, int(key_id)))
    except (VerifyMismatchError, InvalidHashError):
        return False


def pin_is_stale(keyring: Keyring, stored: str) -> bool:
    """Whether a PIN should be hashed anew when it is next typed: an older key, or cheaper parameters."""
    key_id, _, digest = stored.partition(":")
    return int(key_id) != keyring.current or HASHER.check_needs_rehash(digest)
