"""Process 1: the HTTP server that gateways, and people's browsers, open connections to.

Several may run behind a balancer, or on one port (``--reuse-port``): none keeps anything that another needs.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from contextlib import AsyncExitStack
from functools import partial

import structlog
from aiohttp import hdrs, web
from redis.exceptions import RedisError

from channels.alarms import AlarmWatch
from channels.callers import Callers, guarded
from channels.chat.telegram import service as telegram
from channels.health import CarrierHealth, Part, part, probe, probes
from channels.pointers import Pointers
from channels.sms import configured as sms
from channels.sms.routes import routes as carrier_routes
from channels.ussd.configured import doors, fits, profiles
from channels.ussd.routes import BODY_LIMIT, routes
from dialogs.check import check_operator, sentences
from engine.api import Engine
from engine.payments.callbacks import PATHS, callback
from network import interfaces
from network.listeners import Listeners
from opening import Opened, Parts, open_process, run_process
from portal import console, selfcare, simulator
from runtime.collector import settle_collector
from runtime.logs import configure_logs
from runtime.pausing import stop_event
from runtime.pulse import Pulse
from settings import Operator, Settings, load_operator, load_settings

log = structlog.get_logger(__name__)

#: seconds that open requests may take to finish once the server is told to stop
DRAIN_SECONDS = 10.0
#: nobody waits longer for an answer: a statement that goes on holds a connection, and perhaps locks, for nothing
STATEMENT_SECONDS = 30


class NotServable(Exception):
    """The dialogs cannot be served on the configured gateways: ``args`` are the problems, one a line."""


SERVICES = web.AppKey("services", Opened)


async def open_services(settings: Settings, operator: Operator) -> Opened:
    """Check what is declared, then open Postgres and Redis.

    Raises ``NotServable``, ``SettingsError`` and what connecting raises.
    """
    problems = check_operator(operator, fits(profiles(settings.gateways)))
    if problems:
        raise NotServable(*sentences(problems))
    return await open_process(settings, operator, statement_seconds=STATEMENT_SECONDS)


async def app(settings: Settings) -> web.Application:
    """The whole server, ready to run; cleaning it up closes what it opened."""
    operator = load_operator(settings.operator)
    # Wrong ones are refused before anything is opened.
    carrier_doors, gateway_doors = sms.doors(settings), doors(settings, operator)
    services = await open_services(settings, operator)
    application = web.Application(client_max_size=BODY_LIMIT)
    application[SERVICES] = services
    pointers = Pointers(services.redis, services.keyring)
    application.add_routes(routes(gateway_doors, services.conversation, pointers, services.metrics))
    inbound = services.text_channels.inbound
    application.add_routes(carrier_routes(carrier_doors, inbound, services.metrics, settings.public_url))
    if settings.telegram is not None and settings.telegram.mode == "webhook":
        telegram.mount(application, services.text_channels.bot(settings.telegram), settings.telegram.secret_token)
    application.add_routes(payment_routes(settings, services.engine))
    application.add_routes(health_routes(services))
    interfaces.mount(application, settings, services.engine, services.keyring)
    mount_pages(application, services)
    mount_front(application, settings)

    async def close(_application: web.Application) -> None:
        """Adapters first: what they have under way still needs the parts below."""
        await asyncio.gather(*(door.adapter.close() for door in gateway_doors))
        await services.close()

    application.on_cleanup.append(close)
    application.on_response_prepare.append(_unnamed)
    return application


async def _unnamed(_request: web.Request, response: web.StreamResponse) -> None:
    """Strangers need not know which versions serve them."""
    response.headers.pop(hdrs.SERVER, None)


def mount_pages(application: web.Application, services: Opened) -> None:
    """What people open in a browser, as far as the settings want it."""
    settings = services.settings
    if settings.simulator:
        simulator.mount(
            application,
            simulator.SimulatorServices(
                engine=services.engine,
                redis=services.redis,
                operator=services.operator,
                keyring=services.keyring,
                gateways=settings.gateways,
                carriers=settings.carriers,
                bot_api=settings.telegram.base_url if settings.telegram and settings.telegram.sandbox else "",
                payers=settings.payment_sandbox,
                core=settings.simulator_core,
            ),
        )
    if settings.portal is not None:
        selfcare.mount(
            application,
            selfcare.PortalServices(
                engine=services.engine,
                redis=services.redis,
                operator=services.operator,
                keyring=services.keyring,
                secure=settings.public_url.startswith("https://"),
                proxies=settings.portal.trusted_proxies,
            ),
        )
    if settings.console is not None:
        console.mount(
            application,
            console.ConsoleServices(
                engine=services.engine,
                redis=services.redis,
                operator=services.operator,
                keyring=services.keyring,
                settings=settings.console,
                secure=settings.public_url.startswith("https://"),
            ),
        )


def mount_front(application: web.Application, settings: Settings) -> None:
    """The bare address leads who opens it to the first page there is."""
    pages = {"/simulator": settings.simulator, "/portal": settings.portal is not None}
    first = next((path for path, served in pages.items() if served), None)

    async def front(_request: web.Request) -> web.StreamResponse:
        """Not for ever: another start may serve other pages."""
        raise web.HTTPFound(str(first))

    if first is not None:
        application.router.add_get("/", front)


def payment_routes(settings: Settings, engine: Engine) -> list[web.RouteDef]:
    """``POST /payments/{gateway}/callback[/{secret}]`` of every payment gateway, for those who may call it."""
    table = []
    for name, given in settings.payment_gateways.items():
        callers = Callers(name=name, allow=given.allow, proxies=given.trusted_proxies)
        handler = guarded(callers, partial(callback, engine.payments, name))
        table += [web.post(path.format(name=name), handler) for path in PATHS]
    return table


def health_routes(services: Opened) -> list[web.RouteDef]:
    """The probes. Ready while turns can be served.

    Without Redis cumulative gateways are still served, so its loss alone is ``degraded``, not a reason to be taken
    out of the balancer; nor are carriers that fail, as the processes that deliver tell.
    """
    health = CarrierHealth(services.redis)

    async def parts() -> dict[str, Part]:
        """What turns need, and the carriers once somebody delivers."""
        postgres, redis = await asyncio.gather(probe(services.engine.ping), probe(services.store.ping))
        found, carriers = {"postgres": postgres, "redis": redis}, await health.states()
        return {**found, "carriers": part(carriers)} if carriers else found

    return probes(parts, ("postgres",), health.states, services.metrics)


async def serve(settings: Settings, *, reuse_port: bool) -> None:
    """Serve until SIGTERM or SIGINT; requests under way are finished first."""
    stop = stop_event()
    async with AsyncExitStack() as stack:
        application = await app(settings)
        # aiohttp's access log would write paths, and with them the gateways' secret segments.
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=DRAIN_SECONDS, keepalive_timeout=75)
        stack.push_async_callback(runner.cleanup)
        await runner.setup()
        services = application[SERVICES]
        await services.engine.payments.start()
        try:
            await services.store.load()
        except (RedisError, OSError) as error:
            log.warning("redis_down", error=type(error).__name__)
        listeners = Listeners(settings, services.engine, services.keyring, services.metrics)
        stack.push_async_callback(listeners.close)
        await listeners.start(reuse_port=reuse_port)
        await web.TCPSite(runner, settings.host, settings.port, reuse_port=reuse_port or None, backlog=1024).start()
        settle_collector()
        works = (
            services.watch(stop),
            Pulse(services.redis, services.metrics, "ussd").run(stop),
            AlarmWatch(services.engine.alarms.raise_alarm, services.metrics).run(stop),
            *listeners.works(stop),
        )
        stack.push_async_callback(Parts(stop, works).end, DRAIN_SECONDS)
        log.info("serving", port=settings.port, gateways=sorted(settings.gateways), carriers=sorted(settings.carriers))
        await stop.wait()
        log.info("stopping")


def main() -> int:
    """The command line. Returns the exit status: 2 when what is configured cannot be served."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", help="the settings file; by default RASID_CONFIG, else the environment alone")
    parser.add_argument("--reuse-port", action="store_true", help="share the port with other servers (SO_REUSEPORT)")
    arguments = parser.parse_args()
    configure_logs("ussd")
    try:
        return run_process(lambda: serve(load_settings(arguments.config), reuse_port=arguments.reuse_port))
    except NotServable as error:
        sys.stderr.write("\n".join(["cannot serve:", *(f"  {problem}" for problem in error.args), ""]))
        return 2


if __name__ == "__main__":
    sys.exit(main())
