"""Names of payments: ids and keys that come out the same again, and the digests under which a payment is found.

Nothing here is drawn at random: whoever asks again, after whatever crash, asks for the same payment.
"""

from __future__ import annotations

import hashlib
from datetime import datetime
from uuid import NAMESPACE_OID, UUID, uuid5

from engine.books.decisions import reference_for
from engine.storage.sharding import shard_of
from engine.words import AccountRef, settle_key
from runtime.keyring import Keyring

_NAMESPACE = uuid5(NAMESPACE_OID, "rasid.payment")

#: Whose are payments for a line that nobody knows, until they have gone back: accounts of ours, without lines. Several,
#: because a commit holds one operation of an account, and wrong account numbers come in bursts.
SUSPENSE_IDS = tuple(uuid5(_NAMESPACE, f"suspense|{place}") for place in range(16))


def suspense_of(payment_id: UUID) -> AccountRef:
    """The suspense account of a payment that is nobody's."""
    account_id = SUSPENSE_IDS[payment_id.int % len(SUSPENSE_IDS)]
    return AccountRef(shard_of(account_id.bytes), account_id)


def payment_id_of(account: AccountRef, key: UUID) -> UUID:
    """The id of the payment that an intent's key stands for."""
    return uuid5(account.account_id, f"payment|{key}")


def incoming_id(gateway: str, gateway_ref: str) -> UUID:
    """The id of a payment that its payer began: from the provider's reference, so it comes once."""
    return uuid5(_NAMESPACE, f"{gateway}|{gateway_ref}")


def set_aside_key(payment_id: UUID) -> UUID:
    """The key of the one operation that sets its money aside."""
    return uuid5(payment_id, "set_aside")


def restore_key(payment_id: UUID) -> UUID:
    """The key of the one operation that gives its credit again, its dispute won."""
    return uuid5(payment_id, "restore")


def part_key(payment_id: UUID, returned: int) -> UUID:
    """The key of the one operation that books that ``returned`` minor units of it have gone back so far."""
    return uuid5(payment_id, f"part_returned|{returned}")


def dispute_key(payment_id: UUID, dispute: str) -> UUID:
    """The key of the one operation that books what a bank took of it, by the provider's name of the dispute."""
    return uuid5(payment_id, f"dispute|{dispute}")


def dispute_won_key(payment_id: UUID, dispute: str) -> UUID:
    """The key of the one operation that gives that again, the dispute won."""
    return uuid5(payment_id, f"dispute_won|{dispute}")


def heard_key(payment_id: UUID, what: str, heard_at: datetime) -> UUID:
    """The key of the one operation that books what was heard of it at a time, as ``chargeback`` or ``returned``."""
    return uuid5(payment_id, f"{what}|{heard_at.isoformat()}")


def refund_id(payment_id: UUID) -> UUID:
    """What a provider recognises the one refund of a payment by."""
    return uuid5(payment_id, "refund")


def reference(account: AccountRef, payment_id: UUID) -> str:
    """What a person quotes: the reference that the payment's settlement, and so its receipt, will have."""
    return reference_for(account, settle_key(payment_id))


def path_secret(keyring: Keyring, payment_id: UUID) -> str:
    """The last segment of the path that the provider calls back on for this payment: 192 bits that only we can make."""
    return keyring.digest("payment-path", payment_id.bytes)[:24].hex()


class Locator:
    """Where ``payment_locator`` holds something that a payment is found by.

    What is looked for is no secret, or too long to be guessed, so its digest needs no key and outlives all of them.
    """

    __slots__ = ("digest", "shard")

    def __init__(self, digest: bytes) -> None:
        self.digest = digest
        self.shard = shard_of(digest)


def _locator(*parts: str) -> Locator:
    return Locator(hashlib.blake2b("|".join(parts).encode(errors="replace"), digest_size=16).digest())


def by_path(secret: str) -> Locator:
    """By the last segment of its callback path."""
    return _locator("path", secret)


def by_id(payment_id: UUID) -> Locator:
    """By our own id."""
    return _locator("id", payment_id.hex)


def by_gateway_ref(gateway: str, gateway_ref: str) -> Locator:
    """By the provider's name for it."""
    return _locator("ref", gateway, gateway_ref)


def by_reference(reference: str) -> Locator:
    """By what a person quotes."""
    return _locator("reference", reference.strip().upper())


def by_payer(keyring: Keyring, payer: str, amount: int, currency: str, key_id: int | None = None) -> Locator:
    """By who was asked for how much. ``payer`` (``references.payer_digest``) is no secret, so this is keyed."""
    told = f"{payer}|{amount}|{currency}".encode(errors="replace")
    return Locator(keyring.digest("payment-payer", told, key_id)[:16])


def event_digest(gateway: str, event_id: str) -> bytes:
    """Under which an event of a provider is kept: what was seen before has the same."""
    return hashlib.blake2b(f"{gateway}|{event_id}".encode(errors="replace"), digest_size=16).digest()
