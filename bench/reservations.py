"""Open reservations in numbers: sessions that hold a quota, report on it, get the next, and are never heard of again.

What nobody reports on has to be let go within its validity and a minute, and the grace that the operator gives.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from time import perf_counter

import psycopg

from bench.door import LANES, check_books
from bench.figures import Chapter, Ratio, Sample, Series
from bench.house import House
from bench.machine import cpu_seconds
from bench.nchf import give_data
from bench.people import Person
from bench.posting import post_all
from bench.serving import settle
from engine.api import Engine, open_engine
from engine.words import GroupReport, SessionAct, SessionRequest, Unit, Used
from engine.words.sessions import session_key
from settings import Operator

#: sessions of one line
EACH = 10
CALLERS = 256
#: octets that are asked for, and used between two reports
ASKED, USED = 1_000_000, 1_000
#: seconds after validity and grace within which every quota must be let go
LATE = 60.0

_OLDEST = "SELECT extract(epoch FROM now() - min(expires_at))::float FROM reservation WHERE state = 'open'"
_OPEN = "SELECT count(*), coalesce(sum(granted), 0) FROM reservation WHERE state = 'open'"
#: Their time passes at once: the first is due now, the others after it as they came.
_TIME_PASSES = """
    WITH earliest AS (SELECT min(expires_at) AS at FROM reservation WHERE state = 'open')
    UPDATE reservation r SET expires_at = r.expires_at - (e.at - now()) - make_interval(secs => %(grace)s)
    FROM earliest e WHERE r.state = 'open'"""


async def measure(house: House, operator: Operator, *, count: int, tell: Callable[[str], None]) -> Chapter:
    """Hold ``count`` quotas at once, report on each, let all run out. One run: it is long.

    Raises ``RuntimeError`` where not all are held or one stays, ``BooksBroken`` where the invariants fail.
    """
    lines = max(1, count // EACH)
    # Nothing runs out while it is reported on, however long that takes here.
    operator = operator.model_copy(update={"quota": operator.quota.model_copy(update={"validity_seconds": 86_400})})
    tell(f"{lines:,} lines, {EACH} sessions each")
    town = await settle(house, operator, "reservations", lines)
    await give_data(town, operator)
    url, people = town.url, town.people
    engine = await open_engine(url, operator, town.keyring, lanes=LANES)
    try:
        await house.settle(url)
        tell("opening")
        opened = await post_all(house, engine, _requests(people, SessionAct.CREATE), CALLERS, 86_400)
        held = await _open(url, lines * EACH)
        await house.settle(url)
        tell("reporting")
        reported = await post_all(house, engine, _requests(people, SessionAct.UPDATE), CALLERS, 86_400)
        await _open(url, lines * EACH)
        await house.settle(url)
        tell("letting go")
        expired, latest = await _let_go(house, engine, url, count=lines * EACH, grace=operator.quota.grace_seconds)
    finally:
        await engine.close()
    await _open(url, 0)
    await check_books(url)
    series = [
        Series(subject=what, load=CALLERS, samples=[sample])
        for what, sample in (("opened", opened), ("reported", reported), ("expired", expired))
    ]
    ratio = Ratio(
        name=f"{LATE:.0f} s / the latest to be let go after its end and grace", values=[LATE / latest], target=1.0
    )
    facts = {"reservations": lines * EACH, "octets_held": held, "latest_seconds": round(latest, 1)}
    return Chapter(series=series, ratios=[ratio], facts=facts)


def _requests(people: list[Person], act: SessionAct) -> Iterator[SessionRequest]:
    """One request of every session, each line's sessions far from each other: an account takes one at a time."""
    used = None if act is SessionAct.CREATE else Used(octets_down=USED)
    for number in range(EACH):
        for person in people:
            name = f"{person.msisdn}-{number}"
            sequence = 0 if act is SessionAct.CREATE else 1
            yield SessionRequest(
                account=person.account,
                line_id=person.line_id,
                key=session_key("nchf", name, sequence),
                asked_at=datetime.now(UTC),
                source="nchf:bench",
                act=act,
                interface="nchf",
                session_id=name,
                sequence=sequence,
                reports=(GroupReport(rating_group=10, unit=Unit.OCTETS, used=used, requested=ASKED),),
            )


async def _open(url: str, expected: int) -> int:
    """Octets that are held. Raises ``RuntimeError`` if other than so many quotas are open."""
    async with await psycopg.AsyncConnection.connect(url) as connection:
        row = await (await connection.execute(_OPEN)).fetchone()
    count, octets = (0, 0) if row is None else (int(row[0]), int(row[1]))
    if count != expected:
        raise RuntimeError(f"{count} reservations are open, {expected} should be")
    return octets


async def _let_go(house: House, engine: Engine, url: str, *, count: int, grace: int) -> tuple[Sample, float]:
    """Let the schedule run until nothing is held. Returns its rate, and by how many seconds the latest was late."""
    latest = 0.0
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        await connection.execute(_TIME_PASSES, {"grace": grace})
        started, postgres = perf_counter(), cpu_seconds(house.postgres.pid)
        while True:
            row = await (await connection.execute(_OLDEST)).fetchone()
            if row is None or row[0] is None:
                break
            latest = max(latest, float(row[0]) - timedelta(seconds=grace).total_seconds())
            await engine.sessions.expire_sessions()
    seconds = perf_counter() - started
    spent = {"postgres": round((cpu_seconds(house.postgres.pid) - postgres) / count * 1e6, 1)}
    return Sample(rate=round(count / seconds, 1), cpu_us=spent), max(latest, 0.001)
