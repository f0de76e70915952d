"""An import that is killed amid its file: the same command goes on, and every record is charged once."""

from __future__ import annotations

import asyncio
import csv
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import psycopg
import pytest

from engine.api import Engine
from engine.books.invariants import check_all
from engine.words import Subscriber, Unit
from tests.engine.mediation.files import record
from tests.engine.shop import credit, open_line

ROOT = Path(__file__).resolve().parents[2]
LINES, RECORDS, OCTETS = 20, 12_000, 1_000
HELD = 10**9


@pytest.fixture
def environment(database_url: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("RASID_")}
    return kept | {
        "DATABASE_URL": database_url,
        "REDIS_URL": "redis://127.0.0.1:1/0",
        "RASID_OPERATOR": str(ROOT / "examples" / "kenya.toml"),
        "RASID_KEYS": json.dumps({"1": bytes(range(32)).hex()}),
        "COLUMNS": "200",
    }


@pytest.fixture
async def people(engine: Engine) -> list[Subscriber]:
    made = [await open_line(engine) for _ in range(LINES)]
    for line in made:
        await credit(engine, line, HELD, Unit.OCTETS)
    return made


@pytest.fixture
def file(people: list[Subscriber], tmp_path: Path) -> Path:
    """Several blocks of records, each of a session of its own."""
    path = tmp_path / "usage.csv"
    with path.open("w", newline="") as out:
        rows = csv.DictWriter(out, record(people[0], "s"))
        rows.writeheader()
        rows.writerows(record(people[number % LINES], f"s{number}", OCTETS) for number in range(RECORDS))
    return path


async def importing(file: Path, environment: dict[str, str]) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "manage.py", "usage", "import", str(file)),
        cwd=ROOT,
        env=environment,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )


async def until(database_url: str, query: str, process: asyncio.subprocess.Process) -> None:
    """Wait until the query finds something. The process must not be done before."""
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as connection:
        while (await (await connection.execute(query.encode())).fetchone()) in (None, (0,)):
            assert process.returncode is None, "done too early to be killed"
            await asyncio.sleep(0.002)


@pytest.mark.timeout(180)
async def test_a_file_is_charged_once_however_often_its_import_is_killed(
    engine: Engine, database_url: str, environment: dict[str, str], people: list[Subscriber], file: Path
) -> None:
    moments = (
        # a part is read, nothing is charged
        "SELECT lines FROM usage_file WHERE lines > 0",
        # some lines are charged, their place in the batch is not written down
        "SELECT count(*) FROM operation WHERE kind = 'usage'",
    )
    for moment in moments:
        process = await importing(file, environment)
        await until(database_url, moment, process)
        process.send_signal(signal.SIGKILL)
        await process.wait()
    last = await importing(file, environment)
    _, said = await last.communicate()
    assert last.returncode == 0, said.decode()
    (done,) = await engine.mediation.files()
    assert (done.lines, done.records, done.duplicates, done.set_aside) == (RECORDS, RECORDS, 0, 0)
    assert done.finished_at is not None
    left = [(await engine.subscriber(line.msisdn)).total(Unit.OCTETS) for line in people]
    assert left == [HELD - RECORDS // LINES * OCTETS] * LINES
    violations: list[Any] = await check_all(engine._database)
    assert violations == []
