"""Mediation: a file of usage records read, rated and charged by the command that the operator runs.

Its floor is COPY of the very rows that the file becomes, into a table with the same indexes.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import perf_counter

import psycopg

from bench.commanding import run_command
from bench.figures import Chapter, Ratio, Sample, Series, over
from bench.house import House
from bench.machine import cpu_seconds
from bench.people import Person, give, settle_people
from engine.api import open_engine
from engine.words import Unit
from runtime.keyring import Keyring
from settings import Operator

#: share of COPY's rate that must be reached, and MB within which it must be done
SHARE, MEGABYTES = 0.10, 300.0
#: octets of a record, and what each line holds: enough for all of its records
OCTETS, HELD = 250_000, 10**10
RATING_GROUPS = (10, 20)

_FLOOR = "CREATE TABLE usage_floor (LIKE usage_record INCLUDING ALL)"


async def measure(
    house: House,
    operator: Operator,
    operator_file: Path,
    *,
    runs: int,
    rows: int,
    lines: int,
    tell: Callable[[str], None],
) -> Chapter:
    """A fresh file of ``rows`` records over ``lines`` lines for each run, and COPY of what it became right after it."""
    key = os.urandom(32)
    url = await house.create_database("mediation")
    engine = await open_engine(url, operator, Keyring({1: key}))
    people = await settle_people(engine, url, Keyring({1: key}), lines)
    await give(engine, people, Unit.OCTETS, lambda _: HELD)
    await engine.close()
    imported, copied = (Series(subject=what, load=1, samples=[]) for what in ("usage record", "COPY into the table"))
    peaks: list[float] = []
    for run in range(runs):
        file = house.folder / f"usage{run}.csv"
        _write(file, people, rows, run)
        await house.settle(url)
        tell(f"run {run + 1} of {runs}: import")
        words = ("usage", "import", str(file))
        ran = await run_command(house, *words, rows=rows, url=url, operator_file=operator_file, key=key)
        if await _charged(url, file.name) != rows:
            raise RuntimeError(f"not all was charged: {ran.said[-2_000:]}")
        imported.samples.append(ran.sample)
        peaks.append(ran.peak)
        tell(f"run {run + 1} of {runs}: COPY")
        copied.samples.append(await _copy(house, url, rows))
    return Chapter(
        series=[imported, copied],
        ratios=[
            Ratio(name="usage records / COPY of the same rows", values=over(imported, copied), target=SHARE),
            Ratio(
                name=f"{MEGABYTES:.0f} MB / peak memory of the command",
                values=[MEGABYTES / peak for peak in peaks],
                target=1.0,
            ),
        ],
        memory_mb={"command, peak": max(peaks)},
        facts={"rows": rows, "lines": lines},
    )


def _write(file: Path, people: Sequence[Person], rows: int, run: int) -> None:
    """Sessions of random lines, each of one record."""
    begins = datetime.now(UTC).replace(microsecond=0) - timedelta(days=1)
    with file.open("w", encoding="utf-8") as out:
        out.write("msisdn,session,rating_group,uplink,downlink,start,end\n")
        for number in range(rows):
            start = begins + timedelta(seconds=number % 80_000)
            person, group = random.choice(people), RATING_GROUPS[number % len(RATING_GROUPS)]
            end = start + timedelta(seconds=60)
            octets = f"{OCTETS // 10},{OCTETS}"
            out.write(f"{person.msisdn},{run}-{number},{group},{octets},{start.isoformat()},{end.isoformat()}\n")


async def _charged(url: str, name: str) -> int:
    """Records of a file that is done."""
    query = "SELECT records FROM usage_file WHERE name = %s AND finished_at IS NOT NULL"
    async with await psycopg.AsyncConnection.connect(url) as connection:
        found = await (await connection.execute(query, (name,))).fetchone()
    return 0 if found is None else int(found[0])


async def _copy(house: House, url: str, rows: int) -> Sample:
    """COPY of the rows of the last file, as they lie, into an empty table with the same indexes; committed."""
    last = "SELECT batch_id FROM usage_batch WHERE records > 0 ORDER BY batch_id DESC LIMIT 1"
    async with await psycopg.AsyncConnection.connect(url) as connection:
        await connection.execute(_FLOOR)
        out = connection.cursor().copy(
            f"COPY (SELECT * FROM usage_record WHERE batch_id = ({last}) ORDER BY ctid) TO STDOUT".encode()
        )
        async with out as copy:
            text = b"".join([bytes(part) async for part in copy])
        await connection.commit()
        await house.settle(url)
        postgres, started = cpu_seconds(house.postgres.pid), perf_counter()
        async with connection.cursor().copy("COPY usage_floor FROM STDIN") as copy:
            for first in range(0, len(text), 1 << 20):
                await copy.write(text[first : first + (1 << 20)])
        await connection.commit()
        seconds = perf_counter() - started
        await connection.execute("DROP TABLE usage_floor")
    spent = round((cpu_seconds(house.postgres.pid) - postgres) / rows * 1e6, 2)
    return Sample(rate=round(rows / seconds, 1), cpu_us={"postgres": spent})
