"""The server: every provider behind one port, an acquiring bank behind another, and paths to direct the play.

* ``POST /script`` ``{play, reason?, seconds?, times?, face?}``: what becomes of the next payments; ``DELETE /script``
* ``GET /payments``: every payment as it stands
* ``POST /phones``, ``POST /prompts/<face>/<id>``: payers who are asked on a phone that somebody holds
* ``GET /act/<face>/<id>``: the page that a payer follows a link to; ``/checkout/<session>``: the one for a new card
"""

from __future__ import annotations

from pathlib import Path

import msgspec
from aiohttp import web

from sandbox.payments.acquirer import Acquirer
from sandbox.payments.checkout import Checkout
from sandbox.payments.desk import PACE, Accounts, Desk
from sandbox.payments.hubtel import Hubtel
from sandbox.payments.ledger import Ledger, Payment
from sandbox.payments.mpesa import Mpesa
from sandbox.payments.native import Native
from sandbox.payments.plays import Scripted
from sandbox.payments.prompts import Prompts
from sandbox.payments.stripe import Stripe

PAGE = """<!doctype html><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Sandbox bank</title><h1>Is it you?</h1><p>{amount} {currency}</p>
<form method="post"><button name="yes" value="1">Yes</button> <button name="yes" value="0">No</button></form>"""


class PaymentsSandbox:
    """The server. Nothing is opened before ``start``."""

    def __init__(
        self,
        *,
        accounts: Accounts | None = None,
        state: Path | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        acquirer_port: int = 0,
        pace: float = PACE,
    ) -> None:
        """``state``: the file that its memory is in; port 0: any that is free; ``pace``: seconds of a payer's phone."""
        self._accounts = accounts or Accounts()
        self._state, self._host, self._pace = state, host, pace
        self.port, self.acquirer_port = port, acquirer_port
        self.desk: Desk
        self.acquirer: Acquirer
        self.hubtel: Hubtel
        self._runner: web.AppRunner | None = None

    @property
    def base_url(self) -> str:
        """Where it is reached."""
        return f"http://{self._host}:{self.port}"

    async def start(self) -> None:
        """Listen, and take up what was on its way."""
        self.desk = Desk(Ledger(self._state), self._accounts, pace=self._pace)
        self.acquirer = Acquirer(self.desk)
        self.hubtel = Hubtel(self.desk)
        application = web.Application()
        cards = (Stripe(self.desk), Checkout(self.desk))
        for provider in (Native(self.desk), Mpesa(self.desk), *cards, self.hubtel, Prompts(self.desk)):
            application.add_routes(provider.routes())
        application.add_routes(
            [
                web.get("/acquirer/settlement.csv", self.acquirer.settlement),
                web.post("/script", self._script),
                web.delete("/script", self._clear),
                web.get("/payments", self._payments),
                web.get("/health", self._health),
                web.get("/act/{face}/{id}", self._page),
                web.post("/act/{face}/{id}", self._act),
            ]
        )
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.5)
        await self._runner.setup()
        await web.TCPSite(self._runner, self._host, self.port).start()
        self.port = self._runner.addresses[0][1]
        self.desk.base_url = self.base_url
        self.acquirer_port = await self.acquirer.start(self._host, self.acquirer_port)
        self.desk.resume()

    async def stop(self) -> None:
        """Stop listening; what is due stays due."""
        await self.acquirer.stop()
        await self.desk.close()
        if self._runner is not None:
            await self._runner.cleanup()

    async def _script(self, request: web.Request) -> web.StreamResponse:
        try:
            scripted = msgspec.json.decode(await request.read(), type=Scripted)
        except msgspec.DecodeError as error:
            return web.json_response({"error": str(error)}, status=422)
        self.desk.plays.add(scripted)
        return web.json_response({})

    async def _clear(self, _request: web.Request) -> web.StreamResponse:
        self.desk.plays.clear()
        return web.json_response({})

    async def _payments(self, _request: web.Request) -> web.StreamResponse:
        return web.json_response(body=msgspec.json.encode(list(self.desk.ledger.all())))

    async def _health(self, _request: web.Request) -> web.StreamResponse:
        return web.json_response({"acquirer_port": self.acquirer_port})

    def _waiting(self, request: web.Request) -> Payment:
        payment = self.desk.ledger.by_id(request.match_info["face"], request.match_info["id"])
        if payment is None or payment.state != "pending":
            raise web.HTTPNotFound
        return payment

    async def _page(self, request: web.Request) -> web.StreamResponse:
        payment = self._waiting(request)
        page = PAGE.format(amount=payment.major, currency=payment.currency)
        return web.Response(text=page, content_type="text/html")

    async def _act(self, request: web.Request) -> web.StreamResponse:
        payment, form = self._waiting(request), await request.post()
        agreed = form.get("yes") == "1"
        payment.reason = None if agreed else "method"
        payment.become(payment.then if agreed else "declined")
        self.desk.told(payment)
        return web.Response(text="Thank you." if agreed else "Then not.", content_type="text/plain")
