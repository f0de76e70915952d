"""The one door: one effect and one answer for each key, whatever happens at the same time."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import psycopg
import pytest
from sqlalchemy.exc import DBAPIError

from engine.api import Engine, open_engine
from engine.books.invariants import check_all
from engine.books.store import RETENTION
from engine.words import AccountRef, Charge, Code, Unit, UnknownLine
from runtime.keyring import Keyring
from settings import Operator
from tests.engine.shop import asking, credit, next_msisdn, open_line, redeeming, sell_vouchers


async def test_the_same_key_is_answered_the_same_and_done_once(engine: Engine) -> None:
    line = await open_line(engine)
    (number,) = await sell_vouchers(engine, 5000)
    recharge = redeeming(engine, line, number)
    first = await engine.post(recharge)
    again = await engine.post(recharge)
    assert first.ok and again == first
    assert (await engine.subscriber(line.msisdn)).total(Unit.MONEY) == 5000


async def test_one_key_posted_fifty_times_at_once_has_one_effect(engine: Engine) -> None:
    line = await open_line(engine, money=10_000)
    charge = asking(Charge, line, unit=Unit.MONEY, amount=100)
    answers = await asyncio.gather(*(engine.post(charge) for _ in range(50)))
    assert len({answer.booked_at for answer in answers}) == 1
    assert (await engine.subscriber(line.msisdn)).total(Unit.MONEY) == 9_900


async def test_the_same_key_with_another_request_is_a_conflict_without_effect(engine: Engine) -> None:
    line = await open_line(engine, money=10_000)
    charge = asking(Charge, line, unit=Unit.MONEY, amount=100)
    await engine.post(charge)
    other = asking(Charge, line, unit=Unit.MONEY, amount=200, key=charge.key)
    assert (await engine.post(other)).code == Code.KEY_CONFLICT
    assert (await engine.subscriber(line.msisdn)).total(Unit.MONEY) == 9_900


async def test_an_intent_older_than_the_retention_of_keys_is_refused(engine: Engine) -> None:
    line = await open_line(engine, money=10_000)
    long_ago = datetime.now(UTC) - RETENTION - timedelta(days=1)
    answer = await engine.post(asking(Charge, line, unit=Unit.MONEY, amount=100, asked_at=long_ago))
    assert answer.code == Code.KEY_EXPIRED
    assert (await engine.subscriber(line.msisdn)).total(Unit.MONEY) == 10_000


async def test_an_unknown_account_is_an_answer(engine: Engine) -> None:
    line = await open_line(engine)
    nobody = asking(Charge, line, unit=Unit.MONEY, amount=1)
    nobody = Charge(
        account=AccountRef(3, uuid4()), key=uuid4(), asked_at=nobody.asked_at, source="test", unit=Unit.MONEY, amount=1
    )
    assert (await engine.post(nobody)).code == Code.ACCOUNT_UNKNOWN


async def test_two_processes_redeem_one_voucher_and_exactly_one_wins(
    engine: Engine, database_url: str, operator: Operator, keyring: Keyring
) -> None:
    other = await open_engine(database_url, operator, keyring)
    try:
        for number in await sell_vouchers(engine, 5000, 10):
            one, two = await open_line(engine), await open_line(engine)
            answers = await asyncio.gather(
                engine.post(redeeming(engine, one, number)), other.post(redeeming(other, two, number))
            )
            assert sorted(answer.code for answer in answers) == [Code.OK, Code.VOUCHER_REDEEMED]
            held = [(await engine.subscriber(line.msisdn)).total(Unit.MONEY) for line in (one, two)]
            assert sorted(held) == [0, 5000]
    finally:
        await other.close()
    assert await check_all(engine._database) == []


async def test_one_line_redeems_one_voucher_under_two_keys_once(engine: Engine) -> None:
    line = await open_line(engine)
    (number,) = await sell_vouchers(engine)
    answers = await asyncio.gather(*(engine.post(redeeming(engine, line, number)) for _ in range(2)))
    assert sorted(answer.code for answer in answers) == [Code.OK, Code.VOUCHER_REDEEMED]


async def test_many_operations_of_one_account_at_once_keep_the_sum(engine: Engine) -> None:
    line = await open_line(engine, money=1_000)
    answers = await asyncio.gather(*(engine.post(asking(Charge, line, unit=Unit.MONEY, amount=30)) for _ in range(40)))
    assert sum(answer.ok for answer in answers) == 33
    assert {answer.code for answer in answers} == {Code.OK, Code.BALANCE_TOO_LOW}
    assert (await engine.subscriber(line.msisdn)).total(Unit.MONEY) == 10
    assert await check_all(engine._database) == []


async def test_a_refusal_is_stored_like_any_answer(engine: Engine) -> None:
    line = await open_line(engine, money=50)
    charge = asking(Charge, line, unit=Unit.MONEY, amount=100)
    refused = await engine.post(charge)
    await credit(engine, line, 1_000)
    assert refused.code == Code.BALANCE_TOO_LOW and refused.details["missing"] == 50
    assert await engine.post(charge) == refused


async def test_a_poisoned_operation_fails_alone(engine: Engine, database_url: str) -> None:
    lines = [await open_line(engine, money=1_000) for _ in range(8)]
    with psycopg.connect(database_url, autocommit=True) as owner:
        # Only a database can refuse what the rules allow: let it refuse one account's operations.
        poisoned = lines[3].account.account_id
        owner.execute(f"ALTER TABLE operation ADD CONSTRAINT poison CHECK (account_id <> '{poisoned}') NOT VALID")
    answers = await asyncio.gather(*(engine.post(asking(Charge, line, unit=Unit.MONEY, amount=10)) for line in lines))
    assert [answer.code for answer in answers] == [Code.FAILED if i == 3 else Code.OK for i in range(8)]
    assert (await engine.subscriber(lines[3].msisdn)).total(Unit.MONEY) == 1_000


async def test_connections_killed_under_load_lose_and_double_nothing(engine: Engine, database_url: str) -> None:
    lines = [await open_line(engine, money=100_000) for _ in range(10)]

    async def kill(times: int) -> None:
        async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as owner:
            for _ in range(times):
                await owner.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )
                await asyncio.sleep(0.15)

    killer = asyncio.create_task(kill(6))
    charges = [asking(Charge, lines[i % 10], unit=Unit.MONEY, amount=7) for i in range(400)]
    answers = await asyncio.gather(*(engine.post(charge) for charge in charges))
    await killer
    assert all(answer.ok for answer in answers)
    for line in lines:
        assert (await _total(engine, line.msisdn)) == 100_000 - 40 * 7


async def _total(engine: Engine, msisdn: str) -> int:
    # The reads' own connections were killed as well: the pool finds out at the first use.
    for _ in range(20):
        try:
            return (await engine.subscriber(msisdn)).total(Unit.MONEY)
        except DBAPIError:
            await asyncio.sleep(0.01)
    raise AssertionError("the pool never recovered")


async def test_done_before_finds_the_same_intent_under_another_key(engine: Engine) -> None:
    line = await open_line(engine)
    one, two = await sell_vouchers(engine, 5000, 2)
    answer = await engine.post(redeeming(engine, line, one))
    assert await engine.done_before(redeeming(engine, line, one)) == answer
    assert await engine.done_before(redeeming(engine, line, two)) is None


async def test_explain_shows_what_was_moved(engine: Engine) -> None:
    line = await open_line(engine)
    (number,) = await sell_vouchers(engine, 5000)
    answer = await engine.post(redeeming(engine, line, number))
    told = await engine.explain(line.account, answer.key)
    assert told is not None and told["reference"] == answer.reference
    (moved,) = told["transfers"]  # type: ignore[misc]
    assert (moved["debit"], moved["credit"], moved["amount"]) == ("vouchers", "balance", 5000)
    assert await engine.explain(line.account, uuid4()) is None


async def test_an_unknown_number_is_refused(engine: Engine) -> None:
    with pytest.raises(UnknownLine):
        await engine.subscriber(next_msisdn())
