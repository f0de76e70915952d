"""Voucher batches: numbers drawn and sealed, the life cycle, two people, single vouchers blocked."""

from __future__ import annotations

import asyncio
from array import array
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from hypothesis import given, strategies as st

from engine.recharge import batches as module
from engine.recharge.batch_rules import MoveRefused, check_count, check_move, draw, read_number
from engine.recharge.batches import VoucherBatches
from engine.recharge.tables import BatchState, VoucherState
from engine.storage.database import open_database
from engine.words import BadVoucherNumber
from runtime.keyring import Keyring

FORWARD = [BatchState.PRINTED, BatchState.SHIPPED, BatchState.ACTIVE]


@pytest.fixture
async def database(database_url):
    opened = open_database(database_url, connections=4)
    yield opened
    await opened.dispose()


@pytest.fixture
def vouchers(database, operator, keyring):
    return VoucherBatches(database, operator, keyring)


@given(st.text(alphabet="0123456789", min_size=14, max_size=14), st.lists(st.integers(0, 14), max_size=4))
def test_spaces_and_dashes_in_a_typed_number_mean_nothing(number, gaps):
    typed = number
    for gap in sorted(gaps, reverse=True):
        typed = typed[:gap] + " -"[gap % 2] + typed[gap:]
    assert read_number(typed, 14) == number


@pytest.mark.parametrize(
    ("typed", "reason"),
    [("1234567890123", "length"), ("123456789012345", "length"), ("", "length"), ("1234567890123x", "digits")],
)
def test_what_is_no_voucher_number_is_refused_with_its_reason(typed, reason):
    with pytest.raises(BadVoucherNumber) as refused:
        read_number(typed, 14)
    assert refused.value.args == (reason,)


def test_digits_of_another_script_are_the_same_number(vouchers):
    assert vouchers.seal("١٢٣٤٥٦٧٨٩٠١٢٣٤") == vouchers.seal("1234-5678-9012-34")


def test_a_token_shows_no_more_than_the_last_four_digits(vouchers):
    token = vouchers.seal("12345678901234")
    assert token.tail == "1234"
    assert b"12345678901234" not in b"".join(token.digests)


@given(st.integers(12, 18))
def test_numbers_are_too_sparse_to_guess(digits):
    most = 10 ** (digits - 6)
    check_count(most, digits)
    for count in (0, -1, most + 1):
        with pytest.raises(ValueError, match="holds 1 to"):
            check_count(count, digits)


@given(st.sampled_from(BatchState), st.sampled_from(BatchState))
def test_only_an_active_batch_is_blocked_and_nothing_leaves_recall(now, wanted):
    allowed = {(BatchState.CREATED, BatchState.PRINTED), (BatchState.PRINTED, BatchState.SHIPPED)}
    allowed |= {(BatchState.SHIPPED, BatchState.ACTIVE), (BatchState.BLOCKED, BatchState.ACTIVE)}
    allowed |= {(BatchState.ACTIVE, BatchState.BLOCKED)}
    allowed |= {(state, BatchState.RECALLED) for state in BatchState if state is not BatchState.RECALLED}
    if (now, wanted) in allowed:
        check_move(now, wanted, created_by="alice", by="bob")
    else:
        with pytest.raises(MoveRefused, match=f"{now} batch cannot become {wanted}"):
            check_move(now, wanted, created_by="alice", by="bob")


async def test_a_batch_is_stored_without_its_numbers(vouchers, database_url):
    heard = []
    batch, numbers = await vouchers.create_batch(5000, 25, "alice", progress=heard.append)
    assert (batch.state, batch.face_value, batch.count, batch.currency) == (BatchState.CREATED, 5000, 25, "KES")
    assert sum(heard) == 25
    issued = list(numbers)
    assert [serial for serial, _ in issued] == list(range(1, 26))
    assert len({number for _, number in issued}) == 25
    with psycopg.connect(database_url) as owner:
        stored = "".join(row[0] for row in owner.execute("SELECT v::text FROM voucher v"))
    for _, number in issued:
        assert number not in stored
        assert number.encode().hex() not in stored
    assert issued[0][1] not in repr(numbers)
    found = await vouchers.find_number(issued[6][1])
    assert (found.batch_id, found.serial, found.state) == (batch.batch_id, 7, VoucherState.UNUSED)
    assert found == await vouchers.find_serial(batch.batch_id, 7)


async def test_a_batch_lasts_two_years_and_promises_what_the_operator_promises_when_it_is_made(vouchers, operator):
    batch, _ = await vouchers.create_batch(5000, 1, "alice")
    assert batch.expires_at - batch.created_at == timedelta(days=730)
    assert batch.validity_days == operator.vouchers.validity_days


async def test_numbers_that_exist_already_are_drawn_anew(vouchers, monkeypatch):
    _, first = await vouchers.create_batch(5000, 3, "alice")
    taken = array("Q", [int(number) for _, number in first])
    draws = [taken, array("Q", [7, 8, 8]), array("Q", [7, 8, 9])]
    monkeypatch.setattr(module, "draw", lambda count, digits: draws.pop(0))
    batch, second = await vouchers.create_batch(5000, 3, "alice")
    assert list(second) == [(1, "00000000000007"), (2, "00000000000008"), (3, "00000000000009")]
    assert (await vouchers.find_number("0000 0000 0000 08")).batch_id == batch.batch_id


async def test_a_number_sold_under_an_older_key_is_drawn_anew(vouchers, database, operator, keyring, monkeypatch):
    _, first = await vouchers.create_batch(5000, 1, "alice")
    taken = int(next(iter(first))[1])
    rotated = VoucherBatches(database, operator, Keyring({1: keyring._keys[1], 2: b"n" * 32}))
    draws = [array("Q", [taken]), draw(1, 14)]
    monkeypatch.setattr(module, "draw", lambda count, digits: draws.pop(0))
    _, second = await rotated.create_batch(5000, 1, "alice")
    assert int(next(iter(second))[1]) != taken
    # Old vouchers are found under the new keys.
    assert (await rotated.find_number(f"{taken:014d}")).serial == 1
    assert not draws


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"face_value": 0}, "above 0"),
        ({"count": 0}, "holds 1 to"),
        ({"created_by": " "}, "named"),
        ({"expires_at": datetime.now(UTC) - timedelta(days=1)}, "past"),
    ],
)
async def test_a_batch_that_cannot_be_leaves_nothing(vouchers, wrong, reason):
    with pytest.raises(ValueError, match=reason):
        await vouchers.create_batch(**({"face_value": 5000, "count": 3, "created_by": "alice"} | wrong))
    assert await vouchers.list_batches() == []


async def test_who_made_a_batch_cannot_put_it_on_sale(vouchers):
    batch, _ = await vouchers.create_batch(5000, 3, "alice")
    for state in FORWARD[:2]:
        await vouchers.move_batch(batch.batch_id, state, "alice")
    for same in ("alice", " Alice "):
        with pytest.raises(MoveRefused, match="someone else"):
            await vouchers.move_batch(batch.batch_id, BatchState.ACTIVE, same)
    active = await vouchers.move_batch(batch.batch_id, BatchState.ACTIVE, "bob")
    assert (active.state, active.activated_by) == (BatchState.ACTIVE, "bob")
    assert active.activated_at is not None


async def test_of_two_who_move_a_batch_at_once_one_is_refused(vouchers):
    batch, _ = await vouchers.create_batch(5000, 3, "alice")
    moves = [vouchers.move_batch(batch.batch_id, BatchState.PRINTED, name) for name in ("bob", "carol")]
    results = await asyncio.gather(*moves, return_exceptions=True)
    assert sum(isinstance(result, MoveRefused) for result in results) == 1
    with pytest.raises(LookupError):
        await vouchers.move_batch(vouchers_id_of_nobody(), BatchState.PRINTED, "bob")


def vouchers_id_of_nobody():
    return module.new_id()


async def test_single_vouchers_are_blocked_once_and_counted(vouchers):
    batch, _ = await vouchers.create_batch(5000, 5, "alice")
    other, _ = await vouchers.create_batch(5000, 5, "alice")
    assert await vouchers.block_voucher(batch.batch_id, [2, 4, 99], "bob") == [2, 4]
    assert await vouchers.block_voucher(batch.batch_id, [4, 5], "bob") == [5]
    counts = {one.batch_id: (one.count, one.redeemed, one.blocked) for one in await vouchers.list_batches()}
    assert counts == {batch.batch_id: (5, 0, 3), other.batch_id: (5, 0, 0)}
