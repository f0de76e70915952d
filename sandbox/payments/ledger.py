"""What the providers remember: every payment as it stands, a line for each change in a small file."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import IO

import msgspec
from babel.numbers import get_currency_precision

#: no I and O: they are read as digits
LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ0123456789"


class Movement(msgspec.Struct, kw_only=True):
    """Money that moved: below 0 what was given back."""

    kind: str
    ref: str
    amount: int
    at: datetime


class Payment(msgspec.Struct, kw_only=True):
    """One payment at one of the providers."""

    face: str
    #: the provider's name for it
    id: str
    #: what the shop calls it, or its idempotency key
    key: str
    #: minor units
    amount: int
    currency: str
    #: pending, held, captured, declined, refunded, chargeback
    state: str = "pending"
    reason: str | None = None
    refunded: int = 0
    refunds: dict[str, int] = {}
    #: what the payer's bank has asked back
    disputed: int = 0
    callback_url: str = ""
    play: str = "approve"
    #: when a pending payment becomes what, and how often that is told
    due_at: float | None = None
    then: str = "captured"
    tells: int = 1
    #: callbacks that are on their way
    untold: int = 0
    #: the answer that a repeat gets, as JSON
    answer: str = ""
    details: dict[str, str] = {}
    movements: list[Movement] = []
    created_at: datetime = msgspec.field(default_factory=lambda: datetime.now(UTC))
    changed_at: datetime = msgspec.field(default_factory=lambda: datetime.now(UTC))

    @property
    def major(self) -> Decimal:
        """The amount in major units."""
        return Decimal(self.amount).scaleb(-get_currency_precision(self.currency))

    def become(self, state: str) -> None:
        """Change its state, and note what money that moves."""
        self.state, self.due_at = state, None
        self.changed_at = datetime.now(UTC)
        if state == "captured":
            self._move("charge", self.id, self.amount)

    def give_back(self, key: str, amount: int) -> None:
        """A refund of all or part of it; the same ``key`` is the same refund. Raises ``ValueError``."""
        if key in self.refunds:
            if self.refunds[key] != amount:
                raise ValueError("refund_differs")
            return
        if self.state not in {"captured", "refunded"}:
            raise ValueError("not_captured")
        if not 0 < amount <= self.amount - self.refunded:
            raise ValueError("more_than_is_left")
        self.refunds[key] = amount
        self.refunded += amount
        self.state, self.changed_at = "refunded", datetime.now(UTC)
        self._move("refund", f"{self.id}-{len(self.refunds)}", -amount)

    def dispute(self, amount: int | None = None) -> None:
        """The payer's bank takes it back, or ``amount`` of it. Raises ``ValueError``."""
        if amount is not None and not 0 < amount <= self.amount:
            raise ValueError("more_than_is_left")
        self.disputed, self.changed_at = amount or self.amount, datetime.now(UTC)
        self.state = "chargeback" if self.disputed == self.amount else self.state
        self._move("dispute", f"{self.id}-d", -self.disputed)

    def win(self) -> None:
        """What the bank has taken is the shop's again."""
        self.changed_at = datetime.now(UTC)
        self.state = "captured" if self.state == "chargeback" else self.state
        self._move("dispute_reversal", f"{self.id}-w", self.disputed)

    def _move(self, kind: str, ref: str, amount: int) -> None:
        self.movements.append(Movement(kind=kind, ref=ref, amount=amount, at=self.changed_at))


class Ledger:
    """All payments, by the provider's name and by the shop's."""

    def __init__(self, path: Path | None = None) -> None:
        """``path``: where they are kept; None: nowhere."""
        self._by_id: dict[tuple[str, str], Payment] = {}
        self._by_key: dict[tuple[str, str], Payment] = {}
        self._file: IO[bytes] | None = None
        if path is not None:
            self._load(path)
            self._file = path.open("ab")

    def _load(self, path: Path) -> None:
        for line in path.read_bytes().split(b"\n") if path.exists() else ():
            try:
                payment = msgspec.json.decode(line, type=Payment)
            except msgspec.DecodeError:  # the end of a line that a kill has cut short
                continue
            self._keep(payment)

    def _keep(self, payment: Payment) -> None:
        self._by_id[payment.face, payment.id] = payment
        self._by_key[payment.face, payment.key] = payment

    def save(self, payment: Payment) -> None:
        """Remember a payment as it now stands."""
        self._keep(payment)
        if self._file is not None:
            # Begins on a line of its own, whatever was cut short before.
            self._file.write(b"\n" + msgspec.json.encode(payment) + b"\n")
            self._file.flush()

    def by_id(self, face: str, name: str) -> Payment | None:
        """A payment by the provider's name."""
        return self._by_id.get((face, name))

    def by_key(self, face: str, key: str) -> Payment | None:
        """A payment by the shop's name."""
        return self._by_key.get((face, key))

    def all(self, face: str = "") -> Iterator[Payment]:
        """Every payment (of one face), oldest first."""
        return (payment for payment in self._by_id.values() if face in {"", payment.face})

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()


def letters(count: int) -> str:
    """A random name, as M-Pesa's receipts look."""
    return "".join(secrets.choice(LETTERS) for _ in range(count))
