"""The floor of the door: pgbench's TPC-B-like transaction on the same Postgres, prepared, at its best.

Its transaction is one interactive update of four tables for each client at a time, which is what a recharge would
cost if every caller had a transaction and a hot branch row of their own making.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re

import psycopg
import sqlalchemy as sa

from bench.figures import Sample
from bench.house import House
from bench.machine import cpu_seconds
from runtime.embedded.postgres import pgbin

#: branches; issue and literature quote scale 20, and 32 clients still have a branch row each most of the time
SCALE = 20
#: the floor is the best of these
CLIENTS = (1, 2, 4, 8, 16, 32)
DATABASE = "tpcb"

_RATE = re.compile(r"^tps = ([0-9.]+) ", re.MULTILINE)
_LATENCY = re.compile(r"^latency average = ([0-9.]+) ms", re.MULTILINE)
_COUNT = re.compile(r"^number of transactions actually processed: ([0-9]+)", re.MULTILINE)


class PgbenchFailed(Exception):
    """pgbench ended with an error, or said something else than its figures: ``args[0]`` is what it said."""


async def set_up(house: House) -> str:
    """A database with pgbench's tables, made anew for each part that is measured. Returns the owner's address."""
    url = house.url(DATABASE).render_as_string(hide_password=False)
    with contextlib.suppress(psycopg.errors.DuplicateDatabase):
        await house.create_database(DATABASE, migrated=False)
    await _pgbench(house, "--initialize", "--quiet", f"--scale={SCALE}")
    return url


async def measure(house: House, clients: int, seconds: int) -> Sample:
    """Transactions per second of so many clients, their average latency told as p50 (pgbench has no percentiles)."""
    before = cpu_seconds(house.postgres.pid)
    said = await _pgbench(
        house,
        *("--builtin=tpcb-like", "--protocol=prepared", "--no-vacuum", f"--client={clients}", f"--time={seconds}"),
        f"--jobs={min(clients, os.cpu_count() or 1)}",
    )
    spent = cpu_seconds(house.postgres.pid) - before
    rate, latency, count = _RATE.search(said), _LATENCY.search(said), _COUNT.search(said)
    if rate is None or latency is None or count is None:
        raise PgbenchFailed(said)
    cpu_us = {"postgres": round(spent / int(count[1]) * 1e6, 1)}
    return Sample(rate=float(rate[1]), p50_ms=float(latency[1]), cpu_us=cpu_us)


async def _pgbench(house: House, *arguments: str) -> str:
    url = house.url(DATABASE)
    process = await asyncio.create_subprocess_exec(
        pgbin("pgbench"),
        *arguments,
        *("--host", _host(url), "--port", str(house.postgres.port), "--username", url.username or "", DATABASE),
        env={"PATH": os.environ.get("PATH", os.defpath), "PGPASSWORD": str(url.password), "LC_ALL": "C"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    if process.returncode != 0:
        raise PgbenchFailed(output.decode())
    return output.decode()


def _host(url: sa.URL) -> str:
    """The socket's folder, or the TCP host where the folder's path is too long for a socket."""
    folder = url.query.get("host")
    return folder if isinstance(folder, str) else url.host or "127.0.0.1"
