"""Stripe as far as needed: PaymentIntents on saved cards, refunds, disputes, signed events (docs.stripe.com/api).

It keeps what they keep: the same idempotency key with the same form gets the same answer, with another form an error.
"""

from __future__ import annotations

import csv
import io
import math
import re
import secrets
import time
from typing import Any

import msgspec
from aiohttp import web

from sandbox.payments.desk import Desk, cut, timestamped
from sandbox.payments.disputes import Disputes
from sandbox.payments.ledger import Payment
from sandbox.payments.plays import Play, Scripted
from sandbox.payments.shapes import charge_of, dispute_of, intent_of, session_of, stripe_error
from sandbox.payments.stripe_wire import answer, check_key, repeated, written

FACE = "stripe"
#: our reason → their code
CODES = {
    "funds": "insufficient_funds",
    "limit": "card_velocity_exceeded",
    "method": "expired_card",
    "wrong_pin": "incorrect_pin",
    "fraud": "stolen_card",
}
SEARCH = re.compile(r"metadata\['payment_id'\]:'([0-9a-f-]{36})'")
EVENTS = {
    "captured": "payment_intent.succeeded",
    "held": "payment_intent.amount_capturable_updated",
    "declined": "payment_intent.payment_failed",
}


class Stripe:
    """The provider."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        desk.tellers[FACE] = self.tell

    def routes(self) -> list[web.RouteDef]:
        """Its paths, as at Stripe, below ``/stripe``."""
        intents = "/stripe/v1/payment_intents"
        return [
            web.post(intents, self._create),
            web.get(f"{intents}/search", self._search),
            web.get(f"{intents}/{{id}}", self._retrieve),
            web.post(f"{intents}/{{id}}/confirm", self._confirm),
            web.post(f"{intents}/{{id}}/capture", self._capture),
            web.post(f"{intents}/{{id}}/cancel", self._cancel),
            web.post("/stripe/v1/refunds", self._refund),
            *Disputes(self._desk, FACE).routes(),
            web.post("/stripe/v1/reporting/report_runs", self._run_report),
            web.get("/stripe/v1/reporting/report_runs/{id}", self._report_run),
            web.get("/stripe/v1/files/{id}/contents", self._file),
            web.get("/stripe/report.csv", self._report),
        ]

    # --- telling ---

    async def tell(self, payment: Payment) -> None:
        """Post the event of the payment's present state."""
        for kind, shape in self._events(payment):
            event = {
                # The same event when it is told again.
                "id": f"evt_{payment.id}_{kind.replace('.', '_')}_{payment.refunded}",
                "object": "event",
                "type": kind,
                "created": int(time.time()),
                "data": {"object": shape},
            }
            accounts = self._desk.accounts
            sign = timestamped("Stripe-Signature", accounts.stripe_webhook_secret)
            await self._desk.tell(accounts.stripe_webhook_url, event, sign)

    def _events(self, payment: Payment) -> list[tuple[str, dict[str, Any]]]:
        """What is told of a payment as it stands: kind and object."""
        state, intent = payment.state, self._intent(payment)
        if state == "refunded":
            return [("charge.refunded", charge_of(payment))]
        if state == "chargeback" or "dispute" in payment.details:
            ended = payment.details.get("dispute") != "needs_response"
            return [(f"charge.dispute.{'closed' if ended else 'created'}", dispute_of(payment))]
        if payment.details.get("canceled"):
            return [("payment_intent.canceled", intent)]
        if "session" in payment.details:
            return self._page_events(payment)
        return [("payment_intent.requires_action" if state == "pending" else EVENTS[state], intent)]

    def _page_events(self, payment: Payment) -> list[tuple[str, dict[str, Any]]]:
        """Of a payment that is made on a page: the intent's, and once it is made or over the session's."""
        state, intent = payment.state, self._intent(payment)
        session = session_of(payment, self._desk.base_url)
        if state == "pending":
            return [("payment_intent.payment_failed", intent)]
        if state == "declined":
            return [("checkout.session.expired", session)]
        if state == "captured" and "held" in payment.details:
            return [(EVENTS[state], intent)]  # of its page was told when it was held
        return [(EVENTS[state], intent), ("checkout.session.completed", session)]

    def _intent(self, payment: Payment) -> dict[str, Any]:
        return intent_of(payment, f"{self._desk.base_url}/act/{FACE}/{payment.id}")

    # --- the interface ---

    def _check(self, request: web.Request) -> None:
        check_key(request, self._desk.accounts.stripe_secret_key)

    async def _create(self, request: web.Request) -> web.StreamResponse:
        self._check(request)
        form = {name: str(value) for name, value in (await request.post()).items()}
        key = request.headers.get("Idempotency-Key") or secrets.token_hex(16)
        known = self._desk.ledger.by_key(FACE, key)
        if known is not None:
            return repeated(known, form)
        if not form.get("amount", "").isdecimal() or not form.get("currency") or not form.get("payment_method"):
            return answer(400, stripe_error("invalid_request_error", "parameter_missing"))
        payment = Payment(
            face=FACE,
            id=f"pi_{secrets.token_hex(12)}",
            key=key,
            amount=int(form["amount"]),
            currency=form["currency"].upper(),
            then="held" if form.get("capture_method") == "manual" else "captured",
            details={
                "form": written(form),
                "payment_id": form.get("metadata[payment_id]", ""),
                "charge": f"ch_{secrets.token_hex(12)}",
            },
        )
        return await self._play(request, payment, self._desk.play(FACE, payment.major))

    async def _play(self, request: web.Request, payment: Payment, scripted: Scripted) -> web.StreamResponse:
        desk = self._desk
        if scripted.play is Play.HANG:
            return await desk.never()
        if scripted.play is Play.ERROR:
            return answer(500, stripe_error("api_error", "internal"))
        if scripted.play is Play.ACTION:
            payment.details["waits"] = "authentication"
            return self._answer(
                payment, 402, stripe_error("card_error", "authentication_required", self._intent(payment))
            )
        if scripted.play is Play.LATE:
            desk.due(payment, scripted, scripted.seconds)
            return await desk.never()
        if scripted.play is Play.SLOW:
            await desk.wait_for(scripted.seconds)
        desk.prepare(payment, scripted)
        if scripted.play is Play.EARLY:
            await desk.tell_first(payment)
        else:
            desk.settle(payment)
        if scripted.play is Play.DROP:
            # They know what they have answered, whoever heard it.
            self._answer(payment, 200, msgspec.json.encode(self._intent(payment)).decode())
            return cut(request)
        if payment.state == "declined":
            code = CODES.get(payment.reason or "", "generic_decline")
            payment.details["code"] = code
            return self._answer(payment, 402, stripe_error("card_error", "card_declined", self._intent(payment), code))
        return self._answer(payment, 200, msgspec.json.encode(self._intent(payment)).decode())

    def _answer(self, payment: Payment, status: int, body: str) -> web.Response:
        payment.answer = f"{status} {body}"
        self._desk.ledger.save(payment)
        return answer(status, body)

    def _found(self, request: web.Request) -> Payment:
        self._check(request)
        payment = self._desk.ledger.by_id(FACE, request.match_info["id"])
        if payment is None:
            body = stripe_error("invalid_request_error", "resource_missing")
            raise web.HTTPNotFound(text=body, content_type="application/json")
        return payment

    def _said(self, payment: Payment, status: int = 200) -> web.Response:
        if status != 200:
            return answer(status, stripe_error("invalid_request_error", "payment_intent_unexpected_state"))
        return answer(200, msgspec.json.encode(self._intent(payment)).decode())

    async def _retrieve(self, request: web.Request) -> web.StreamResponse:
        return self._said(self._found(request))

    async def _search(self, request: web.Request) -> web.StreamResponse:
        self._check(request)
        wanted = SEARCH.fullmatch(request.query.get("query", ""))
        every = self._desk.ledger.all(FACE)
        # What nobody has paid on its page yet has no intent.
        made = [one for one in every if one.details.get("waits") != "page"]
        data = [self._intent(one) for one in made if wanted and one.details["payment_id"] == wanted[1]]
        return web.json_response({"object": "search_result", "data": data, "has_more": False})

    async def _confirm(self, request: web.Request) -> web.StreamResponse:
        payment, form = self._found(request), await request.post()
        if payment.state != "pending":
            return self._said(payment, 400)
        if form.get("return_url"):
            payment.details["waits"] = "action"
            self._desk.told(payment)
        return self._said(payment)

    async def _capture(self, request: web.Request) -> web.StreamResponse:
        payment = self._found(request)
        if payment.state == "held":
            payment.become("captured")
            self._desk.told(payment)
            return self._said(payment)
        return self._said(payment, 400)

    async def _cancel(self, request: web.Request) -> web.StreamResponse:
        payment = self._found(request)
        if payment.state in {"held", "pending"}:
            payment.details["canceled"] = "requested_by_customer"
            payment.become("declined")
            self._desk.told(payment)
            return self._said(payment)
        return self._said(payment, 400)

    async def _refund(self, request: web.Request) -> web.StreamResponse:
        self._check(request)
        form = await request.post()
        payment = self._desk.ledger.by_id(FACE, str(form.get("payment_intent")))
        if payment is None:
            return answer(404, stripe_error("invalid_request_error", "resource_missing"))
        key = request.headers.get("Idempotency-Key") or secrets.token_hex(16)
        fresh = key not in payment.refunds
        try:
            payment.give_back(key, int(str(form.get("amount", payment.amount))))
        except ValueError as error:
            code = "charge_already_refunded" if payment.refunded == payment.amount else str(error)
            return answer(400, stripe_error("invalid_request_error", code))
        if fresh:
            self._desk.told(payment)
        refund = {"id": f"re_{key[:24]}", "object": "refund", "amount": payment.refunds[key], "status": "succeeded"}
        return web.json_response({**refund, "currency": payment.currency.lower(), "payment_intent": payment.id})

    async def _run_report(self, request: web.Request) -> web.StreamResponse:
        """The same run for the same idempotency key; it is done when it is asked about next."""
        self._check(request)
        form = await request.post()
        first, last = (int(str(form[f"parameters[interval_{end}]"])) for end in ("start", "end"))
        if last > time.time():
            return answer(400, stripe_error("invalid_request_error", "parameter_invalid"))
        run = {"id": f"frr_{first}_{last}", "object": "reporting.report_run", "status": "pending", "result": None}
        return web.json_response(run)

    async def _report_run(self, request: web.Request) -> web.StreamResponse:
        self._check(request)
        run = request.match_info["id"]
        file = {"id": run.replace("frr_", "file_"), "object": "file"}
        return web.json_response({"id": run, "object": "reporting.report_run", "status": "succeeded", "result": file})

    async def _file(self, request: web.Request) -> web.StreamResponse:
        self._check(request)
        first, last = (float(part) for part in request.match_info["id"].removeprefix("file_").split("_"))
        return web.Response(text=self._rows(first, last), content_type="text/csv")

    async def _report(self, request: web.Request) -> web.StreamResponse:
        self._check(request)
        return web.Response(text=self._rows(0.0, math.inf), content_type="text/csv")

    def _rows(self, first: float, last: float) -> str:
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        head = "balance_transaction_id,created_utc,reporting_category,gross,fee,net,currency,payment_intent_id"
        writer.writerow([*head.split(","), "payment_metadata[payment_id]"])
        for payment in self._desk.ledger.all(FACE):
            for place, moved in enumerate(payment.movements):
                if not first <= moved.at.timestamp() < last:
                    continue
                gross, fee = moved.amount / 100, (moved.amount * 29 // 1000 / 100 if moved.kind == "charge" else 0.0)
                row = [f"txn_{payment.id}_{place}", moved.at.strftime("%Y-%m-%d %H:%M:%S"), moved.kind]
                row += [f"{gross:.2f}", f"{fee:.2f}", f"{gross - fee:.2f}", payment.currency.lower(), payment.id]
                writer.writerow([*row, payment.details["payment_id"]])
        return out.getvalue()
