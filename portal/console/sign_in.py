"""Signing in with name, password and one-time code. Whoever fails learns nothing about which of them was wrong."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import structlog
from aiohttp import web

from channels.callers import caller_of
from channels.quota import Quota
from dialogs.values import text
from portal.console.desk import ROOT, Attendant, Desk, Route, get, post

log = structlog.get_logger(__name__)

HOUR = 3600
#: tries in an hour by one address, and for one name, whether somebody has it or not
BY_ADDRESS, BY_NAME = 60, 30
#: a try takes at least so many seconds, so that how long it took tells nothing
CHECK_SECONDS = 0.2


class SignInPages:
    """The page before anybody has proved who they are, and the way out."""

    def __init__(self, desk: Desk, quota: Quota) -> None:
        self._desk = desk
        self._quota = quota

    def routes(self) -> Sequence[Route]:
        """What they answer to: they are for everybody."""
        return [
            get("/sign-in", frozenset(), self._ask),
            post("/sign-in", frozenset(), self._take),
            post("/sign-out", frozenset(), self._leave),
        ]

    async def _ask(self, request: web.Request, person: Attendant, problem: str = "", name: str = "") -> web.Response:
        if person.member is not None:
            raise web.HTTPFound(ROOT)
        status = 422 if problem else 200
        return self._desk.page(request, person, "sign_in.html", status=status, problem=problem, name=name)

    async def _take(self, request: web.Request, person: Attendant) -> web.Response:
        fields = await self._desk.form(request, person)
        name = fields.get("name", "").strip()
        if await self._too_often(request, name):
            said = text("Too many tries. Please try again in an hour.")
            return await self._ask(request, person, self._desk.say(person, said), name)
        trying = self._desk.engine.staff.sign_in(name, fields.get("password", ""), fields.get("code", ""))
        member, _ = await asyncio.gather(trying, asyncio.sleep(CHECK_SECONDS))
        if member is None:
            log.warning("console_sign_in_refused")
            said = text("Name, password or code is wrong, or too many wrong ones were tried.")
            return await self._ask(request, person, self._desk.say(person, said), name)
        log.info("console_signed_in", staff=member.name, role=member.role)
        return self._desk.go("", await self._desk.let_in(person, member))

    async def _leave(self, request: web.Request, person: Attendant) -> web.Response:
        await self._desk.form(request, person)
        await self._desk.sessions.end(person.visit)
        return self._desk.go("/sign-in", Attendant(self._desk.sessions.visitor(""), person.language))

    async def _too_often(self, request: web.Request, name: str) -> bool:
        address = caller_of(request, self._desk.rules.trusted_proxies)
        counts = await asyncio.gather(
            self._quota.count("console_try_address", address, HOUR),
            self._quota.count("console_try_name", name.lower(), HOUR),
        )
        return counts[0] > BY_ADDRESS or counts[1] > BY_NAME
