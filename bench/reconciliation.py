"""Reconciliation: a settlement file against as many payments, through the command that finance runs."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import psycopg

from bench.commanding import Ran, run_command
from bench.figures import Chapter, Ratio, Series
from bench.house import House
from settings import Operator

#: seconds and MB within which it must be done, for a million rows against a million payments
SECONDS, MEGABYTES, MILLION = 60.0, 500.0, 1_000_000
#: one payment in so many is not in the file, is in it with another amount, or is stated and was never credited
DIFFERS = 10_000
AMOUNT = 5_000

_PAYMENTS = """
    INSERT INTO payment (shard, account_id, payment_id, line_id, gateway, method, gateway_ref, asked_ref, amount,
                         currency, captured, captured_currency, state, reference, source, created_at, changed_at)
    SELECT a.shard, a.account_id, md5(n::text)::uuid, NULL, 'sandbox', 'mobile_money', 'REF' || n, 'REF' || n,
           %(amount)s, 'KES', %(amount)s, 'KES', 'settled', 'R' || n, 'bench', %(noon)s + n * interval '1 ms',
           %(noon)s + n * interval '1 ms'
    FROM generate_series(1, %(rows)s) AS n JOIN bench_account a ON a.place = n %% %(accounts)s"""

_HISTORY = """
    INSERT INTO payment_history (shard, account_id, key, payment_id, event, amount, currency, gateway, gateway_ref,
                                 booked_at, batch_id)
    SELECT shard, account_id, gen_random_uuid(), payment_id, 'settled', amount, currency, gateway, gateway_ref,
           changed_at, '00000000-0000-0000-0000-000000000000'
    FROM payment"""

_ACCOUNTS = """
    CREATE TEMP TABLE bench_account AS
    SELECT n AS place, (n %% 64)::smallint AS shard, gen_random_uuid() AS account_id
    FROM generate_series(0, %(accounts)s - 1) AS n"""
ACCOUNTS = 1_000


async def measure(
    house: House, operator: Operator, operator_file: Path, *, runs: int, rows: int, tell: Callable[[str], None]
) -> Chapter:
    """The file of a day against the day's payments, in a database of its own for each run, and once more."""
    noon = datetime.combine(
        datetime.now(ZoneInfo(operator.timezone)).date() - timedelta(days=1), datetime.min.time(), UTC
    ) + timedelta(hours=6)
    file = house.folder / "settlement.csv"
    expected = _write(file, noon, rows)
    first = Series(subject="settlement row", load=1, samples=[])
    again = Series(subject="settlement row, file seen before", load=1, samples=[])
    peaks: list[float] = []
    for run in range(runs):
        url = await house.create_database(f"reconciliation{run}")
        await _lay_out(url, noon, rows)
        await house.settle(url)
        for series in (first, again):
            tell(f"run {run + 1} of {runs}: {series.subject}")
            ran = await _reconcile(house, url, operator_file, file, rows)
            series.samples.append(ran.sample)
            peaks.append(ran.peak)
            if f"{expected:,} discrepancies" not in ran.said:
                raise RuntimeError(f"{expected} discrepancies were laid out; the command says: {ran.said}")
        await _drop(house, url)
    target = rows / (SECONDS * rows / MILLION)
    return Chapter(
        series=[first, again],
        ratios=[
            Ratio(
                name=f"rows a second / {target:,.0f} (a million in {SECONDS:.0f} s)",
                values=[one.rate / target for one in first.samples],
                target=1.0,
            ),
            Ratio(
                name=f"{MEGABYTES:.0f} MB / peak memory of the command",
                values=[MEGABYTES / peak for peak in peaks],
                target=1.0,
            ),
        ],
        memory_mb={"command, peak": max(peaks)},
        facts={"rows": rows, "payments": rows, "discrepancies": expected},
    )


def _write(file: Path, noon: datetime, rows: int) -> int:
    """The day's file, right but for one row in ``DIFFERS`` of each kind. Returns how many discrepancies it holds."""
    expected = 0
    with file.open("w", encoding="utf-8") as out:
        out.write("id,payment_id,state,amount,currency,fee,at\n")
        for number in range(1, rows + 1):
            at = (noon + timedelta(milliseconds=number)).isoformat()
            reference, amount = f"REF{number}", AMOUNT
            if number % DIFFERS == 1:
                expected += 1
                continue
            if number % DIFFERS == 2:
                expected, amount = expected + 1, AMOUNT + 1
            if number % DIFFERS == 3:
                expected += 1
                out.write(f"STRANGE{number},,captured,{AMOUNT},KES,50,{at}\n")
            out.write(f"{reference},,captured,{amount},KES,50,{at}\n")
    return expected


async def _lay_out(url: str, noon: datetime, rows: int) -> None:
    given = {"noon": noon, "rows": rows, "accounts": ACCOUNTS, "amount": AMOUNT}
    async with await psycopg.AsyncConnection.connect(url) as connection:
        await connection.execute(_ACCOUNTS, given)
        await connection.execute(
            "INSERT INTO account (shard, account_id, currency, key_id, opened_at)"
            " SELECT shard, account_id, 'KES', 1, now() FROM bench_account"
        )
        await connection.execute(_PAYMENTS, given)
        await connection.execute(_HISTORY)


async def _drop(house: House, url: str) -> None:
    name = url.rpartition("/")[2].partition("?")[0]
    async with await psycopg.AsyncConnection.connect(house.postgres.socket_url, autocommit=True) as connection:
        await connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)'.encode())


async def _reconcile(house: House, url: str, operator_file: Path, file: Path, rows: int) -> Ran:
    """Run the command; that it found differences is an answer."""
    options = {"base_url": "http://127.0.0.1:9", "api_key": "bench", "webhook_secrets": ["bench" * 8]}
    return await run_command(
        house,
        *("reconcile", "sandbox", str(file), "--by", "bench"),
        rows=rows,
        url=url,
        operator_file=operator_file,
        key=os.urandom(32),
        right=(0, 1),
        RASID_PAYMENT_GATEWAYS=json.dumps({"sandbox": {"adapter": "sandbox", "options": options}}),
        COLUMNS="200",
    )
