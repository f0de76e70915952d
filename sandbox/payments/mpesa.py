"""Daraja as far as needed: token, push, query, reversal, transaction status, C2B.

Wire formats: developer.safaricom.co.ke/APIs. A reversal and a transaction status are answered by a ``Result``.
"""

from __future__ import annotations

import base64
import re
import secrets
from datetime import UTC, datetime
from typing import Any

import msgspec
from aiohttp import web

from sandbox.payments.daraja import (
    NAIROBI,
    c2b_body,
    error_body,
    local,
    read_local,
    result_of,
    statement,
    stk_callback,
    taken,
)
from sandbox.payments.desk import Desk, cut, json_of
from sandbox.payments.ledger import Payment, letters
from sandbox.payments.plays import Play

FACE = "mpesa"
PHONE = re.compile(r"254[17][0-9]{8}")
LARGEST = 250_000
JSON = {"Content-Type": "application/json"}


class Mpesa:
    """The provider."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._tokens: set[str] = set()
        #: where C2B goes: validation, confirmation
        self._c2b: dict[str, str] = {}
        desk.tellers[FACE] = self.tell

    def routes(self) -> list[web.RouteDef]:
        """Its paths, as at Daraja, below ``/mpesa``; and ``pay`` for a payer who begins it on the phone."""
        return [
            web.get("/mpesa/oauth/v1/generate", self._token),
            web.post("/mpesa/mpesa/stkpush/v1/processrequest", self._push),
            web.post("/mpesa/mpesa/stkpushquery/v1/query", self._query),
            web.post("/mpesa/mpesa/reversal/v1/request", self._reverse),
            web.post("/mpesa/mpesa/transactionstatus/v1/query", self._transaction_status),
            web.post("/mpesa/mpesa/c2b/v1/registerurl", self._register),
            web.post("/mpesa/pay", self._pay),
            web.post("/mpesa/forget-tokens", self._forget),
            web.get("/mpesa/statement.csv", self._statement),
        ]

    # --- telling ---

    async def tell(self, payment: Payment) -> None:
        """What became of a push; scripted ``twice``, as a C2B confirmation too."""
        if payment.details.get("c2b") != "only":
            await self._desk.tell(payment.callback_url, {"Body": {"stkCallback": stk_callback(payment)}})
        confirmation = self._c2b.get("ConfirmationURL", "")
        if payment.play == Play.TWICE or payment.details.get("c2b") == "only":
            await self._desk.tell(confirmation, c2b_body(payment, self._desk.accounts.mpesa_shortcode))

    # --- the interface ---

    async def _token(self, request: web.Request) -> web.StreamResponse:
        accounts = self._desk.accounts
        pair = f"{accounts.mpesa_consumer_key}:{accounts.mpesa_consumer_secret}".encode()
        if request.headers.get("Authorization") != f"Basic {base64.b64encode(pair).decode()}":
            return web.Response(status=400)
        token = secrets.token_hex(14)
        self._tokens.add(token)
        return web.json_response({"access_token": token, "expires_in": "3599"})

    async def _forget(self, _request: web.Request) -> web.StreamResponse:
        self._tokens.clear()
        return web.json_response({})

    async def _asked(self, request: web.Request) -> dict[str, Any]:
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if token not in self._tokens:
            raise web.HTTPNotFound(
                text=error_body("404.001.03", "Invalid Access Token"), content_type="application/json"
            )
        return await json_of(request)

    async def _push(self, request: web.Request) -> web.StreamResponse:
        asked, desk = await self._asked(request), self._desk
        problem = self._problem(asked)
        if problem:
            return web.Response(
                status=400, text=error_body("400.002.02", f"Bad Request - Invalid {problem}"), headers=JSON
            )
        payment = Payment(
            face=FACE,
            id=f"ws_CO_{local(datetime.now(UTC))}{secrets.randbelow(10**9):09d}",
            key=secrets.token_hex(16),
            amount=int(asked["Amount"]) * 100,
            currency="KES",
            callback_url=asked["CallBackURL"],
            details={
                "merchant": f"{secrets.randbelow(10**5)}-{secrets.randbelow(10**8)}-1",
                "receipt": letters(10),
                "phone": str(asked["PhoneNumber"]),
                "account": str(asked["AccountReference"]),
            },
        )
        scripted = desk.play(FACE, payment.major)
        if scripted.play is Play.HANG:
            return await desk.never()
        if scripted.play is Play.ERROR:
            return web.Response(status=500, text=error_body("500.003.1001", "Internal Server Error"), headers=JSON)
        if scripted.play is Play.EARLY:
            desk.prepare(payment, scripted)
            await desk.tell_first(payment)
        elif scripted.play is Play.LATE:
            desk.due(payment, scripted, scripted.seconds)
        else:
            desk.ask(payment, scripted)
        if scripted.play is Play.LATE:
            return await desk.never()
        if scripted.play is Play.SLOW:
            await desk.wait_for(scripted.seconds)
        return cut(request) if scripted.play is Play.DROP else web.json_response(taken(payment))

    def _problem(self, asked: dict[str, Any]) -> str:
        accounts, at = self._desk.accounts, str(asked.get("Timestamp"))
        password = base64.b64encode(f"{accounts.mpesa_shortcode}{accounts.mpesa_passkey}{at}".encode()).decode()
        amount = asked.get("Amount")
        now = datetime.now(NAIROBI).replace(tzinfo=None)
        if asked.get("Password") != password or abs((read_local(at) - now).total_seconds()) > 120:
            return "Password"
        if not isinstance(amount, int) or not 1 <= amount <= LARGEST:
            return "Amount"
        if not PHONE.fullmatch(str(asked.get("PhoneNumber"))):
            return "PhoneNumber"
        if not 1 <= len(str(asked.get("AccountReference", ""))) <= 12:
            return "AccountReference"
        if not 1 <= len(str(asked.get("TransactionDesc", ""))) <= 13:
            return "TransactionDesc"
        return "" if str(asked.get("CallBackURL", "")).startswith("http") else "CallBackURL"

    async def _query(self, request: web.Request) -> web.StreamResponse:
        asked = await self._asked(request)
        payment = self._desk.ledger.by_id(FACE, str(asked.get("CheckoutRequestID")))
        if payment is None:
            body = error_body("400.002.02", "Bad Request - Invalid CheckoutRequestID")
            return web.Response(status=400, text=body, headers=JSON)
        if payment.state == "pending":
            body = error_body("500.001.1001", "The transaction is being processed")
            return web.Response(status=500, text=body, headers=JSON)
        code, said = result_of(payment)
        return web.json_response(
            {
                "ResponseCode": "0",
                "ResponseDescription": "The service request has been accepted successsfully",
                "MerchantRequestID": payment.details.get("merchant", ""),
                "CheckoutRequestID": payment.id,
                "ResultCode": str(code),
                "ResultDesc": said,
            }
        )

    def _by_receipt(self, receipt: object) -> Payment | None:
        found = (one for one in self._desk.ledger.all(FACE) if one.details["receipt"] == receipt)
        return next((one for one in found if one.movements), None)

    async def _reverse(self, request: web.Request) -> web.StreamResponse:
        asked = await self._asked(request)
        payment = self._by_receipt(asked.get("TransactionID"))
        parameters: dict[str, Any] = {}
        code = 2001 if not asked.get("SecurityCredential") else 0
        if code == 0 and payment is not None:
            try:
                payment.give_back(f"reversal-{payment.id}", int(asked["Amount"]) * 100)
                self._desk.ledger.save(payment)
                parameters = {
                    "Amount": str(asked["Amount"]),
                    "TransCompletedTime": int(local(datetime.now(UTC))),
                    "OriginalTransactionID": payment.details["receipt"],
                }
            except ValueError:
                code = 26
        return self._result(asked, code if payment is not None else 12, parameters)

    async def _transaction_status(self, request: web.Request) -> web.StreamResponse:
        asked = await self._asked(request)
        payment = self._by_receipt(asked.get("TransactionID"))
        if payment is None:
            return self._result(asked, 12, {})
        parameters = {
            "ReceiptNo": payment.details["receipt"],
            "Amount": float(payment.major),
            "TransactionStatus": "Reversed" if payment.refunded == payment.amount else "Completed",
            "FinalisedTime": int(local(payment.changed_at)),
        }
        return self._result(asked, 0, parameters)

    def _result(self, asked: dict[str, Any], code: int, parameters: dict[str, Any]) -> web.Response:
        conversation = f"AG_{local(datetime.now(UTC))}_{secrets.token_hex(10)}"
        result: dict[str, Any] = {
            "ResultType": 0,
            "ResultCode": code,
            "ResultDesc": "done" if code == 0 else "failed",
            "OriginatorConversationID": secrets.token_hex(8),
            "ConversationID": conversation,
            "TransactionID": letters(10),
        }
        if parameters:
            items = [{"Key": key, "Value": value} for key, value in parameters.items()]
            result["ResultParameters"] = {"ResultParameter": items}
        self._desk.later(self._tell_result(asked, result))
        said = {"ConversationID": conversation, "OriginatorConversationID": result["OriginatorConversationID"]}
        accepted = "Accept the service request successfully."
        return web.json_response({**said, "ResponseCode": "0", "ResponseDescription": accepted})

    async def _tell_result(self, asked: dict[str, Any], result: dict[str, Any]) -> None:
        await self._desk.wait_for(self._desk.pace)
        await self._desk.tell(str(asked["ResultURL"]), {"Result": result})

    # --- payers who begin it themselves ---

    async def _register(self, request: web.Request) -> web.StreamResponse:
        asked = await self._asked(request)
        self._c2b = {name: str(asked[name]) for name in ("ValidationURL", "ConfirmationURL")}
        return web.json_response({"ResponseCode": "0", "ResponseDescription": "Success"})

    async def _pay(self, request: web.Request) -> web.StreamResponse:
        """``{account, amount (shillings), msisdn}``: validation, and if that is accepted confirmation."""
        asked = await json_of(request)
        payment = Payment(
            face=FACE,
            id=f"c2b_{secrets.token_hex(8)}",
            key=secrets.token_hex(16),
            amount=int(asked["amount"]) * 100,
            currency="KES",
            details={"receipt": letters(10), "phone": str(asked["msisdn"]), "account": asked["account"], "c2b": "only"},
        )
        body = msgspec.json.encode(c2b_body(payment, self._desk.accounts.mpesa_shortcode))
        status, said = await self._desk.post(self._c2b.get("ValidationURL", ""), body, JSON)
        if status == 200 and str(msgspec.json.decode(said).get("ResultCode")) != "0":
            return web.json_response({"accepted": False})
        payment.become("captured")
        self._desk.told(payment)
        return web.json_response({"accepted": True, "receipt": payment.details["receipt"]})

    async def _statement(self, _request: web.Request) -> web.StreamResponse:
        return web.Response(text=statement(self._desk.ledger.all(FACE)), content_type="text/csv")
