"""What payment tests need: an engine whose gateways are the sandbox's, and a server that the sandbox calls back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

import aiohttp
import psycopg
from aiohttp import web
from redis.asyncio import Redis

from engine.api import Engine, open_engine
from engine.books.invariants import check_all
from engine.payments.callbacks import PATHS, callback
from engine.payments.gateways import configured_gateways
from engine.words import LineStatus, Payment, PaymentMethod, PaymentState, Subscriber, Unit
from runtime.keyring import Keyring
from runtime.metrics import Metrics
from sandbox.payments.desk import Accounts
from sandbox.payments.server import PaymentsSandbox
from settings import Operator, PaymentGatewaySettings
from tests.engine.shop import open_line

PATH_SECRET = "c2b_path_secret_of_ours"


def gateway_settings(
    sandbox_url: str, only: tuple[str, ...] = (), patience: float = 10.0, **more: Any
) -> dict[str, PaymentGatewaySettings]:
    """The sandbox under its three HTTP faces.

    ``patience``: seconds that a gateway waits for an answer. Short only where a test lets one hang: on a busy machine
    an answer that is only slow would be taken for one that never comes.
    """
    accounts = Accounts()
    native = {
        "base_url": sandbox_url,
        "api_key": accounts.api_key,
        "webhook_secrets": (accounts.webhook_secret,),
        **more,
    }
    mpesa = {
        "base_url": f"{sandbox_url}/mpesa",
        "consumer_key": accounts.mpesa_consumer_key,
        "consumer_secret": accounts.mpesa_consumer_secret,
        "passkey": accounts.mpesa_passkey,
        "shortcode": accounts.mpesa_shortcode,
        "path_secret": PATH_SECRET,
        "initiator": "initiator",
        "security_credential": "credential",
    }
    stripe = {
        "base_url": f"{sandbox_url}/stripe",
        "secret_key": accounts.stripe_secret_key,
        "webhook_secrets": (accounts.stripe_webhook_secret,),
        "return_url": "https://rasid.example/portal",
    }
    hubtel = {
        "client_id": accounts.hubtel_client_id,
        "client_secret": accounts.hubtel_client_secret,
        "pos": accounts.hubtel_pos,
        "path_secret": PATH_SECRET,
        "currency": "KES",
        "status_url": f"{sandbox_url}/hubtel",
        "fulfilment_url": f"{sandbox_url}/hubtel/callback",
    }
    made = {
        "hubtel": {"adapter": "hubtel", "options": hubtel, "timeout_seconds": patience},
        "sandbox": {"adapter": "sandbox", "options": native, "timeout_seconds": patience},
        "mpesa": {"adapter": "mpesa", "options": mpesa, "timeout_seconds": patience, "cost": 10},
        "stripe": {"adapter": "stripe", "options": stripe, "timeout_seconds": patience, "cost": 10},
    }
    made = {name: given for name, given in made.items() if name in (only or ("sandbox", "mpesa", "stripe"))}
    return {name: PaymentGatewaySettings.model_validate(given) for name, given in made.items()}


class House:
    """An engine, the sandbox, and the path between them."""

    def __init__(self, engine: Engine, sandbox: PaymentsSandbox, base_url: str, http: aiohttp.ClientSession) -> None:
        self.engine = engine
        self.sandbox = sandbox
        self.base_url = base_url
        self.http = http

    async def line(self, money: int = 0, **more: Any) -> Subscriber:
        """A line of its own account."""
        return await open_line(self.engine, money=money, **more)

    async def plays(self, play: str, **more: Any) -> None:
        """Say what becomes of the next payments."""
        async with self.http.post(f"{self.sandbox.base_url}/script", json={"play": play, **more}) as answer:
            assert answer.status == 200, await answer.text()

    async def pay(self, line: Subscriber, amount: int = 5_000, key: UUID | None = None, **more: Any) -> Payment:
        """Ask the sandbox's payer for money by phone, unless a token is given."""
        asked = {"msisdn": line.msisdn} if "token" not in more else {}
        return await self.engine.pay(
            line,
            more.pop("method", PaymentMethod.MOBILE_MONEY),
            amount,
            key=key or uuid4(),
            source="test",
            **asked | more,
        )

    async def ended(self, payment: Payment, *, within: float = 30.0) -> Payment:
        """Run the recovery loop until nothing more happens to a payment by itself."""
        async with asyncio.timeout(within):
            while True:
                found = await self.engine.payment(payment.payment_id)
                assert found is not None
                if found.state.final and not await self.looks(payment.payment_id):
                    return found
                await self.engine.resume_payments()
                await asyncio.sleep(0.05)

    async def until(self, payment: Payment, state: PaymentState, *, within: float = 20.0) -> Payment:
        """Wait for a state without any help from the recovery loop."""
        async with asyncio.timeout(within):
            while True:
                found = await self.engine.payment(payment.payment_id)
                assert found is not None
                if found.state is state:
                    return found
                await asyncio.sleep(0.02)

    async def looks(self, payment_id: UUID) -> bool:
        """Whether the loop is going to look at a payment again."""
        return (await self.rows("SELECT next_check_at FROM payment WHERE payment_id = %s", payment_id))[0][
            0
        ] is not None

    async def rows(self, sql: str, *parameters: Any) -> list[Any]:
        """Ask the database."""
        url = self.engine._database.url.set(drivername="postgresql").render_as_string(hide_password=False)
        async with await psycopg.AsyncConnection.connect(url) as connection:
            return await (await connection.execute(sql, parameters)).fetchall()

    async def run(self, sql: str, *parameters: Any) -> None:
        """Change the database, as its owner."""
        url = self.engine._database.url.set(drivername="postgresql").render_as_string(hide_password=False)
        async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
            await connection.execute(sql, parameters)

    async def hurry(self) -> None:
        """Let everything that waits for its time be due now."""
        await self.run("UPDATE payment SET next_check_at = now() WHERE next_check_at IS NOT NULL")
        await self.run("UPDATE gateway_event SET next_check_at = now() WHERE done_at IS NULL")

    async def money(self, line: Subscriber) -> int:
        """What a line can spend."""
        return (await self.engine.subscriber(line.msisdn)).total(Unit.MONEY)

    async def taken(self) -> int:
        """What the sandbox has taken from payers, less what it gave back, minor units."""
        async with self.http.get(f"{self.sandbox.base_url}/payments") as answer:
            return sum(moved["amount"] for payment in await answer.json() for moved in payment.get("movements", ()))

    async def owed_back(self) -> int:
        """What the receivables ledger says is owed to payers."""
        return await self._standing("unapplied", "credit")

    async def held_by_gateways(self) -> int:
        """What the receivables ledger says gateways owe us."""
        return await self._standing("gateway", "debit")

    async def _standing(self, account: str, side: str) -> int:
        ((amount,),) = await self.rows(
            f"SELECT coalesce(sum(CASE WHEN {side} = %s THEN amount ELSE -amount END), 0)"
            " FROM receivable WHERE %s IN (debit, credit)",
            *(account, account),
        )
        return int(amount)

    async def alarms(self) -> list[str]:
        """The alarms that subscribers are told, the oldest first."""
        asked = "SELECT body->>'alarm' FROM event WHERE topic = 'alarm.raised' ORDER BY created_at, event_id"
        return [alarm for (alarm,) in await self.rows(asked)]

    async def right(self) -> None:
        """The books are."""
        assert await check_all(self.engine._books) == []


@asynccontextmanager
async def opened(
    database_url: str,
    operator: Operator,
    keyring: Keyring,
    sandbox: PaymentsSandbox,
    *,
    port: int = 0,
    redis: Redis | None = None,
    **more: Any,
) -> AsyncIterator[House]:
    """A house around a sandbox that runs; with ``redis`` its guard counts how often people pay."""
    serving: dict[str, Engine] = {}
    arriving: set[asyncio.Task[Any] | None] = set()

    async def pass_on(request: web.Request) -> web.StreamResponse:
        if not serving:
            raise web.HTTPServiceUnavailable
        arriving.add(asyncio.current_task())
        try:
            return await callback(serving["engine"].payments, request.match_info["gateway"], request)
        finally:
            arriving.discard(asyncio.current_task())

    async def stop_serving() -> None:
        # A callback that comes while the engine closes would open what nobody closes any more.
        serving.clear()
        while arriving:  # noqa: ASYNC110 - of a test
            await asyncio.sleep(0.01)

    listener = web.Application()
    listener.add_routes([web.post(path.format(name="{gateway}"), pass_on) for path in PATHS])
    runner = web.AppRunner(listener, access_log=None, shutdown_timeout=0.5)
    async with AsyncExitStack() as stack:
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        await web.TCPSite(runner, "127.0.0.1", port, reuse_address=True).start()
        base_url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        gateways = gateway_settings(sandbox.base_url, **more)
        settings: Any = SimpleNamespace(payment_gateways=gateways, public_url=base_url)
        metrics = Metrics()
        made = configured_gateways(settings, metrics)
        engine = await open_engine(database_url, operator, keyring, metrics=metrics, gateways=made, redis=redis)
        stack.push_async_callback(engine.close)
        serving["engine"] = engine
        stack.push_async_callback(stop_serving)
        await engine.payments.start()
        http = await stack.enter_async_context(aiohttp.ClientSession())
        yield House(engine, sandbox, base_url, http)


def now() -> datetime:
    """The time, in UTC."""
    return datetime.now(UTC)


__all__ = ["House", "LineStatus", "gateway_settings", "now", "opened"]
