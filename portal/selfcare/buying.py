"""Bundles, compared and bought, and recharges by voucher."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple
from uuid import UUID

from aiohttp import web

from dialogs.names import find_product
from dialogs.values import Clock, Money, counted, text
from engine.words import BadVoucherNumber, Purchase, Recharge, Unit
from portal.selfcare.asking import asked, do, fresh, key_of, needs_pin, pin_problem
from portal.selfcare.person import Desk, Person
from settings import Product

#: what prices are compared for: so many of a unit
COMPARED = {Unit.OCTETS: 100_000_000, Unit.SECONDS: 60, Unit.MESSAGES: 1}


class Offer(NamedTuple):
    """A product on sale. ``per`` is what ``COMPARED`` of its unit costs; None where it grants more than one unit."""

    product: Product
    per: Money | None
    unit: Unit
    compared: int


def offer(product: Product, currency: str) -> Offer:
    """A product with the price by which it can be compared, rounded up to a minor unit."""
    first = product.grants[0]
    unit = Unit(first.unit)
    compared = COMPARED.get(unit, 0)
    if len(product.grants) > 1 or not compared:
        return Offer(product, None, unit, 0)
    return Offer(product, Money(-(-product.price * compared // first.amount), currency), unit, compared)


class Buying:
    """The pages on which people spend and recharge."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def routes(self) -> Sequence[web.AbstractRouteDef]:
        """What they answer to."""
        inside = self._desk.signed_in
        return [
            web.get("/bundles", inside(self._list)),
            web.get("/bundles/{code:[a-z0-9_]{1,32}}", inside(self._confirm)),
            web.post("/bundles/{code:[a-z0-9_]{1,32}}", inside(self._buy)),
            web.get("/recharge", inside(self._voucher)),
            web.post("/recharge", inside(self._recharge)),
        ]

    # -- bundles ----------------------------------------------------------------------------------------------------

    async def _list(self, request: web.Request, person: Person) -> web.Response:
        offers = [offer(one, person.subscriber.currency) for one in self._desk.engine.products()]
        return self._desk.page(
            request,
            person,
            "bundles.html",
            here="/bundles",
            problem="",
            notice="",
            offers=offers,
            balance=person.subscriber.total(Unit.MONEY),
        )

    def _product(self, request: web.Request) -> Product:
        product = find_product(self._desk.engine.products(), request.match_info["code"])
        if product is None:
            raise web.HTTPNotFound
        return product

    async def _confirm(self, request: web.Request, person: Person, problem: str = "") -> web.Response:
        product = self._product(request)
        meant = self._purchase(person, product.code, product.price, UUID(int=0))
        before = await self._desk.engine.done_before(meant)
        return self._desk.page(
            request,
            person,
            "bundle.html",
            status=422 if problem else 200,
            here="/bundles",
            problem=problem,
            notice="",
            product_sold=product,
            before=before,
            after=person.subscriber.total(Unit.MONEY) - product.price,
            once=fresh(),
            needs_pin=needs_pin(self._desk, person, "purchase"),
        )

    async def _buy(self, request: web.Request, person: Person) -> web.Response:
        fields = await self._desk.form(request, person)
        product = self._product(request)
        if needs_pin(self._desk, person, "purchase"):
            problem = await pin_problem(self._desk, person, fields.get("pin", ""))
            if problem:
                return await self._confirm(request, person, problem)
        shown = fields.get("price", "")
        if not (shown.isascii() and shown.isdigit()):
            raise web.HTTPBadRequest(text="price: not what the page held")
        key = key_of(person, f"purchase|{product.code}", fields)
        return await do(self._desk, self._purchase(person, product.code, int(shown), key))

    @staticmethod
    def _purchase(person: Person, code: str, price: int, key: UUID) -> Purchase:
        return Purchase(**asked(person, key), product=code, price=price)

    # -- vouchers ---------------------------------------------------------------------------------------------------

    async def _voucher(self, request: web.Request, person: Person, problem: str = "") -> web.Response:
        return self._desk.page(
            request,
            person,
            "recharge.html",
            status=422 if problem else 200,
            here="/recharge",
            problem=problem,
            notice="",
            once=fresh(),
            needs_pin=needs_pin(self._desk, person, "recharge"),
        )

    async def _recharge(self, request: web.Request, person: Person) -> web.Response:
        fields = await self._desk.form(request, person)
        problem = await self._recharge_problem(person, fields)
        if problem:
            return await self._voucher(request, person, problem)
        token = self._desk.engine.seal_voucher(fields["voucher"])
        key = key_of(person, f"recharge|{token.digests[-1].hex()}", fields)
        operation = Recharge(**asked(person, key), voucher=token)
        before = await self._desk.engine.done_before(operation)
        if before is not None and before.key != key:
            time = Clock(before.booked_at)
            said = text("This voucher was recharged at {time}, ref {reference}.", time=time, reference=before.reference)
            return await self._voucher(request, person, self._desk.say(person, said))
        return await do(self._desk, operation)

    async def _recharge_problem(self, person: Person, fields: Mapping[str, str]) -> str:
        try:
            self._desk.engine.seal_voucher(fields.get("voucher", ""))
        except BadVoucherNumber:
            digits = self._desk.operator.vouchers.digits
            said = counted("A voucher number has {count} digit.", "A voucher number has {count} digits.", digits)
            return self._desk.say(person, said)
        if needs_pin(self._desk, person, "recharge"):
            return await pin_problem(self._desk, person, fields.get("pin", ""))
        return ""
