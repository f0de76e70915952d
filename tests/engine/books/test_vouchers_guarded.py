"""Guessing voucher numbers: counted in Postgres, slowed down, and loud."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import psycopg
import pytest
from hypothesis import given, strategies as st

from engine.api import Engine
from engine.books.facts import LineFacts
from engine.recharge.rules import LONGEST_LOCK, count_wrong_number
from engine.recharge.tables import BatchState
from engine.words import Code, LineStatus, Unit
from settings import Operator, VoucherRules
from tests.engine.shop import open_line, redeeming, sell_vouchers

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


def line_facts(**fields: object) -> LineFacts:
    """A line that never tried."""
    return LineFacts(uuid4(), LineStatus.ACTIVE, 0, None, None)._replace(**fields)


@given(st.integers(1, 10), st.integers(1, 200))
def test_locks_only_grow_and_never_beyond_a_day(free: int, tries: int) -> None:
    rules = VoucherRules(free_tries=free)
    line, last = line_facts(), timedelta()
    for number in range(1, tries + 1):
        line = count_wrong_number(line, NOW, rules)
        if number < free:
            assert line.voucher_locked_until is None
        else:
            assert line.voucher_locked_until is not None
            lock = line.voucher_locked_until - NOW
            assert last <= lock <= LONGEST_LOCK
            last = lock


def test_wrong_numbers_of_yesterday_are_forgotten() -> None:
    rules = VoucherRules()
    line = line_facts(voucher_failures=4, voucher_window_from=NOW - timedelta(hours=rules.window_hours))
    assert count_wrong_number(line, NOW, rules).voucher_failures == 1


async def test_a_line_that_guesses_is_locked_and_the_right_number_does_not_help(
    engine: Engine, operator: Operator
) -> None:
    line = await open_line(engine)
    (number,) = await sell_vouchers(engine)
    digits = operator.vouchers.digits
    for guess in range(operator.vouchers.free_tries):
        answer = await engine.post(redeeming(engine, line, f"{guess:0{digits}d}"))
        assert answer.code == Code.VOUCHER_UNKNOWN
    assert (await engine.post(redeeming(engine, line, number))).code == Code.VOUCHER_LOCKED
    assert (await engine.post(redeeming(engine, await open_line(engine), number))).ok


async def test_a_double_tap_on_ones_own_voucher_is_no_guess(engine: Engine, operator: Operator) -> None:
    line = await open_line(engine)
    (number,) = await sell_vouchers(engine)
    codes = [(await engine.post(redeeming(engine, line, number))).code for _ in range(operator.vouchers.free_tries + 2)]
    assert codes[0] == Code.OK and set(codes[1:]) == {Code.VOUCHER_REDEEMED}


async def test_a_good_recharge_forgets_earlier_wrong_numbers(engine: Engine, operator: Operator) -> None:
    line = await open_line(engine)
    one, two = await sell_vouchers(engine, 5000, 2)
    wrong = "0" * operator.vouchers.digits
    for _ in range(2):
        for _ in range(operator.vouchers.free_tries - 1):
            await engine.post(redeeming(engine, line, wrong))
        assert (await engine.post(redeeming(engine, line, one))).ok
        one = two


@pytest.mark.parametrize(
    ("state", "code"),
    [(BatchState.RECALLED, Code.VOUCHER_RECALLED), (BatchState.BLOCKED, Code.VOUCHER_BLOCKED)],
)
async def test_a_batch_taken_off_sale_says_so(engine: Engine, state: BatchState, code: Code) -> None:
    line = await open_line(engine)
    (number,) = await sell_vouchers(engine)
    (batch,) = await engine.vouchers.list_batches()
    await engine.vouchers.move_batch(batch.batch_id, state, "carol")
    assert (await engine.post(redeeming(engine, line, number))).code == code
    assert (await engine.subscriber(line.msisdn)).total(Unit.MONEY) == 0


async def test_a_voucher_that_is_not_on_sale_yet_is_refused(engine: Engine) -> None:
    line = await open_line(engine)
    _, numbers = await engine.vouchers.create_batch(5000, 1, "alice")
    ((_, number),) = numbers
    assert (await engine.post(redeeming(engine, line, number))).code == Code.VOUCHER_BLOCKED


async def test_an_expired_voucher_is_refused(engine: Engine, database_url: str) -> None:
    line = await open_line(engine)
    (number,) = await sell_vouchers(engine)
    with psycopg.connect(database_url, autocommit=True) as owner:
        owner.execute("UPDATE voucher_batch SET expires_at = now()")
    assert (await engine.post(redeeming(engine, line, number))).code == Code.VOUCHER_EXPIRED


async def test_guessing_on_many_lines_alarms_the_operator_once(
    engine: Engine, operator: Operator, database_url: str
) -> None:
    line = await open_line(engine)
    await engine.post(redeeming(engine, line, "0" * operator.vouchers.digits))
    with psycopg.connect(database_url, autocommit=True) as owner:
        owner.execute("UPDATE guard_event SET count = %s", [operator.vouchers.alarm_tries])
    for _ in range(2):
        assert await engine.watch_vouchers() == operator.vouchers.alarm_tries
    messages = await engine.claim_messages(10, lease_seconds=30)
    assert [message.topic for message in messages] == ["alarm.voucher_guessing"]
    assert messages[0].msisdn is None
