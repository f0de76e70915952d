"""Balance turns over real HTTP between processes: ``ussd_server.py`` beside a handler with a fixed answer."""

from __future__ import annotations

import gc
import itertools
import random
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple

from bench import floor
from bench.figures import Chapter, Ratio, Sample, Series, Subject, over, sample, take_turns
from bench.house import House
from bench.load import Exchange, drive
from bench.machine import resident_mb, spending
from bench.people import Person
from bench.serving import GATEWAY, SERVER, Served, fixed_answers, settle
from dialogs.texts import money
from settings import Operator

CONNECTIONS = (32, 128)
#: a balance turn per second over the fixed answer's, one process each
TARGET = 0.25
WARM_UP_SECONDS = 1.0

#: one gateway session in every request: never used twice, also not over the runs of one server
_sessions = itertools.count()

Script = Callable[[], Iterator[Exchange]]


class Requests:
    """Ready-made bytes of the Africa's Talking form for every line; only the session id is put in for each hop."""

    def __init__(self, people: Sequence[Person], operator: Operator) -> None:
        self._menus = [_tail(person, operator, "") for person in people]
        self._balances = [_tail(person, operator, "1") for person in people]

    def balance(self) -> Iterator[Exchange]:
        """``*123*1#``, again and again: each a new session whose first hop shows the balance."""
        for session in _sessions:
            yield random.choice(self._balances).exchange(session)

    def menu_then_balance(self) -> Iterator[Exchange]:
        """``*123#``, then ``1``: sessions of two hops, the menu and the balance, each with the amount in it."""
        for session in _sessions:
            place = random.randrange(len(self._menus))
            yield self._menus[place].exchange(session)
            yield self._balances[place].exchange(session)

    def floor(self) -> Iterator[Exchange]:
        """The same requests as ``balance``, for a server that answers all of them with one text."""
        shown = floor.SCREEN.partition("KES")[2].partition("\n")[0].encode()
        for exchange in self.balance():
            yield exchange._replace(holds=shown)


class _Tail(NamedTuple):
    """A line's request: what goes before and after the session id, and the amount that the answer must hold."""

    head: bytes
    rest: bytes
    shown: bytes

    def exchange(self, session: int) -> Exchange:
        """The request in a session, and what its answer must hold."""
        return Exchange(self.head + _session_id(session) + self.rest, b"CON ", self.shown)


def _tail(person: Person, operator: Operator, text: str) -> _Tail:
    rest = (
        f"&phoneNumber=%2B{person.msisdn[1:]}&networkCode=63902&serviceCode=%2A{operator.service_code}%23&text={text}"
    ).encode()
    length = len(b"sessionId=") + len(_session_id(0)) + len(rest)
    head = (
        f"POST /ussd/{GATEWAY} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        f"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {length}\r\n\r\nsessionId="
    ).encode()
    shown = money(person.balance, operator.currency, operator.languages[0])
    return _Tail(head, rest, shown.encode())


def _session_id(number: int) -> bytes:
    return b"ATUid_%032x" % number


async def measure_once(house: House, served: Served, script: Script, connections: int, seconds: float) -> Sample:
    """Drive one server, and tell what it, Postgres and Redis spent on each turn."""
    gc.collect()
    gc.freeze()
    with spending(house.processes(served.process.pid)) as spent:
        driven = await drive(served.port, connections, seconds, script)
    gc.unfreeze()
    return sample(driven.seconds, driven.latencies, spent)


@asynccontextmanager
async def open_subject(
    house: House, operator: Operator, operator_file: Path, *, lines: int, argv: Sequence[str | Path] = SERVER
) -> AsyncIterator[tuple[Served, Requests, str]]:
    """Rasid's server on a database of its own with ``lines`` lines. Yields it, its requests and the owner's address."""
    town = await settle(house, operator, "turns", lines)
    async with town.server(operator_file, argv=argv) as served:
        yield served, Requests(town.people, operator), town.url


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
    """Turns of Rasid and of the floor, taking turns, at each number of connections."""
    tell(f"{lines:,} lines")
    async with (
        open_subject(house, operator, operator_file, lines=lines) as (rasid, requests, url),
        fixed_answers(house) as fixed,
    ):
        scripts: dict[str, tuple[Served, Script]] = {
            "fixed answer": (fixed, requests.floor),
            "balance turn": (rasid, requests.balance),
            "menu, then balance": (rasid, requests.menu_then_balance),
        }
        memory = {"server idle": resident_mb(rasid.process.pid), "floor idle": resident_mb(fixed.process.pid)}
        await house.settle(url)
        for served, script in scripts.values():
            await drive(served.port, CONNECTIONS[0], min(WARM_UP_SECONDS, seconds), script)
        series = await _measured(house, scripts, runs=runs, seconds=seconds, tell=tell)
        memory |= {
            "server after load": resident_mb(rasid.process.pid),
            "floor after load": resident_mb(fixed.process.pid),
        }
    return Chapter(series=list(series.values()), ratios=_ratios(series), memory_mb=memory, facts={"lines": lines})


async def _measured(
    house: House,
    scripts: dict[str, tuple[Served, Script]],
    *,
    runs: int,
    seconds: float,
    tell: Callable[[str], None],
) -> dict[tuple[str, int], Series]:
    series = {
        (name, connections): Series(subject=name, load=connections, samples=[])
        for connections in CONNECTIONS
        for name in scripts
    }
    subjects = [
        Subject(
            one,
            f"{name} on {connections} connections",
            partial(measure_once, house, *scripts[name], connections, seconds),
        )
        for (name, connections), one in series.items()
    ]
    await take_turns(runs, subjects, tell)
    return series


def _ratios(series: dict[tuple[str, int], Series]) -> list[Ratio]:
    return [
        Ratio(
            name=f"{name} on {connections} connections / fixed answer",
            values=over(subject, series["fixed answer", connections]),
            target=TARGET if name == "balance turn" else None,
        )
        for (name, connections), subject in series.items()
        if name != "fixed answer"
    ]
