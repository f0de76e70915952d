"""Finding payments again: by id, by what a person quotes, by the provider's name. Concurrent reads are one."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncEngine

from engine.payments import names, reading, store
from engine.payments.store import Connection
from engine.payments.stored import Stored
from engine.payments.writer import Writer
from engine.words import AccountRef, Payment, PaymentMethod, PaymentState, Subscriber

#: payments of an account in one answer
MOST = 100
#: what is asked for again later than this is meant once more
SAME_WITHIN = timedelta(minutes=10)
#: account, before when, at most how many, for which line if not for any
Page = tuple[AccountRef, datetime, int, UUID | None]


class Finder:
    """Payments as of the last commit."""

    def __init__(self, database: AsyncEngine) -> None:
        self._located = Writer[names.Locator, list[Stored]](database, self._locate)
        self._pages = Writer[Page, list[Stored]](database, self._page)

    async def close(self) -> None:
        """Finish what is under way."""
        await self._located.close()
        await self._pages.close()

    async def one(self, locator: names.Locator) -> Stored | None:
        """The stored payment that a locator leads to, if there is one."""
        found = await self._located(locator)
        return found[0] if found else None

    async def payment(self, payment_id: UUID) -> Payment | None:
        """A payment by its id."""
        return _told(await self.one(names.by_id(payment_id)))

    async def find_payment(self, reference: str) -> Payment | None:
        """A payment by what a person quotes; none where two have the same short reference."""
        return _told(await self.one(names.by_reference(reference)))

    async def find_by_gateway_ref(self, gateway: str, gateway_ref: str) -> Payment | None:
        """A payment by its provider's reference."""
        return _told(await self.one(names.by_gateway_ref(gateway, gateway_ref)))

    async def payments_of(
        self, account: AccountRef, before: datetime | None = None, limit: int = 10, *, line_id: UUID | None = None
    ) -> list[Payment]:
        """The latest payments of an account that began before a time, newest first; only those for a line, if named."""
        page = await self._pages((account, before or datetime.max.replace(tzinfo=UTC), min(limit, MOST), line_id))
        return [stored.payment() for stored in page]

    async def asked_before(
        self, subscriber: Subscriber, method: PaymentMethod, amount: int, *, key: UUID
    ) -> tuple[Payment | None, bool]:
        """The same recharge of the same line, asked for under whatever key in the last minutes and not refused.

        With it, whether it is the one that ``key`` stands for: that one counts whenever it was asked for.
        """
        own = await self.payment(names.payment_id_of(subscriber.account, key))
        if own is not None:
            return own, True
        since = datetime.now(UTC) - SAME_WITHIN
        wanted = (method, amount, None)
        for one in await self.payments_of(subscriber.account, line_id=subscriber.line_id):
            same = (one.method, one.amount, one.product) == wanted
            if same and one.created_at > since and one.state is not PaymentState.DECLINED:
                return one, False
        return None, False

    async def _locate(self, connection: Connection, batch: Sequence[names.Locator]) -> list[list[Stored]]:
        located = await store.locate(connection, list(enumerate(batch)))
        found: list[list[Stored]] = [[] for _ in batch]
        for place, stored in located:
            found[place].append(stored)
        return found

    async def _page(self, connection: Connection, batch: Sequence[Page]) -> list[list[Stored]]:
        return [
            await reading.of_account(connection, account, before, limit, line_id)
            for account, before, limit, line_id in batch
        ]


def _told(stored: Stored | None) -> Payment | None:
    return None if stored is None else stored.payment()
