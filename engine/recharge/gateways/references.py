"""What a payment carries where a provider has room for an account number."""

from __future__ import annotations

import hashlib
from uuid import UUID

#: characters; M-Pesa's ``AccountReference`` has room for no more
LENGTH = 12
#: no I, O, 0 and 1: they are mistaken for one another
_LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"


def account_number(reference: str, payment_id: UUID) -> str:
    """A payment's reference, filled up to ``LENGTH`` by what is its own.

    People quote short references, and two payments can share one. A provider that tells a payment as one to an account
    must not mean the other, whose line may be a stranger's.
    """
    digest = hashlib.blake2b(payment_id.bytes, digest_size=LENGTH).digest()
    own = "".join(_LETTERS[byte % len(_LETTERS)] for byte in digest)
    return (reference + own)[:LENGTH]


def payer_digest(msisdn: str) -> str:
    """A payer's number (E.164) as providers tell it that name nobody: SHA-256 of its digits, hex."""
    return hashlib.sha256(msisdn.removeprefix("+").encode()).hexdigest()


def is_account_number(typed: str, reference: str, payment_id: UUID) -> bool:
    """Whether what came back as the account is all of a payment's account number, and not its reference alone."""
    return typed.strip().upper() == account_number(reference, payment_id).upper()
