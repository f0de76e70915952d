"""All that callers may use of the engine. (contract: signatures and docstrings; bodies are being written)"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from engine.words import AccountRef, Answer, Message, Operation, PinVerdict, Subscriber, VoucherToken
from settings import Operator, Product


class Engine:
    """The recharge and balance engine of one operator. Made by ``open_engine``, closed by ``close``."""

    operator: Operator

    async def subscriber(self, msisdn: str) -> Subscriber:
        """The line with this number and its live buckets, as of the last commit; concurrent calls share one query.

        Raises ``BadNumber`` (malformed, foreign, not a mobile) and ``UnknownLine``.
        """
        raise NotImplementedError

    async def post(self, operation: Operation) -> Answer:
        """The one door: do this once, ever, and say what became of it. Concurrent calls share a commit.

        The same key with the same request returns the stored answer; refusals are answers too (``Answer.code``).
        """
        raise NotImplementedError

    async def done_before(self, operation: Operation, within_minutes: int = 10) -> Answer | None:
        """The latest successful operation of the last minutes that meant the same (same request, another key)."""
        raise NotImplementedError

    def seal_voucher(self, number: str) -> VoucherToken:
        """A typed voucher number as a token; spaces and dashes are ignored. Raises ``BadVoucherNumber``."""
        raise NotImplementedError

    def products(self) -> tuple[Product, ...]:
        """The catalogue in the operator's order."""
        raise NotImplementedError

    async def set_language(self, subscriber: Subscriber, language: str) -> None:
        """Remember the language of a line. Raises ``ValueError`` when the operator does not offer it."""
        raise NotImplementedError

    async def check_pin(self, subscriber: Subscriber, pin: str) -> PinVerdict:
        """Compare a PIN; each wrong one counts in Postgres before it is compared, so parallel guesses gain nothing."""
        raise NotImplementedError

    async def set_pin(self, subscriber: Subscriber, pin: str) -> None:
        """Set or replace the PIN. The caller has checked the old one. Raises ``BadPin``."""
        raise NotImplementedError

    async def explain(self, account: AccountRef, key: UUID) -> dict[str, object] | None:
        """One operation with its ledger transfers, for the glass panel and for "why did my balance go down?".

        Keys: ``kind code reference booked_at source transfers[{debit credit unit amount bucket_id}] answer``.
        """
        raise NotImplementedError

    async def claim_messages(self, limit: int, lease_seconds: int) -> list[Message]:
        """Take outbox rows that are due, numbers decrypted; others skip them until the lease ends."""
        raise NotImplementedError

    async def messages_delivered(self, messages: Sequence[Message]) -> None:
        """Mark as sent."""
        raise NotImplementedError

    async def messages_failed(self, messages: Sequence[Message], retry_at: datetime | None) -> None:
        """Try again at ``retry_at``; ``None`` parks them for staff."""
        raise NotImplementedError

    async def ping(self) -> None:
        """Raise unless Postgres answers."""
        raise NotImplementedError

    async def close(self) -> None:
        """Answer what is waiting, then let the connections go."""
        raise NotImplementedError
