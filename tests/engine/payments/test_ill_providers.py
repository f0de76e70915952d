"""A provider that does not answer: its payments wait, nobody else's do."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest

from engine.payments.names import by_id
from engine.recharge.gateways.contract import GatewayState
from engine.words import PaymentMethod, PaymentState
from runtime.breaker import IN_A_ROW
from tests.engine.payments.house import House
from tests.houses import Houses
from tests.waiting import until


class Silent:
    """A provider that takes every call and answers none."""

    def __init__(self) -> None:
        self.calls = 0

    async def hear(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Count each connection, and say nothing until it is closed."""
        self.calls += 1
        with suppress(ConnectionError):
            await reader.read()
        writer.close()


@pytest.fixture
async def silent() -> AsyncIterator[tuple[Silent, str]]:
    """It, and where it is."""
    provider = Silent()
    server = await asyncio.start_server(provider.hear, "127.0.0.1", 0)
    yield provider, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    server.close()


@pytest.fixture
async def ill(houses: Houses, silent: tuple[Silent, str]) -> House:
    """A house whose cheapest gateway never answers."""
    return await houses(base_url=silent[1], patience=1.0)


async def test_payments_of_a_silent_provider_keep_no_other_providers_payments_waiting(ill: House) -> None:
    waiting = [await ill.line() for _ in range(IN_A_ROW)]
    stuck = [
        await ill.pay(line, 5_000, method=PaymentMethod.BANK, token="account", wait_seconds=0.01) for line in waiting
    ]
    for payment in stuck:
        await ill.until(payment, PaymentState.UNKNOWN)
    # By now a new payment goes elsewhere.
    line = await ill.line()
    await ill.plays("lost")
    well = await ill.pay(line, 5_000, wait_seconds=5.0)
    assert well.gateway == "mpesa"
    await until(lambda: next(ill.sandbox.desk.ledger.all("mpesa")).state == "captured")
    await ill.run("UPDATE payment SET next_check_at = now() - interval '1 minute' WHERE gateway = 'sandbox'")
    await ill.run("UPDATE payment SET next_check_at = now() WHERE gateway = 'mpesa'")
    assert await ill.engine.payments.resume_due(IN_A_ROW) == IN_A_ROW + 1
    await ill.until(well, PaymentState.SETTLED)
    await ill.right()


async def test_who_did_not_answer_five_times_is_left_alone_for_a_while(ill: House, silent: tuple[Silent, str]) -> None:
    line = await ill.line()
    payment = await ill.pay(line, 5_000, method=PaymentMethod.BANK, token="account", wait_seconds=5.0)
    stored = await ill.engine.payments._finder.one(by_id(payment.payment_id))
    assert stored is not None
    gateways, about = ill.engine.payments._gateways, stored.asked_by()
    asked = await asyncio.gather(*(gateways.status("sandbox", about) for _ in range(IN_A_ROW)))
    assert {outcome.provider_code for outcome in asked} == {"no_answer"}
    calls = silent[0].calls
    for ask in (gateways.status, gateways.confirm, gateways.cancel):
        outcome = await ask("sandbox", about)
        assert (outcome.state, outcome.provider_code) == (GatewayState.UNKNOWN, "resting")
    assert silent[0].calls == calls
