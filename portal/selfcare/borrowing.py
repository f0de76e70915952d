"""Advances and renewals: what a line agrees to in advance, with its price on the page that asks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from aiohttp import web

from dialogs.names import find_product
from dialogs.refusals import SENTENCES
from dialogs.values import Money, text
from engine.words import Advance, AutoRenew, Code
from portal.selfcare.asking import asked, do, fresh, gate, key_of, needs_pin, number_of
from portal.selfcare.person import Desk, Person


class Borrowing:
    """The page of advances; there is none where the operator lends nothing."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def routes(self) -> Sequence[web.AbstractRouteDef]:
        """What it answers to."""
        if self._desk.operator.advances is None:
            return []
        inside = self._desk.signed_in
        return [web.get("/advance", inside(self._show)), web.post("/advance", inside(self._borrow))]

    async def _show(self, request: web.Request, person: Person, problem: str = "") -> web.Response:
        offer = await self._desk.engine.agreements.advance_offer(person.subscriber)
        why = ""
        if offer.owed:
            owed = Money(offer.owed, person.subscriber.currency)
            why = self._desk.say(person, text("You still owe {owed} of your last advance.", owed=owed))
        elif offer.refused is not None:
            why = self._desk.say(person, SENTENCES[Code(offer.refused)])
        return self._desk.page(
            request,
            person,
            "advance.html",
            here="/more",
            problem=problem,
            offer=offer,
            why=why,
            below=self._desk.operator.advances and self._desk.operator.advances.balance_below,
            once=fresh(),
            needs_pin=needs_pin(self._desk, person, "advance"),
        )

    async def _borrow(self, request: web.Request, person: Person) -> web.Response:
        fields = await self._desk.form(request, person)
        # What the person chose is the amount with the fee that stood beside it: another fee refuses.
        amount, _, fee = fields.get("offer", "").partition("+")
        wanted = number_of("offer", amount), number_of("offer", fee)
        problem = await gate(self._desk, person, "advance", fields)
        if problem:
            return await self._show(request, person, problem)
        key = key_of(person, f"advance|{wanted[0]}", fields)
        return await do(self._desk, Advance(**asked(person, key), amount=wanted[0], fee=wanted[1]))


class Renewing:
    """The page of bundles that buy themselves again."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def routes(self) -> Sequence[web.AbstractRouteDef]:
        """What it answers to."""
        inside = self._desk.signed_in
        return [web.get("/renewals", inside(self._show)), web.post("/renewals", inside(self._switch))]

    async def _show(self, request: web.Request, person: Person, problem: str = "") -> web.Response:
        renewed = await self._desk.engine.agreements.renewals(person.subscriber)
        codes = {code for code, _, _ in renewed}
        held = {one.product for one in person.subscriber.buckets}
        others = [one for one in self._desk.engine.products() if one.code not in codes]
        # What the line holds comes first: that is what people want to keep.
        others.sort(key=lambda one: one.code not in held)
        return self._desk.page(
            request,
            person,
            "renewals.html",
            here="/more",
            problem=problem,
            renewed=renewed,
            others=others,
            held=held,
            once=fresh(),
            needs_pin=needs_pin(self._desk, person, "setting"),
        )

    async def _switch(self, request: web.Request, person: Person) -> web.Response:
        fields = await self._desk.form(request, person)
        problem = await gate(self._desk, person, "setting", fields)
        if problem:
            return await self._show(request, person, problem)
        return await do(self._desk, self._switched(person, fields))

    def _switched(self, person: Person, fields: Mapping[str, str]) -> AutoRenew:
        code, wanted = fields.get("product", ""), fields.get("wanted") == "yes"
        if wanted and find_product(self._desk.engine.products(), code) is None:
            raise web.HTTPBadRequest(text="product: not on sale")
        key = key_of(person, f"renew|{code}|{wanted}", fields)
        price = number_of("price", fields.get("price", ""))
        return AutoRenew(**asked(person, key), product=code, price=price, wanted=wanted)
