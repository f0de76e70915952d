"""Stripe's Checkout: sessions, and the page on which a payer enters a card (docs.stripe.com/api/checkout/sessions).

``GET /checkout/<session>`` is the page: whoever tries the demo chooses one of a few cards, and one that is refused.
"""

from __future__ import annotations

import secrets
import time
from html import escape
from typing import NamedTuple

import msgspec
from aiohttp import web

from sandbox.payments.desk import Desk, cut
from sandbox.payments.ledger import Payment
from sandbox.payments.phones import AGREED
from sandbox.payments.plays import Play
from sandbox.payments.shapes import session_of, stripe_error
from sandbox.payments.stripe_wire import answer, check_key, repeated, written

FACE = "stripe"
REQUIRED = ("client_reference_id", "success_url", "cancel_url", "line_items[0][price_data][unit_amount]")
CURRENCY = "line_items[0][price_data][currency]"
METADATA = "payment_intent_data[metadata]"
#: seconds that a session is open where nobody says how long, and the least that Stripe allows
DAY, LEAST = 86_400, 1_800


class Card(NamedTuple):
    """A card that can be chosen on the page."""

    brand: str
    last_four: str
    refused: bool = False


CARDS = {
    "visa": Card("visa", "4242"),
    "mastercard": Card("mastercard", "4444"),
    "refused": Card("visa", "0002", refused=True),
}
STYLE = """
:root{color-scheme:light dark;font:1rem/1.5 system-ui,sans-serif} body{margin:0 auto;padding:1.5rem;max-width:24rem}
h1{font-size:1.25rem} .sum{font-size:2rem;font-weight:700;margin:.25rem 0 1rem} legend{font-weight:600}
fieldset{border:0;padding:0;margin:0} label{display:flex;gap:.75rem;align-items:center;min-height:3rem;padding:0 1rem;
margin:.5rem 0;border:1px solid #8888;border-radius:.5rem} .bad{border:1px solid #c33;padding:.75rem}
button{width:100%;min-height:3rem;border:0;border-radius:.5rem;font:inherit;font-weight:600;margin:1rem 0;
background:#3d4ed7;color:#fff}"""
PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Pay · Sandbox card page</title><style>{style}</style>
<main><p>Sandbox card page: no money moves.</p><h1>{what}</h1><p class="sum">{amount} {currency}</p>{problem}
<form method="post"><fieldset><legend>Card</legend>{cards}</fieldset>{kept}<button>Pay</button></form>
<p><a href="{cancel}">Back without paying</a></p></main></html>"""
OVER = """<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Sandbox card page</title><style>{style}</style>
<main><h1>This page is over.</h1><p><a href="{cancel}">Back</a></p></main></html>"""


class Checkout:
    """Sessions, each with the payment that is made on its page."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def routes(self) -> list[web.RouteDef]:
        """Its paths: below ``/stripe`` as at Stripe, and the page."""
        sessions = "/stripe/v1/checkout/sessions"
        return [
            web.post(sessions, self._create),
            web.get(f"{sessions}/{{id}}", self._retrieve),
            web.post(f"{sessions}/{{id}}/expire", self._expire),
            web.get("/checkout/{id}", self._page),
            web.post("/checkout/{id}", self._pay),
        ]

    # --- the interface ---

    async def _create(self, request: web.Request) -> web.StreamResponse:
        check_key(request, self._desk.accounts.stripe_secret_key)
        form = {name: str(value) for name, value in (await request.post()).items()}
        key = request.headers.get("Idempotency-Key") or secrets.token_hex(16)
        known = self._desk.ledger.by_key(FACE, key)
        if known is not None:
            return repeated(known, form)
        ends = int(form.get("expires_at") or time.time() + DAY)
        if form.get("mode") != "payment" or not all(form.get(name) for name in (*REQUIRED, CURRENCY)):
            return answer(400, stripe_error("invalid_request_error", "parameter_missing"))
        if not LEAST <= ends - time.time() <= DAY:
            return answer(400, stripe_error("invalid_request_error", "parameter_invalid"))
        return await self._play(request, _made(form, key, ends))

    async def _play(self, request: web.Request, payment: Payment) -> web.StreamResponse:
        desk, scripted = self._desk, self._desk.play(FACE, payment.major)
        if scripted.play is Play.HANG:
            return await desk.never()
        if scripted.play is Play.ERROR:
            return answer(500, stripe_error("api_error", "internal"))
        if scripted.play is Play.SLOW:
            await desk.wait_for(scripted.seconds)
        # Unless somebody pays on the page it is over by then.
        desk.due(payment, scripted, float(payment.details["ends"]) - time.time())
        payment.then, payment.reason = "declined", "timeout"
        said = self._written(payment)
        payment.answer = f"200 {said}"
        desk.ledger.save(payment)
        return cut(request) if scripted.play is Play.DROP else answer(200, said)

    async def _retrieve(self, request: web.Request) -> web.StreamResponse:
        check_key(request, self._desk.accounts.stripe_secret_key)
        expand = "payment_intent" in request.query.get("expand[]", "")
        return answer(200, self._written(self._found(request), expand=expand))

    async def _expire(self, request: web.Request) -> web.StreamResponse:
        check_key(request, self._desk.accounts.stripe_secret_key)
        payment = self._found(request)
        if payment.state != "pending":
            return answer(400, stripe_error("invalid_request_error", "resource_not_open"))
        self._desk.settle(payment)
        return answer(200, self._written(payment))

    def _written(self, payment: Payment, *, expand: bool = False) -> str:
        return msgspec.json.encode(session_of(payment, self._desk.base_url, expand=expand)).decode()

    def _found(self, request: web.Request) -> Payment:
        name = request.match_info["id"]
        found = next((one for one in self._desk.ledger.all(FACE) if one.details.get("session") == name), None)
        if found is None:
            raise web.HTTPNotFound(
                text=stripe_error("invalid_request_error", "resource_missing"), content_type="application/json"
            )
        return found

    # --- the page ---

    async def _page(self, request: web.Request) -> web.StreamResponse:
        payment = self._found(request)
        return _shown(payment) if payment.state == "pending" else _over(payment)

    async def _pay(self, request: web.Request) -> web.StreamResponse:
        payment, form = self._found(request), await request.post()
        card = CARDS.get(str(form.get("card")))
        if payment.state != "pending":
            return _over(payment)
        if card is None:
            return _shown(payment, "Choose a card.")
        if card.refused:
            payment.details["code"] = "generic_decline"
            self._desk.told(payment)
            return _shown(payment, "This card was refused. Try another one.")
        for gone in ("code", "waits"):
            payment.details.pop(gone, None)
        payment.details |= {"brand": card.brand, "last4": card.last_four}
        payment.then, payment.reason = payment.details.pop(AGREED), None
        if payment.then == "held":
            payment.details["held"] = "yes"
        self._desk.settle(payment)
        return web.Response(status=303, headers={"Location": payment.details["success_url"]})


def _made(form: dict[str, str], key: str, ends: int) -> Payment:
    """The payment of a session, not made yet."""
    name = secrets.token_hex(12)
    held = form.get("payment_intent_data[capture_method]") == "manual"
    marks = {mark: form[f"{METADATA}[{mark}]"] for mark in ("page", "keep") if f"{METADATA}[{mark}]" in form}
    keeps = form.get("payment_intent_data[setup_future_usage]", "")
    customer = {"customer": f"cus_{name}", "usage": keeps} if form.get("customer_creation") == "always" else {}
    return Payment(
        face=FACE,
        id=f"pi_{name}",
        key=key,
        amount=int(form["line_items[0][price_data][unit_amount]"]),
        currency=form[CURRENCY].upper(),
        details={
            "form": written(form),
            "payment_id": form.get(f"{METADATA}[payment_id]", ""),
            "charge": f"ch_{secrets.token_hex(12)}",
            "session": f"cs_test_{name}",
            "what": form.get("line_items[0][price_data][product_data][name]", ""),
            "success_url": form["success_url"],
            "cancel_url": form["cancel_url"],
            "ends": str(ends),
            "waits": "page",
            AGREED: "held" if held else "captured",
            **marks,
            **customer,
        },
    )


def _shown(payment: Payment, problem: str = "") -> web.Response:
    cards = "".join(
        f'<label><input type="radio" name="card" value="{name}"{" checked" if place == 0 else ""}>'
        f"<span>{card.brand.title()} ···· {card.last_four}{' (is refused)' if card.refused else ''}</span></label>"
        for place, (name, card) in enumerate(CARDS.items())
    )
    page = PAGE.format(
        style=STYLE,
        what=escape(payment.details["what"]),
        amount=payment.major,
        currency=payment.currency,
        problem=f'<p class="bad" role="alert">{escape(problem)}</p>' if problem else "",
        cards=cards,
        kept="<p>The card is kept for next time, as you asked.</p>" if "keep" in payment.details else "",
        cancel=escape(payment.details["cancel_url"]),
    )
    return web.Response(text=page, content_type="text/html")


def _over(payment: Payment) -> web.Response:
    page = OVER.format(style=STYLE, cancel=escape(payment.details["cancel_url"]))
    return web.Response(status=410, text=page, content_type="text/html")
