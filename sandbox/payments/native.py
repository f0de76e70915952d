"""The sandbox's own provider: ``/v1/payments``, callbacks signed with HMAC, a settlement file.

A payer with a number and no token pays by phone: the answer is ``pending``. One with a token pays at once.
"""

from __future__ import annotations

import csv
import io
import re
import secrets
from typing import Any

import msgspec
from aiohttp import web

from sandbox.payments.desk import Desk, cut, json_of, timestamped
from sandbox.payments.ledger import Payment
from sandbox.payments.plays import Play, Scripted

FACE = "native"
UUID = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}")
CURRENCY = re.compile(r"[A-Z]{3}")
LARGEST = 10**15
#: per cent that we keep
FEE = 1


class Native:
    """The provider."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        desk.tellers[FACE] = self.tell

    def routes(self) -> list[web.RouteDef]:
        """Its paths."""
        one = "/v1/payments/{payment_id}"
        return [
            web.post("/v1/payments", self._charge),
            web.get(one, self._status),
            web.post(one + "/confirm", self._confirm),
            web.post(one + "/cancel", self._cancel),
            web.post(one + "/refunds", self._refund),
            web.get("/v1/settlement.csv", self._settlement),
        ]

    async def tell(self, payment: Payment) -> None:
        """Post the payment as it stands."""
        sign = timestamped("Sandbox-Signature", self._desk.accounts.webhook_secret)
        event = f"evt_{payment.id}_{payment.state}_{payment.refunded}"
        await self._desk.tell(payment.callback_url, {"id": event, "payment": _spelt(payment, self._desk)}, sign)

    def _check(self, request: web.Request) -> None:
        given = request.headers.get("Authorization", "")
        if not secrets.compare_digest(given.encode(), f"Bearer {self._desk.accounts.api_key}".encode()):
            raise web.HTTPUnauthorized(text='{"error": "api_key"}', content_type="application/json")

    async def _charge(self, request: web.Request) -> web.StreamResponse:
        self._check(request)
        asked = await json_of(request)
        problem = _problem(asked)
        if problem:
            return web.json_response({"error": problem}, status=422)
        known = self._desk.ledger.by_key(FACE, asked["payment_id"])
        if known is not None:
            same = known.amount == asked["amount"] and known.currency == asked["currency"]
            return self._answer(known) if same else web.json_response({"error": "payment_differs"}, status=422)
        payment = Payment(
            face=FACE,
            id=f"sb_{secrets.token_hex(10)}",
            key=asked["payment_id"],
            amount=asked["amount"],
            currency=asked["currency"],
            callback_url=str(asked.get("callback_url", "")),
            then="held" if asked.get("hold") else "captured",
            details={
                "reference": str(asked.get("reference", ""))[:40],
                "phone": str(asked["payer"].get("msisdn") or ""),
            },
        )
        return await self._play(request, payment, by_phone=not asked["payer"].get("token"))

    async def _play(self, request: web.Request, payment: Payment, *, by_phone: bool) -> web.StreamResponse:
        desk = self._desk
        scripted = desk.play(FACE, payment.major)
        if scripted.play is Play.HANG:
            return await desk.never()
        if scripted.play is Play.ERROR:
            return web.json_response({"error": "internal"}, status=500)
        if scripted.play is Play.ACTION:
            desk.ledger.save(payment)
            return self._answer(payment, 201)
        await self._take(payment, scripted, by_phone=by_phone)
        if scripted.play is Play.LATE:
            return await desk.never()
        return cut(request) if scripted.play is Play.DROP else self._answer(payment, 201)

    async def _take(self, payment: Payment, scripted: Scripted, *, by_phone: bool) -> None:
        desk = self._desk
        if scripted.play is Play.LATE:
            desk.due(payment, scripted, scripted.seconds)
        elif scripted.play is Play.SLOW:
            desk.due(payment, scripted, scripted.seconds + (desk.pace if by_phone else 0.0))
            await desk.wait_for(scripted.seconds)
            if not by_phone:
                desk.finish(payment)
        elif scripted.play is Play.EARLY or not by_phone:
            desk.prepare(payment, scripted)
            if scripted.play is Play.EARLY:
                await desk.tell_first(payment)
            else:
                desk.settle(payment)
        else:
            desk.ask(payment, scripted)

    def _found(self, request: web.Request) -> Payment:
        self._check(request)
        payment = self._desk.ledger.by_key(FACE, request.match_info["payment_id"])
        if payment is None:
            raise web.HTTPNotFound(text='{"error": "not_found"}', content_type="application/json")
        return payment

    async def _status(self, request: web.Request) -> web.StreamResponse:
        return self._answer(self._found(request))

    async def _confirm(self, request: web.Request) -> web.StreamResponse:
        payment = self._found(request)
        if payment.state == "held":
            payment.become("captured")
            self._desk.told(payment)
        return self._answer(payment, 200 if payment.state == "captured" else 409)

    async def _cancel(self, request: web.Request) -> web.StreamResponse:
        payment = self._found(request)
        if payment.state in {"held", "pending"}:
            payment.reason = "cancelled"
            payment.become("declined")
            self._desk.told(payment)
        return self._answer(payment, 200 if payment.state == "declined" else 409)

    async def _refund(self, request: web.Request) -> web.StreamResponse:
        payment, asked = self._found(request), await json_of(request)
        amount, key = asked.get("amount"), asked.get("refund_id")
        if not isinstance(amount, int) or not isinstance(key, str) or not UUID.fullmatch(key):
            return web.json_response({"error": "refund"}, status=422)
        fresh = key not in payment.refunds
        try:
            payment.give_back(key, amount)
        except ValueError as error:
            return web.json_response({"error": str(error)}, status=409)
        if fresh:
            self._desk.told(payment)
        return self._answer(payment)

    async def _settlement(self, request: web.Request) -> web.StreamResponse:
        self._check(request)
        begins, ends = (request.query.get(name, limit) for name, limit in (("from", "0"), ("to", "9")))
        states = {"charge": "captured", "refund": "refunded", "dispute": "chargeback"}
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(["id", "payment_id", "state", "amount", "currency", "fee", "at"])
        for payment in self._desk.ledger.all(FACE):
            for moved in payment.movements:
                # Times in UTC and ISO 8601 are in the order of their texts.
                if not begins <= moved.at.isoformat() < ends:
                    continue
                fee = moved.amount * FEE // 100 if moved.kind == "charge" else 0
                at = moved.at.isoformat()
                row = [payment.id, payment.key, states[moved.kind], moved.amount, payment.currency, fee, at]
                writer.writerow(row)
        return web.Response(text=out.getvalue(), content_type="text/csv")

    def _answer(self, payment: Payment, status: int = 200) -> web.Response:
        return web.json_response(body=msgspec.json.encode(_spelt(payment, self._desk)), status=status)


def _spelt(payment: Payment, desk: Desk) -> dict[str, Any]:
    waits = payment.state == "pending" and payment.due_at is None
    return {
        "id": payment.id,
        "payment_id": payment.key,
        "state": payment.state,
        "amount": payment.amount,
        "currency": payment.currency,
        "reason": payment.reason,
        "refunded": payment.refunded,
        "action_url": f"{desk.base_url}/act/{FACE}/{payment.id}" if waits else None,
        "changed_at": payment.changed_at.isoformat(),
    }


def _problem(asked: dict[str, Any]) -> str:
    """The name of a field that makes no sense; empty: all do."""
    amount, payer = asked.get("amount"), asked.get("payer")
    if not UUID.fullmatch(str(asked.get("payment_id"))):
        return "payment_id"
    if not isinstance(amount, int) or isinstance(amount, bool) or not 0 < amount <= LARGEST:
        return "amount"
    if not CURRENCY.fullmatch(str(asked.get("currency"))):
        return "currency"
    return "" if isinstance(payer, dict) and (payer.get("msisdn") or payer.get("token")) else "payer"
