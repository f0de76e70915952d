"""Lines that share one balance, what each has used, and the limits that the owner of the account sets for them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec
from aiohttp import web

from dialogs.asking import masked
from dialogs.values import text
from engine.api import Member
from engine.words import Meter, SetCap, Subscriber
from portal.selfcare.asking import asked, do, fresh, gate, key_of, needs_pin
from portal.selfcare.limits import Limit, limits, wished_limit
from portal.selfcare.person import Desk, Person


class Relative(NamedTuple):
    """One line as it is shown: its number (masked where it is not the asker's to know), its use, and its limits."""

    line_id: str
    number: str
    own: bool
    owner: bool
    meters: tuple[Meter, ...]
    limits: list[Limit]


class FamilyPages:
    """The page of the lines of an account."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def routes(self) -> Sequence[web.AbstractRouteDef]:
        """What they answer to."""
        inside = self._desk.signed_in
        return [web.get("/family", inside(self._show)), web.post("/family/limit", inside(self._limit))]

    async def _show(self, request: web.Request, person: Person, problem: str = "") -> web.Response:
        members = await self._desk.engine.leaving.members(person.subscriber.account)
        owns = members[0].line.line_id == person.subscriber.line_id
        relatives = await asyncio.gather(*(self._relative(person, one, members[0], owns=owns) for one in members))
        return self._desk.page(
            request,
            person,
            "family.html",
            here="/more",
            problem=problem,
            relatives=relatives,
            owns=owns,
            once=fresh(),
            needs_pin=needs_pin(self._desk, person, "setting"),
        )

    async def _relative(self, person: Person, member: Member, owner: Member, *, owns: bool) -> Relative:
        own = member.line.line_id == person.subscriber.line_id
        number = member.msisdn or ""
        rules = await self._desk.engine.usage.spending_rules(_as_line(person.subscriber, member))
        # Who shares a balance sees who else does; what the others use is the owner's to know.
        seen = owns or own
        return Relative(
            line_id=member.line.line_id.hex,
            number=number if seen else masked(number),
            own=own,
            owner=member is owner,
            meters=rules.meters if seen else (),
            limits=limits(self._desk, person, rules.meters) if owns else [],
        )

    async def _limit(self, request: web.Request, person: Person) -> web.Response:
        fields = await self._desk.form(request, person)
        member = await self._member(person, fields)
        problem = await gate(self._desk, person, "setting", fields)
        wished = wished_limit(person, fields)
        if not problem and wished is None:
            problem = self._desk.say(person, text("This limit is not possible."))
        if problem or wished is None:
            return await self._show(request, person, problem)
        unit, period, amount = wished
        key = key_of(person, f"family|{member.line.line_id}|{unit}|{period}|{amount}", fields)
        common = asked(person, key) | {"line_id": member.line.line_id, "by": person.subscriber.line_id}
        return await do(self._desk, SetCap(**common, unit=unit, period=period, amount=amount))

    async def _member(self, person: Person, fields: Mapping[str, str]) -> Member:
        """The line of a form. Raises 403 unless its account's owner asks, and 400 for a line that is not in it."""
        members = await self._desk.engine.leaving.members(person.subscriber.account)
        if members[0].line.line_id != person.subscriber.line_id:
            raise web.HTTPForbidden(text="line: only the owner of the account sets limits")
        for one in members:
            if one.line.line_id.hex == fields.get("line"):
                return one
        raise web.HTTPBadRequest(text="line: not of this account")


def _as_line(subscriber: Subscriber, member: Member) -> Subscriber:
    """The member where the engine asks for a line of the same account: by its id."""
    return msgspec.structs.replace(subscriber, line_id=member.line.line_id, msisdn=member.msisdn or "")
