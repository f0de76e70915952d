"""What held phones show, over HTTP, and what their payers answer there.

* ``POST /phones`` ``{numbers}``: these are held for the next seconds; what they show, and their latest payments
* ``POST /prompts/<face>/<id>`` ``{approve}``: what the payer answers
"""

from __future__ import annotations

from typing import Any

from aiohttp import web

from sandbox.payments.desk import Desk
from sandbox.payments.ledger import Payment
from sandbox.payments.phones import AGREED, digits

#: latest payments that are shown of each phone
SHOWN = 5


class Prompts:
    """What held phones show, and what is answered."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def routes(self) -> list[web.RouteDef]:
        """Its paths."""
        return [web.post("/phones", self._show), web.post("/prompts/{face}/{id}", self._answer)]

    async def _show(self, request: web.Request) -> web.StreamResponse:
        try:
            numbers = {digits(str(one)) for one in (await request.json())["numbers"]}
        except (ValueError, TypeError, KeyError):
            raise web.HTTPBadRequest(text="numbers: a list") from None
        for number in numbers:
            self._desk.phones.hold(number)
        mine = [one for one in self._desk.ledger.all() if digits(one.details.get("phone", "")) in numbers]
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
        "phone": digits(payment.details.get("phone", "")),
        "amount": str(payment.major),
        "currency": payment.currency,
        "account": payment.details.get("account") or payment.details.get("reference", ""),
        "state": payment.state,
        "reason": payment.reason,
        "play": payment.play,
        "tells": payment.tells,
    }
