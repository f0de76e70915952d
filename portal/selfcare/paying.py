"""Recharges paid by mobile money or card: asked for here, approved by the payer, followed on a page; saved cards.

A card that is not saved is entered on the payment service's own page. No form of ours leads there: the policy of our
pages (``form-action 'self'``) holds for where a form's answer redirects to, too. The form leads to the payment's page,
and that one goes on by itself.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import timedelta
from functools import partial
from typing import NamedTuple
from uuid import UUID

from aiohttp import web

from dialogs.asking import masked
from dialogs.flows.pay.choices import card_name, method_name
from dialogs.refusals import NOT_ASKED, not_paid
from dialogs.values import Money, Text, text
from engine.words import (
    CARDS_MOST,
    CardPage,
    LineRef,
    Payment,
    PaymentMethod,
    PaymentRefused,
    PaymentState,
    Refused,
    SavedCard,
    Unit,
)
from portal.base.amounts import read_amount
from portal.selfcare.asking import SOURCE, fresh, gate, key_of, needs_pin, number_of, see
from portal.selfcare.live import Live, Seen
from portal.selfcare.person import Desk, Person
from portal.selfcare.receivers import Receivers

_WAITING = text("Approve the payment on your phone. This page says when it is done.")
#: of a card, which nobody approves on a phone
_BY_CARD = {
    PaymentState.CREATED: text("We are asking the payment service."),
    PaymentState.REQUESTED: text("We are asking the payment service."),
    PaymentState.PENDING: text("Finish it at the payment service. This page says when it is done."),
}
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


def state_of(payment: Payment) -> Text:
    """What a person is told of a payment."""
    if payment.state is PaymentState.DECLINED:
        return not_paid({"reason": payment.reason or "other"})
    by_card = _BY_CARD.get(payment.state) if payment.method is PaymentMethod.CARD else None
    return by_card or STATES[payment.state]


_PAYMENT_ID = re.compile(r"[0-9a-f-]{36}")


def valid_until(card: SavedCard) -> str:
    """The last month in which a card is valid, as it stands on the card."""
    return f"{card.expires_at - timedelta(days=1):%m/%y}"


class Way(NamedTuple):
    """One way to pay: its value in the form, its name, and the card, where it is one."""

    value: str
    name: str
    method: PaymentMethod
    card: SavedCard | None = None

    @property
    def new_card(self) -> bool:
        """Whether the card is entered at the gateway."""
        return self.method is PaymentMethod.CARD and self.card is None


class Paying:
    """The form for a payment, the page of each payment, and the saved cards."""

    def __init__(self, desk: Desk, live: Live, receivers: Receivers) -> None:
        self._desk = desk
        self._live = live
        self._receivers = receivers

    def routes(self) -> Sequence[web.AbstractRouteDef]:
        """What they answer to."""
        inside = self._desk.signed_in
        return [
            web.get("/pay", inside(self._ask)),
            web.post("/pay", inside(self._pay)),
            web.get("/payments/{id:[0-9a-f-]{36}}", inside(self._show)),
            web.get("/payments/{id:[0-9a-f-]{36}}/live", inside(self._follow, renew=False)),
            web.post("/payments/{id:[0-9a-f-]{36}}/call-off", inside(self._call_off)),
            web.get("/paid", self._desk.open_to_all(self._come_back)),
            web.get("/cards", inside(self._cards)),
            web.post("/cards/forget", inside(self._forget)),
        ]

    async def _ways(self, person: Person) -> list[Way]:
        """How the person can pay: by phone, with each saved card, with a card that they enter at the gateway."""
        operator, engine = self._desk.operator, self._desk.engine
        named = operator.payments.methods
        open_ = {one for one in engine.payment_methods() if not named or one.value in named}
        said = partial(self._desk.texts.write, person.language)
        ways = []
        if PaymentMethod.MOBILE_MONEY in open_:
            name = method_name(operator, PaymentMethod.MOBILE_MONEY)
            ways.append(Way("mobile_money", said(name), PaymentMethod.MOBILE_MONEY))
        if PaymentMethod.CARD in open_:
            for card in await engine.saved_cards(person.subscriber):
                name = card_name(card.brand, card.last_four)
                ways.append(Way(card.card_id.hex, said(name), PaymentMethod.CARD, card))
            if engine.takes_new_cards():
                ways.append(Way("new_card", said(text("New card")), PaymentMethod.CARD))
        return ways

    async def _ask(self, request: web.Request, person: Person, problem: str = "") -> web.Response:
        ways = await self._ways(person)
        return self._desk.page(
            request,
            person,
            "pay.html",
            here="/recharge",
            problem=problem,
            once=fresh(),
            ways=ways,
            may_keep=sum(one.card is not None for one in ways) < CARDS_MOST,
            amounts=self._desk.operator.payments.amounts,
            needs_pin=needs_pin(self._desk, person, "payment"),
        )

    async def _pay(self, request: web.Request, person: Person) -> web.Response:
        fields = await self._desk.form(request, person)
        problem = partial(self._ask, request, person)
        line = person.subscriber
        typed = fields.get("amount", "").strip()
        amount = (
            read_amount(Unit.MONEY, typed, line.currency) if typed else number_of("quick", fields.get("quick", "0"))
        )
        if not amount:
            return await problem(self._desk.say(person, text("This amount is not possible.")))
        way = next((one for one in await self._ways(person) if one.value == fields.get("way")), None)
        if way is None:
            return await problem(self._desk.say(person, NOT_ASKED[Refused.METHOD]))
        wrong = await gate(self._desk, person, "payment", fields)
        if wrong:
            return await problem(wrong)
        number = fields.get("number", "").strip()
        payee = await self._receivers.find(person, number, NOT_ASKED[Refused.LINE]) if number else line
        if isinstance(payee, Text):
            return await problem(self._desk.say(person, payee))
        page = CardPage(keep="keep" in fields) if way.new_card else None
        key = key_of(person, f"pay|{amount}|{way.value}|{page}|{payee.line_id}", fields)
        payer = {"msisdn": line.msisdn} if way.method is PaymentMethod.MOBILE_MONEY else {"card": way.card}
        try:
            payment = await self._desk.engine.pay(
                payee, way.method, amount, key=key, asked_by=line.line, source=SOURCE, page=page, **payer
            )
        except PaymentRefused as refused:
            said = not_paid({"code": refused.args[0], "limit": refused.limit, "currency": line.currency})
            return await problem(self._desk.say(person, said))
        return see(f"/portal/payments/{payment.payment_id}{'?on' if page else ''}")

    async def _show(self, request: web.Request, person: Person) -> web.Response:
        payment = await self._payment(request, person)
        link = await self._link(payment, person)
        if link is not None:
            # It is before them: it need not be texted.
            await self._desk.engine.payment_link_shown(payment, person.subscriber.line)
        return self._desk.page(
            request,
            person,
            "payment.html",
            here="/recharge",
            payment=payment,
            link=link,
            goes_on=link is not None and "on" in request.query,
            number=await self._for_whom(person, payment),
            said=self._desk.say(person, state_of(payment)),
            paid=self._desk.texts.write(person.language, Money(payment.amount, payment.currency)),
        )

    async def _follow(self, request: web.Request, person: Person) -> web.StreamResponse:
        async def look() -> Seen:
            """The payment of now, until it has come to its end."""
            now = await self._payment(request, person)
            link = await self._link(now, person)
            said = self._desk.say(person, state_of(now))
            part = partial(self._desk.part, request, person, "payment_state.html", payment=now, said=said, link=link)
            return Seen((now.state, link), part, final=now.state.final)

        return await self._live.follow(request, person, look)

    async def _link(self, payment: Payment, person: Person) -> str | None:
        """What the payer has to follow while the payment waits for them."""
        if payment.state is not PaymentState.PENDING:
            return None
        return await self._desk.engine.payment_link(payment, person.subscriber.line)

    async def _call_off(self, request: web.Request, person: Person) -> web.Response:
        await self._desk.form(request, person)
        payment = await self._payment(request, person)
        if payment.method is PaymentMethod.CARD:
            await self._desk.engine.call_off_payment(payment)
        return see(f"/portal/payments/{payment.payment_id}")

    async def _come_back(self, request: web.Request, person: Person) -> web.Response:
        """From the payment service: to the payment, or, of whoever got the link by text, to a word of thanks."""
        named = request.query.get("payment", "")
        if person.line is not None and _PAYMENT_ID.fullmatch(named):
            return see(f"/portal/payments/{named}")
        return self._desk.page(request, person, "paid.html")

    async def _cards(self, request: web.Request, person: Person) -> web.Response:
        cards = await self._desk.engine.saved_cards(person.subscriber)
        return self._desk.page(request, person, "cards.html", here="/more", cards=cards, valid_until=valid_until)

    async def _forget(self, request: web.Request, person: Person) -> web.Response:
        fields = await self._desk.form(request, person)
        try:
            card_id = UUID(fields.get("card", ""))
        except ValueError:
            raise web.HTTPBadRequest(text="card: not what the page held") from None
        await self._desk.engine.forget_card(person.subscriber, card_id)
        return see("/portal/cards")

    async def _payment(self, request: web.Request, person: Person) -> Payment:
        """The payment of the path, if the person asked for it, or it is for their own account and theirs to know."""
        line = person.subscriber
        try:
            found = await self._desk.engine.payment(UUID(request.match_info["id"]))
        except ValueError:
            raise web.HTTPNotFound from None
        if found is None:
            raise web.HTTPNotFound
        own = found.account == line.account
        if own and (found.line_id == line.line_id or await self._desk.only_line(person) is None):
            return found
        if not await self._desk.engine.favourites.has_recharged(line.line, found.payment_id):
            raise web.HTTPNotFound
        return found

    async def _for_whom(self, person: Person, payment: Payment) -> str:
        """The end of the number that a payment is for, where it is another one than the person's."""
        if payment.line_id is None or payment.line_id == person.subscriber.line_id:
            return ""
        line = LineRef(*payment.account, payment.line_id)
        contact = (await self._desk.engine.accounts.reveal([line])).get(line.line_id)
        return "" if contact is None or contact.msisdn is None else masked(contact.msisdn)
