"""What staff signs in with, sealed: passwords under a pepper and argon2id, secrets of codes under a key of ours."""

from __future__ import annotations

import os
from uuid import UUID

from argon2.exceptions import InvalidHashError, VerifyMismatchError
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from engine.accounts.secrets import HASHER, NONCE_BYTES
from runtime.keyring import Keyring


def _peppered(keyring: Keyring, staff_id: UUID, password: str, key_id: int) -> bytes:
    # Bound to the person: a hash copied from another one's row matches nothing.
    return keyring.digest("staff-password", staff_id.bytes + password.encode(), key_id)


def hash_password(keyring: Keyring, staff_id: UUID, password: str) -> str:
    """``key id:argon2id``. Takes about 30 ms of CPU: not for the event loop."""
    return f"{keyring.current}:{HASHER.hash(_peppered(keyring, staff_id, password, keyring.current))}"


def password_matches(keyring: Keyring, staff_id: UUID, password: str, stored: str) -> bool:
    """Whether this is the password that was hashed. Takes about 30 ms of CPU: not for the event loop."""
    key_id, _, digest = stored.partition(":")
    try:
        return HASHER.verify(digest, _peppered(keyring, staff_id, password, int(key_id)))
    except (VerifyMismatchError, InvalidHashError):
        return False


def seal_secret(keyring: Keyring, staff_id: UUID, secret: str) -> bytes:
    """A secret of one-time codes as its row keeps it (AES-256-GCM, nonce first), under the current key."""
    nonce = os.urandom(NONCE_BYTES)
    return nonce + AESGCM(keyring.derive("staff-code", keyring.current)).encrypt(nonce, secret.encode(), staff_id.bytes)


def unseal_secret(keyring: Keyring, staff_id: UUID, sealed: bytes, key_id: int) -> str:
    """The secret again. Raises ``cryptography.exceptions.InvalidTag`` if it is not this person's."""
    key = AESGCM(keyring.derive("staff-code", key_id))
    return key.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], staff_id.bytes).decode()
