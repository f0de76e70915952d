"""Killed at every step of a payment, many times over: every payment ends, and every shilling is counted once."""

from __future__ import annotations

import asyncio
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import psycopg
import pytest

from engine.api import Engine
from engine.books.invariants import check_all
from engine.words import Unit
from runtime.embedded.process import free_port
from tests.engine.shop import open_line

ROOT = Path(__file__).resolve().parents[3]
LIVES = 50


async def printed(process: asyncio.subprocess.Process) -> dict[str, Any]:
    """The line that a process prints when it is ready, or done."""
    assert process.stdout is not None
    return msgspec.json.decode(await process.stdout.readline())


@pytest.mark.timeout(300)
@pytest.mark.parametrize("seed", [1, *(pytest.param(seed, marks=pytest.mark.long) for seed in range(2, 7))])
async def test_killed_at_every_step_every_payment_ends_and_is_counted_once(
    database_url: str, engine: Engine, tmp_path: Path, seed: int
) -> None:
    lines = [await open_line(engine) for _ in range(5)]
    state = str(tmp_path / "sandbox.jsonl")
    sandbox = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "sandbox.payments", "--port", "0", "--state", state, "--pace", "0.05"),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        base_url = (await printed(sandbox))["base_url"]
        orders = {
            "database_url": database_url,
            "sandbox_url": base_url,
            "port": free_port(),
            "msisdns": [line.msisdn for line in lines],
            "seed": seed,
            "lives": LIVES,
        }
        ordeal = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.engine.payments.ordeal", msgspec.json.encode(orders).decode()),
            cwd=ROOT,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, errors = await ordeal.communicate()
        assert ordeal.returncode == 0, errors.decode()[-4000:]
        told = msgspec.json.decode(out)
        assert told["ended"] == 0, errors.decode()[-4000:]
        assert told["killed"] > LIVES / 3
        async with aiohttp.ClientSession() as http, http.get(f"{base_url}/payments") as answer:
            made = await answer.json()
    finally:
        sandbox.terminate()
        await sandbox.wait()
    await counted_once(engine, database_url, made)
    for line in lines:
        assert (await engine.subscriber(line.msisdn)).total(Unit.MONEY) == await settled(database_url, line.account[1])
    assert await check_all(engine._books) == []


async def counted_once(engine: Engine, database_url: str, made: list[dict[str, Any]]) -> None:
    """What the sandbox took for each payment is what was credited for it."""
    taken: dict[str, int] = defaultdict(int)
    for payment in made:
        taken[payment["key"]] += sum(moved["amount"] for moved in payment.get("movements", ()))
    async with await psycopg.AsyncConnection.connect(database_url) as connection:
        cursor = await connection.execute("SELECT payment_id::text, state, amount FROM payment")
        stored = {payment_id: (state, amount) for payment_id, state, amount in await cursor.fetchall()}
    assert taken.keys() <= stored.keys()
    for payment_id, (state, amount) in stored.items():
        assert state in ("settled", "declined", "refunded"), (payment_id, state)
        assert taken.get(payment_id, 0) == (amount if state == "settled" else 0), (payment_id, state)
    assert sum(state == "settled" for state, _ in stored.values()) > LIVES / 4


async def settled(database_url: str, account_id: Any) -> int:
    """What was settled for an account."""
    sql = "SELECT coalesce(sum(amount), 0) FROM payment WHERE state = 'settled' AND account_id = %s"
    async with await psycopg.AsyncConnection.connect(database_url) as connection:
        ((amount,),) = await (await connection.execute(sql, [account_id])).fetchall()
    return int(amount)
