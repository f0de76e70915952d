"""Accounts and lines on a real Postgres."""

from __future__ import annotations

import asyncio
from uuid import uuid4

import psycopg
import pytest

from engine.accounts import store
from engine.accounts.finding import Finder
from engine.accounts.rules import NumberTaken, StatusRefused
from engine.accounts.service import Accounts
from engine.words import AccountRef, BadNumber, LineRef, LineStatus, PinVerdict, UnknownLine
from runtime.keyring import Keyring
from tests.engine.shop import open_line

NUMBER = "+254712345678"


def ref_of(subscriber):
    return LineRef(*subscriber.account, subscriber.line_id)


async def test_a_line_is_found_by_its_number_however_written(accounts):
    made = await accounts.create_line("0712345678", language="sw")
    assert made.msisdn == NUMBER
    assert (made.status, made.language, made.has_pin, made.buckets) == (LineStatus.PREACTIVE, "sw", False, ())
    for written in ("254712345678", "00254712345678", "712345678"):
        assert await accounts.subscriber(written) == made


async def test_a_number_nobody_has_is_an_unknown_line(accounts):
    with pytest.raises(UnknownLine):
        await accounts.subscriber(NUMBER)


async def test_a_reader_gets_the_line_though_postgres_has_dropped_every_connection(accounts, owner):
    made = await accounts.create_line(NUMBER)
    owner.execute(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    assert await accounts.subscriber(NUMBER) == made


async def test_many_callers_get_each_their_own_line_and_error(accounts):
    numbers = [f"+2547000000{place:02d}" for place in range(20)]
    lines = {number: await accounts.create_line(number) for number in numbers[::2]}
    asked = numbers * 3 + ["+97433123456"]
    got = await asyncio.gather(*map(accounts.subscriber, asked), return_exceptions=True)
    for number, answer in zip(asked, got, strict=True):
        if number in lines:
            assert answer == lines[number]
        else:
            assert isinstance(answer, BadNumber if number.startswith("+974") else UnknownLine)


async def test_live_buckets_come_in_the_order_of_use(accounts, owner):
    line = await accounts.create_line(NUMBER)
    kept = {}
    for name, product, amount, priority, starts, expires in [
        ("later", "data", 10, 100, "-1 day", "2 days"),
        ("sooner", "data", 10, 100, "-1 day", "1 day"),
        ("first", "social", 10, 50, "-1 day", "9 days"),
        ("never ends", "data", 10, 100, "-1 day", None),
        ("empty airtime", "airtime", 0, 200, "-1 day", "1 day"),
        ("empty", "data", 0, 1, "-1 day", "1 day"),
        ("over", "data", 10, 1, "-2 days", "-1 second"),
        ("not yet", "data", 10, 1, "1 hour", "1 day"),
    ]:
        kept[uuid4()] = (name, product, amount, priority, starts, expires)
    for bucket_id, (_, product, amount, priority, starts, expires) in kept.items():
        owner.execute(
            "INSERT INTO bucket (shard, account_id, bucket_id, unit, product, initial, amount, priority, starts_at,"
            " expires_at) VALUES (%s, %s, %s, 'octets', %s, 10, %s, %s, now() + %s::interval, now() + %s::interval)",
            (*line.account, bucket_id, product, amount, priority, starts, expires),
        )
    names = [kept[bucket.bucket_id][0] for bucket in (await accounts.subscriber(NUMBER)).buckets]
    assert names == ["first", "sooner", "later", "never ends", "empty airtime"]


async def test_a_number_belongs_to_one_line_even_when_two_want_it_at_once(accounts, owner):
    results = await asyncio.gather(*(accounts.create_line(NUMBER) for _ in range(5)), return_exceptions=True)
    assert sum(isinstance(result, NumberTaken) for result in results) == 4
    # The losers left nothing behind.
    assert owner.execute("SELECT count(*) AS count FROM account").fetchone()["count"] == 1


async def test_an_account_may_have_several_lines(accounts):
    first = await accounts.create_line(NUMBER)
    second = await accounts.create_line("+254712345679", account=first.account)
    assert second.account == first.account
    assert second.line_id != first.line_id
    with pytest.raises(LookupError):
        await accounts.create_line("+254712345670", account=AccountRef(1, uuid4()))


async def test_a_language_not_offered_is_refused(accounts):
    line = await accounts.create_line(NUMBER)
    with pytest.raises(ValueError, match="'ar'"):
        await accounts.set_language(line, "ar")
    await accounts.set_language(line, "sw")
    assert (await accounts.subscriber(NUMBER)).language == "sw"


async def test_a_status_follows_the_life_cycle(accounts):
    line = await accounts.create_line(NUMBER)
    await accounts.set_status(line, LineStatus.ACTIVE, reason="first call", by="test")
    assert (await accounts.subscriber(NUMBER)).status is LineStatus.ACTIVE
    with pytest.raises(StatusRefused):
        await accounts.set_status(line, LineStatus.PREACTIVE, reason="again", by="test")
    with pytest.raises(UnknownLine):
        await accounts.set_status(LineRef(1, uuid4(), uuid4()), LineStatus.ACTIVE, reason="", by="test")


@pytest.mark.parametrize("change", ["status", "unlock"])
async def test_staff_waits_for_the_operation_that_holds_the_account(change, accounts, owner, database_url):
    """Which writes the line back as it read it: what staff did meanwhile would be lost."""
    line = await accounts.create_line(NUMBER)
    with psycopg.connect(database_url) as door:
        door.execute("SELECT FROM account WHERE account_id = %s FOR NO KEY UPDATE", (line.account.account_id,))
        if change == "status":
            work = accounts.set_status(line, LineStatus.BARRED, reason="fraud", by="test")
        else:
            work = accounts.unlock(line)
        task = asyncio.create_task(work)
        waiting = (
            "SELECT count(*) AS count FROM pg_stat_activity"
            " WHERE wait_event_type = 'Lock' AND datname = current_database()"
        )
        while not owner.execute(waiting).fetchone()["count"]:
            assert not task.done()
            await asyncio.sleep(0.01)
        door.execute("UPDATE line SET status = 'preactive', voucher_failures = 3")
        door.commit()
    await task
    row = owner.execute("SELECT status, voucher_failures FROM line").fetchone()
    expected = (
        {"status": "barred", "voucher_failures": 3}
        if change == "status"
        else {"status": "preactive", "voucher_failures": 0}
    )
    assert row == expected


async def test_no_number_and_no_pin_is_stored_in_the_clear(accounts, owner):
    await accounts.create_line(NUMBER, imsi="639020000000001", pin="2580")
    stored = ""
    for table in ("account", "line", "directory"):
        stored += "".join(row["text"] for row in owner.execute(f"SELECT t::text AS text FROM {table} t"))
    secrets = [NUMBER[1:], NUMBER[4:], "639020000000001", "2580"]
    assert stored
    for secret in secrets:
        assert secret.encode().hex() not in stored
    for secret in secrets[:3]:
        assert secret not in stored


async def test_a_sim_leads_to_its_line(accounts, finder):
    line = await accounts.create_line(NUMBER, imsi="639020000000001")
    assert await finder.line_of("imsi-639020000000001") == ref_of(line)
    with pytest.raises(UnknownLine):
        await finder.line_of("imsi-639020000000002")
    with pytest.raises(NumberTaken):
        await accounts.create_line("+254712345679", imsi="639020000000001")


async def test_numbers_are_revealed_for_delivery(accounts):
    lines = [await accounts.create_line(f"+25471234567{digit}") for digit in range(3)]
    unknown = LineRef(1, uuid4(), uuid4())
    contacts = await accounts.reveal([*map(ref_of, lines), unknown])
    assert {line.line_id: line.msisdn for line in lines} == {key: value.msisdn for key, value in contacts.items()}
    assert {contact.currency for contact in contacts.values()} == {"KES"}
    assert await accounts.reveal([]) == {}


async def test_after_erasure_nobody_finds_or_reads_the_person(accounts, finder, owner):
    line = await accounts.create_line(NUMBER, imsi="639020000000001", pin="2580")
    await accounts.erase_person(line.account, by="test")
    await accounts.erase_person(line.account, by="test")
    with pytest.raises(UnknownLine):
        await accounts.subscriber(NUMBER)
    with pytest.raises(UnknownLine):
        await finder.line_of("imsi-639020000000001")
    assert (await accounts.reveal([ref_of(line)]))[line.line_id].msisdn is None
    row = owner.execute(
        "SELECT wrapped_key, status, pin_hash FROM account JOIN line USING (shard, account_id)"
    ).fetchone()
    assert row == {"wrapped_key": None, "status": "terminated", "pin_hash": None}
    # The number is free for another person.
    assert (await accounts.create_line(NUMBER)).line_id != line.line_id


async def test_the_network_hears_that_the_lines_of_an_erased_person_are_served_no_more(engine, owner):
    parent = await open_line(engine, money=1_000)
    child = await open_line(engine, account=parent.account)
    await engine.accounts.erase_person(parent.account, by="test")
    told = owner.execute(
        "SELECT line_id FROM event WHERE topic = 'provisioning.changed' AND body @> '{\"served\": false}'"
    )
    assert {row["line_id"] for row in told} == {parent.line_id, child.line_id}


async def test_a_new_master_key_finds_and_reads_what_the_old_one_made(database, operator, accounts, keyring):
    line = await accounts.create_line(NUMBER, imsi="639020000000001", pin="2580")
    newer = Keyring({1: keyring._keys[1], 2: b"n" * 32})
    rotated, finder = Accounts(database, operator, newer), Finder(database, operator, newer)
    other = await rotated.create_line("+254712345679")
    assert await rotated.subscriber(NUMBER) == line
    assert (await rotated.reveal([ref_of(line)]))[line.line_id].msisdn == NUMBER
    assert await finder.line_of("imsi-639020000000001") == ref_of(line)
    got = await asyncio.gather(*map(rotated.subscriber, [other.msisdn, NUMBER, other.msisdn]))
    assert [subscriber.line_id for subscriber in got] == [other.line_id, line.line_id, other.line_id]
    with pytest.raises(NumberTaken):
        await rotated.create_line(NUMBER)
    assert await rotated.check_pin(line, "2580") is PinVerdict.RIGHT
    # The right PIN was hashed anew: the old key can go.
    with pytest.raises(KeyError):
        await accounts.check_pin(line, "2580")
    await rotated.close()
    await finder.close()


async def test_the_hot_read_uses_the_keys_of_its_tables(accounts, database, owner):
    """However many lines there are: no sequential scan of a table that grows with them."""
    await accounts.create_line(NUMBER)
    plan = owner.execute(
        "SET enable_seqscan = off; "
        "PREPARE hot AS "
        + store._SUBSCRIBERS.replace("%(shards)s", "$1").replace("%(digests)s", "$2").replace("%(now)s", "$3")
    )
    assert plan is not None
    rows = owner.execute("EXPLAIN EXECUTE hot('{1}', '{\"\\\\x00\"}', now())").fetchall()
    text = "\n".join(row["QUERY PLAN"] for row in rows)
    assert "Seq Scan" not in text
    for key in ("pk_directory", "pk_line", "pk_account", "pk_bucket"):
        assert key in text
