"""Updates of charging sessions over Nchf_ConvergedCharging: real HTTP, one ``ussd_server.py``, the client beside it."""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import json
import os
import random
import secrets
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4, uuid5

import aiohttp

from bench.figures import Chapter, Ratio, Sample, Series
from bench.house import House
from bench.load import Exchange, drive
from bench.machine import ROOT, resident_mb
from bench.people import Person, settle_people
from bench.turns import CONNECTIONS, WARM_UP_SECONDS, Served, environment, measure_once, serving
from engine.api import Engine, open_engine
from engine.words import Adjust, Unit
from runtime.embedded import process
from runtime.keyring import Keyring
from settings import Operator

#: updates per second and process, with the client on the same two cores
TARGET = 1_500.0
#: what each line holds, what an update asks for and what it reports, in octets
HELD, ASKED, USED = 10**13, 1_000_000, 1_000
#: sessions opened, and balances booked, at a time
OPENERS = 64

_ROOT = "/nchf-convergedcharging/v3/chargingdata"
#: all as long as the first, so that every request is as long as the others
_sequences = itertools.count(1_000_000)


class Updates:
    """Ready-made bytes of one update for each session; only the sequence number is put in."""

    def __init__(self, references: Sequence[str], key: str, rating_group: int) -> None:
        self._heads = [_request(reference, key, rating_group) for reference in references]

    def script(self) -> Iterator[Exchange]:
        """Update after update, each of a session anywhere: it reports what was used and asks for the next quota."""
        for sequence in _sequences:
            head, rest = random.choice(self._heads)
            yield Exchange(head + b"%d" % sequence + rest, b'{"invocationTimeStamp"', b'"resultCode":"SUCCESS"')


def _request(reference: str, key: str, rating_group: int) -> tuple[bytes, bytes]:
    usage = {
        "ratingGroup": rating_group,
        "requestedUnit": {"totalVolume": ASKED},
        "usedUnitContainer": [{"localSequenceNumber": 1, "uplinkVolume": 0, "downlinkVolume": USED}],
    }
    body = json.dumps(_asking(0, usage)).encode()
    before, _, after = body.partition(b'"invocationSequenceNumber": 0')
    before += b'"invocationSequenceNumber": '
    head = (
        f"POST {reference}/update HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {key}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(before) + len(after) + 7}\r\n\r\n"
    )
    return head.encode() + before, after


def _asking(sequence: int, usage: dict[str, object]) -> dict[str, object]:
    return {
        "nfConsumerIdentification": {"nFName": str(uuid5(uuid4(), "smf")), "nodeFunctionality": "SMF"},
        "invocationTimeStamp": datetime.now(UTC).isoformat(),
        "invocationSequenceNumber": sequence,
        "multipleUnitUsage": [usage],
    }


async def measure(
    house: House,
    operator: Operator,
    operator_file: Path,
    *,
    runs: int,
    seconds: float,
    lines: int,
    tell: Callable[[str], None],
) -> Chapter:
    """Updates per second of one process with ``lines`` open sessions, at each number of connections."""
    tell(f"{lines:,} sessions")
    master, key = os.urandom(32), secrets.token_urlsafe(32)
    keyring = Keyring({1: master})
    url = await house.create_database("nchf")
    people = await settled_with_data(url, operator, keyring, lines)
    port = process.free_port()
    env = environment(house, url, json.dumps({"1": master.hex()}), operator_file, port)
    client = {"digest": hashlib.sha256(key.encode()).hexdigest(), "rights": ["charging"]}
    env["RASID_API_KEYS"] = json.dumps({"bench": client})
    group = next((one.rating_groups[0] for one in operator.categories if one.rating_groups), 1)
    async with serving([ROOT / "ussd_server.py"], port, "/health/ready", env, house.folder / "nchf.log") as served:
        memory = {"server idle": resident_mb(served.process.pid)}
        updates = Updates(await _open_sessions(people, port, key, group), key, group)
        await house.settle(url)
        await drive(port, CONNECTIONS[0], min(WARM_UP_SECONDS, seconds), updates.script)
        series = [Series(subject="update", load=connections, samples=[]) for connections in CONNECTIONS]
        for run in range(runs):
            for one in series:
                tell(f"run {run + 1} of {runs}: updates on {one.load} connections")
                one.samples.append(await _sample(house, served, updates, one.load, seconds))
        memory["server after load"] = resident_mb(served.process.pid)
    return Chapter(series=series, ratios=_ratios(series), memory_mb=memory, facts={"sessions": lines})


async def _sample(house: House, served: Served, updates: Updates, connections: int, seconds: float) -> Sample:
    return await measure_once(house, served, updates.script, connections, seconds)


def _ratios(series: Sequence[Series]) -> list[Ratio]:
    return [
        Ratio(
            name=f"updates per second on {one.load} connections",
            values=[sample.rate for sample in one.samples],
            target=TARGET,
        )
        for one in series
    ]


async def settled_with_data(url: str, operator: Operator, keyring: Keyring, lines: int) -> list[Person]:
    """Lines that hold more data than any measurement uses."""
    engine = await open_engine(url, operator, keyring)
    try:
        people = await settle_people(engine, url, keyring, lines)
        waiting = iter(people)
        await asyncio.gather(*(_give_data(engine, waiting) for _ in range(OPENERS)))
    finally:
        await engine.close()
    return people


async def _give_data(engine: Engine, waiting: Iterator[Person]) -> None:
    for person in waiting:
        operation = Adjust(
            account=person.account,
            line_id=person.line_id,
            key=uuid5(person.line_id, "data"),
            asked_at=datetime.now(UTC),
            source="console:bench",
            unit=Unit.OCTETS,
            amount=HELD,
            reason="data of the benchmark",
        )
        if not (await engine.post(operation)).ok:
            raise RuntimeError("data was refused")


async def _open_sessions(people: Sequence[Person], port: int, key: str, rating_group: int) -> list[str]:
    """A session of each line. Returns the paths of their resources."""
    references: list[str] = []
    waiting = iter(people)
    headers = {"Authorization": f"Bearer {key}"}
    async with aiohttp.ClientSession(f"http://127.0.0.1:{port}", headers=headers) as http:

        async def open_some() -> None:
            for person in waiting:
                asked = _asking(0, {"ratingGroup": rating_group, "requestedUnit": {"totalVolume": ASKED}})
                asked["subscriberIdentifier"] = f"msisdn-{person.msisdn[1:]}"
                async with http.post(_ROOT, json=asked) as answer:
                    if answer.status != 201:
                        raise RuntimeError(f"a session was refused: {answer.status} {await answer.text()}")
                    references.append(answer.headers["Location"])

        await asyncio.gather(*(open_some() for _ in range(OPENERS)))
    return references
