"""What process 2 does again and again: each job, how often, and how much of it at a time.

Every job is bounded and safe to run twice and in several processes at once: what is due is claimed, or looked at again
under a lock, where the job itself lives.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

from engine.api import Engine
from engine.reconciliation.folders import StatementFolders
from network.usage_files.folder import WatchedFolders
from runtime.pausing import pause
from runtime.trouble import Trouble
from settings import Settings

#: accounts, lines or rows that a job takes in one go; a full run is followed by the next at once
LIMIT = 500
#: payments taken on at a time
PAYMENTS_LIMIT = 200
#: requests of staff that are taken on in one go
REQUESTS_LIMIT = 50
#: rows of each kind that are forgotten in one go
TIDY_LIMIT = 10_000


class Job(NamedTuple):
    """Work that comes again, about every ``seconds``. ``run`` returns True when there was more than it took."""

    name: str
    seconds: float
    run: Callable[[], Awaitable[bool]]


def at_most(limit: int, work: Callable[[int], Awaitable[int]]) -> Callable[[], Awaitable[bool]]:
    """A run of ``work``, which takes up to ``limit`` things and returns how many it took."""

    async def run() -> bool:
        """Whether it took all that it may: then there may be more."""
        return await work(limit) >= limit

    return run


def whole(work: Callable[[], Awaitable[Any]]) -> Callable[[], Awaitable[bool]]:
    """A run of ``work``, which does all there is."""

    async def run() -> bool:
        """There is never more than all."""
        await work()
        return False

    return run


def schedule(engine: Engine, settings: Settings) -> list[Job]:
    """All jobs of this installation."""
    folders = WatchedFolders(engine, settings.usage_folders)
    jobs = [
        Job("expire_due", 60.0, at_most(LIMIT, engine.expire_due)),
        Job("tell_expiring", 60.0, at_most(LIMIT, engine.tell_expiring)),
        Job("renew_due", 60.0, at_most(LIMIT, engine.agreements.renew_due)),
        Job("tell_renewals", 60.0, at_most(LIMIT, engine.agreements.tell_renewals)),
        Job("bill_last_month", 60.0, whole(engine.bills.bill_last_month)),
        Job("watch_vouchers", 60.0, whole(engine.watch_vouchers)),
        Job("seal_history", 60.0, whole(engine.seal_history)),
        Job("ensure_partitions", 60.0, whole(engine.ensure_partitions)),
        Job("tidy", 60.0, whole(engine.tidy)),
        Job("tidy_places", 60.0, whole(engine.places.tidy)),
        Job("tidy_menus", 60.0, whole(engine.menus.tidy)),
        Job("tidy_hops", 3600.0, whole(engine.hops.tidy)),
        Job("tidy_events", 60.0, whole(engine.events.tidy)),
        Job("tidy_payments", 60.0, at_most(TIDY_LIMIT, engine.payments.tidy)),
        Job("forget_sessions", 60.0, at_most(LIMIT, engine.sessions.forget_sessions)),
        # With their grace, overdue sessions are let go within a minute.
        Job("expire_sessions", 10.0, at_most(LIMIT, engine.sessions.expire_sessions)),
        Job("resume_requests", 10.0, at_most(REQUESTS_LIMIT, engine.requests.resume)),
        Job("import_usage", 10.0, whole(folders.import_waiting)),
    ]
    if settings.payment_gateways:
        watched = {name: one.statements for name, one in settings.payment_gateways.items() if one.statements}
        statements = StatementFolders(engine.reconciliation, watched)
        jobs += [
            Job("resume_payments", 0.5, at_most(PAYMENTS_LIMIT, engine.resume_payments)),
            Job("fetch_statements", 600.0, whole(engine.reconciliation.fetch_due)),
            Job("import_statements", 60.0, whole(statements.import_waiting)),
        ]
    if settings.books:
        jobs += [Job("recover_batches", 2.0, whole(engine.recover_batches))]
    return jobs


async def every(job: Job, stop: asyncio.Event) -> None:
    """Run a job again and again until ``stop``; at once while there is more."""
    trouble = Trouble("schedule_failed", job=job.name)
    while not stop.is_set():
        more = False
        # The next run tries again; what it does is idempotent.
        with trouble:
            more = await job.run()
        if more:
            continue
        # Several processes must not all wake in the same second.
        await pause(stop, job.seconds * random.uniform(0.9, 1.1))
