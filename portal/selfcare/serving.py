"""The portal's place in the server: its routes, what it needs, and what happens when a part of us is away."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Protocol

import aiohttp_jinja2
import jinja2
import structlog
from aiohttp import web
from redis.asyncio import Redis
from redis.exceptions import RedisError

from channels.quota import Quota, QuotaDown
from engine.api import Engine
from engine.words import EngineUnavailable
from portal import base
from portal.base.guard import Handler, protect
from portal.base.sessions import Kept, Sessions
from portal.selfcare.asking import Outcomes
from portal.selfcare.buying import Buying
from portal.selfcare.gifts import Gifts
from portal.selfcare.history import HistoryPages
from portal.selfcare.home import Home
from portal.selfcare.live import Live
from portal.selfcare.paying import Paying
from portal.selfcare.person import Desk
from portal.selfcare.sign_in import SignInPages
from portal.selfcare.wishes import WishPages
from runtime.keyring import Keyring
from settings import Operator

log = structlog.get_logger(__name__)

HERE = Path(__file__).parent
BASE = Path(base.__file__).parent


@dataclass(frozen=True, slots=True, kw_only=True)
class PortalServices:
    """What the portal needs of the server it is mounted in."""

    engine: Engine
    redis: Redis
    operator: Operator
    keyring: Keyring
    #: pages are served by https
    secure: bool
    #: proxies of ours whose ``X-Forwarded-For`` is believed
    proxies: tuple[IPv4Network | IPv6Network, ...] = ()


class Area(Protocol):
    """Some pages that belong together."""

    def routes(self) -> Sequence[web.AbstractRouteDef]:
        """What they answer to, below ``/portal``."""


def mount(app: web.Application, services: PortalServices) -> None:
    """Add ``/portal`` to ``app``. Call it before the server starts."""
    part = web.Application(middlewares=[patient])
    loader = jinja2.FileSystemLoader([HERE / "templates", BASE / "templates"])
    aiohttp_jinja2.setup(part, loader=loader, autoescape=True, undefined=jinja2.StrictUndefined)
    sessions = Sessions(services.redis, services.keyring, "portal", Kept(began_at=0))
    desk = Desk(services.engine, services.operator, sessions, secure=services.secure)
    live, quota = Live(sessions), Quota(services.redis, services.keyring)
    areas: list[Area] = [
        SignInPages(desk, quota, services.proxies),
        Home(desk, live),
        HistoryPages(desk),
        Buying(desk),
        Paying(desk, live),
        Gifts(desk, quota),
        WishPages(desk),
        Outcomes(desk),
    ]
    for area in areas:
        part.add_routes(area.routes())
    part.add_routes([web.static("/static", BASE / "static")])
    part.on_response_prepare.append(protect)
    part.on_shutdown.append(live.close)
    app.add_subapp("/portal", part)


@web.middleware
async def patient(request: web.Request, handler: Handler) -> web.StreamResponse:
    """503 when Postgres or Redis is away: nothing was done, or what was done is found again under its key."""
    try:
        return await handler(request)
    except (RedisError, QuotaDown, EngineUnavailable) as error:
        log.warning("portal_unavailable", error=type(error).__name__)
        raise web.HTTPServiceUnavailable(
            text="Not possible right now. Please try again in a minute.", headers={"Retry-After": "60"}
        ) from error
