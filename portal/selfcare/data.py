"""A person's data: all of it in one file, and the end of it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
from aiohttp import web

from channels.quota import Quota
from dialogs.values import text
from engine.words import PaymentState, TooManyCodes
from portal.selfcare.asking import see
from portal.selfcare.devices import Devices
from portal.selfcare.person import SIGN_IN, Desk, Person

#: rows of one read of the books
READ = 200
#: days of use, day by day: as far as the books of use go back
USAGE_DAYS = 400
#: times that one line may take its data in a day: each is a read of all that there is
TAKEN, DAY = 10, 86_400


class DataPages:
    """The pages on which people take their data, and leave."""

    def __init__(self, desk: Desk, devices: Devices, quota: Quota) -> None:
        self._desk = desk
        self._devices = devices
        self._quota = quota

    def routes(self) -> Sequence[web.AbstractRouteDef]:
        """What they answer to."""
        inside = self._desk.signed_in
        return [
            web.get("/data", inside(self._show)),
            web.get("/data/export.json", inside(self._export)),
            web.post("/data/code", inside(self._code)),
            web.get("/data/erase", inside(self._ask)),
            web.post("/data/erase", inside(self._erase)),
        ]

    async def _show(self, request: web.Request, person: Person, problem: str = "") -> web.Response:
        members = await self._desk.engine.leaving.members(person.subscriber.account)
        owns = members[0].line.line_id == person.subscriber.line_id
        return self._desk.page(
            request, person, "data.html", here="/more", problem=problem, owns=owns, lines=len(members)
        )

    # -- taking it along --------------------------------------------------------------------------------------------

    async def _export(self, request: web.Request, person: Person) -> web.StreamResponse:
        """``GET data/export.json``: one JSON object; money in minor units, data in octets, times in UTC (ISO 8601)."""
        if await self._quota.count("portal_export", str(person.subscriber.line_id), DAY) > TAKEN:
            raise web.HTTPTooManyRequests(headers={"Retry-After": str(DAY)})
        head = await self._head(person)
        headers = {"Content-Disposition": 'attachment; filename="my-data.json"'}
        response = web.StreamResponse(headers=headers)
        response.content_type, response.charset = "application/json", "utf-8"
        await response.prepare(request)
        # The history may be long: it is written as it is read, everything else before it.
        await response.write(_json(head)[:-1].rstrip() + b',\n"history": [')
        between = b"\n"
        async for one in self._history(person):
            await response.write(between + _json(one))
            between = b",\n"
        await response.write(b'\n],\n"payments": [')
        between = b"\n"
        async for one in self._payments(person):
            await response.write(between + _json(one))
            between = b",\n"
        await response.write(b"\n]}\n")
        await response.write_eof()
        return response

    async def _head(self, person: Person) -> dict[str, Any]:
        engine, line = self._desk.engine, person.subscriber
        members = await engine.leaving.members(line.account)
        opened = next((one.opened_at for one in members if one.line.line_id == line.line_id), None)
        cards = await engine.saved_cards(line)
        renewals = await engine.agreements.renewals(line)
        advance = await engine.agreements.advance_offer(line)
        devices = await self._devices.of_line(line.line_id, person.visit)
        return {
            "written_at": datetime.now(UTC),
            "operator": self._desk.operator.name,
            "line": {
                "number": line.msisdn,
                "account": line.account.account_id,
                "status": line.status,
                "language": line.language,
                "currency": line.currency,
                "has_pin": line.has_pin,
                "opened_at": opened,
            },
            "balances": line.buckets,
            "settings": {
                "spending": await engine.usage.spending_rules(line),
                "messages": await engine.preferences(line),
                "renewals": [{"product": code, "price": price, "next_at": at} for code, price, at in renewals],
                "advance_owed": advance.owed,
                "cards": [
                    {"brand": one.brand, "last_four": one.last_four, "expires_at": one.expires_at} for one in cards
                ],
                "chats": await engine.chats(line),
                "signed_in": [{"device": one.name, "since": one.began_at} for one in devices],
            },
            "usage": await engine.usage.usage_history(line, days=USAGE_DAYS),
        }

    async def _history(self, person: Person) -> AsyncIterator[dict[str, Any]]:
        """Everything that was booked on the account, as far as it is the person's to know."""
        only, account = await self._desk.only_line(person), person.subscriber.account
        after = None
        while True:
            page = await self._desk.engine.operations(account, line_id=only, after=after, most=READ)
            for one in page:
                yield {"source": one.source, "line": one.line_id, **msgspec.to_builtins(one.answer)}
            if len(page) < READ:
                return
            after = (page[-1].answer.booked_at, page[-1].answer.key)

    async def _payments(self, person: Person) -> AsyncIterator[Any]:
        """Every payment for the account, as far as it is the person's to know."""
        only = await self._desk.only_line(person)
        before = None
        while True:
            page = await self._desk.engine.payments_of(
                person.subscriber.account, before=before, limit=100, line_id=only
            )
            for one in page:
                yield one
            if len(page) < 100:
                return
            before = page[-1].created_at

    # -- leaving ----------------------------------------------------------------------------------------------------

    async def _may_leave(self, person: Person) -> str:
        """Why the account cannot be deleted now; nothing if it can."""
        engine, line = self._desk.engine, person.subscriber
        members = await engine.leaving.members(line.account)
        if members[0].line.line_id != line.line_id:
            return self._desk.say(person, text("Only the owner of this account can have it deleted."))
        waiting = await engine.payments_of(line.account, limit=20)
        if any(not one.state.final or one.state is PaymentState.REVIEW for one in waiting):
            return self._desk.say(person, text("A payment is still on its way. Please wait until it is done."))
        if (await engine.agreements.advance_offer(line)).owed:
            return self._desk.say(person, text("An advance is not paid back yet. Recharge first."))
        return ""

    async def _code(self, request: web.Request, person: Person) -> web.Response:
        await self._desk.form(request, person)
        problem = await self._may_leave(person)
        if not problem:
            try:
                await self._desk.engine.leaving.send_code(person.subscriber)
            except TooManyCodes:
                problem = self._desk.say(person, text("Too many codes today. Please try again tomorrow."))
        if problem:
            return await self._show(request, person, problem)
        return see("/portal/data/erase")

    async def _ask(self, request: web.Request, person: Person, problem: str = "") -> web.Response:
        return self._desk.page(request, person, "erase.html", here="/more", problem=problem)

    async def _erase(self, request: web.Request, person: Person) -> web.Response:
        fields = await self._desk.form(request, person)
        problem = await self._may_leave(person)
        if not problem and fields.get("sure") != "yes":
            problem = self._desk.say(person, text("Please tick that you know what will be gone."))
        if not problem and not await self._desk.engine.leaving.erase(person.subscriber, fields.get("code", "")):
            problem = self._desk.say(person, text("This code is wrong or too old."))
        if problem:
            return await self._ask(request, person, problem)
        await self._devices.end_all(person.subscriber.line_id, person.visit)
        return see(f"{SIGN_IN}?gone")


def _json(what: Any) -> bytes:
    return json.dumps(msgspec.to_builtins(what), ensure_ascii=False, indent=1).encode()
