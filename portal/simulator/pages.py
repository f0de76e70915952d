"""The routes of the phone simulator, all of them under ``/simulator``."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp_jinja2
import jinja2
from aiohttp import web
from aiohttp.typedefs import Handler
from redis.asyncio import Redis

from engine.api import Engine
from portal.simulator.glass import Glass
from portal.simulator.inbox import Inboxes
from portal.simulator.telegram import Chats
from runtime.keyring import Keyring
from settings import CarrierSettings, GatewaySettings, Operator

HERE = Path(__file__).parent
#: where ``offer_vouchers`` leaves the demo's fresh vouchers
VOUCHERS_KEY = "sim:vouchers"
#: the gateway whose words the page speaks: a folder under ``channels/ussd/``
ADAPTER = "africastalking"
#: the carrier that takes the texts typed on the page: a folder under ``channels/sms/``
CARRIER = "simulator"
#: Content Security Policy Level 3: own files only, nothing inline, framed by nobody
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
#: names of the languages, as the page says them
LANGUAGES = {"en": "English", "fr": "French", "sw": "Swahili", "ar": "Arabic"}
#: what a trace is kept under: a gateway's session, or a message of a carrier or chat (``<name>:<id>``)
SESSION = r"{session:[A-Za-z0-9_:\-]{1,160}}"


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatorServices:
    """What the simulator needs of the server it is mounted in.

    ``gateways`` and ``carriers`` are the configured ones by name. The page plays the gateways of ``ADAPTER`` and posts
    to ``/ussd/<name>``; its texts go to ``/sms/<name>`` of the first carrier of ``CARRIER``.
    """

    engine: Engine
    redis: Redis
    operator: Operator
    keyring: Keyring
    gateways: Mapping[str, GatewaySettings]
    carriers: Mapping[str, CarrierSettings] = field(default_factory=dict)
    #: the sandbox's Bot API server, whose chats the phone shows; empty: none
    bot_api: str = ""


def mount(app: web.Application, services: SimulatorServices) -> None:
    """Add ``/simulator`` to ``app``. Call it before the server starts, and only where demonstrations are wanted."""
    inboxes = Inboxes(services.redis, services.keyring, services.operator.country)
    pages = Pages(services)
    part = web.Application(middlewares=[guarded])
    aiohttp_jinja2.setup(
        part, loader=jinja2.FileSystemLoader(HERE / "templates"), autoescape=True, undefined=jinja2.StrictUndefined
    )
    part.add_routes(
        [
            web.get("", pages.phone),
            web.get("/inbox", inboxes.stream),
            web.get("/vouchers", pages.vouchers),
            web.get(f"/trace/{SESSION}", pages.trace),
            web.static("/static", HERE / "static"),
        ]
    )
    if services.bot_api:
        chats = Chats(services.bot_api)
        part.add_routes(chats.routes())
        part.cleanup_ctx.append(chats.opened)
    part.on_shutdown.append(inboxes.close)
    app.add_subapp("/simulator", part)


async def offer_vouchers(redis: Redis, vouchers: Sequence[Mapping[str, Any]]) -> None:
    """Put fresh vouchers on the page: ``pin`` and ``face_value`` (minor units) of each. For demonstrations only."""
    await redis.set(VOUCHERS_KEY, json.dumps([dict(voucher) for voucher in vouchers]))


@web.middleware
async def guarded(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Put the security headers on every answer; nothing here may be cached, the demo's data least of all."""
    response = await handler(request)
    if not response.prepared:
        response.headers["Content-Security-Policy"] = CONTENT_SECURITY_POLICY
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["Referrer-Policy"] = "no-referrer"
        response.headers["Cache-Control"] = "no-cache" if "/static/" in request.path else "no-store"
    return response


class Pages:
    """The page and the small questions that it asks."""

    def __init__(self, services: SimulatorServices) -> None:
        self._services = services
        self._glass = Glass(services.engine, services.redis, services.operator)

    @aiohttp_jinja2.template("phone.html")
    async def phone(self, request: web.Request) -> dict[str, object]:  # noqa: ARG002 - aiohttp passes it
        """``GET /simulator``: the page."""
        operator = self._services.operator
        played = [(name, gateway) for name, gateway in self._services.gateways.items() if gateway.adapter == ADAPTER]
        return {
            "operator": operator,
            "subscribers": operator.demo.subscribers,
            "languages": LANGUAGES,
            "gateways": sorted(played, key=lambda entry: -entry[1].septets),
            "carrier": self._carrier(),
            "chats": bool(self._services.bot_api),
        }

    def _carrier(self) -> dict[str, str] | None:
        """Where the page posts texts; None where no carrier takes them."""
        for name, carrier in self._services.carriers.items():
            if carrier.adapter == CARRIER:
                return {"path": f"/sms/{name}/{carrier.secret_path}".rstrip("/")}
        return None

    async def vouchers(self, request: web.Request) -> web.Response:  # noqa: ARG002 - aiohttp passes it
        """``GET vouchers``: the demo's fresh vouchers with their value as money, to be typed with a click."""
        stored = await self._services.redis.get(VOUCHERS_KEY)
        vouchers = json.loads(stored) if stored else []
        # One of each value first, so that the few on top are a choice.
        seen: Counter[int] = Counter()
        for voucher in vouchers:
            seen[voucher["face_value"]] += 1
            voucher["round"] = seen[voucher["face_value"]]
            voucher["value"] = self._glass.amount("money", voucher["face_value"])
        return web.json_response(sorted(vouchers, key=lambda voucher: (voucher["round"], voucher["face_value"])))

    async def trace(self, request: web.Request) -> web.Response:
        """``GET trace/<gateway session id>``: what each hop of a session did so far, oldest first."""
        return web.json_response(await self._glass.session(request.match_info["session"]))
