"""A campaign whose writer and whose worker are both killed with SIGKILL, and started again: who got how many texts."""

from __future__ import annotations

import asyncio
import sys
import time
from collections import Counter
from pathlib import Path
from uuid import UUID

import psycopg

from bench.delivering import Office, Tell, TextsMissing, open_office
from bench.figures import Chapter, Ratio
from bench.house import House
from bench.machine import ROOT
from runtime.embedded import process
from runtime.embedded.process import EmbeddedError, last_lines

NAME = "bench"
#: numbers a second that writing and sending must at least make before a measurement is called off
LEAST = 100
#: seconds on top: a killed worker's messages are claimed anew after a minute
PATIENCE = 180.0


async def measure(house: House, operator_file: Path, *, numbers: int, tell: Tell) -> Chapter:
    """Both kills, each half way. Raises ``TextsMissing`` and ``EmbeddedError``."""
    async with open_office(house, operator_file, "campaign", numbers) as office:
        began = time.monotonic()
        left_by_writer = await _write(office, numbers, tell)
        written = time.monotonic() - began
        came_before = await _send(office, numbers, tell)
        sent = time.monotonic() - began - written
        counted = await _counted(office)
    accounted = counted["got it once"] + counted["got none, parked as unknown"]
    ratio = Ratio(name="numbers with one text, or named / all", values=[accounted / numbers], target=1.0)
    facts: dict[str, object] = {
        "numbers": numbers,
        "written when the writer was killed": left_by_writer,
        "sent when the worker was killed": came_before,
        "seconds to write": round(written, 1),
        "seconds to send, a lease of 60 s included": round(sent, 1),
        **counted,
    }
    return Chapter(series=[], ratios=[ratio], facts=facts)


async def _write(office: Office, numbers: int, tell: Tell) -> int:
    """Queue the campaign, killed once half way. Returns how many were written by then."""
    segment = office.house.folder / "numbers.csv"
    segment.write_text("\n".join(["msisdn", *(person.msisdn for person in office.people)]))
    log = office.house.folder / "notify.log"
    named = ["--segment", str(segment), "--template", "weekend", "--name", NAME]
    argv = [sys.executable, str(ROOT / "manage.py"), "notify", *named]
    with log.open("ab") as output:
        tell(f"writing to {numbers:,} numbers; killed half way")
        killed = process.spawn(argv, output=output, env=office.env)
        while await _recipients(office) < numbers // 2:
            if killed.poll() is not None:
                raise EmbeddedError(f"notify ended before it was killed:\n{last_lines(log, 20)}")
            await asyncio.sleep(0.01)
        killed.kill()
        await process.ended(killed)
        left = await _recipients(office)
        tell(f"killed at {left:,}; started again")
        again = process.spawn(argv, output=output, env=office.env)
        await process.ended(again, PATIENCE + numbers / LEAST)
    if again.returncode != 0:
        await process.stop(again)
        raise EmbeddedError(f"notify did not end well:\n{last_lines(log, 20)}")
    return left


async def _send(office: Office, numbers: int, tell: Tell) -> int:
    """Deliver it, the worker killed once half way. Returns how many texts had come by then."""
    async with office.worker() as worker:
        await office.counter.until(numbers // 2, PATIENCE + numbers / LEAST)
        worker.process.kill()
        await process.ended(worker.process)
    came = await office.counter.count()
    tell(f"worker killed when {came:,} texts had come; started again")
    async with office.worker():
        await office.until_kept(PATIENCE + numbers / LEAST)
    return came


async def _recipients(office: Office) -> int:
    async with await psycopg.AsyncConnection.connect(office.url) as connection:
        row = await (await connection.execute("SELECT count(*) FROM campaign_recipient")).fetchone()
        return int(row[0]) if row is not None else 0


async def _counted(office: Office) -> dict[str, int]:
    """How many numbers got how many texts, by the carrier's own count, and how many the books name as unknown."""
    texts = Counter(number for number, _ in await office.counter.heard())
    named = await _parked(office)
    strangers = texts.keys() - {person.msisdn for person in office.people}
    if strangers:
        raise TextsMissing(f"{len(strangers)} numbers were written to that are not in the file")
    none = [person for person in office.people if texts[person.msisdn] == 0]
    return {
        "got it once": sum(texts[person.msisdn] == 1 for person in office.people),
        "got it more than once": sum(texts[person.msisdn] > 1 for person in office.people),
        "got none, parked as unknown": sum(person.line_id in named for person in none),
        "got none, not named": sum(person.line_id not in named for person in none),
        "parked as unknown in all": len(named),
    }


async def _parked(office: Office) -> set[UUID]:
    """The lines whose message was given up because the carrier may have it."""
    query = "SELECT line_id FROM outbox WHERE topic = 'campaign' AND state = 'parked' AND error LIKE 'unknown:%'"
    async with await psycopg.AsyncConnection.connect(office.url) as connection:
        return {row[0] async for row in await connection.execute(query)}
