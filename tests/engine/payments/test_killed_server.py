"""The server is killed amid payment callbacks, several times over: what is repeated, and the loop, settle each once."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import aiohttp
import msgspec
import psycopg
import pytest

from engine.api import Engine, open_engine
from engine.books.invariants import check_all
from engine.payments.gateways import configured_gateways
from engine.words import PaymentMethod, Subscriber, Unit
from runtime.embedded.process import free_port
from runtime.keyring import Keyring
from runtime.metrics import Metrics
from sandbox.payments.desk import Accounts
from settings import Operator
from tests.channels.servers import ready, running
from tests.engine.payments.house import gateway_settings
from tests.engine.shop import open_line

ROOT = Path(__file__).resolve().parents[3]
LIVES, PAYMENTS, AMOUNT = 2, 20, 5_000


@asynccontextmanager
async def provider(state: Path) -> AsyncIterator[str]:
    """The sandbox as a process. Yields its address."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "sandbox.payments", "--port", "0", "--state", str(state), "--pace", "0.3"),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        yield msgspec.json.decode(await process.stdout.readline())["base_url"]
    finally:
        process.terminate()
        await process.communicate()


def environment(tmp_path: Path, base: str, sandbox_url: str, database_url: str, redis_url: str) -> dict[str, str]:
    """The server's."""
    accounts = Accounts()
    config = tmp_path / "rasid.toml"
    config.write_text(
        f"""operator = "{ROOT / "examples" / "kenya.toml"}"
public_url = "{base}"
[keys]
1 = "{bytes(range(32)).hex()}"
[gateways.africastalking]
adapter = "africastalking"
[payment_gateways.sandbox]
adapter = "sandbox"
[payment_gateways.sandbox.options]
base_url = "{sandbox_url}"
api_key = "{accounts.api_key}"
webhook_secrets = ["{accounts.webhook_secret}"]
""",
        encoding="utf-8",
    )
    ours = {"DATABASE_URL": database_url, "REDIS_URL": redis_url, "RASID_CONFIG": str(config)}
    return {"PATH": os.environ["PATH"], "PORT": base.rpartition(":")[2], "RASID_HOST": "127.0.0.1", **ours}


@asynccontextmanager
async def asking(database_url: str, operator: Operator, base: str, sandbox_url: str) -> AsyncIterator[Engine]:
    """Another process's engine, which asks for payments; it never looks for what became of them."""
    settings: Any = SimpleNamespace(payment_gateways=gateway_settings(sandbox_url, only=("sandbox",)), public_url=base)
    gateways = configured_gateways(settings, Metrics())
    engine = await open_engine(database_url, operator, Keyring({1: bytes(range(32))}), gateways=gateways)
    try:
        yield engine
    finally:
        await engine.close()


async def settled(database_url: str) -> int:
    """How many payments are."""
    async with await psycopg.AsyncConnection.connect(database_url) as connection:
        cursor = await connection.execute("SELECT count(*) FROM payment WHERE state = 'settled'")
        ((count,),) = await cursor.fetchall()
    return int(count)


async def until_settled(database_url: str, count: int) -> None:
    """Return once so many payments are settled."""
    async with asyncio.timeout(40):
        while await settled(database_url) < count:  # noqa: ASYNC110 - another process's doing
            await asyncio.sleep(0.005)


async def pay(engine: Engine, lines: list[Subscriber], dice: random.Random) -> None:
    """Payments of random lines, all at once."""
    payers = [dice.choice(lines) for _ in range(PAYMENTS)]
    method = PaymentMethod.MOBILE_MONEY
    await asyncio.gather(
        *(engine.pay(one, method, AMOUNT, key=uuid4(), msisdn=one.msisdn, source="test") for one in payers)
    )


@pytest.mark.timeout(150)
async def test_a_server_killed_amid_callbacks_settles_each_payment_once(
    *, database_url: str, redis_url: str, engine: Engine, operator: Operator, tmp_path: Path
) -> None:
    dice = random.Random(4)
    base = f"http://127.0.0.1:{free_port()}"
    lines = [await open_line(engine) for _ in range(PAYMENTS)]
    async with (
        provider(tmp_path / "sandbox.jsonl") as sandbox_url,
        asking(database_url, operator, base, sandbox_url) as asker,
        aiohttp.ClientSession() as http,
    ):
        variables = environment(tmp_path, base, sandbox_url, database_url, redis_url)
        for life in range(LIVES):
            async with running("ussd_server.py", variables) as server:
                await ready(server, http, base)
                script = {"play": "duplicate", "times": PAYMENTS // 2}
                async with http.post(f"{sandbox_url}/script", json=script) as answer:
                    assert answer.status == 200
                before = await settled(database_url)
                paying = asyncio.create_task(pay(asker, lines, dice))
                await until_settled(database_url, before + dice.randrange(1, PAYMENTS // 2))
                server.send_signal(signal.SIGKILL)
                await server.wait()
                assert await settled(database_url) < (life + 1) * PAYMENTS
                await paying
        async with running("ussd_server.py", variables) as server:
            await ready(server, http, base)
            # Who was killed between the callback's commit and the settlement has left it to the loop of ``bot.py``.
            async with asyncio.timeout(40):
                while await settled(database_url) < LIVES * PAYMENTS:
                    await asker.resume_payments()
                    await asyncio.sleep(0.05)
        async with http.get(f"{sandbox_url}/payments") as answer:
            taken = sum(moved["amount"] for one in await answer.json() for moved in one.get("movements", ()))
    credited = [(await engine.subscriber(line.msisdn)).total(Unit.MONEY) for line in lines]
    assert sum(credited) == taken == LIVES * PAYMENTS * AMOUNT
    async with await psycopg.AsyncConnection.connect(database_url) as connection:
        cursor = await connection.execute("SELECT count(*), count(DISTINCT payment_id) FROM payment_history")
        assert await cursor.fetchall() == [(LIVES * PAYMENTS, LIVES * PAYMENTS)]
    assert await check_all(engine._books) == []
