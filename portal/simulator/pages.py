"""The routes of the phone simulator, all of them under ``/simulator``."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp_jinja2
import jinja2
from aiohttp import web
from redis.asyncio import Redis

from engine.api import Engine
from portal.base.guard import WITHOUT_SLASH, protect
from portal.base.words import LANGUAGES, RIGHT_TO_LEFT
from portal.simulator.beside import Neighbours
from portal.simulator.glass import Glass
from portal.simulator.live import MOST_PHONES, Live
from portal.simulator.words import catalogue, language_of, remember, say
from runtime.keyring import Keyring
from settings import CarrierSettings, GatewaySettings, Operator

HERE = Path(__file__).parent
#: where ``offer_vouchers`` leaves the demo's fresh vouchers
VOUCHERS_KEY = "sim:vouchers"
#: the gateway whose words the page speaks: a folder under ``channels/ussd/``
ADAPTER = "africastalking"
#: the carrier that takes the texts typed on the page: a folder under ``channels/sms/``
CARRIER = "simulator"
#: seconds that one session may last where the network says nothing else: what Africa's Talking and most centres allow
SESSION_SECONDS = 180
#: how much is used at a time: unit and amount
USES = (
    ("octets", 1_000_000),
    ("octets", 10_000_000),
    ("octets", 100_000_000),
    ("octets", 1_000_000_000),
    ("seconds", 300),
    ("messages", 10),
)
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
    #: the sandbox's Bot API server, whose chats the phones show; empty: none
    bot_api: str = ""
    #: the sandbox's payment providers, which ask payers on the phones; empty: none
    payers: str = ""
    #: the sandbox's packet core, whose sessions are the network's side of the phones; empty: none
    core: str = ""


def mount(app: web.Application, services: SimulatorServices) -> None:
    """Add ``/simulator`` to ``app``. Call it before the server starts, and only where demonstrations are wanted."""
    neighbours = Neighbours({"chats": services.bot_api, "payers": services.payers, "core": services.core})
    glass = Glass(services.engine, services.redis, services.operator)
    live = Live(services.engine, services.redis, services.keyring, glass, neighbours)
    pages = Pages(services, glass, neighbours)
    part = web.Application(middlewares=[WITHOUT_SLASH])
    aiohttp_jinja2.setup(
        part, loader=jinja2.FileSystemLoader(HERE / "templates"), autoescape=True, undefined=jinja2.StrictUndefined
    )
    part.add_routes(
        [
            web.get("", pages.phone),
            web.get("/live", live.stream),
            web.get("/vouchers", pages.vouchers),
            web.get(f"/trace/{SESSION}", pages.trace),
            web.static("/static", HERE / "static"),
            *neighbours.routes(),
        ]
    )
    part.cleanup_ctx.append(neighbours.opened)
    part.on_response_prepare.append(protect)
    part.on_shutdown.append(live.close)
    app.add_subapp("/simulator", part)


async def offer_vouchers(redis: Redis, vouchers: Sequence[Mapping[str, Any]]) -> None:
    """Put fresh vouchers on the page: ``pin`` and ``face_value`` (minor units) of each. For demonstrations only."""
    await redis.set(VOUCHERS_KEY, json.dumps([dict(voucher) for voucher in vouchers]))


class Pages:
    """The page and the small questions that it asks."""

    def __init__(self, services: SimulatorServices, glass: Glass, neighbours: Neighbours) -> None:
        self._services = services
        self._glass = glass
        self._neighbours = neighbours

    async def phone(self, request: web.Request) -> web.Response:
        """``GET /simulator``: the page."""
        operator = self._services.operator
        language = language_of(request)
        played = [(name, gateway) for name, gateway in self._services.gateways.items() if gateway.adapter == ADAPTER]
        context = {
            "say": partial(say, language),
            "language": language,
            "direction": "rtl" if language in RIGHT_TO_LEFT else "ltr",
            "words": json.dumps(catalogue(language), ensure_ascii=False),
            "operator": operator,
            "subscribers": operator.demo.subscribers,
            "languages": LANGUAGES,
            "gateways": sorted(played, key=lambda entry: -entry[1].septets),
            "payer_name": _payer_name(operator, language),
            "session_seconds": SESSION_SECONDS,
            "most_phones": MOST_PHONES,
            "carrier": self._carrier(),
            "chats": "chats" in self._neighbours,
            "payers": "payers" in self._neighbours,
            "core": "core" in self._neighbours,
            "categories": [(one.code, group) for one in operator.categories for group in one.rating_groups[:1]],
            "uses": [(unit, amount, self._shown(language, unit, amount)) for unit, amount in USES],
        }
        response = aiohttp_jinja2.render_template("page.html", request, context)
        remember(response, request)
        return response

    def _shown(self, language: str, unit: str, amount: int) -> str:
        """An amount as the page's scripts show it; where people write from the right it keeps its order (UAX #9)."""
        if unit == "seconds":
            return say(language, "{count} min", count=amount // 60)
        if unit == "messages":
            return say(language, "{count} texts", count=amount)
        shown = self._glass.amount(unit, amount)
        return f"\u2066{shown}\u2069" if language in RIGHT_TO_LEFT else shown

    def _carrier(self) -> dict[str, str] | None:
        """Where the page posts texts; None where no carrier takes them."""
        for name, carrier in self._services.carriers.items():
            if carrier.adapter == CARRIER:
                return {"path": f"/sms/{name}/{carrier.secret_path}".rstrip("/")}
        return None

    async def vouchers(self, request: web.Request) -> web.Response:  # noqa: ARG002 - aiohttp passes it
        """``GET vouchers``: the demo's vouchers, their value as money, and which are used: to be typed with a click."""
        stored = await self._services.redis.get(VOUCHERS_KEY)
        vouchers = json.loads(stored) if stored else []
        for voucher, used in zip(vouchers, await asyncio.gather(*map(self._is_used, vouchers)), strict=True):
            voucher["used"] = used
        # One of each value first, so that the few on top are a choice.
        seen: Counter[int] = Counter()
        for voucher in vouchers:
            seen[voucher["face_value"]] += 1
            voucher["round"] = seen[voucher["face_value"]]
            voucher["value"] = self._glass.amount("money", voucher["face_value"])
        return web.json_response(sorted(vouchers, key=lambda voucher: (voucher["round"], voucher["face_value"])))

    async def _is_used(self, voucher: Mapping[str, Any]) -> bool:
        return (await self._services.engine.vouchers.find_number(voucher["pin"])).redeemed_at is not None

    async def trace(self, request: web.Request) -> web.Response:
        """``GET trace/<gateway session id>``: what each hop of a session did so far, oldest first."""
        return web.json_response(await self._glass.session(request.match_info["session"], language_of(request)))


def _payer_name(operator: Operator, language: str) -> str:
    """What people call the operator's mobile money."""
    method = operator.payments.methods.get("mobile_money")
    return (method.name if method else "") or say(language, "Mobile money")
