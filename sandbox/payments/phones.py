"""Phones that somebody holds: their payers are asked on the screen, and answer. All others say yes by themselves.

* ``POST /phones`` ``{numbers}``: these are held for the next seconds; what they show, and their latest payments
* ``POST /prompts/<face>/<id>`` ``{approve}``: what the payer answers
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from aiohttp import web

from sandbox.payments.ledger import Payment
from sandbox.payments.plays import Play

if TYPE_CHECKING:
    from sandbox.payments.desk import Desk

#: seconds that a phone is held after it was last said so, and that a prompt waits for its answer
LEASE, PROMPT_SECONDS = 10.0, 60.0
#: latest payments that are shown of each phone
SHOWN = 5
#: what becomes of these is the payer's to say; all others are decided before
ASKED = frozenset({Play.APPROVE, Play.DUPLICATE, Play.LOST, Play.TWICE, Play.DROP})
#: where a payment keeps what it becomes if its payer agrees
AGREED = "agreed"


class Phones:
    """The phones."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._held: dict[str, float] = {}

    def hold(self, number: str) -> None:
        """Somebody holds this phone from now on, for ``LEASE`` seconds."""
        self._held[_digits(number)] = self._now() + LEASE

    def held(self, number: str) -> bool:
        """Whether somebody does."""
        return self._held.get(_digits(number), 0.0) > self._now()


class Prompts:
    """What held phones show, and what is answered."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def routes(self) -> list[web.RouteDef]:
        """Its paths."""
        return [web.post("/phones", self._show), web.post("/prompts/{face}/{id}", self._answer)]

    async def _show(self, request: web.Request) -> web.StreamResponse:
        try:
            numbers = {_digits(str(one)) for one in (await request.json())["numbers"]}
        except (ValueError, TypeError, KeyError):
            raise web.HTTPBadRequest(text="numbers: a list") from None
        for number in numbers:
            self._desk.phones.hold(number)
        mine = [one for one in self._desk.ledger.all() if _digits(one.details.get("phone", "")) in numbers]
        return web.json_response(
            {
                "prompts": [_shown(one) for one in mine if AGREED in one.details and one.state == "pending"],
                "payments": [_shown(one) for one in mine[-SHOWN * len(numbers) :]] if numbers else [],
            }
        )

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        payment = self._desk.ledger.by_id(request.match_info["face"], request.match_info["id"])
        if payment is None or payment.state != "pending" or AGREED not in payment.details:
            raise web.HTTPNotFound
        try:
            agreed = (await request.json())["approve"] is True
        except (ValueError, TypeError, KeyError):
            raise web.HTTPBadRequest(text="approve: true or false") from None
        then = payment.details.pop(AGREED)
        payment.then, payment.reason = (then, None) if agreed else ("declined", "cancelled")
        self._desk.settle(payment)
        return web.json_response(_shown(payment))


def _shown(payment: Payment) -> dict[str, Any]:
    return {
        "face": payment.face,
        "id": payment.id,
        "phone": _digits(payment.details.get("phone", "")),
        "amount": str(payment.major),
        "currency": payment.currency,
        "account": payment.details.get("account") or payment.details.get("reference", ""),
        "state": payment.state,
        "reason": payment.reason,
        "play": payment.play,
        "tells": payment.tells,
    }


def _digits(number: str) -> str:
    return "".join(filter(str.isdigit, number))
