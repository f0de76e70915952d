"""Process 2: what Rasid does of itself: connections that it opens, delivery of messages, schedules of balances.

Several may run: messages and due buckets are claimed, so each is handled by one of them.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Any

import structlog
from aiohttp import web

from channels.alarms import AlarmWatch, connections, overdue
from channels.chat.telegram.service import listen
from channels.chats import commands
from channels.delivery import DeliveryWorker
from channels.health import CarrierHealth, delivery_probes
from channels.lease import Lease
from channels.menus import MenuAlerts
from channels.push import Pushes
from channels.routing import Router, router
from channels.sms.configured import carriers as made_carriers
from channels.sms.contract import Carrier, Tools
from channels.text_channels import chat_carriers
from channels.ussd.configured import outbounds
from channels.ussd.outbound import Outbound
from engine.events.sender import EventSender
from network.nchf.reauthorization import Reauthorization
from opening import Opened, Parts, open_process, run_process
from runtime.collector import settle_collector
from runtime.logs import configure_logs
from runtime.pausing import stop_event
from runtime.pulse import Pulse
from schedules import every, schedule
from settings import Settings, load_settings

log = structlog.get_logger(__name__)

#: seconds to finish what is under way once told to stop
DRAIN_SECONDS = 20.0
#: seconds after which a message that should have left and has not is an alarm
OVERDUE_SECONDS = 300.0


async def run(settings: Settings) -> None:
    """Deliver and keep schedules until SIGTERM or SIGINT; what has been claimed is finished first."""
    stop = stop_event()
    async with AsyncExitStack() as stack:
        opened = await open_process(settings)
        stack.push_async_callback(opened.close)
        engine, metrics = opened.engine, opened.metrics
        gateways, carriers, chats = connected(opened)
        routes = router(settings, carriers, opened.redis, chats)
        settle_collector()
        menus = MenuAlerts(engine, Pushes(gateways, opened.conversation.turn, opened.machine.states))
        stack.push_async_callback(menus.drain)
        ours: list[Carrier | Outbound] = [*carriers.values(), *chats.values(), *gateways.values()]
        for one in ours:
            stack.push_async_callback(one.close)
            await one.start()
        if settings.payment_gateways:
            await engine.payments.start()
        log.info("working", carriers=sorted(carriers), gateways=sorted(gateways))
        if not settings.simulator and any(one.adapter == "simulator" for one in settings.carriers.values()):
            log.warning("texts_go_to_the_simulator", reason="no real carrier is configured, or not for all numbers")
        watch = AlarmWatch(
            engine.alarms.raise_alarm,
            metrics,
            (connections(routes, gateways), overdue(partial(engine.overdue, OVERDUE_SECONDS))),
        )
        await stack.enter_async_context(probing(settings, delivery_probes(routes, metrics, engine.ping, gateways)))
        parts = Parts(stop, (*works(opened, routes, menus, stop), watch.run(stop)))
        stack.push_async_callback(parts.end, DRAIN_SECONDS)
        await stop.wait()
        log.info("stopping")


def connected(opened: Opened) -> tuple[dict[str, Outbound], dict[str, Carrier], dict[str, Carrier]]:
    """What opens connections, by name, not yet started: USSD gateways, carriers of texts, chats."""
    settings = opened.settings
    gateways = outbounds(
        settings,
        opened.operator,
        redis=opened.redis,
        keyring=opened.keyring,
        turn=opened.conversation.turn,
        metrics=opened.metrics,
    )
    tools = Tools(
        redis=opened.redis,
        keyring=opened.keyring,
        public_url=settings.public_url,
        on_incoming=opened.text_channels.inbound.take,
        on_report=opened.text_channels.inbound.report,
    )
    return gateways, made_carriers(settings, tools), chat_carriers(settings, tools)


def works(
    opened: Opened, routes: Router, menus: MenuAlerts, stop: asyncio.Event
) -> Iterator[Coroutine[Any, Any, None]]:
    """What runs beside each other until ``stop``: delivery, connections that listen, schedules."""
    settings, engine = opened.settings, opened.engine
    yield DeliveryWorker(
        engine=engine,
        router=routes,
        texts=opened.texts,
        operator=opened.operator,
        metrics=opened.metrics,
        menus=menus,
    ).run(stop)
    yield EventSender(engine.events, settings.webhooks).run(stop)
    yield opened.watch(stop)
    yield CarrierHealth(opened.redis).run(routes, opened.metrics, stop)
    yield Pulse(opened.redis, opened.metrics, "bot").run(stop)
    if any("charging" in key.rights for key in settings.api_keys.values()):
        yield Reauthorization(engine).run(stop)
    if settings.telegram is not None:
        bot, lease = opened.text_channels.bot(settings.telegram), Lease(opened.redis, "telegram")
        yield listen(settings, bot, lease, commands(opened.texts), stop)
    for job in schedule(engine, settings):
        yield every(job, stop)


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
    return run_process(lambda: run(load_settings(arguments.config)))


if __name__ == "__main__":
    sys.exit(main())
