"""One run: a statement laid beside the books, matched, and what differs kept."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from uuid import UUID

from cryptography.exceptions import InvalidTag
from sqlalchemy.ext.asyncio import AsyncEngine

from engine.books.databases import Books
from engine.books.sheets import Book
from engine.payments import names, store as payments
from engine.payments.course import could_be
from engine.payments.stored import Stored
from engine.recharge.gateways.contract import GatewayState, Outcome
from engine.recharge.gateways.references import is_account_number
from engine.reconciliation import store
from engine.reconciliation.rules import Days, judge
from engine.reconciliation.staging import Block, Sealer, Statement
from engine.reconciliation.store import Alone, Connection, Found, Scope
from engine.storage.driver import driver_of
from settings import ReconciliationRules

#: in which order a movement's names are believed
_BY_REF, _BY_ID, _BY_REFERENCE = range(3)
#: how far around the days of a statement a booking of it is looked for
AROUND = timedelta(days=2)


def scope_of(gateway: str, run_id: UUID, days: Days, zone: str, rules: ReconciliationRules) -> Scope:
    """What a run looks at, by the operator's rules."""
    return Scope(
        gateway=gateway,
        run_id=run_id,
        days=days,
        zone=zone,
        now=datetime.now(UTC),
        around=max(AROUND, timedelta(hours=rules.late_hours)),
        late=timedelta(hours=rules.late_hours),
        edge=timedelta(minutes=rules.edge_minutes),
    )


@asynccontextmanager
async def staged(database: AsyncEngine) -> AsyncIterator[Connection]:
    """A connection with the temporary tables of one run."""
    async with _driver(database) as driver:
        await store.begin(driver)
        try:
            yield driver
        finally:
            await store.end(driver)


@asynccontextmanager
async def _driver(database: AsyncEngine) -> AsyncIterator[Connection]:
    async with database.connect() as connection:
        driver = await driver_of(connection)
        try:
            yield driver
        except BaseException:
            await connection.invalidate()
            raise


async def send(driver: Connection, statement: Statement, progress: Callable[[int], None]) -> None:
    """Read a statement to its end and stage its rows; ``progress`` hears of every block how many lines it took."""
    blocks = statement.blocks()
    async with driver.cursor() as cursor, cursor.copy("COPY stated FROM STDIN") as copy:
        while (block := await asyncio.to_thread(_next, blocks)) is not None:
            await copy.write(block.text)
            progress(block.lines)
    await driver.commit()


def _next(blocks: Iterator[Block]) -> Block | None:
    return next(blocks, None)


async def match(driver: Connection, books: Books, scope: Scope, sealer: Sealer) -> int:
    """Match what is staged, in one transaction that the caller commits. Returns how many discrepancies it found."""
    await store.keep(driver, scope)
    async with AsyncExitStack() as stack:
        history = books[Book.HISTORY]
        apart = None if history is books.billing else await stack.enter_async_context(_driver(history))
        await store.lay_out_books(driver, apart, scope)
    await store.match(driver, scope)
    async for page in store.alone(driver):
        await store.add_judged(driver, scope.gateway, await _judged(driver, scope, page, sealer))
    await store.find_rest(driver, scope)
    return await store.merge(driver, scope, counted=True)


async def _judged(driver: Connection, scope: Scope, page: Sequence[Alone], sealer: Sealer) -> list[Found]:
    """What becomes of movements that match no booking of these days: their payments are found one by one."""
    typed = [_typed(one, sealer) for one in page]
    wanted = [
        (number * 3 + rank, locator)
        for number, one in enumerate(page)
        for rank, locator in _locators(scope.gateway, one, typed[number])
    ]
    located = dict(await payments.locate(driver, wanted))
    owned = [_payment(scope.gateway, one, typed[number], number, located) for number, one in enumerate(page)]
    named = [_named(scope.gateway, typed[number], number, located) for number in range(len(page))]
    others = [
        (payment.gateway_ref, one.told.amount > 0)
        for one, *payments_of in zip(page, owned, named, strict=True)
        for payment in payments_of
        if payment is not None and payment.gateway_ref not in (None, one.told.name)
    ]
    elsewhere = await store.stated_elsewhere(driver, scope.gateway, [(ref or "", paid) for ref, paid in others])
    found = []
    for one, payment, by_name in zip(page, owned, named, strict=True):
        side = None if payment is None else (payment.gateway_ref, one.told.amount > 0)
        other = payment is not None and payment.gateway_ref != one.told.name and side in elsewhere
        told = one.told
        if payment is None and by_name is not None and by_name.money == (told.amount, told.currency):
            # Paid once more under its account number, unless nobody states the first: it may be that one's own.
            told = told._replace(named=told.named and (by_name.gateway_ref, True) in elsewhere)
        judged = judge(told, payment, scope.late, elsewhere=other)
        found.append(Found(told, one.day, judged, None if payment is None else payment.key, one.sealed))
    return found


def _typed(one: Alone, sealer: Sealer) -> str | None:
    """What the payer typed as the account; None where that is not stated, or its key is gone."""
    if one.sealed is None:
        return None
    try:
        return sealer.unseal(one.sealed, one.told.name)
    except (InvalidTag, KeyError):
        return None


def _locators(gateway: str, one: Alone, typed: str | None) -> list[tuple[int, names.Locator]]:
    locators = [(_BY_REF, names.by_gateway_ref(gateway, one.told.name))]
    if one.told.payment_id is not None:
        locators.append((_BY_ID, names.by_id(one.told.payment_id)))
    if typed is not None:
        locators.append((_BY_REFERENCE, names.by_reference(typed)))
    return locators


def _payment(gateway: str, one: Alone, typed: str | None, number: int, located: dict[int, Stored]) -> Stored | None:
    """The payment that a movement's names lead to, as an event of that provider would find it."""
    for rank in (_BY_REF, _BY_ID):
        payment = located.get(number * 3 + rank)
        if payment is not None and payment.gateway == gateway:
            return payment
    named = _named(gateway, typed, number, located)
    said = Outcome(
        state=GatewayState.CAPTURED, gateway_ref=one.told.name, amount=one.told.amount, currency=one.told.currency
    )
    return named if named is not None and could_be(named, said) else None


def _named(gateway: str, typed: str | None, number: int, located: dict[int, Stored]) -> Stored | None:
    """The payment whose own name was typed: what we gave the provider. Who quotes a short reference pays for a line."""
    named = located.get(number * 3 + _BY_REFERENCE)
    if named is None or named.gateway != gateway:
        return None
    return named if is_account_number(typed or "", named.reference, named.payment_id) else None
