"""Bundles, compared and bought, and recharges by voucher."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple
from uuid import UUID

from aiohttp import web

from dialogs.names import find_product
from dialogs.values import Clock, Money, Text, counted, text
from engine.words import BadVoucherNumber, Outlook, Purchase, Recharge, Unit
from portal.selfcare.asking import asked, do, fresh, gate, key_of, needs_pin, number_of
from portal.selfcare.person import Desk, Person
from settings import Product

#: what prices are compared for: so many of a unit
COMPARED = {Unit.OCTETS: 100_000_000, Unit.SECONDS: 60, Unit.MESSAGES: 1}


#: what bundles are chosen by, in the order in which they are shown; what grants several units comes last
KINDS: dict[str, Text] = {
    Unit.OCTETS: text("Data"),
    Unit.SECONDS: text("Calls"),
    Unit.MESSAGES: text("Texts"),
    Unit.MONEY: text("Money"),
    "mixed": text("Mixed"),
}


class Offer(NamedTuple):
    """A product on sale, and what it can be compared by.

    ``per`` is what ``COMPARED`` of its unit costs, ``best`` whether nothing of its kind and for the same use costs
    less; ``lasts`` is how many days it lasts who uses as much as this line usually does. None where that makes no
    sense: for what grants more than one unit, or where the line uses nothing.
    """

    product: Product
    kind: str
    per: Money | None
    unit: Unit
    compared: int
    best: bool = False
    lasts: int | None = None
    #: percent that the line would save with it
    saves: int | None = None


def offer(product: Product, currency: str) -> Offer:
    """A product with the price by which it can be compared, rounded up to a minor unit."""
    first = product.grants[0]
    unit = Unit(first.unit)
    compared = COMPARED.get(unit, 0)
    kind = unit.value if len(product.grants) == 1 else "mixed"
    if len(product.grants) > 1 or not compared:
        return Offer(product, kind, None, unit, 0)
    return Offer(product, kind, Money(-(-product.price * compared // first.amount), currency), unit, compared)


def offers(products: Iterable[Product], currency: str, outlooks: Iterable[Outlook]) -> list[Offer]:
    """The products compared with each other, and for a line that uses as much as its ``outlooks`` say."""
    known = {one.unit: one for one in outlooks}
    made = [offer(one, currency) for one in products]
    least: dict[tuple[str, tuple[str, ...]], int] = {}
    for one in made:
        if one.per is not None:
            use = (one.kind, one.product.grants[0].categories)
            least[use] = min(one.per.amount, least.get(use, one.per.amount))
    rivals = Counter((one.kind, one.product.grants[0].categories) for one in made)
    return [_compared(one, least, rivals, known.get(one.unit)) for one in made]


def _compared(
    one: Offer,
    least: Mapping[tuple[str, tuple[str, ...]], int],
    rivals: Mapping[tuple[str, tuple[str, ...]], int],
    outlook: Outlook | None,
) -> Offer:
    if one.per is None:
        return one
    grant = one.product.grants[0]
    use = (one.kind, grant.categories)
    best = rivals[use] > 1 and one.per.amount == least[use]
    lasts = saves = None
    if outlook is not None and not grant.categories:
        lasts = min(one.product.days, grant.amount // outlook.usual) if outlook.usual > 0 else None
        saves = outlook.saves_percent if outlook.cheaper == one.product.code else None
    return one._replace(best=best, lasts=lasts, saves=saves)


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
        outlooks = await self._desk.engine.usage.outlook(person.subscriber)
        compared = offers(self._desk.engine.products(), person.subscriber.currency, outlooks)
        kinds = [kind for kind in KINDS if any(one.kind == kind for one in compared)]
        only = next((kind for kind in kinds if kind == request.query.get("only")), "")
        return self._desk.page(
            request,
            person,
            "bundles.html",
            here="/bundles",
            shown={kind: [one for one in compared if one.kind == kind] for kind in kinds if only in ("", kind)},
            kinds={kind: KINDS[kind] for kind in kinds},
            only=only,
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
            here="/bundles",
            problem=problem,
            product_sold=product,
            before=before,
            after=person.subscriber.total(Unit.MONEY) - product.price,
            once=fresh(),
            needs_pin=needs_pin(self._desk, person, "purchase"),
        )

    async def _buy(self, request: web.Request, person: Person) -> web.Response:
        fields = await self._desk.form(request, person)
        product = self._product(request)
        problem = await gate(self._desk, person, "purchase", fields)
        if problem:
            return await self._confirm(request, person, problem)
        key = key_of(person, f"purchase|{product.code}", fields)
        shown = number_of("price", fields.get("price", ""))
        return await do(self._desk, self._purchase(person, product.code, shown, key))

    @staticmethod
    def _purchase(person: Person, code: str, price: int, key: UUID) -> Purchase:
        return Purchase(**asked(person, key), product=code, price=price)

    # -- vouchers ---------------------------------------------------------------------------------------------------

    async def _voucher(self, request: web.Request, person: Person, problem: str = "") -> web.Response:
        return self._desk.page(
            request,
            person,
            "recharge.html",
            here="/recharge",
            problem=problem,
            once=fresh(),
            lends=self._desk.operator.advances is not None,
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
        return await gate(self._desk, person, "recharge", fields)
