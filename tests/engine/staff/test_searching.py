"""Whatever a caller says finds their line, payment, booking or voucher, through an index, and nobody else's."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa

from engine.api import BatchState, Engine
from engine.staff import looking, searching
from engine.words import Found, LineRef, Purchase, Recharge, Subscriber
from tests.engine.staff.conftest import NUMBER

IMSI = "639020000000009"


def ref(line: Subscriber) -> LineRef:
    return LineRef(*line.account, line.line_id)


async def post(engine: Engine, line: Subscriber, kind: Any, **what: Any) -> Any:
    asked = {"account": line.account, "line_id": line.line_id, "key": uuid4(), "source": "ussd:test"}
    answer = await engine.post(kind(**asked, asked_at=datetime.now(UTC), **what))
    assert answer.ok, answer
    return answer


async def test_a_line_is_found_by_its_number_however_it_is_written(engine: Engine, line: Subscriber) -> None:
    for said in (NUMBER, "0712345001", "254712345001", " 0712 345 001 ", "00254712345001"):
        assert await engine.search.find(said) == Found(lines=(ref(line),)), said


async def test_a_line_is_found_by_the_imsi_of_its_sim(engine: Engine) -> None:
    line = await engine.create_line("+254712345009", IMSI)
    assert (await engine.search.find(IMSI)).lines == (ref(line),)


async def test_a_booking_is_found_by_its_reference_in_any_case_and_with_letters_for_digits(
    engine: Engine, line: Subscriber
) -> None:
    done = await post(engine, line, Purchase, product="data_day_100mb", price=2_000)
    typed = done.reference.lower().replace("1", "l").replace("0", "o")
    for said in (done.reference, typed):
        (hit,) = (await engine.search.find(said)).operations
        assert (hit.line, hit.kind, hit.reference) == (ref(line), "purchase", done.reference)


async def test_a_voucher_is_found_by_serial_by_batch_and_serial_and_by_number(engine: Engine, line: Subscriber) -> None:
    batch, numbers = await engine.vouchers.create_batch(5_000, 3, "alice")
    for state in (BatchState.PRINTED, BatchState.SHIPPED, BatchState.ACTIVE):
        await engine.vouchers.move_batch(batch.batch_id, state, "bob")
    second = dict(numbers)[2]
    await post(engine, line, Recharge, voucher=engine.seal_voucher(second))
    for said in ("2", f"{batch.batch_id},2", f"{str(batch.batch_id)[:13]} 2", f"{batch.batch_id.hex[:8]}#2", second):
        (hit,) = (await engine.search.find(said)).vouchers
        assert (hit.batch_id, hit.serial, hit.state, hit.line) == (batch.batch_id, 2, "redeemed", ref(line)), said
    (unused,) = (await engine.search.find("1")).vouchers
    assert (unused.state, unused.line) == ("unused", None)
    assert (await engine.search.find("4")).vouchers == ()


async def test_what_is_nobody_s_finds_nothing(engine: Engine, line: Subscriber) -> None:
    hostile = ("' OR 1=1 --", "%", "\x00", "9" * 64, "a" * 500, "شكرا")
    for said in ("", " ", "+254799999999", "ZZZZZZ", str(UUID(int=5)), *hostile):
        assert await engine.search.find(said) == Found(), said


@pytest.fixture
async def many(engine: Engine, line: Subscriber) -> None:
    """Enough operations and messages that reading all of them would be chosen against only for an index's sake."""
    async with engine._database.begin() as connection:
        await connection.execute(
            sa.text(
                "INSERT INTO operation (shard, account_id, key, booked_at, kind, code, reference, request_hash, answer,"
                " source, batch_id) SELECT 1, gen_random_uuid(), gen_random_uuid(), now(), 'purchase', 'ok',"
                " 'R' || i, '\\x00', '{}', 'test', gen_random_uuid() FROM generate_series(1, 20000) i"
            )
        )
        await connection.execute(
            sa.text(
                "INSERT INTO outbox (shard, message_id, account_id, topic, body, due_at, created_at)"
                " SELECT 1, gen_random_uuid(), gen_random_uuid(), 'x', '{}', now(), now()"
                " FROM generate_series(1, 20000)"
            )
        )


async def plan(engine: Engine, query: Any, **values: Any) -> str:
    async with engine._database.connect() as connection:
        rows = await connection.execute(sa.text(f"EXPLAIN {query}"), values)
        return "\n".join(row[0] for row in rows)


async def test_no_search_and_no_history_reads_a_whole_table(
    engine: Engine, database_url: str, line: Subscriber, many: None
) -> None:
    owner = sa.create_engine(database_url.replace("postgresql://", "postgresql+psycopg://"))
    with owner.begin() as connection:
        for table in ("operation", "outbox", "payment", "payment_event", "staff_action"):
            connection.execute(sa.text(f"ANALYZE {table}"))
    owner.dispose()
    found = await plan(
        engine,
        f"SELECT * FROM operation WHERE reference = 'R77' AND kind NOT IN {searching.NEVER_QUOTED}",
    )
    assert "reference" in found and whole_tables(found) == []
    where = {**ref(line)._asdict(), "at": datetime.now(UTC), "event_id": UUID(int=0), "most": 51}
    history = looking._history(looking.SOURCES)
    shown = await plan(engine, history.text, **where, since=datetime(2020, 1, 1, tzinfo=UTC))
    assert whole_tables(shown) == [], shown


def whole_tables(shown: str) -> list[str]:
    """Scans of whole tables that are not next to empty, as coming months' partitions are."""
    scans = re.findall(r"Seq Scan on (\w+).*cost=[0-9.]+\.\.([0-9.]+)", shown)
    return [table for table, cost in scans if float(cost) > 20]


async def test_history_holds_every_source_newest_first_and_comes_page_by_page(engine: Engine, line: Subscriber) -> None:
    for _ in range(3):
        await post(engine, line, Purchase, product="data_day_100mb", price=2_000)
    await engine.audit.record(
        "line.look", by="alice", why="a caller", account=line.account, line_id=line.line_id, detail={}
    )
    whole = await engine.looking.history(ref(line), limit=100)
    assert {one.source for one in whole} == {"operation", "message", "staff"}
    assert [(one.at, one.event_id) for one in whole] == sorted(((o.at, o.event_id) for o in whole), reverse=True)
    paged: list[Any] = []
    while page := await engine.looking.history(
        ref(line), after=(paged[-1].at, paged[-1].event_id) if paged else None, limit=2
    ):
        paged += page
    assert paged == whole
    only = await engine.looking.history(ref(line), source="message", limit=100)
    assert only == [one for one in whole if one.source == "message"]


async def test_history_of_a_line_leaves_out_its_sister_s_and_a_stranger_s(engine: Engine, line: Subscriber) -> None:
    sister = await engine.create_line("+254712345011", account=line.account)
    stranger = await engine.create_line("+254712345012")
    await post(engine, line, Purchase, product="data_day_100mb", price=2_000)
    assert [one.what for one in await engine.looking.history(ref(sister)) if one.source == "operation"] == []
    assert await engine.looking.history(ref(stranger)) == []
    mixed = LineRef(*stranger.account, line.line_id)
    assert await engine.looking.history(mixed) == [] and await engine.looking.line(mixed) is None


async def test_a_line_is_shown_with_what_its_account_holds_even_when_its_person_was_erased(
    engine: Engine, line: Subscriber
) -> None:
    view = await engine.looking.line(ref(line))
    assert view is not None and view.msisdn == NUMBER
    assert [(one.product, one.amount) for one in view.buckets] == [("airtime", 100_000)]
    await engine.accounts.erase_person(line.account, by="test")
    erased = await engine.looking.line(ref(line))
    assert erased is not None and erased.msisdn is None
