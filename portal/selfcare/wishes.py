"""How a line wants to be served: language, PIN, use beyond bundles, own limits, news."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from uuid import UUID

from aiohttp import web
from babel.numbers import get_currency_precision

from dialogs.values import Text, counted, text
from engine.words import BadPin, OutOfBundle, Period, SetCap, Unit
from portal.base.words import LANGUAGES
from portal.selfcare.asking import asked, do, fresh, key_of, needs_pin, pin_problem, see
from portal.selfcare.paying import read_amount
from portal.selfcare.person import Desk, Person

#: limits that a person may set here: how they are asked for, and how many of the smallest parts one has
CAPS: dict[tuple[Unit, Period], Text] = {
    (Unit.OCTETS, Period.DAY): text("Data a day, in MB"),
    (Unit.OCTETS, Period.MONTH): text("Data a month, in MB"),
    (Unit.MONEY, Period.DAY): text("Money a day, in {currency}"),
    (Unit.MONEY, Period.MONTH): text("Money a month, in {currency}"),
}
MEGABYTE = 1_000_000


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

    async def _show(self, request: web.Request, person: Person, problem: str = "") -> web.Response:
        rules = await self._desk.engine.usage.spending_rules(person.subscriber)
        wishes = await self._desk.engine.preferences(person.subscriber)
        done = text("Saved.") if "saved" in request.query and not problem else None
        return self._desk.page(
            request,
            person,
            "settings.html",
            status=422 if problem else 200,
            here="/settings",
            problem=problem,
            notice="" if done is None else self._desk.say(person, done),
            languages={code: LANGUAGES[code] for code in self._desk.operator.languages},
            beyond=rules.out_of_bundle,
            opted_out=wishes.opted_out,
            caps=self._caps(person, {one.unit: (one.day_cap, one.month_cap) for one in rules.meters}),
            once=fresh(),
            needs_pin=needs_pin(self._desk, person, "setting"),
        )

    def _caps(self, person: Person, now: Mapping[Unit, tuple[int | None, int | None]]) -> list[tuple[str, str, str]]:
        """Each limit that can be set: its name in the form, its label, and what it is now."""
        shown = []
        for (unit, period), label in CAPS.items():
            cap = now.get(unit, (None, None))[0 if period is Period.DAY else 1]
            size = self._size(unit, person)
            said = self._desk.say(person, Text(label.message, {"currency": person.subscriber.currency}))
            shown.append((f"{unit}.{period}", said, "" if cap is None else f"{cap / size:.10g}"))
        return shown

    @staticmethod
    def _size(unit: Unit, person: Person) -> int:
        return MEGABYTE if unit is Unit.OCTETS else 10 ** get_currency_precision(person.subscriber.currency)

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
            return await self._show(request, person, problem)
        try:
            await self._desk.engine.set_pin(person.subscriber, fresh_pin)
        except BadPin as bad:
            digits = self._desk.operator.pins.digits
            said = counted("A PIN has {count} digit.", "A PIN has {count} digits.", digits)
            if bad.args[0] == "guessable":
                said = text("This PIN is too easy to guess.")
            return await self._show(request, person, self._desk.say(person, said))
        return see("/portal/settings?saved")

    async def _beyond(self, request: web.Request, person: Person) -> web.Response:
        fields = await self._desk.form(request, person)
        problem = await self._gate(person, fields)
        if problem:
            return await self._show(request, person, problem)
        allowed = fields.get("allowed") == "yes"
        key = key_of(person, f"beyond|{allowed}", fields)
        return await do(self._desk, OutOfBundle(**asked(person, key), allowed=allowed))

    async def _cap(self, request: web.Request, person: Person) -> web.Response:
        fields = await self._desk.form(request, person)
        try:
            unit, _, period = fields.get("which", "").partition(".")
            which = (Unit(unit), Period(period))
        except ValueError:
            raise web.HTTPBadRequest(text="which: no such limit") from None
        if which not in CAPS:
            raise web.HTTPBadRequest(text="which: no such limit")
        problem = await self._gate(person, fields)
        if problem:
            return await self._show(request, person, problem)
        typed = fields.get("most", "").strip()
        amount = self._amount(person, which[0], typed)
        if typed and amount is None:
            return await self._show(request, person, self._desk.say(person, text("This limit is not possible.")))
        key: UUID = key_of(person, f"cap|{unit}|{period}|{amount}", fields)
        operation = SetCap(**asked(person, key), unit=which[0], period=which[1], amount=amount)
        return await do(self._desk, operation)

    async def _gate(self, person: Person, fields: Mapping[str, str]) -> str:
        """What is wrong with the PIN, where the operator asks for it before a setting that money hangs on."""
        if not needs_pin(self._desk, person, "setting"):
            return ""
        return await pin_problem(self._desk, person, fields.get("pin", ""))

    def _amount(self, person: Person, unit: Unit, typed: str) -> int | None:
        if unit is Unit.MONEY:
            return read_amount(typed, person.subscriber.currency)
        return int(typed) * MEGABYTE if typed.isascii() and typed.isdigit() and 0 < int(typed) < 10**7 else None

    async def _news(self, request: web.Request, person: Person) -> web.Response:
        fields = await self._desk.form(request, person)
        await self._desk.engine.opt_out(person.subscriber.msisdn, on=fields.get("wanted") != "yes")
        return see("/portal/settings?saved")
