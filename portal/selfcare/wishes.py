"""How a line wants to be served: language, PIN, use beyond bundles, own limits, news."""

from __future__ import annotations

from collections.abc import Sequence

from aiohttp import web

from dialogs.flows.language.flow import OWN_NAMES
from dialogs.values import counted, text
from engine.words import BadPin, OutOfBundle, SetCap
from portal.selfcare.asking import asked, do, fresh, gate, key_of, needs_pin, pin_problem, see
from portal.selfcare.limits import limits, wished_limit
from portal.selfcare.person import Desk, Person


class WishPages:
    """The page of settings and what its forms do."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def routes(self) -> Sequence[web.AbstractRouteDef]:
        """What they answer to."""
        inside = self._desk.signed_in
        return [
            web.get("/settings", inside(self._show)),
            web.post("/settings/language", inside(self._language)),
            web.post("/settings/pin", inside(self._pin)),
            web.post("/settings/beyond", inside(self._beyond)),
            web.post("/settings/cap", inside(self._cap)),
            web.post("/settings/news", inside(self._news)),
        ]

    async def _show(self, request: web.Request, person: Person, problem: str = "", at: str = "") -> web.Response:
        rules = await self._desk.engine.usage.spending_rules(person.subscriber)
        wishes = await self._desk.engine.preferences(person.subscriber)
        done = text("Saved.") if "saved" in request.query and not problem else None
        return self._desk.page(
            request,
            person,
            "settings.html",
            here="/more",
            problem=problem,
            notice="" if done is None else self._desk.say(person, done),
            languages={code: OWN_NAMES[code] for code in self._desk.operator.languages},
            beyond=rules.out_of_bundle,
            opted_out=wishes.opted_out,
            at=at or request.query.get("at", ""),
            caps=limits(self._desk, person, rules.meters),
            once=fresh(),
            needs_pin=needs_pin(self._desk, person, "setting"),
        )

    async def _language(self, request: web.Request, person: Person) -> web.Response:
        wished = (await self._desk.form(request, person)).get("language", "")
        if wished not in self._desk.operator.languages:
            raise web.HTTPBadRequest(text="language: not one of the operator's")
        await self._desk.engine.set_language(person.subscriber, wished)
        return see("/portal/settings?saved")

    async def _pin(self, request: web.Request, person: Person) -> web.Response:
        fields = await self._desk.form(request, person)
        fresh_pin = fields.get("fresh", "")
        problem = ""
        if fresh_pin != fields.get("again", ""):
            problem = self._desk.say(person, text("The two PINs differ."))
        elif person.subscriber.has_pin:
            problem = await pin_problem(self._desk, person, fields.get("pin", ""))
        if problem:
            return await self._show(request, person, problem, "pin")
        try:
            await self._desk.engine.set_pin(person.subscriber, fresh_pin)
        except BadPin as bad:
            digits = self._desk.operator.pins.digits
            said = counted("A PIN has {count} digit.", "A PIN has {count} digits.", digits)
            if bad.args[0] == "guessable":
                said = text("This PIN is too easy to guess.")
            return await self._show(request, person, self._desk.say(person, said), "pin")
        return see("/portal/settings?saved")

    async def _beyond(self, request: web.Request, person: Person) -> web.Response:
        fields = await self._desk.form(request, person)
        problem = await gate(self._desk, person, "setting", fields)
        if problem:
            return await self._show(request, person, problem, "beyond")
        allowed = fields.get("allowed") == "yes"
        key = key_of(person, f"beyond|{allowed}", fields)
        return await do(self._desk, OutOfBundle(**asked(person, key), allowed=allowed))

    async def _cap(self, request: web.Request, person: Person) -> web.Response:
        fields = await self._desk.form(request, person)
        problem = await gate(self._desk, person, "setting", fields)
        wished = wished_limit(person, fields)
        if not problem and wished is None:
            problem = self._desk.say(person, text("This limit is not possible."))
        if problem or wished is None:
            return await self._show(request, person, problem, "limits")
        unit, period, amount = wished
        key = key_of(person, f"cap|{unit}|{period}|{amount}", fields)
        return await do(self._desk, SetCap(**asked(person, key), unit=unit, period=period, amount=amount))

    async def _news(self, request: web.Request, person: Person) -> web.Response:
        fields = await self._desk.form(request, person)
        await self._desk.engine.opt_out(person.subscriber.msisdn, on=fields.get("wanted") != "yes")
        return see("/portal/settings?saved")
