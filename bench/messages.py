"""Texts to people: what one worker delivers, how soon an alert leaves, what one SMPP connection carries."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

import msgspec
import psycopg

from bench import submits
from bench.carrier import ANSWER_SECONDS, PATH
from bench.delivering import Office, Tell, open_office
from bench.figures import Chapter, Ratio, Sample, Series, over, sample, within
from bench.house import House
from bench.machine import cpu_seconds, resident_mb
from bench.people import Person, copy_rows
from bench.serving import Served
from channels.sms.http import CONNECTIONS
from engine.books.tables import OutboxState, outbox
from engine.notices.rules import policy
from engine.words import Charge, Unit
from runtime.collector import settle_collector

#: texts a second of one worker, and texts laid out for each second of a measurement
TEXTS_TARGET = 1_000
#: charges a second while alerts are timed, one in so many of which crosses the threshold, and the ticks they come in
CHARGES, CROSSING, TICKS = 1_000, 10, 100
#: seconds within which 99 of 100 alerts must have left
ALERT_WITHIN = 1.0
#: lines that only spend
SPENDERS = 1_000
#: what a crossing charge leaves, below the sample operator's KES 10, in minor units
LEFT = 500
#: seconds that a measurement may take beyond its time before it is called off
PATIENCE = 60.0
TEXT = "Rasid Kenya: double data on all weekly bundles this weekend. Dial *123#. STOP to opt out"


async def measure(house: House, operator_file: Path, *, runs: int, seconds: int, tell: Tell) -> Chapter:
    """All three, each beside its floor where it has one. Raises ``TextsMissing``."""
    names = ("text delivered", "bare post", "charge", "alert after a charge", *submits.SUBJECTS)
    loads = (CONNECTIONS, CONNECTIONS, CHARGES, CHARGES, submits.WINDOW, submits.WINDOW)
    series = {name: Series(subject=name, load=load, samples=[]) for name, load in zip(names, loads, strict=True)}
    crossing = runs * (seconds * CHARGES // CROSSING)
    lines = SPENDERS + crossing
    async with open_office(house, operator_file, "messages", lines) as office, office.worker() as worker:
        spenders, broke = office.people[:SPENDERS], iter(office.people[SPENDERS:])
        memory = {"worker idle": resident_mb(worker.process.pid)}
        for run in range(runs):
            tell(f"run {run + 1} of {runs}: text delivered, and bare posts")
            series["text delivered"].samples.append(await _texts(office, worker, seconds * TEXTS_TARGET))
            series["bare post"].samples.append(await _bare_posts(office, seconds * TEXTS_TARGET))
            tell(f"run {run + 1} of {runs}: alerts at {CHARGES} charges a second")
            charges, alerts = await _alerts(office, spenders, broke, seconds)
            series["charge"].samples.append(charges)
            series["alert after a charge"].samples.append(alerts)
        memory["worker after load"] = resident_mb(worker.process.pid)
    async with submits.centre(house) as port:
        for run in range(runs):
            for name, measured in submits.SUBJECTS.items():
                tell(f"run {run + 1} of {runs}: {name}")
                series[name].samples.append(await measured(port, seconds))
    facts = {
        "lines": lines,
        "carrier_answers_ms": ANSWER_SECONDS * 1000,
        "charges_that_cross": f"1 of {CROSSING}",
        "smpp_window": submits.WINDOW,
    }
    return Chapter(series=list(series.values()), ratios=_ratios(series), memory_mb=memory, facts=facts)


# --- one worker, as fast as it can ---


async def _texts(office: Office, worker: Served, count: int) -> Sample:
    """Write so many messages in one commit; the rate is from that commit to the arrival of the last."""
    await office.house.settle(office.url)
    await office.counter.forget()
    rows = list(_messages(office.people, count))
    spent = cpu_seconds(worker.process.pid)
    async with await psycopg.AsyncConnection.connect(office.url) as connection:
        await copy_rows(connection, outbox, iter(rows))
    started = time.monotonic()
    await office.counter.until(count, PATIENCE + count / TEXTS_TARGET * 10)
    heard = await office.counter.heard()
    await office.until_kept(PATIENCE)
    took = max(at for _, at in heard) - started
    spent = cpu_seconds(worker.process.pid) - spent
    return Sample(rate=round(len(heard) / took, 1), cpu_us={"worker": round(spent / count * 1e6, 1)})


def _messages(people: list[Person], count: int) -> Iterator[dict[str, Any]]:
    body = msgspec.json.encode({"text": TEXT, "template": "bench"}).decode()
    now = datetime.now(UTC)
    for place in range(count):
        person = people[place % len(people)]
        yield {
            **person.account._asdict(),
            "message_id": uuid4(),
            "line_id": person.line_id,
            "topic": "campaign",
            "body": body,
            "state": OutboxState.DUE.value,
            "priority": int(policy("campaign").priority),
            "due_at": now,
            "created_at": now,
        }


async def _bare_posts(office: Office, count: int) -> Sample:
    """The floor: aiohttp posts the same fields over as many connections, and does nothing else."""
    await office.counter.forget()
    url = f"http://127.0.0.1:{office.counter.port}{PATH}"
    waiting = iter([office.people[place % len(office.people)].msisdn for place in range(count)])
    latencies: list[float] = []
    client = office.counter.client

    async def post() -> None:
        """One of many posting what is left."""
        for number in waiting:
            fields = urlencode(
                {"username": "bench", "to": number, "message": TEXT, "bulkSMSMode": "1", "from": "Rasid"}
            )
            asked = time.monotonic()
            headers = {"Content-Type": "application/x-www-form-urlencoded"}
            async with client.post(url, data=fields, headers=headers) as answer:
                await answer.read()
            latencies.append(time.monotonic() - asked)

    started = time.monotonic()
    await asyncio.gather(*(post() for _ in range(min(CONNECTIONS, count))))
    heard = await office.counter.heard()
    counted = sample(time.monotonic() - started, latencies)
    return msgspec.structs.replace(counted, rate=round(count / (max(at for _, at in heard) - started), 1))


# --- an alert, from the charge to the carrier ---


async def _alerts(
    office: Office, spenders: list[Person], broke: Iterator[Person], seconds: int
) -> tuple[Sample, Sample]:
    """Charge at a steady rate whatever comes back; what was charged, and when its alerts were with the carrier.

    An alert's time begins before its charge is posted, so it holds the charge too: the commit is within.
    """
    await office.house.settle(office.url)
    await office.counter.forget()
    settle_collector()
    asked: dict[str, float] = {}
    latencies: list[float] = []
    each = CHARGES // TICKS

    async def charge(person: Person, amount: int) -> None:
        """One charge, timed to its answer."""
        began = time.monotonic()
        operation = Charge(
            account=person.account,
            line_id=person.line_id,
            key=uuid4(),
            asked_at=datetime.now(UTC),
            source="network:bench",
            unit=Unit.MONEY,
            amount=amount,
        )
        answer = await office.engine.post(operation)
        if not answer.ok:
            raise RuntimeError(f"a charge was refused: {answer.code}")
        latencies.append(time.monotonic() - began)

    tasks: list[asyncio.Task[None]] = []
    started = time.monotonic()
    for place in range(seconds * CHARGES):
        if place % each == 0:
            await asyncio.sleep(max(0.0, started + place / CHARGES - time.monotonic()))
        if place % CROSSING == 0:
            person = next(broke)
            asked[person.msisdn] = time.monotonic()
            amount = person.balance - LEFT
        else:
            person, amount = spenders[place % len(spenders)], 1
        tasks.append(asyncio.create_task(charge(person, amount)))
    await asyncio.gather(*tasks)
    charged = sample(time.monotonic() - started, latencies)
    await office.counter.until(len(asked), PATIENCE)
    heard = await office.counter.heard()
    await office.until_kept(PATIENCE)
    return charged, sample(max(at for _, at in heard) - started, [at - asked[number] for number, at in heard])


def _ratios(series: dict[str, Series]) -> list[Ratio]:
    texts, charges = (series[name].samples for name in ("text delivered", "charge"))
    smpp, bare = (series[name] for name in submits.SUBJECTS)
    return [
        Ratio(name=f"texts a second / {TEXTS_TARGET:,}", values=[one.rate / TEXTS_TARGET for one in texts], target=1.0),
        Ratio(name="text delivered / bare post", values=over(series["text delivered"], series["bare post"])),
        Ratio(
            name=f"{ALERT_WITHIN:g} s / p99 of an alert at {CHARGES:,} charges a second",
            values=within(ALERT_WITHIN * 1000, series["alert after a charge"]),
            target=1.0,
        ),
        # The load must have been there: 1 less the tail that the last charge takes.
        Ratio(name=f"charges a second / {CHARGES:,}", values=[one.rate / CHARGES for one in charges], target=0.95),
        Ratio(
            name=f"submit_sm a second / {submits.TARGET:,}",
            values=[one.rate / submits.TARGET for one in smpp.samples],
            target=1.0,
        ),
        Ratio(name="submit_sm / bare socket", values=over(smpp, bare)),
    ]
