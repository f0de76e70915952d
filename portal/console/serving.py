"""The console's place in the server: its routes, what it needs, and what happens when a part of us is away."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import aiohttp_jinja2
import jinja2
from aiohttp import web
from redis.asyncio import Redis

from channels.quota import Quota
from engine.api import Engine
from portal.base.faults import faults
from portal.base.guard import WITHOUT_SLASH, protect
from portal.base.sessions import Sessions
from portal.console.dashboard import DashboardPages
from portal.console.desk import ROOT, Desk, Present, Route
from portal.console.dialogs import DialogPages
from portal.console.disputes import DisputePages
from portal.console.finding import FindPages
from portal.console.ledger import LedgerPages
from portal.console.lines import LinePages
from portal.console.lists import ListPages
from portal.console.notifications import NotificationPages
from portal.console.payments import PaymentPages
from portal.console.people import PeoplePages
from portal.console.reconciliation import ReconciliationPages
from portal.console.requests import RequestPages
from portal.console.sign_in import SignInPages
from portal.console.vouchers import VoucherPages
from runtime.keyring import Keyring
from settings import ConsoleSettings, Operator

HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsoleServices:
    """What the console needs of the server it is mounted in."""

    engine: Engine
    redis: Redis
    operator: Operator
    keyring: Keyring
    settings: ConsoleSettings
    #: pages are served by https
    secure: bool


class Area(Protocol):
    """Some pages that belong together."""

    def routes(self) -> Sequence[Route]:
        """What they answer to, below ``/console``, and who may use it."""


def areas(desk: Desk, services: ConsoleServices) -> list[Area]:
    """The pages of the console. A new page is an entry here, and one in ``navigation.NAVIGATION``."""
    quota = Quota(services.redis, services.keyring)
    return [
        SignInPages(desk, quota),
        FindPages(desk),
        LinePages(desk),
        RequestPages(desk),
        PeoplePages(desk),
        PaymentPages(desk),
        ListPages(desk),
        VoucherPages(desk),
        ReconciliationPages(desk),
        DisputePages(desk),
        NotificationPages(desk),
        LedgerPages(desk),
        DialogPages(desk),
        DashboardPages(desk, services.redis),
    ]


def mount(app: web.Application, services: ConsoleServices) -> None:
    """Add ``/console`` to ``app``. Call it before the server starts."""
    part = web.Application()
    loader = jinja2.FileSystemLoader([HERE / "templates"])
    aiohttp_jinja2.setup(
        part, loader=loader, autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    rules = services.settings
    sessions = Sessions(
        services.redis,
        services.keyring,
        "console",
        Present(began_at=0),
        idle=rules.idle_minutes * 60,
        longest=rules.longest_hours * 3600,
    )
    desk = Desk(services.engine, services.operator, sessions, rules, secure=services.secure)
    part.middlewares.extend([faults(desk.fault), WITHOUT_SLASH])
    for area in areas(desk, services):
        part.add_routes(desk.serve(area.routes()))
        if isinstance(area, DashboardPages):
            part.on_shutdown.append(area.close)
    part.add_routes([web.static("/static", HERE / "static")])
    part.on_response_prepare.append(protect)
    app.add_subapp(ROOT, part)
