"""Gifts to another line: what, to whom, how much, one page that confirms it with its fee; and taking it back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from aiohttp import web

from dialogs.asking import masked
from dialogs.refusals import SENTENCES
from dialogs.values import Quantity, Text, text
from engine.words import Code, Subscriber, Transfer, Undo, Unit
from portal.base.amounts import read_amount
from portal.selfcare.asking import asked, do, fresh, gate, key_of, needs_pin, number_of
from portal.selfcare.person import Desk, Person
from portal.selfcare.receivers import Receivers
from settings import TransferRules

UNITS = {
    Unit.MONEY: text("Money, in {currency}"),
    Unit.OCTETS: text("Data, in MB"),
    Unit.SECONDS: text("Calls, in minutes"),
    Unit.MESSAGES: text("Texts"),
}


class Gift(NamedTuple):
    """A gift that could be given."""

    unit: Unit
    amount: int
    fee: int
    receiver: Subscriber


class Gifts:
    """The pages for sending and taking back."""

    def __init__(self, desk: Desk, receivers: Receivers) -> None:
        self._desk = desk
        self._receivers = receivers
        self._rules = desk.operator.transfers if desk.operator.policy.transfers else ()

    def routes(self) -> Sequence[web.AbstractRouteDef]:
        """What they answer to; nothing where the operator allows no gifts."""
        if not self._rules:
            return []
        inside = self._desk.signed_in
        return [
            web.get("/send", inside(self._ask)),
            web.post("/send", inside(self._confirm)),
            web.post("/send/now", inside(self._send)),
            web.post("/send/back", inside(self._take_back)),
        ]

    async def _ask(self, request: web.Request, person: Person, problem: str = "") -> web.Response:
        currency = {"currency": person.subscriber.currency}
        return self._desk.page(
            request,
            person,
            "send.html",
            here="/send",
            problem=problem,
            units={
                one.unit: self._desk.say(person, Text(UNITS[Unit(one.unit)].message, currency)) for one in self._rules
            },
            gift=await self._desk.engine.agreements.last_gift(person.subscriber),
            once=fresh(),
            needs_pin=needs_pin(self._desk, person, "transfer"),
        )

    async def _confirm(self, request: web.Request, person: Person) -> web.Response:
        fields = await self._desk.form(request, person)
        wanted = await self._wanted(person, fields)
        if isinstance(wanted, Text):
            return await self._ask(request, person, self._desk.say(person, wanted))
        return self._desk.page(
            request,
            person,
            "send_confirm.html",
            here="/send",
            wanted=wanted,
            fields=fields,
            # Whole: one wrong digit costs the whole amount.
            number=wanted.receiver.msisdn,
            once=fresh(),
            needs_pin=needs_pin(self._desk, person, "transfer"),
        )

    async def _send(self, request: web.Request, person: Person) -> web.Response:
        fields = await self._desk.form(request, person)
        problem: Text | str = await gate(self._desk, person, "transfer", fields)
        wanted = await self._wanted(person, fields)
        if isinstance(wanted, Text):
            problem = problem or self._desk.say(person, wanted)
        if problem or isinstance(wanted, Text):
            return await self._ask(request, person, str(problem))
        receiver = wanted.receiver
        key = key_of(person, f"transfer|{wanted.unit}|{wanted.amount}|{receiver.line_id}", fields)
        operation = Transfer(
            **asked(person, key),
            unit=wanted.unit,
            amount=wanted.amount,
            # The one that was shown: another one refuses.
            fee=number_of("fee", fields.get("fee", "")),
            receiver=receiver.account,
            receiver_line=receiver.line_id,
            sender_shown=masked(person.subscriber.msisdn),
            receiver_shown=masked(receiver.msisdn),
        )
        return await do(self._desk, operation)

    async def _take_back(self, request: web.Request, person: Person) -> web.Response:
        fields = await self._desk.form(request, person)
        problem = await gate(self._desk, person, "transfer", fields)
        gift = await self._desk.engine.agreements.last_gift(person.subscriber)
        if gift is None or gift.key.hex != fields.get("gift"):
            problem = problem or self._desk.say(person, SENTENCES[Code.NOTHING_TO_UNDO])
        if problem or gift is None:
            return await self._ask(request, person, problem)
        key = key_of(person, f"undo|{gift.key}", fields)
        operation = Undo(
            **asked(person, key), undone_key=gift.key, receiver=gift.receiver, receiver_line=gift.receiver_line
        )
        return await do(self._desk, operation)

    # -- parts ------------------------------------------------------------------------------------------------------

    async def _wanted(self, person: Person, fields: Mapping[str, str]) -> Gift | Text:
        """What a form asks for, or why it cannot be given."""
        rules = next((one for one in self._rules if one.unit == fields.get("unit")), None)
        if rules is None:
            return SENTENCES[Code.TRANSFER_NOT_ALLOWED]
        unit, currency = Unit(rules.unit), person.subscriber.currency
        amount = read_amount(unit, fields.get("amount", ""), currency)
        if amount is None:
            return SENTENCES[Code.AMOUNT_INVALID]
        outside = _outside(rules, amount, currency)
        if outside is not None:
            return outside
        receiver = await self._receivers.find(person, fields.get("number", ""), SENTENCES[Code.RECEIVER_UNKNOWN])
        if isinstance(receiver, Text):
            return receiver
        if receiver.account == person.subscriber.account:
            return SENTENCES[Code.RECEIVER_SAME]
        return Gift(unit, amount, self._desk.engine.agreements.gift_fee(unit, amount), receiver)


def _outside(rules: TransferRules, amount: int, currency: str) -> Text | None:
    """Which of the operator's limits an amount breaks."""
    if amount < rules.least:
        return text("The least is {limit}.", limit=Quantity(Unit(rules.unit), rules.least, currency))
    if amount > rules.most:
        return text("The most is {limit}.", limit=Quantity(Unit(rules.unit), rules.most, currency))
    return None
