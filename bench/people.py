"""Who the benchmark serves: many lines, each with an account, a directory entry and some airtime."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple
from uuid import UUID, uuid5

import psycopg
import sqlalchemy as sa

from engine.accounts.secrets import Address, DataKey
from engine.accounts.tables import NumberKind, account, directory, line
from engine.api import BatchState, Engine
from engine.storage.sharding import new_id, shard_of
from engine.words import AccountRef, Adjust, LineStatus, Unit, VoucherToken
from runtime.keyring import Keyring

#: Kenya's mobile numbers begin so; eight digits follow
FIRST_NUMBER = 254_700_000_000
#: minor units; each line's opening balance differs, so that an answer meant for another line is noticed
LEAST_BALANCE, BALANCE_STEP = 10_000, 7
#: postings under way at once while balances are booked
POSTERS = 500


class Person(NamedTuple):
    """One line, and what its airtime bucket opened with in minor units."""

    account: AccountRef
    line_id: UUID
    #: E.164 with ``+``
    msisdn: str
    balance: int


async def settle_people(
    engine: Engine, owner_url: str, keyring: Keyring, count: int, *, first: int = 0, penniless: bool = False
) -> list[Person]:
    """Open ``count`` active lines: rows by COPY as the owner, their airtime through the one door like all money.

    ``first``: how many there are already; ``penniless``: they are given no airtime.
    """
    people = [_person(place) for place in range(first, first + count)]
    keys = [DataKey.fresh(person.account.account_id) for person in people]
    now = datetime.now(UTC)
    currency, language = engine.operator.currency, engine.operator.languages[0]
    async with await psycopg.AsyncConnection.connect(owner_url) as connection:
        await copy_rows(connection, account, _accounts(people, keys, keyring, currency, now))
        await copy_rows(connection, line, _lines(people, keys, language, now))
        await copy_rows(connection, directory, _entries(people, keyring))
    if not penniless:
        await give(engine, people, Unit.MONEY, lambda person: person.balance)
    return people


async def fresh_vouchers(engine: Engine, face_value: int, count: int) -> list[VoucherToken]:
    """A new batch of ``count`` vouchers, on sale, as a person's typed numbers would arrive: sealed."""
    batch, numbers = await engine.vouchers.create_batch(face_value, count, "bench")
    for state, who in ((BatchState.PRINTED, "bench"), (BatchState.SHIPPED, "bench"), (BatchState.ACTIVE, "approver")):
        await engine.vouchers.move_batch(batch.batch_id, state, who)
    return [engine.seal_voucher(number) for _, number in numbers]


def _person(place: int) -> Person:
    account_id = new_id()
    ref = AccountRef(shard_of(account_id.bytes), account_id)
    return Person(ref, new_id(), f"+{FIRST_NUMBER + place}", LEAST_BALANCE + place * BALANCE_STEP)


def _accounts(
    people: Sequence[Person], keys: Sequence[DataKey], keyring: Keyring, currency: str, now: datetime
) -> Iterator[dict[str, Any]]:
    for person, key in zip(people, keys, strict=True):
        yield {
            **person.account._asdict(),
            "currency": currency,
            "key_id": keyring.current,
            "wrapped_key": key.wrap(keyring),
            "opened_at": now,
        }


def _lines(people: Sequence[Person], keys: Sequence[DataKey], language: str, now: datetime) -> Iterator[dict[str, Any]]:
    for person, key in zip(people, keys, strict=True):
        yield {
            **person.account._asdict(),
            "line_id": person.line_id,
            "status": LineStatus.ACTIVE.value,
            "language": language,
            "sealed_msisdn": key.seal(NumberKind.MSISDN, person.msisdn),
            "opened_at": now,
        }


def _entries(people: Sequence[Person], keyring: Keyring) -> Iterator[dict[str, Any]]:
    for person in people:
        address = Address(keyring, NumberKind.MSISDN, person.msisdn)
        yield {
            "shard": address.shards[0],
            "digest": address.digests[0],
            "kind": NumberKind.MSISDN.value,
            "key_id": keyring.current,
            "owner_shard": person.account.shard,
            "account_id": person.account.account_id,
            "line_id": person.line_id,
        }


async def copy_rows(
    connection: psycopg.AsyncConnection[tuple[Any, ...]], table: sa.Table, rows: Iterator[dict[str, Any]]
) -> None:
    """Put rows, at least one and all with the same columns, into a table; the caller's connection commits."""
    first = next(rows)
    async with (
        connection.cursor() as cursor,
        cursor.copy(f"COPY {table.name} ({', '.join(first)}) FROM STDIN".encode()) as copy,
    ):
        await copy.write_row(tuple(first.values()))
        for row in rows:
            await copy.write_row(tuple(row.values()))


async def give(engine: Engine, people: Sequence[Person], unit: Unit, amount: Callable[[Person], int]) -> None:
    """Book so much of a unit to each, once."""
    waiting = iter(people)

    async def give_some() -> None:
        """One of several that book what is left."""
        for person in waiting:
            operation = Adjust(
                account=person.account,
                line_id=person.line_id,
                key=uuid5(person.line_id, f"given {unit}"),
                asked_at=datetime.now(UTC),
                source="console:bench",
                unit=unit,
                amount=amount(person),
                reason="given by the benchmark",
            )
            answer = await engine.post(operation)
            if not answer.ok:
                raise RuntimeError(f"what was to be given was refused: {answer.code}")

    await asyncio.gather(*(give_some() for _ in range(POSTERS)))
