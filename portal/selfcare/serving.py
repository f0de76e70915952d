"""The portal's place in the server: its routes, what it needs, and what happens when a part of us is away."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Protocol

import aiohttp_jinja2
import jinja2
from aiohttp import web
from redis.asyncio import Redis

from channels.quota import Quota
from engine.api import Engine
from portal import base
from portal.base.faults import faults
from portal.base.guard import WITHOUT_SLASH, protect
from portal.base.sessions import Kept, Sessions
from portal.selfcare.asking import Outcomes
from portal.selfcare.borrowing import Borrowing, Renewing
from portal.selfcare.buying import Buying
from portal.selfcare.data import DataPages
from portal.selfcare.devices import DevicePages, Devices
from portal.selfcare.family import FamilyPages
from portal.selfcare.gifts import Gifts
from portal.selfcare.history import HistoryPages
from portal.selfcare.home import Home
from portal.selfcare.live import Live
from portal.selfcare.more import More
from portal.selfcare.paying import Paying
from portal.selfcare.person import Desk
from portal.selfcare.receipts import PublicReceipts, ReceiptPages
from portal.selfcare.receivers import Receivers
from portal.selfcare.sign_in import SignInPages
from portal.selfcare.usage import UsagePages
from portal.selfcare.wishes import WishPages
from runtime.keyring import Keyring
from settings import Operator

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
    """Add ``/portal`` and ``/receipts`` to ``app``. Call it before the server starts."""
    sessions = Sessions(services.redis, services.keyring, "portal", Kept(began_at=0))
    desk = Desk(services.engine, services.operator, sessions, secure=services.secure)
    live, quota = Live(sessions), Quota(services.redis, services.keyring)
    devices, receivers = Devices(services.redis, sessions), Receivers(desk, quota)
    portal = _part(
        desk,
        [
            SignInPages(desk, quota, services.proxies, devices),
            Home(desk, live),
            UsagePages(desk),
            HistoryPages(desk),
            ReceiptPages(desk),
            Buying(desk),
            Paying(desk, live, receivers),
            Gifts(desk, receivers),
            Borrowing(desk),
            Renewing(desk),
            FamilyPages(desk),
            WishPages(desk),
            DevicePages(desk, devices),
            DataPages(desk, devices, quota),
            More(desk),
            Outcomes(desk),
        ],
    )
    portal.add_routes([web.static("/static", BASE / "static")])
    portal.on_shutdown.append(live.close)
    app.add_subapp("/portal", portal)
    app.add_subapp("/receipts", _part(desk, [PublicReceipts(desk, quota, services.proxies)]))


def _part(desk: Desk, areas: Sequence[Area]) -> web.Application:
    """Some areas with what all pages have: templates, headers, and pages for what cannot be done."""
    part = web.Application(middlewares=[faults(desk.fault), WITHOUT_SLASH])
    loader = jinja2.FileSystemLoader([HERE / "templates", BASE / "templates"])
    aiohttp_jinja2.setup(part, loader=loader, autoescape=True, undefined=jinja2.StrictUndefined)
    for area in areas:
        part.add_routes(area.routes())
    part.on_response_prepare.append(protect)
    return part
