"""Process 2: what Rasid does of itself: connections that it opens, delivery of messages, schedules of balances.

Several may run: messages and due buckets are claimed, so each is handled by one of them.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import structlog
import uvloop
from aiohttp import web
from redis.asyncio import Redis
from sqlalchemy.exc import DBAPIError

from channels.chat.telegram.service import listen
from channels.chats import commands
from channels.conversation import Conversation
from channels.delivery import DeliveryWorker
from channels.health import CarrierHealth, probes
from channels.lease import Lease
from channels.routing import router
from channels.sessions import SessionStore, connect
from channels.sms.configured import carriers as made_carriers
from channels.sms.contract import Carrier, Tools
from channels.talk import Talk, chat_carriers, talk
from channels.ussd.configured import outbounds, profiles
from channels.ussd.outbound import Outbound
from dialogs.catalogue import declared
from dialogs.machine import Machine
from dialogs.notices import Notices
from dialogs.texts import Texts
from engine.api import Engine, open_engine
from engine.events.sender import EventSender
from engine.payments.gateways import configured_gateways
from network.nchf.reauthorization import Reauthorization
from network.usage_files.folder import WatchedFolders
from runtime.collector import settle_collector
from runtime.keyring import Keyring
from runtime.logs import configure_logs
from runtime.metrics import Metrics
from settings import Settings, SettingsError, load_operator, load_settings

log = structlog.get_logger(__name__)

#: seconds between two runs of each schedule
EVERY_SECONDS = 60.0
#: seconds between two looks for what a batch over several databases left unfinished
RECOVER_SECONDS = 2.0
#: accounts whose buckets are expired in one go; a full run is followed by the next at once
EXPIRE_LIMIT = 500
#: seconds between two looks for overdue sessions: with their grace they are let go within a minute
SWEEP_SECONDS = 10.0
#: seconds between two looks for payments that are due, and how many are taken on at a time
PAYMENTS_SECONDS = 0.5
PAYMENTS_LIMIT = 200
#: seconds between two looks into the folders of usage files
FOLDERS_SECONDS = 10.0
#: seconds between two looks for settlement files of days that are over
STATEMENTS_SECONDS = 600.0
#: seconds to finish what is under way once told to stop
DRAIN_SECONDS = 20.0


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

    async def tell_expiring() -> bool:
        return await engine.tell_expiring(EXPIRE_LIMIT) >= EXPIRE_LIMIT

    async def forget_sessions() -> bool:
        return await engine.sessions.forget_sessions(EXPIRE_LIMIT) >= EXPIRE_LIMIT

    async def renew_due() -> bool:
        return await engine.agreements.renew_due(EXPIRE_LIMIT) >= EXPIRE_LIMIT

    async def tell_renewals() -> bool:
        return await engine.agreements.tell_renewals(EXPIRE_LIMIT) >= EXPIRE_LIMIT

    async def bill_last_month() -> bool:
        await engine.bills.bill_last_month()
        return False

    async def seal_history() -> bool:
        await engine.seal_history()
        return False

    async def tidy() -> bool:
        await engine.tidy()
        await engine.events.tidy()
        return False

    usage = forget_sessions, renew_due, tell_renewals, bill_last_month
    return expire_due, watch_vouchers, ensure_partitions, tell_expiring, tidy, seal_history, *usage


def sweeping(engine: Engine) -> Callable[[], Awaitable[bool]]:
    """The job that lets go what sessions hold although nobody reports."""

    async def expire_sessions() -> bool:
        return await engine.sessions.expire_sessions(EXPIRE_LIMIT) >= EXPIRE_LIMIT

    return expire_sessions


def recovering(engine: Engine) -> Callable[[], Awaitable[bool]]:
    """The job that finishes batches over several databases whose coordinators did not."""

    async def recover_batches() -> bool:
        await engine.recover_batches()
        return False

    return recover_batches


def mediating(engine: Engine, settings: Settings) -> Callable[[], Awaitable[bool]]:
    """The job that imports what collection points put into their folders."""
    folders = WatchedFolders(engine, settings.usage_folders)

    async def import_usage() -> bool:
        await folders.import_waiting()
        return False

    return import_usage


def resuming(engine: Engine) -> Callable[[], Awaitable[bool]]:
    """The job that takes payments on, from wherever they were left."""

    async def resume_payments() -> bool:
        return await engine.resume_payments(PAYMENTS_LIMIT) >= PAYMENTS_LIMIT

    return resume_payments


def reconciling(engine: Engine) -> Callable[[], Awaitable[bool]]:
    """The job that fetches and reconciles what gateways have settled, once for each day."""

    async def fetch_statements() -> bool:
        await engine.reconciliation.fetch_due()
        return False

    return fetch_statements


def conversations(
    settings: Settings, *, engine: Engine, texts: Texts, redis: Redis, keyring: Keyring, metrics: Metrics
) -> Talk:
    """Who serves what comes in over connections that we opened: SMPP and polled chats."""
    return talk(
        settings,
        engine=engine,
        machine=Machine(declared(engine.operator), texts),
        notices=Notices(texts, engine.operator),
        store=SessionStore(redis, keyring),
        redis=redis,
        keyring=keyring,
        metrics=metrics,
    )


def dialogues(
    settings: Settings, *, engine: Engine, texts: Texts, redis: Redis, keyring: Keyring, metrics: Metrics
) -> Conversation:
    """Who serves USSD over connections that we opened."""
    return Conversation(
        engine=engine,
        machine=Machine(declared(engine.operator), texts),
        notices=Notices(texts, engine.operator),
        store=SessionStore(redis, keyring),
        profiles=profiles(settings.gateways),
        metrics=metrics,
    )


async def run(settings: Settings) -> None:
    """Deliver and keep schedules until SIGTERM or SIGINT; what has been claimed is finished first."""
    stop = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, stop.set)
    operator = load_operator(settings.operator)
    keyring = settings.keyring()
    redis = connect(settings.redis_url)
    metrics = Metrics()
    engine = await open_engine(
        settings.database_url,
        operator,
        keyring,
        lanes=settings.lanes,
        metrics=metrics,
        books=settings.books,
        gateways=configured_gateways(settings, metrics),
        redis=redis,
        webhooks=settings.webhooks,
        audit_export=settings.audit_export,
    )
    texts = Texts(operator.languages, operator.timezone)
    talking = conversations(settings, engine=engine, texts=texts, redis=redis, keyring=keyring, metrics=metrics)
    conversation = dialogues(settings, engine=engine, texts=texts, redis=redis, keyring=keyring, metrics=metrics)
    gateways = outbounds(settings, operator, redis=redis, keyring=keyring, turn=conversation.turn, metrics=metrics)
    tools = Tools(
        redis=redis,
        keyring=keyring,
        public_url=settings.public_url,
        on_incoming=talking.inbound.take,
        on_report=talking.inbound.report,
    )
    carriers, chats = made_carriers(settings, tools), chat_carriers(settings, tools)
    routes = router(settings, carriers, redis, chats)
    worker = DeliveryWorker(
        engine=engine,
        router=routes,
        texts=texts,
        operator=operator,
        metrics=metrics,
    )
    settle_collector()
    connected: list[Carrier | Outbound] = [*carriers.values(), *chats.values(), *gateways.values()]
    for one in connected:
        await one.start()
    log.info("working", carriers=sorted(carriers), gateways=sorted(gateways))
    if not settings.simulator and any(one.adapter == "simulator" for one in settings.carriers.values()):
        log.warning("texts_go_to_the_simulator", reason="no real carrier is configured, or not for all numbers")
    tasks = [asyncio.create_task(one.run(stop)) for one in (worker, EventSender(engine.events, settings.webhooks))]
    if any("charging" in key.rights for key in settings.api_keys.values()):
        tasks += [asyncio.create_task(Reauthorization(engine).run(stop))]
    tasks += [asyncio.create_task(CarrierHealth(redis).run(routes, metrics, stop))]
    if settings.telegram is not None:
        bot, lease = talking.bot(settings.telegram), Lease(redis, "telegram")
        tasks += [asyncio.create_task(listen(settings, bot, lease, commands(texts), stop))]
    tasks += [asyncio.create_task(every(EVERY_SECONDS, job, stop)) for job in schedules(engine)]
    tasks += [asyncio.create_task(every(SWEEP_SECONDS, sweeping(engine), stop))]
    if settings.payment_gateways:
        await engine.payments.start()
        jobs = ((PAYMENTS_SECONDS, resuming(engine)), (STATEMENTS_SECONDS, reconciling(engine)))
        tasks += [asyncio.create_task(every(seconds, job, stop)) for seconds, job in jobs]
    tasks += [asyncio.create_task(every(FOLDERS_SECONDS, mediating(engine, settings), stop))]
    if settings.books:
        tasks += [asyncio.create_task(every(RECOVER_SECONDS, recovering(engine), stop))]
    try:
        async with probing(settings, probes(routes, metrics, engine.ping, gateways)):
            await stop.wait()
            log.info("stopping")
            await asyncio.wait(tasks, timeout=DRAIN_SECONDS)
    finally:
        for task in tasks:
            task.cancel()
        for one in connected:
            await one.close()
        await asyncio.gather(conversation.drain(), talking.texts.drain())
        await engine.close()
        await redis.aclose()


@asynccontextmanager
async def probing(settings: Settings, application: web.Application) -> AsyncIterator[None]:
    """This process's own health and metrics, on ``bot_port`` where one is set."""
    if not settings.bot_port:
        yield
        return
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, settings.host, settings.bot_port).start()
        yield
    finally:
        await runner.cleanup()


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
    except DBAPIError as error:
        sys.stderr.write(f"the database cannot be used: {error.orig}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
