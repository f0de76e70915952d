"""What one operation, one row or one connection gets wrong stays with it: everybody else goes on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import psycopg
import pytest
from sqlalchemy.exc import DBAPIError

from engine.api import Engine, open_engine
from engine.words import Adjust, Charge, Code, EngineUnavailable, Unit
from runtime.keyring import Keyring
from settings import Operator
from tests.engine.shop import asking, open_line, redeeming, sell_vouchers


@pytest.fixture
async def one_lane(database_url: str, operator: Operator, keyring: Keyring) -> AsyncIterator[Engine]:
    """An engine whose operations all share batches."""
    engine = await open_engine(database_url, operator, keyring, lanes=1)
    yield engine
    await engine.close()


async def test_an_operation_that_breaks_the_rules_themselves_fails_alone(one_lane: Engine) -> None:
    lines = [await open_line(one_lane, money=1_000) for _ in range(5)]
    asked = [asking(Charge, line, unit=Unit.MONEY, amount=10) for line in lines]
    # No bigint holds it: it breaks in the middle of a batch, not in a rule.
    asked[2] = asking(Adjust, lines[2], unit=Unit.MONEY, amount=2**70, reason="too much")
    answers = await asyncio.gather(*(one_lane.post(operation) for operation in asked))
    assert [answer.code for answer in answers] == [Code.OK, Code.OK, Code.FAILED, Code.OK, Code.OK]
    assert (await one_lane.post(asking(Charge, lines[2], unit=Unit.MONEY, amount=10))).ok


async def test_a_row_that_somebody_keeps_locked_holds_up_its_own_account_only(
    one_lane: Engine, database_url: str
) -> None:
    locked, free = await open_line(one_lane, money=1_000), await open_line(one_lane, money=1_000)
    waiting = asking(Charge, locked, unit=Unit.MONEY, amount=10)
    with psycopg.connect(database_url) as owner:
        owner.execute("SELECT FROM account WHERE account_id = %s FOR UPDATE", [locked.account.account_id])
        refused, answer = await asyncio.gather(
            one_lane.post(waiting),
            one_lane.post(asking(Charge, free, unit=Unit.MONEY, amount=10)),
            return_exceptions=True,
        )
        assert isinstance(refused, EngineUnavailable)
        assert not isinstance(answer, BaseException) and answer.ok
        owner.rollback()
    assert (await one_lane.post(waiting)).ok
    assert (await one_lane.subscriber(locked.msisdn)).total(Unit.MONEY) == 990


async def test_a_key_outlives_the_rotation_of_master_keys(
    engine: Engine, database_url: str, operator: Operator, keyring: Keyring
) -> None:
    line = await open_line(engine)
    (number,) = await sell_vouchers(engine)
    before = redeeming(engine, line, number)
    answer = await engine.post(before)
    rotated = await open_engine(database_url, operator, Keyring({1: bytes(range(32)), 2: b"n" * 32}))
    try:
        again = redeeming(rotated, line, number, key=before.key)
        assert again != before
        assert await rotated.post(again) == answer
    finally:
        await rotated.close()


async def test_an_error_of_the_database_tells_no_secret(engine: Engine, database_url: str) -> None:
    line = await open_line(engine)
    with psycopg.connect(database_url, autocommit=True) as owner:
        owner.execute("ALTER TABLE line ADD CONSTRAINT broken CHECK (pin_hash IS NULL) NOT VALID")
    with pytest.raises(DBAPIError) as caught:
        await engine.set_pin(line, "2580")
    assert "argon2" not in str(caught.value).split("DETAIL")[0]


async def test_a_number_that_cannot_be_read_keeps_nobody_waiting(engine: Engine, database_url: str) -> None:
    lines = [await open_line(engine) for _ in range(2)]
    for line, number in zip(lines, await sell_vouchers(engine, number=2), strict=True):
        await engine.post(redeeming(engine, line, number))
    with psycopg.connect(database_url, autocommit=True) as owner:
        damaged: list[Any] = [b"\x00" * 40, lines[0].line_id]
        owner.execute("UPDATE line SET sealed_msisdn = %s WHERE line_id = %s", damaged)
    told = {message.msisdn for message in await engine.claim_messages(10, lease_seconds=30)}
    assert told == {None, lines[1].msisdn}
