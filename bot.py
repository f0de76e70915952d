"""Process 2: what Rasid does of itself: delivery of messages, and the schedules that keep balances true.

Several may run: messages and due buckets are claimed, so each is handled by one of them.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import random
import signal
import sys
from collections.abc import Awaitable, Callable

import structlog
import uvloop
from redis.asyncio import Redis

from channels.delivery import DeliveryWorker
from channels.sessions import connect
from channels.sms.contract import Carrier, Tools
from dialogs.texts import Texts
from engine.api import Engine, open_engine
from runtime.keyring import Keyring
from runtime.logs import configure_logs
from runtime.metrics import Metrics
from settings import Settings, SettingsError, load_operator, load_settings

log = structlog.get_logger(__name__)

#: seconds between two runs of each schedule
EVERY_SECONDS = 60.0
#: accounts whose buckets are expired in one go; a full run is followed by the next at once
EXPIRE_LIMIT = 500
#: seconds to finish what is under way once told to stop
DRAIN_SECONDS = 20.0


class UnknownCarrier(Exception):
    """The settings name a carrier that has no folder. ``args[0]`` is the name."""


def carrier(name: str, redis: Redis, keyring: Keyring) -> Carrier:
    """The carrier of ``channels/sms/<name>/carrier.py``. Raises ``UnknownCarrier``."""
    module = f"channels.sms.{name}.carrier"
    try:
        made: Carrier = importlib.import_module(module).Carrier(name, {}, Tools(redis=redis, keyring=keyring))
    except ModuleNotFoundError as error:
        if error.name is not None and module.startswith(error.name):
            raise UnknownCarrier(name) from error
        raise
    return made


async def every(seconds: float, job: Callable[[], Awaitable[bool]], stop: asyncio.Event) -> None:
    """Run ``job`` about every ``seconds`` until ``stop``; at once again while it returns True (there was more)."""
    while not stop.is_set():
        more = False
        try:
            more = await job()
        except Exception:
            # The next run tries again; what it does is idempotent.
            log.exception("schedule_failed", job=getattr(job, "__name__", "job"))
        if more:
            continue
        try:
            # Several processes must not all wake in the same second.
            await asyncio.wait_for(stop.wait(), seconds * random.uniform(0.9, 1.1))
        except TimeoutError:
            continue


def schedules(engine: Engine) -> tuple[Callable[[], Awaitable[bool]], ...]:
    """The jobs that keep balances true."""

    async def expire_due() -> bool:
        return await engine.expire_due(EXPIRE_LIMIT) >= EXPIRE_LIMIT

    async def watch_vouchers() -> bool:
        await engine.watch_vouchers()
        return False

    async def ensure_partitions() -> bool:
        await engine.ensure_partitions()
        return False

    return expire_due, watch_vouchers, ensure_partitions


async def run(settings: Settings) -> None:
    """Deliver and keep schedules until SIGTERM or SIGINT; what has been claimed is finished first."""
    stop = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, stop.set)
    operator = load_operator(settings.operator)
    keyring = settings.keyring()
    redis = connect(settings.redis_url)
    metrics = Metrics()
    engine = await open_engine(settings.database_url, operator, keyring, lanes=settings.lanes, metrics=metrics)
    worker = DeliveryWorker(
        engine=engine,
        carrier=carrier(next(iter(settings.carriers.values())).adapter, redis, keyring),
        texts=Texts(operator.languages, operator.timezone),
        operator=operator,
        metrics=metrics,
    )
    log.info("working", carriers=sorted(settings.carriers))
    tasks = [asyncio.create_task(worker.run(stop))]
    tasks += [asyncio.create_task(every(EVERY_SECONDS, job, stop)) for job in schedules(engine)]
    try:
        await stop.wait()
        log.info("stopping")
        await asyncio.wait(tasks, timeout=DRAIN_SECONDS)
    finally:
        for task in tasks:
            task.cancel()
        await engine.close()
        await redis.aclose()


def main() -> int:
    """The command line. Returns the exit status: 2 when what is configured cannot be run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", help="the settings file; by default RASID_CONFIG, else the environment alone")
    arguments = parser.parse_args()
    configure_logs("bot")
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(run(load_settings(arguments.config)))
    except SettingsError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    except UnknownCarrier as error:
        sys.stderr.write(f"carrier: no adapter {error.args[0]!r} under channels/sms/\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
