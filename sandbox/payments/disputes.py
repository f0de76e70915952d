"""Payers' banks that ask money back, as Stripe tells of them (docs.stripe.com/api/disputes)."""

from __future__ import annotations

from aiohttp import web

from sandbox.payments.desk import Desk
from sandbox.payments.shapes import dispute_of
from sandbox.payments.stripe_wire import check_key


class Disputes:
    """The banks, and what the provider lists of them: one dispute about a payment."""

    def __init__(self, desk: Desk, face: str) -> None:
        self._desk = desk
        self._face = face

    def routes(self) -> list[web.RouteDef]:
        """The list as at Stripe; and ``/stripe/disputes/…`` for a payer's bank."""
        return [
            web.get("/stripe/v1/disputes", self._list),
            web.post("/stripe/disputes/{id}/{end}", self._come_to),
        ]

    async def _list(self, request: web.Request) -> web.StreamResponse:
        check_key(request, self._desk.accounts.stripe_secret_key)
        payment = self._desk.ledger.by_id(self._face, request.query.get("payment_intent", ""))
        data = [dispute_of(payment)] if payment is not None and payment.disputed else []
        return web.json_response({"object": "list", "data": data, "has_more": False})

    async def _come_to(self, request: web.Request) -> web.StreamResponse:
        """``…/needs_response`` (``?amount=`` minor units for a part), ``…/won``, ``…/lost``."""
        payment, end = self._desk.ledger.by_id(self._face, request.match_info["id"]), request.match_info["end"]
        if payment is None or end not in {"needs_response", "won", "lost"}:
            raise web.HTTPNotFound
        try:
            if end == "needs_response":
                payment.dispute(int(request.query.get("amount", payment.amount)))
            elif end == "won":
                payment.win()
        except ValueError as error:
            raise web.HTTPBadRequest(text=str(error)) from error
        payment.details["dispute"] = end
        self._desk.told(payment)
        return web.json_response({})
