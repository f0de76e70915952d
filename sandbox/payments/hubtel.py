"""Hubtel's checkout as far as needed: the payer is asked, the fulfilment address told, the status says what is true.

* ``POST /hubtel/checkout`` ``{SessionId, Mobile, Item}``: what Hubtel does with our ``AddToCart``. The amount's play
  says what becomes of it; ``late``: paid after its seconds
* ``GET /hubtel/transactions/<pos>/status?clientReference=<session>``: basic authentication; 404 before there is one
* ``POST /hubtel/callback``: what became of the order, which is kept

Wire formats: hubtel.readme.io/reference/programmable-services.
"""

from __future__ import annotations

import base64
import secrets
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from aiohttp import web

from sandbox.payments.desk import Desk, json_of
from sandbox.payments.ledger import Payment
from sandbox.payments.plays import Play

FACE = "hubtel"
CURRENCY = "GHS"
#: what the status calls a payment
STATUS = {"captured": "Paid", "refunded": "Refunded"}


class Hubtel:
    """The provider."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        #: what was posted to ``/hubtel/callback``, oldest first
        self.concluded: list[dict[str, Any]] = []
        #: how many of the next ones are not taken
        self.deaf = 0
        desk.tellers[FACE] = self.tell

    def routes(self) -> list[web.RouteDef]:
        """Its paths."""
        return [
            web.post("/hubtel/checkout", self._checkout),
            web.get("/hubtel/transactions/{pos}/status", self._status),
            web.post("/hubtel/callback", self._concluded),
        ]

    async def tell(self, payment: Payment) -> None:
        """Post a fulfilment: only orders that were paid have one."""
        if payment.state == "captured":
            await self._desk.tell(self._desk.accounts.hubtel_fulfilment_url, fulfilment(payment))

    async def _checkout(self, request: web.Request) -> web.StreamResponse:
        asked = await json_of(request)
        session, item = str(asked["SessionId"]), asked["Item"]
        known = self._desk.ledger.by_key(FACE, session)
        if known is not None:
            # A session has one cart: the answer that comes again is the same one.
            return web.json_response({"OrderId": known.id})
        amount = Decimal(str(item["Price"])) * int(item["Qty"])
        payment = Payment(
            face=FACE,
            id=secrets.token_hex(16),
            key=session,
            amount=int(amount.scaleb(2)),
            currency=CURRENCY,
            details={"phone": str(asked["Mobile"]), "item": str(item["ItemId"]), "name": str(item["ItemName"])},
        )
        scripted = self._desk.play(FACE, payment.major)
        if scripted.play is Play.LATE:
            self._desk.due(payment, scripted, scripted.seconds)
        else:
            self._desk.ask(payment, scripted)
        return web.json_response({"OrderId": payment.id})

    async def _status(self, request: web.Request) -> web.StreamResponse:
        accounts = self._desk.accounts
        known = base64.b64encode(f"{accounts.hubtel_client_id}:{accounts.hubtel_client_secret}".encode()).decode()
        if not secrets.compare_digest(request.headers.get("Authorization", "").encode(), f"Basic {known}".encode()):
            raise web.HTTPUnauthorized
        if request.match_info["pos"] != accounts.hubtel_pos:
            raise web.HTTPForbidden
        payment = self._desk.ledger.by_key(FACE, request.query.get("clientReference", ""))
        if payment is None:
            return web.json_response({"message": "Not found", "responseCode": "3000", "data": None}, status=404)
        return web.json_response({"message": "Successful", "responseCode": "0000", "data": transaction(payment)})

    async def _concluded(self, request: web.Request) -> web.StreamResponse:
        told = await json_of(request)
        if self.deaf:
            self.deaf -= 1
            raise web.HTTPServiceUnavailable
        self.concluded.append(told)
        return web.json_response({})


def transaction(payment: Payment) -> dict[str, Any]:
    """A transaction as the status tells it."""
    charges = Decimal(payment.details.get("charges", "0"))
    paid = Decimal(payment.details.get("paid", str(payment.major)))
    return {
        "date": payment.changed_at.isoformat(),
        "status": STATUS.get(payment.state, "Unpaid"),
        "transactionId": payment.id,
        "externalTransactionId": None,
        "paymentMethod": "mobilemoney",
        "clientReference": payment.key,
        "currencyCode": None,
        "amount": float(paid),
        "charges": float(charges),
        "amountAfterCharges": float(paid - charges),
        "isFulfilled": None,
    }


def fulfilment(payment: Payment) -> dict[str, Any]:
    """What is posted once an order is paid."""
    price = float(payment.major)
    return {
        "SessionId": payment.key,
        "OrderId": payment.id,
        "ExtraData": {},
        "OrderInfo": {
            "CustomerMobileNumber": payment.details["phone"],
            "CustomerEmail": None,
            "CustomerName": "Sandbox Payer",
            "Status": "Paid",
            "OrderDate": datetime.now(UTC).isoformat(),
            "Currency": payment.currency,
            "BranchName": "Sandbox",
            "IsRecurring": False,
            "RecurringInvoiceId": None,
            "Subtotal": price,
            "Items": [
                {
                    "ItemId": payment.details["item"],
                    "Name": payment.details["name"],
                    "Quantity": 1,
                    "UnitPrice": price,
                }
            ],
            "Payment": {
                "PaymentType": "mobilemoney",
                "AmountPaid": price,
                "AmountAfterCharges": price,
                "PaymentDate": datetime.now(UTC).isoformat(),
                "PaymentDescription": "Approved.",
                "IsSuccessful": True,
            },
        },
    }
