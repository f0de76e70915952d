"""A sealer that is killed at any moment leaves a chain that the next one goes on with."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
from pathlib import Path

from tests.engine.shop import credit, open_line

ROOT = Path(__file__).resolve().parents[3]

SEALER = """
import asyncio, sys
from pathlib import Path
from engine.audit.rules import Signer
from engine.audit.service import Chain
from engine.storage.database import open_database
from runtime.keyring import Keyring

async def main(url, folder):
    chain = Chain(open_database(url, connections=3), Signer(Keyring({1: bytes(range(32))})), Path(folder))
    print("ready", flush=True)
    while True:
        await chain.seal()

asyncio.run(main(*sys.argv[1:]))
"""


async def test_a_killed_sealer_loses_and_doubles_nothing(  # noqa: PLR0917
    engine, chain, folder, owner, verified, database_url
):
    lines = [await open_line(engine, money=100) for _ in range(4)]
    chance = random.Random(20261122)
    for _ in range(4):
        sealer = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", SEALER, database_url, str(folder)),
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=asyncio.subprocess.PIPE,
        )
        await sealer.stdout.readline()
        booking = asyncio.create_task(asyncio.sleep(chance.uniform(0.05, 0.6)))
        while not booking.done():
            await asyncio.gather(*(credit(engine, line, 1) for line in lines))
        sealer.send_signal(signal.SIGKILL)
        await sealer.wait()
    # The dead one's lock is gone with its connection, as soon as Postgres notices.
    async with asyncio.timeout(30):
        while True:
            if await chain.seal() is not None:
                break
            await asyncio.sleep(0.1)
    assert await verified() == []
    (sealed,) = owner.execute("SELECT sum(count) FROM audit_root").fetchone()
    (booked,) = owner.execute("SELECT count(*) FROM operation").fetchone()
    assert sealed == booked > len(lines)
