"""A gateway without a file, or before it has come: each payment of a day is asked about, its answer matched."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy.ext.asyncio import AsyncEngine

from engine.payments.gateways import Gateways
from engine.payments.stored import Stored
from engine.reconciliation import matching, store
from engine.reconciliation.rules import asked
from engine.reconciliation.staging import Run
from engine.reconciliation.store import Found, Scope
from engine.storage.driver import driver_of

#: payments that are read at a time, and questions on their way at a time
PAGE, AT_ONCE = 500, 32


async def ask(database: AsyncEngine, gateways: Gateways, scope: Scope, progress: Callable[[int], None]) -> Run:
    """Ask about each payment that was begun within the scope, page by page, and keep what differs."""
    count = unanswered = found = 0
    after = scope.days.begins, UUID(int=0)
    while True:
        async with database.connect() as connection:
            driver = await driver_of(connection)
            page = await store.begun(driver, scope.gateway, after, scope.days.ends, limit=PAGE)
            await driver.rollback()
        if not page:
            break
        after = page[-1].created_at, page[-1].payment_id
        told = [one for one in await _asked(gateways, scope, page) if one is not None]
        unanswered += len(page) - len(told)
        found += await _keep(database, scope, told)
        count += len(page)
        progress(len(page))
    days = scope.days
    return Run(scope.gateway, "status", days.first, days.last, count, 0, [], found, unanswered=unanswered)


async def _asked(gateways: Gateways, scope: Scope, page: Sequence[Stored]) -> list[Found | None]:
    limit, zone = asyncio.Semaphore(AT_ONCE), ZoneInfo(scope.zone)

    async def one(payment: Stored) -> Found | None:
        """What differs of one payment; None where nothing does, or its gateway does not say."""
        async with limit:
            outcome = await gateways.status(scope.gateway, payment.known_by())
        said = asked(payment, outcome, scope.late)
        if said is None:
            return None
        return Found(said[0], payment.created_at.astimezone(zone).date(), said[1], payment.key)

    return await asyncio.gather(*(one(payment) for payment in page))


async def _keep(database: AsyncEngine, scope: Scope, told: Sequence[Found]) -> int:
    async with matching.staged(database) as driver:
        await store.looked_at(driver, [one.told.name for one in told])
        await store.add_judged(driver, scope.gateway, told)
        found = await store.merge(driver, scope, counted=False)
        await driver.commit()
        return found
