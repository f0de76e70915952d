"""Sealing what is personal: numbers under a data key of their account, PINs and passwords under a keyed pepper.

Every account has a data key of its own, kept wrapped under a master key. Destroying the wrapped key makes the numbers
of that account unreadable everywhere, backups included, while its books stay whole.
"""

from __future__ import annotations

import os
from uuid import UUID

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerifyMismatchError

from engine.accounts.tables import NumberKind
from engine.storage.sharding import shard_of
from runtime.keyring import Keyring, seal, unseal

KEY_BYTES = 32

#: OWASP's least argon2id: 19 MiB, two passes, one lane; about 30 ms. The pepper makes a stolen table useless anyway.
HASHER = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)


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
        return cls(account_id, keyring.unseal("account-key", wrapped, account_id.bytes, key_id))

    def wrap(self, keyring: Keyring) -> bytes:
        """The key as the account row keeps it, wrapped under the current master key."""
        return keyring.seal("account-key", self._key, self._account_id.bytes)

    def seal(self, kind: str, number: str) -> bytes:
        """A number as a row keeps it: bound to its account and kind, so that it cannot be moved to another."""
        return seal(self._key, number.encode(), self._account_id.bytes + kind.encode())

    def unseal(self, kind: str, sealed: bytes) -> str:
        """The number again. Raises ``cryptography.exceptions.InvalidTag`` if it is not this account's."""
        return unseal(self._key, sealed, self._account_id.bytes + kind.encode()).decode()


class Address:
    """Where the directory may hold a number: a keyed digest, and its shard, for each master key in force."""

    __slots__ = ("digests", "key_id", "shards")

    def __init__(self, keyring: Keyring, kind: NumberKind, number: str) -> None:
        """The current key's digest comes first. ``number`` is E.164 with ``+``, or an IMSI."""
        self.key_id = keyring.current
        ids = (keyring.current, *(key_id for key_id in keyring.ids if key_id != keyring.current))
        self.digests = tuple(keyring.digest(kind.value, number.encode(), key_id) for key_id in ids)
        self.shards = tuple(shard_of(digest) for digest in self.digests)


def _peppered(keyring: Keyring, purpose: str, owner_id: UUID, secret: str, key_id: int) -> bytes:
    # Bound to its owner: a hash copied from another one's row matches nothing.
    return keyring.digest(purpose, owner_id.bytes + secret.encode(), key_id)


def hash_secret(keyring: Keyring, purpose: str, owner_id: UUID, secret: str) -> str:
    """``key id:argon2id`` of a line's PIN or a person's password. Takes about 30 ms of CPU: not for the event loop."""
    return f"{keyring.current}:{HASHER.hash(_peppered(keyring, purpose, owner_id, secret, keyring.current))}"


def secret_matches(keyring: Keyring, purpose: str, owner_id: UUID, secret: str, stored: str) -> bool:
    """Whether this is the secret that was hashed. Takes about 30 ms of CPU: not for the event loop."""
    key_id, _, digest = stored.partition(":")
    try:
        return HASHER.verify(digest, _peppered(keyring, purpose, owner_id, secret, int(key_id)))
    except (VerifyMismatchError, InvalidHashError):
        return False


def is_stale(keyring: Keyring, stored: str) -> bool:
    """Whether a secret should be hashed anew when it is next typed: an older key, or cheaper parameters."""
    key_id, _, digest = stored.partition(":")
    return int(key_id) != keyring.current or HASHER.check_needs_rehash(digest)
