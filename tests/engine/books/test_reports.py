"""The ledger's reports say what was booked, to the last unit, and their two sides are equal."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from uuid import uuid4
from zoneinfo import ZoneInfo

import psycopg
import pytest

from engine.api import Engine
from engine.words import AccountRef, Charge, Purchase, Unit
from tests.engine.payers import settled
from tests.engine.shop import asking, credit, open_line, redeeming, sell_vouchers

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


@pytest.fixture
async def busy(engine: Engine, database_url: str):
    """A line with a voucher, a purchase, data used and a payment; it holds what they leave."""
    line = await open_line(engine)
    [number] = await sell_vouchers(engine, 5_000)
    with psycopg.connect(database_url, autocommit=True) as owner:
        assert (await engine.post(redeeming(engine, line, number))).ok
        assert (await engine.post(asking(Purchase, line, product="data_day_100mb", price=2_000))).ok
        assert (await engine.post(asking(Charge, line, unit=Unit.OCTETS, amount=1_000_000))).ok
        await settled(engine, owner, line, 7_000)
    return await engine.subscriber(line.msisdn)


async def test_debits_and_credits_of_every_unit_are_equal_in_both_ledgers(engine: Engine, busy) -> None:
    found = await engine.ledger.trial_balance()
    sums: Counter[tuple[str, str]] = Counter()
    for one in found:
        sums[one.book, one.unit] += one.balance
    assert set(sums) == {("balances", "KES"), ("balances", "octets"), ("receivables", "KES")}
    assert set(sums.values()) == {0}


async def test_a_trial_balance_tells_each_account_of_the_ledger(engine: Engine, busy) -> None:
    found = {(one.book, one.ledger, one.unit): one.balance for one in await engine.ledger.trial_balance()}
    assert found["balances", "vouchers", "KES"] == 5_000
    assert found["balances", "gateway", "KES"] == 7_000
    assert found["balances", "sales", "KES"] == -2_000
    assert found["balances", "balance", "KES"] == -busy.total(Unit.MONEY) == -10_000
    assert found["balances", "balance", "octets"] == -busy.total(Unit.OCTETS)
    assert found["receivables", "gateway", "KES"] == 7_000
    assert found["receivables", "advance", "KES"] == -7_000


async def test_a_trial_balance_of_an_earlier_time_leaves_out_what_came_later(engine: Engine, busy) -> None:
    before = await engine.ledger.trial_balance()
    cut = datetime.now(UTC)
    await credit(engine, busy, 900)
    assert await engine.ledger.trial_balance(cut) == before
    assert await engine.ledger.trial_balance(LONG_AGO) == []


async def test_a_trial_balance_adds_up_more_than_sixty_three_bits(engine: Engine, database_url: str) -> None:
    most = 2**63 - 1
    with psycopg.connect(database_url) as owner:
        for batch_id in (uuid4(), uuid4()):
            owner.execute(
                "INSERT INTO batch_total (shard, batch_id, ledger, unit, booked_at, debits, credits)"
                " VALUES (1, %s, 'consumed', 'octets', now(), %s, 0)",
                [batch_id, most],
            )
    (consumed,) = await engine.ledger.trial_balance()
    assert consumed.balance == 2 * most


async def test_a_statement_adds_up_line_by_line_to_what_the_account_holds(engine: Engine, busy) -> None:
    found = await engine.ledger.statement(busy.account, LONG_AGO)
    assert set(found.opening.values()) == {0}
    assert found.closing["money"] == busy.total(Unit.MONEY)
    assert found.closing["octets"] == busy.total(Unit.OCTETS)
    held = Counter[str]()
    for entry in found.entries:
        held[entry.unit] += entry.amount
        assert entry.balance == held[entry.unit]
    assert [entry.kind for entry in found.entries] == ["recharge", "purchase", "purchase", "charge", "settle"]


async def test_a_statement_opens_with_what_the_one_before_closed_with(engine: Engine, busy) -> None:
    cut = datetime.now(UTC)
    await credit(engine, busy, 900)
    first = await engine.ledger.statement(busy.account, LONG_AGO, cut)
    second = await engine.ledger.statement(busy.account, cut)
    assert second.opening == first.closing
    assert [entry.amount for entry in second.entries] == [900]


async def test_a_statement_that_is_cut_says_so_and_closes_with_its_last_line(engine: Engine, busy) -> None:
    found = await engine.ledger.statement(busy.account, LONG_AGO, limit=1)
    assert (found.cut, len(found.entries), found.closing["money"]) == (True, 1, 5_000)


async def test_a_statement_of_nobody_or_of_no_time_is_refused(engine: Engine, busy) -> None:
    with pytest.raises(LookupError, match="no account"):
        await engine.ledger.statement(AccountRef(1, uuid4()), LONG_AGO)
    with pytest.raises(ValueError, match="is not after"):
        await engine.ledger.statement(busy.account, datetime.now(UTC), LONG_AGO)


async def test_the_journal_of_a_day_is_every_double_entry_of_it(engine: Engine, busy) -> None:
    today = datetime.now(ZoneInfo(engine.operator.timezone)).date()
    found = [one async for one in engine.ledger.journal(today)]
    sums: Counter[tuple[str, str, str]] = Counter()
    for one in found:
        sums[one.book, one.debit, one.unit] += one.amount
        sums[one.book, one.credit, one.unit] -= one.amount
    trial = {(one.book, one.ledger, one.unit): one.balance for one in await engine.ledger.trial_balance()}
    assert dict(sums) == trial
    assert [one.booked_at for one in found if one.book == "balances"] == sorted(
        one.booked_at for one in found if one.book == "balances"
    )
    assert [one async for one in engine.ledger.journal(today - timedelta(days=1))] == []


async def test_a_journal_that_ends_before_it_begins_is_refused(engine: Engine) -> None:
    today = datetime.now(UTC).date()
    with pytest.raises(ValueError, match="until"):
        _ = [one async for one in engine.ledger.journal(today, today - timedelta(days=1))]
