"""Recharges paid by mobile money: asked for here, approved on the payer's phone, followed on a page."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal, InvalidOperation
from functools import partial
from uuid import UUID

from aiohttp import web
from babel.numbers import get_currency_precision

from dialogs.refusals import not_paid
from dialogs.values import Money, Text, text
from engine.words import Payment, PaymentMethod, PaymentRefused, PaymentState
from portal.selfcare.asking import SOURCE, fresh, key_of, needs_pin, pin_problem, see
from portal.selfcare.live import Live, Seen
from portal.selfcare.person import Desk, Person

_WAITING = text("Approve the payment on your phone. This page says when it is done.")
_BACK = text("This payment goes back to the payer.")
#: what is said of a payment by its state; what was declined has a reason of its own
STATES: dict[PaymentState, Text] = {
    PaymentState.CREATED: _WAITING,
    PaymentState.REVIEW: text("This payment is being checked. We will text you the outcome."),
    PaymentState.REQUESTED: _WAITING,
    PaymentState.PENDING: _WAITING,
    PaymentState.UNKNOWN: text("We are finding out what became of this payment. Please do not pay again."),
    PaymentState.HELD: text("Paid. It is credited in a moment."),
    PaymentState.CAPTURED: text("Paid. It is credited in a moment."),
    PaymentState.SETTLED: text("Paid and credited."),
    PaymentState.REFUNDING: _BACK,
    PaymentState.REFUNDED: _BACK,
    PaymentState.CHARGED_BACK: _BACK,
}
BY = PaymentMethod.MOBILE_MONEY


def state_of(payment: Payment) -> Text:
    """What a person is told of a payment."""
    if payment.state is PaymentState.DECLINED:
        return not_paid({"reason": payment.reason or "other"})
    return STATES[payment.state]


def read_amount(typed: str, currency: str) -> int | None:
    """Minor units of what a person typed, exactly; None if it is no such amount."""
    try:
        minor = Decimal(typed.strip()).scaleb(get_currency_precision(currency))
    except InvalidOperation:
        return None
    return int(minor) if minor.is_finite() and minor == minor.to_integral_value() and 0 < minor < 10**13 else None


class Paying:
    """The form for a payment, and the page of each payment."""

    def __init__(self, desk: Desk, live: Live) -> None:
        self._desk = desk
        self._live = live

    def routes(self) -> Sequence[web.AbstractRouteDef]:
        """What they answer to."""
        inside = self._desk.signed_in
        return [
            web.get("/pay", inside(self._ask)),
            web.post("/pay", inside(self._pay)),
            web.get("/payments/{id:[0-9a-f-]{36}}", inside(self._show)),
            web.get("/payments/{id:[0-9a-f-]{36}}/live", inside(self._follow)),
        ]

    async def _ask(self, request: web.Request, person: Person, problem: str = "") -> web.Response:
        return self._desk.page(
            request,
            person,
            "pay.html",
            status=422 if problem else 200,
            here="/pay",
            problem=problem,
            notice="",
            once=fresh(),
            possible=BY in self._desk.engine.payment_methods(),
            needs_pin=needs_pin(self._desk, person, "payment"),
        )

    async def _pay(self, request: web.Request, person: Person) -> web.Response:
        fields = await self._desk.form(request, person)
        problem = partial(self._ask, request, person)
        amount = read_amount(fields.get("amount", ""), person.subscriber.currency)
        if amount is None:
            return await problem(self._desk.say(person, text("This amount is not possible.")))
        if needs_pin(self._desk, person, "payment"):
            wrong = await pin_problem(self._desk, person, fields.get("pin", ""))
            if wrong:
                return await problem(wrong)
        line, key = person.subscriber, key_of(person, f"pay|{amount}", fields)
        try:
            payment = await self._desk.engine.pay(line, BY, amount, key=key, msisdn=line.msisdn, source=SOURCE)
        except PaymentRefused as refused:
            said = not_paid({"code": refused.args[0], "limit": refused.limit, "currency": line.currency})
            return await problem(self._desk.say(person, said))
        return see(f"/portal/payments/{payment.payment_id}")

    async def _show(self, request: web.Request, person: Person) -> web.Response:
        payment = await self._payment(request, person)
        return self._desk.page(
            request,
            person,
            "payment.html",
            here="/pay",
            problem="",
            notice="",
            payment=payment,
            said=self._desk.say(person, state_of(payment)),
            paid=self._desk.texts.write(person.language, Money(payment.amount, payment.currency)),
        )

    async def _follow(self, request: web.Request, person: Person) -> web.StreamResponse:
        async def look() -> Seen:
            now = await self._payment(request, person)
            said = self._desk.say(person, state_of(now))
            part = partial(self._desk.part, request, person, "payment_state.html", payment=now, said=said)
            return Seen(now.state, part, final=now.state.final)

        return await self._live.follow(request, person, look)

    async def _payment(self, request: web.Request, person: Person) -> Payment:
        """The payment of the path, if it is for the person's own account."""
        try:
            found = await self._desk.engine.payment(UUID(request.match_info["id"]))
        except ValueError:
            raise web.HTTPNotFound from None
        if found is None or found.account != person.subscriber.account:
            raise web.HTTPNotFound
        return found
