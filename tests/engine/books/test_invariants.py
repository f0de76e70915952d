"""Each invariant holds after real operations, and names the account once it is broken."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from engine.books.invariants import CHECKS, check_all, freeze, unfreeze
from engine.storage.database import open_database
from engine.words import Charge, Code, Purchase, Refund, Unit
from tests.engine.books.apart import capture, settling
from tests.engine.shop import asking, open_line, redeeming, sell_vouchers


@pytest.fixture
async def database(database_url):
    opened = open_database(database_url, connections=2)
    yield opened
    await opened.dispose()


@pytest.fixture
async def trader(engine, database_url):
    """A line that has recharged, paid, bought, used and been refunded: each kind of booking is there."""
    line = await open_line(engine, money=100_000)
    (number, other) = await sell_vouchers(engine, 5000, 2)
    assert (await engine.post(redeeming(engine, line, number))).ok
    assert (await engine.post(redeeming(engine, line, number))).code == Code.VOUCHER_REDEEMED
    cheap, second = sorted(engine.products(), key=lambda product: product.price)[:2]
    kept = asking(Purchase, line, product=cheap.code, price=cheap.price)
    returned = asking(Purchase, line, product=second.code, price=second.price)
    assert (await engine.post(kept)).ok
    assert (await engine.post(returned)).ok
    assert (await engine.post(asking(Refund, line, refunded_key=returned.key, reason="test"))).ok
    assert (await engine.post(asking(Charge, line, unit=Unit.MONEY, amount=700))).ok
    (payment,) = capture(database_url, [line], 500)
    assert (await engine.post(settling(line, payment, 500))).ok
    # Another account, so that a violation has someone to be told apart from.
    someone_else = await open_line(engine, money=1_000)
    assert (await engine.post(redeeming(engine, someone_else, other))).ok
    return await engine.subscriber(line.msisdn)


async def broken(database, since=None):
    return [(violation.check, violation.account) for violation in await check_all(database, since)]


async def test_books_of_real_operations_are_right(trader, database):
    assert await broken(database) == []
    assert await broken(database, since=datetime.now(UTC) - timedelta(hours=1)) == []


async def test_books_without_a_booking_are_right(database):
    assert await broken(database) == []


#: check → what somebody with the owner's rights does to the trader's account (``:shard``, ``:account``), and the checks
#: that see it. Constraints that would refuse it are dropped first: the check has to hold without them.
PLANTED = {
    "batch_totals": (
        "UPDATE batch_total SET debits = debits + 1, credits = credits + 1 WHERE ledger = 'sales'",
        {("batch_totals", None)},
    ),
    "bucket_amount": (
        "UPDATE bucket SET amount = amount + 1 WHERE account_id = %(account)s AND product = 'airtime'",
        {("bucket_amount", "trader")},
    ),
    "a bucket that is gone": (
        "DELETE FROM bucket WHERE account_id = %(account)s AND product = 'airtime'",
        {("bucket_amount", "trader")},
    ),
    "bucket_reserved": (
        (
            "ALTER TABLE bucket DROP CONSTRAINT ck_bucket_reserved;"
            "UPDATE bucket SET reserved = amount + 1 WHERE account_id = '%(account)s' AND product = 'airtime'"
        ),
        {("bucket_reserved", "trader"), ("reserved_legs", "trader")},
    ),
    "reserved_legs": (
        "UPDATE bucket SET reserved = 1 WHERE account_id = %(account)s AND product = 'airtime'",
        {("reserved_legs", "trader")},
    ),
    "reservation_ends": (
        (
            "INSERT INTO reservation SELECT shard, account_id, gen_random_uuid(), 1, 'octets', 'open', 0, '[]', 0, 0,"
            " 0, NULL, 0, 0, now(), now(), now() - interval '2 days' FROM account WHERE account_id = %(account)s"
        ),
        {("reservation_ends", "trader")},
    ),
    "clearing": (
        "UPDATE batch_total SET ledger = 'clearing', credits = credits + 1 WHERE ledger = 'sales'",
        {("batch_totals", None), ("clearing", None)},
    ),
    "advances": (
        (
            "INSERT INTO advance SELECT shard, account_id, gen_random_uuid(), line_id, 100, 10, 100, 10, now()"
            " FROM line WHERE account_id = %(account)s"
        ),
        {("advances", "trader")},
    ),
    "key_once": (
        (
            "INSERT INTO operation SELECT shard, account_id, key, booked_at - interval '1 microsecond', kind, 'failed',"
            " reference, request_hash, jsonb_set(answer, '{effects}', '[]'), source, line_id, batch_id, NULL"
            " FROM operation WHERE account_id = %(account)s AND kind = 'charge'"
        ),
        {("key_once", "trader")},
    ),
    "transfers_need_ok": (
        (
            "UPDATE operation SET code = 'failed', answer = jsonb_set(answer, '{effects}', '[]')"
            " WHERE account_id = %(account)s AND kind = 'charge'"
        ),
        {("transfers_need_ok", "trader"), ("answer_tells_transfers", "trader")},
    ),
    "ok_needs_transfers": (
        (
            "INSERT INTO operation SELECT shard, account_id, gen_random_uuid(), booked_at, kind, code, reference,"
            " request_hash, jsonb_set(answer, '{effects}', '[]'), source, line_id, batch_id, NULL"
            " FROM operation WHERE account_id = %(account)s AND kind = 'charge'"
        ),
        {("ok_needs_transfers", "trader")},
    ),
    "answer_tells_transfers": (
        (
            "UPDATE operation SET answer = jsonb_set(answer, '{effects,0,after}', '1')"
            " WHERE account_id = %(account)s AND kind = 'charge'"
        ),
        {("answer_tells_transfers", "trader")},
    ),
    "outbox": (
        (
            "DELETE FROM outbox WHERE operation_key ="
            " (SELECT key FROM operation WHERE account_id = %(account)s AND kind = 'recharge' AND code = 'ok')"
        ),
        {("outbox", "trader")},
    ),
    "announced": (
        "DELETE FROM event WHERE account_id = %(account)s AND topic = 'settlement.completed'",
        {("announced", "trader")},
    ),
    "refund_once": (
        (
            "UPDATE operation SET reverses = (SELECT reverses FROM operation WHERE account_id = %(account)s"
            " AND kind = 'refund') WHERE account_id = %(account)s AND kind = 'charge'"
        ),
        {("refund_once", "trader")},
    ),
    "voucher_once": (
        "UPDATE voucher SET state = 'unused', redeemed_key = NULL WHERE redeemed_account = %(account)s",
        {("voucher_once", "trader"), ("face_value", "trader")},
    ),
    "a voucher that nobody redeemed": (
        "UPDATE voucher SET redeemed_key = gen_random_uuid() WHERE redeemed_account = %(account)s",
        {("voucher_once", "trader"), ("face_value", "trader")},
    ),
    "face_value": (
        (
            "INSERT INTO voucher_batch SELECT gen_random_uuid(), state, face_value + 1, currency, validity_days, count,"
            " key_id, expires_at, 'fraud', created_at, activated_by, activated_at FROM voucher_batch;"
            "UPDATE voucher SET batch_id = (SELECT batch_id FROM voucher_batch WHERE created_by = 'fraud')"
            " WHERE redeemed_account = '%(account)s'"
        ),
        {("face_value", "trader")},
    ),
    "settled_once": (
        (
            "INSERT INTO payment_history SELECT shard, account_id, gen_random_uuid(), payment_id, event, amount,"
            " currency, gateway, gateway_ref, booked_at, batch_id FROM payment_history WHERE account_id = %(account)s"
        ),
        {("settled_once", "trader"), ("payment_history", "trader")},
    ),
    "payment_history": (
        "DELETE FROM payment_history WHERE account_id = %(account)s",
        {("payment_history", "trader")},
    ),
    "receivables": (
        "UPDATE receivable SET amount = amount + 1 WHERE account_id = %(account)s",
        {("receivables", "trader")},
    ),
    "a receivable that is gone": (
        "DELETE FROM receivable WHERE account_id = %(account)s",
        {("receivables", "trader")},
    ),
    "provisioning": (
        "UPDATE provisioning_rule SET rules[1] = 'voice exhausted' WHERE account_id = %(account)s",
        {("provisioning", "trader")},
    ),
    "a rule that is gone": (
        "DELETE FROM provisioning_rule WHERE account_id = %(account)s",
        {("provisioning", "trader")},
    ),
    "a rule that nobody made": (
        "UPDATE line SET policy = '{}' WHERE account_id = %(account)s",
        {("provisioning", "trader")},
    ),
    "partitions": (
        (
            "INSERT INTO operation SELECT shard, account_id, gen_random_uuid(), '2001-01-01', kind, code, reference,"
            " request_hash, answer, source, line_id, batch_id, NULL"
            " FROM operation WHERE account_id = %(account)s AND code <> 'ok'"
        ),
        {("partitions", None)},
    ),
    "payment_settled": (
        "UPDATE payment SET state = 'declined', captured = NULL WHERE account_id = %(account)s",
        {("payment_settled", "trader")},
    ),
    "settled_whole": (
        "DELETE FROM receipt WHERE account_id = %(account)s",
        {("settled_whole", "trader")},
    ),
    "captured_accounted": (
        "UPDATE payment SET state = 'declined', captured = amount WHERE account_id = %(account)s",
        {("captured_accounted", "trader"), ("payment_settled", "trader")},
    ),
    "payment_ends": (
        "UPDATE payment SET state = 'pending', captured = NULL, next_check_at = NULL WHERE account_id = %(account)s",
        {("payment_ends", "trader"), ("payment_settled", "trader")},
    ),
    "bills": (
        (
            "INSERT INTO receivable SELECT shard, account_id, key, 8, 'billed', 'revenue', amount, currency,"
            " NULL, document_id, booked_at, batch_id FROM receivable WHERE account_id = %(account)s LIMIT 1"
        ),
        {("bills", "trader")},
    ),
    "owed_back": (
        (
            "INSERT INTO receivable SELECT shard, account_id, key, 7, 'unapplied', 'fees', amount, currency,"
            " counterparty, document_id, booked_at, batch_id FROM receivable WHERE account_id = %(account)s LIMIT 1"
        ),
        {("owed_back", "trader")},
    ),
}


def test_a_violation_of_every_check_is_planted():
    assert {check.name for check in CHECKS} <= set(PLANTED)


@pytest.mark.parametrize("planted", PLANTED)
async def test_a_broken_rule_is_named_with_its_account(planted, trader, database, database_url):
    sql, expected = PLANTED[planted]
    with psycopg.connect(database_url, autocommit=True) as owner:
        if ";" in sql:
            owner.execute(sql % {"account": trader.account.account_id})
        else:
            owner.execute(sql, {"account": trader.account.account_id})
    seen = {(check, "trader" if account == trader.account else account) for check, account in await broken(database)}
    assert seen == expected


async def test_only_accounts_with_recent_bookings_are_looked_at_when_asked(trader, database, database_url):
    with psycopg.connect(database_url, autocommit=True) as owner:
        owner.execute("UPDATE bucket SET amount = amount + 1 WHERE account_id = %s", (trader.account.account_id,))
    assert await broken(database, since=datetime.now(UTC) - timedelta(hours=1))
    assert await broken(database, since=datetime.now(UTC) + timedelta(hours=1)) == []


async def test_a_frozen_account_spends_nothing_and_everyone_else_goes_on(engine, trader, database, database_url):
    with psycopg.connect(database_url, autocommit=True) as owner:
        owner.execute("UPDATE bucket SET amount = amount + 1 WHERE account_id = %s", (trader.account.account_id,))
    violations = await check_all(database)
    assert await freeze(database, violations) == [trader.account]
    assert await freeze(database, violations) == []
    seen = await engine.subscriber(trader.msisdn)
    assert seen.frozen
    assert (await engine.post(asking(Charge, trader, unit=Unit.MONEY, amount=1))).code == Code.ACCOUNT_FROZEN
    someone_else = await open_line(engine, money=500)
    assert (await engine.post(asking(Charge, someone_else, unit=Unit.MONEY, amount=1))).ok
    await unfreeze(database, [trader.account])
    assert not (await engine.subscriber(trader.msisdn)).frozen


async def test_the_application_cannot_rewrite_what_the_checks_rest_on(trader, database):
    for table in ("operation", "transfer", "batch_total"):
        async with database.connect() as connection:
            for change in (f"UPDATE {table} SET shard = shard", f"DELETE FROM {table}"):
                with pytest.raises(Exception, match="permission denied"):
                    await connection.exec_driver_sql(change)
                await connection.rollback()
