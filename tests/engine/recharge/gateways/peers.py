"""A shop that providers call back, a provider that makes no sense, and what tests of gateways ask for."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import aiohttp
from aiohttp import web

from engine.recharge.gateways.contract import CallbackRequest, ChargeRequest, Outcome, Payer, PaymentRef
from sandbox.payments.desk import Accounts

ACCOUNTS = Accounts()
#: seconds of a payer's phone
PACE = 0.05
#: seconds that a gateway waits in these tests where it is to wait in vain
IMPATIENT = 0.6


class Shop:
    """An HTTP server that keeps what it is posted; ``status`` and ``body`` are its answer."""

    def __init__(self) -> None:
        self.url = ""
        self.heard: list[CallbackRequest] = []
        self.status = 200
        self.body = b'{"ResultCode": 0}'
        self._changed = asyncio.Event()
        self.application = web.Application()
        self.application.router.add_post("/{tail:.*}", self._take)

    async def _take(self, request: web.Request) -> web.Response:
        segments = request.path.split("/callback")[-1].strip("/")
        self.heard.append(
            CallbackRequest(
                path_secret=segments,
                headers={name.lower(): value for name, value in request.headers.items()},
                body=await request.read(),
                remote=request.remote or "",
                received_at=datetime.now(UTC),
            )
        )
        self._changed.set()
        return web.Response(status=self.status, body=self.body, content_type="application/json")

    async def until(self, count: int, seconds: float = 5.0) -> list[CallbackRequest]:
        async with asyncio.timeout(seconds):
            while len(self.heard) < count:
                self._changed.clear()
                await self._changed.wait()
        return self.heard


def charge(**given: Any) -> ChargeRequest:
    return ChargeRequest(
        **{
            "payment_id": uuid4(),
            "reference": "7F3K2M",
            "amount": 5000,
            "currency": "KES",
            "payer": Payer(msisdn="+254712345678"),
            "description": "Airtime",
            **given,
        }
    )


def ref(request: ChargeRequest, gateway_ref: str | None = None, **given: Any) -> PaymentRef:
    return PaymentRef(
        **{
            "payment_id": request.payment_id,
            "gateway_ref": gateway_ref,
            "amount": request.amount,
            "currency": request.currency,
            "requested_at": datetime.now(UTC),
            **given,
        }
    )


def callback(body: bytes, path_secret: str = "", at: datetime | None = None, **headers: str) -> CallbackRequest:
    return CallbackRequest(
        path_secret=path_secret,
        headers={name.replace("_", "-"): value for name, value in headers.items()},
        body=body,
        remote="127.0.0.1",
        received_at=at or datetime.now(UTC),
    )


async def get_text(url: str, key: str = "") -> str:
    async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {key}"} if key else {}) as session:
        async with session.get(url) as answer:
            assert answer.status == 200
            return await answer.text()


async def post(url: str, **given: Any) -> Any:
    async with aiohttp.ClientSession() as session:
        async with session.post(url, **given) as answer:
            return await answer.json(content_type=None) if answer.content_type == "application/json" else None


class Broken:
    """An HTTP server that answers everything with what it was told to, however little sense it makes."""

    def __init__(self) -> None:
        self.answer: tuple[int, bytes] = (200, b"")
        self.url = ""
        self.application = web.Application()
        self.application.router.add_route("*", "/{tail:.*}", self._serve)

    async def _serve(self, request: web.Request) -> web.Response:
        if request.path.endswith("/oauth/v1/generate"):
            return web.json_response({"access_token": "t", "expires_in": "3599"})
        status, body = self.answer
        return web.Response(status=status, body=body, content_type="application/json")


#: answers that make no sense
SENSELESS = [
    (200, b""),
    (200, b"<html>welcome</html>"),
    (200, b'"ok"'),
    (200, b"{}"),
    (200, b"[" * 5000),
    (200, b'{"status": "paid"}'),
    (200, b'{"x": "' + b"a" * 300_000 + b'"}'),
    (302, b""),
    (500, b"{}"),
    (502, b"<html>"),
]


async def asked_until(
    ask: Callable[[], Awaitable[Outcome]], enough: Callable[[Outcome], bool], seconds: float = 5.0
) -> Outcome:
    """Ask a gateway until what it says is enough."""
    async with asyncio.timeout(seconds):
        outcome = await ask()
        while not enough(outcome):
            await asyncio.sleep(0.02)
            outcome = await ask()
    return outcome
