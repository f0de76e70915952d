"""From a form to an operation: its key, its PIN, and the page that says what became of it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4, uuid5

import msgspec
from aiohttp import web

from dialogs.names import product_name
from dialogs.refusals import refusal
from dialogs.values import LastDay, Money, Quantity, Text, text
from engine.words import Answer, Operation, PinVerdict, Unit
from portal.selfcare.person import Desk, Person
from portal.selfcare.shown import KINDS
from settings import Operator

#: who asks, in the books
SOURCE = "portal:web"

#: digits of the largest number that a page of ours puts into a form
DIGITS_MOST = 15


def fresh() -> str:
    """What makes one form's operation: the page holds it, so a form that is sent twice is done once."""
    return uuid4().hex


def key_of(person: Person, purpose: str, fields: Mapping[str, str]) -> UUID:
    """The idempotency key of what a form asks for. Raises 400 for a form that no page of ours made."""
    try:
        once = UUID(fields.get("once", ""))
    except ValueError:
        raise web.HTTPBadRequest(text="once: not what the page held") from None
    return uuid5(person.subscriber.line_id, f"portal|{purpose}|{once.hex}")


def asked(person: Person, key: UUID) -> dict[str, Any]:
    """What every operation of a person says."""
    line = person.subscriber
    now = datetime.now(UTC)
    return {"account": line.account, "line_id": line.line_id, "key": key, "asked_at": now, "source": SOURCE}


def needs_pin(desk: Desk, person: Person, purpose: str) -> bool:
    """Whether the operator asks for the PIN before this, of a line that has one."""
    return purpose in desk.operator.pins.required_for and person.subscriber.has_pin


async def pin_problem(desk: Desk, person: Person, typed: str) -> str:
    """What is wrong with a PIN, in the person's language; nothing if it is right."""
    verdict = await desk.engine.check_pin(person.subscriber, typed)
    if verdict in {PinVerdict.RIGHT, PinVerdict.NOT_SET}:
        return ""
    locked = text("Too many wrong PINs. Please try again later.")
    return desk.say(person, locked if verdict is PinVerdict.LOCKED else text("Wrong PIN."))


async def gate(desk: Desk, person: Person, purpose: str, fields: Mapping[str, str]) -> str:
    """What is wrong with the PIN of a form, where the operator asks for one before this."""
    return await pin_problem(desk, person, fields.get("pin", "")) if needs_pin(desk, person, purpose) else ""


def number_of(name: str, said: str) -> int:
    """A whole number that a page of ours put into its form. Raises 400 for anything else."""
    if not (said.isascii() and said.isdigit() and len(said) <= DIGITS_MOST):
        raise web.HTTPBadRequest(text=f"{name}: not what the page held")
    return int(said)


async def do(desk: Desk, operation: Operation) -> web.Response:
    """Do it, and lead to the page that says what became of it: that page can be opened again without doing it again."""
    await desk.engine.post(operation)
    return see(f"/portal/outcome/{operation.key}")


def see(where: str) -> web.Response:
    """To another page, with GET (RFC 9110 §15.4.4)."""
    return web.Response(status=303, headers={"Location": where})


class Outcomes:
    """The page that says what became of an operation."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def routes(self) -> list[web.RouteDef]:
        """What it answers to."""
        return [web.get("/outcome/{key:[0-9a-f-]{36}}", self._desk.signed_in(self._show))]

    async def _show(self, request: web.Request, person: Person) -> web.Response:
        try:
            key = UUID(request.match_info["key"])
        except ValueError:
            raise web.HTTPNotFound from None
        line, explain = person.subscriber, self._desk.engine.explain
        found = own = await explain(line.account, key, line.line_id)
        # Nobody sees what another one did. An owner sees what they limited for another line.
        if own is None and await self._desk.only_line(person) is None:
            found = await explain(line.account, key)
        if found is None:
            raise web.HTTPNotFound
        answer = msgspec.convert(found["answer"], type=Answer)
        said = self._desk.say(person, outcome(answer, self._desk.operator))
        return self._desk.page(
            request,
            person,
            "outcome.html",
            here="",
            problem="" if answer.ok else said,
            notice=said if answer.ok else "",
            kind=answer.kind if own else "family",
        )


def outcome(answer: Answer, operator: Operator) -> Text:
    """What became of an operation, in the words of the dialogs."""
    details = answer.details
    if not answer.ok:
        return refusal({**details, "code": answer.code, "currency": operator.currency})
    values: dict[str, Any] = {"reference": answer.reference}
    ends = [one.expires_at for one in answer.effects if one.after > one.before and one.expires_at is not None]
    if ends:
        values["day"] = LastDay(max(ends))
    if answer.kind == "recharge":
        values |= {name: Money(details[name], operator.currency) for name in ("amount", "balance")}
        if ends:
            return Text("Recharged {amount}. Balance {balance} until {day}. Ref {reference}", values)
        return Text("Recharged {amount}. Balance {balance}. Ref {reference}", values)
    if answer.kind == "purchase":
        values["product"] = product_name(operator, details["product"])
        values |= {name: Money(details[name], operator.currency) for name in ("price", "balance")}
        if ends:
            return Text("{product} bought for {price}, until {day}. Balance {balance}. Ref {reference}", values)
        return Text("{product} bought for {price}. Balance {balance}. Ref {reference}", values)
    if answer.kind == "transfer":
        unit = Unit(details["unit"])
        values |= {name: Quantity(unit, details[name], operator.currency) for name in ("amount", "balance")}
        values["number"] = details["receiver"]
        return Text("{amount} sent to {number}. Balance {balance}. Ref {reference}", values)
    if answer.kind == "advance":
        values |= {name: Money(details[name], operator.currency) for name in ("amount", "balance")}
        values["owed"] = Money(details["amount"] + details["fee"], operator.currency)
        return Text(
            "Advance of {amount}. Your next recharge pays back {owed}. Balance {balance}. Ref {reference}", values
        )
    if answer.kind == "undo":
        unit = Unit(details["unit"])
        values |= {name: Quantity(unit, details[name], operator.currency) for name in ("amount", "balance")}
        return Text("{amount} taken back. Balance {balance}. Ref {reference}", values)
    return text("{what}. Ref {reference}", what=KINDS[answer.kind], reference=answer.reference)
