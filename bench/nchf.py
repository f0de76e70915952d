"""Updates of charging sessions over Nchf_ConvergedCharging: real HTTP, one ``ussd_server.py``, the client beside it."""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import json
import random
import secrets
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from uuid import uuid4, uuid5

import aiohttp

from bench.figures import Chapter, Ratio, Series, Subject, take_turns
from bench.house import House
from bench.load import Exchange, drive
from bench.machine import resident_mb
from bench.people import Person, give
from bench.serving import Town, settle
from bench.turns import CONNECTIONS, WARM_UP_SECONDS, measure_once
from engine.api import open_engine
from engine.words import Unit
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
    town = await settle(house, operator, "nchf", lines)
    await give_data(town, operator)
    key = secrets.token_urlsafe(32)
    client = {"digest": hashlib.sha256(key.encode()).hexdigest(), "rights": ["charging"]}
    group = next((one.rating_groups[0] for one in operator.categories if one.rating_groups), 1)
    async with town.server(operator_file, RASID_API_KEYS=json.dumps({"bench": client})) as served:
        memory = {"server idle": resident_mb(served.process.pid)}
        updates = Updates(await _open_sessions(town.people, served.port, key, group), key, group)
        await house.settle(town.url)
        await drive(served.port, CONNECTIONS[0], min(WARM_UP_SECONDS, seconds), updates.script)
        series = [Series(subject="update", load=connections, samples=[]) for connections in CONNECTIONS]
        subjects = [
            Subject(
                one,
                f"updates on {one.load} connections",
                partial(measure_once, house, served, updates.script, one.load, seconds),
            )
            for one in series
        ]
        await take_turns(runs, subjects, tell)
        memory["server after load"] = resident_mb(served.process.pid)
    return Chapter(series=series, ratios=_ratios(series), memory_mb=memory, facts={"sessions": lines})


def _ratios(series: Sequence[Series]) -> list[Ratio]:
    return [
        Ratio(
            name=f"updates per second on {one.load} connections",
            values=[sample.rate for sample in one.samples],
            target=TARGET,
        )
        for one in series
    ]


async def give_data(town: Town, operator: Operator) -> None:
    """Give each line more data than any measurement uses."""
    engine = await open_engine(town.url, operator, town.keyring)
    try:
        await give(engine, town.people, Unit.OCTETS, lambda _: HELD)
    finally:
        await engine.close()


async def _open_sessions(people: Sequence[Person], port: int, key: str, rating_group: int) -> list[str]:
    """A session of each line. Returns the paths of their resources."""
    references: list[str] = []
    waiting = iter(people)
    headers = {"Authorization": f"Bearer {key}"}
    async with aiohttp.ClientSession(f"http://127.0.0.1:{port}", headers=headers) as http:

        async def open_some() -> None:
            """One of several that open what is left."""
            for person in waiting:
                asked = _asking(0, {"ratingGroup": rating_group, "requestedUnit": {"totalVolume": ASKED}})
                asked["subscriberIdentifier"] = f"msisdn-{person.msisdn[1:]}"
                async with http.post(_ROOT, json=asked) as answer:
                    if answer.status != 201:
                        raise RuntimeError(f"a session was refused: {answer.status} {await answer.text()}")
                    references.append(answer.headers["Location"])

        await asyncio.gather(*(open_some() for _ in range(OPENERS)))
    return references
