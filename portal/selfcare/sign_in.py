"""Signing in: a number, then the code that was texted to it. Nobody learns here whether a number is a customer's.

The answer to a number is the same, and takes as long, whoever has it: the text is sent after it. How often an address
and a number may ask and guess is counted here, how often a code may be tried, by the engine.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Network

import structlog
from aiohttp import web

from channels.callers import caller_of
from channels.quota import Quota
from dialogs.flows.language.flow import OWN_NAMES
from dialogs.values import text
from portal.base.sessions import Kept, Visit
from portal.selfcare.devices import Devices
from portal.selfcare.person import SIGN_IN, Desk, Person

log = structlog.get_logger(__name__)

HOUR = 3600
#: codes in an hour that one address, and one number, may ask for; and codes that they may try
ASKED_BY_ADDRESS, ASKED_BY_NUMBER, TRIED_BY_ADDRESS, TRIED_BY_NUMBER = 30, 5, 60, 20
#: a check takes at least so many seconds, so that how long it took tells nothing
CHECK_SECONDS = 0.2
#: digits of a telephone number (ITU-T E.164), and characters that people put between them
FEWEST_DIGITS, MOST_DIGITS, BETWEEN = 6, 15, " -().+"


class SignInPages:
    """The pages before anybody has proved who they are, and the way out."""

    def __init__(
        self, desk: Desk, quota: Quota, proxies: tuple[IPv4Network | IPv6Network, ...], devices: Devices
    ) -> None:
        self._devices = devices
        self._desk = desk
        self._quota = quota
        self._proxies = proxies
        self._sending: set[asyncio.Task[None]] = set()

    def routes(self) -> Sequence[web.AbstractRouteDef]:
        """What they answer to."""
        everyone = self._desk.open_to_all
        return [
            web.get("/sign-in", everyone(self._ask_number)),
            web.post("/sign-in", everyone(self._take_number)),
            web.get("/sign-in/code", everyone(self._ask_code)),
            web.post("/sign-in/code", everyone(self._take_code)),
            web.post("/sign-out", everyone(self._sign_out)),
        ]

    async def _ask_number(
        self, request: web.Request, person: Person, problem: str = "", *, status: int = 0
    ) -> web.Response:
        notice = ""
        if "gone" in request.query and not problem:
            notice = self._desk.say(person, text("Your account is deleted. Thank you for having been with us."))
        languages = {code: OWN_NAMES[code] for code in self._desk.operator.languages}
        return self._desk.page(
            request, person, "sign_in.html", status=status, problem=problem, notice=notice, languages=languages
        )

    async def _take_number(self, request: web.Request, person: Person) -> web.Response:
        number = (await self._desk.form(request, person)).get("number", "").strip()
        digits = sum(one.isdigit() for one in number)
        if not FEWEST_DIGITS <= digits <= MOST_DIGITS or any(not (one.isdigit() or one in BETWEEN) for one in number):
            problem = self._desk.say(person, text("This is not a telephone number."))
            return await self._ask_number(request, person, problem)
        if await self._too_often(request, "portal_code", number, ASKED_BY_ADDRESS, ASKED_BY_NUMBER):
            return await self._ask_number(request, person, self._too_many(person), status=429)
        task = asyncio.create_task(self._send(number))
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)
        await self._desk.sessions.end(person.visit)
        visit = await self._desk.sessions.begin(Kept(began_at=time.time(), msisdn=number))
        return self._go(f"{SIGN_IN}/code", person, visit)

    async def _ask_code(
        self, request: web.Request, person: Person, problem: str = "", *, status: int = 0
    ) -> web.Response:
        if not person.visit.kept.msisdn or person.visit.kept.signed_in:
            raise web.HTTPFound("/portal")
        return self._desk.page(request, person, "code.html", status=status, problem=problem)

    async def _take_code(self, request: web.Request, person: Person) -> web.Response:
        code = (await self._desk.form(request, person)).get("code", "").strip()
        number = person.visit.kept.msisdn
        if not number or person.visit.kept.signed_in:
            raise web.HTTPFound("/portal")
        if await self._too_often(request, "portal_try", number, TRIED_BY_ADDRESS, TRIED_BY_NUMBER):
            return await self._ask_code(request, person, self._too_many(person), status=429)
        line, _ = await asyncio.gather(self._desk.engine.sign_in.check(number, code), asyncio.sleep(CHECK_SECONDS))
        if line is None:
            problem = self._desk.say(person, text("This code is wrong or too old."))
            return await self._ask_code(request, person, problem)
        await self._desk.sessions.end(person.visit)
        kept = Kept(began_at=time.time(), msisdn=line.msisdn, signed_in=True, line_id=line.line_id)
        log.info("portal_signed_in")
        visit = await self._desk.sessions.begin(kept)
        await self._devices.note(visit, line.line_id, request.headers.get("User-Agent", ""))
        return self._go("/portal", person, visit)

    async def _sign_out(self, request: web.Request, person: Person) -> web.Response:
        await self._desk.form(request, person)
        await self._desk.sessions.end(person.visit)
        return self._go(SIGN_IN, person, self._desk.sessions.visitor(""))

    # -- parts ------------------------------------------------------------------------------------------------------

    def _go(self, where: str, person: Person, visit: Visit[Kept]) -> web.Response:
        response = web.Response(status=303, headers={"Location": where})
        self._desk.remember(response, Person(visit, person.language))
        return response

    def _too_many(self, person: Person) -> str:
        return self._desk.say(person, text("Too many tries. Please try again in an hour."))

    async def _too_often(self, request: web.Request, what: str, number: str, by_address: int, by_number: int) -> bool:
        counted = self._desk.engine.sign_in.counted_as(number)
        address = caller_of(request, self._proxies)
        # Whoever's number it is: of one that nobody has, as many may be asked for.
        counts = await asyncio.gather(
            self._quota.count(f"{what}_address", address, HOUR), self._quota.count(f"{what}_number", counted, HOUR)
        )
        return counts[0] > by_address or counts[1] > by_number

    async def _send(self, number: str) -> None:
        try:
            await self._desk.engine.sign_in.send(number)
        except Exception:  # a task of its own: nobody else would hear of it
            log.exception("portal_code_not_sent")
