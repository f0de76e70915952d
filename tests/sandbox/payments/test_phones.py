"""Payers who are asked on the phone that somebody holds."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from sandbox.payments.phones import LEASE, Phones
from sandbox.payments.server import PaymentsSandbox

KEY = {"Authorization": "Bearer sandbox-api-key"}
NUMBER = "+254712345001"


@pytest.fixture
async def client() -> AsyncIterator[aiohttp.ClientSession]:
    server = PaymentsSandbox(pace=0.01)
    await server.start()
    async with aiohttp.ClientSession(server.base_url) as session:
        yield session
    await server.stop()


async def shown(client: aiohttp.ClientSession, *numbers: str) -> dict[str, Any]:
    async with client.post("/phones", json={"numbers": numbers}) as answer:
        return dict(await answer.json())


async def pay(client: aiohttp.ClientSession, number: str = NUMBER, payment: int = 1) -> None:
    asked = {
        "payment_id": f"0192d6f0-0000-7000-8000-00000000000{payment}",
        "amount": 5000,
        "currency": "KES",
        "payer": {"msisdn": number},
        "reference": "ABC",
    }
    async with client.post("/v1/payments", json=asked, headers=KEY) as answer:
        assert (await answer.json())["state"] == "pending"


async def state(client: aiohttp.ClientSession, payment: int = 1) -> str:
    async with client.get(f"/v1/payments/0192d6f0-0000-7000-8000-00000000000{payment}", headers=KEY) as answer:
        return str((await answer.json())["state"])


@pytest.mark.parametrize(("approve", "becomes"), [(True, "captured"), (False, "declined")])
async def test_a_payer_who_holds_the_phone_is_asked_and_what_is_answered_holds(
    client: aiohttp.ClientSession, *, approve: bool, becomes: str
) -> None:
    await shown(client, NUMBER)
    await pay(client)
    (prompt,) = (await shown(client, NUMBER))["prompts"]
    assert (prompt["amount"], prompt["currency"], prompt["phone"], prompt["account"]) == (
        "50.00",
        "KES",
        "254712345001",
        "ABC",
    )
    assert await state(client) == "pending"
    path = f"/prompts/{prompt['face']}/{prompt['id']}"
    async with client.post(path, json={"approve": approve}) as answer:
        assert (await answer.json())["state"] == becomes
    assert await state(client) == becomes
    assert (await shown(client, NUMBER))["prompts"] == []
    async with client.post(path, json={"approve": True}) as answer:
        assert answer.status == 404
    assert await state(client) == becomes


async def test_a_phone_that_nobody_holds_says_yes_by_itself_and_others_see_nothing_of_it(
    client: aiohttp.ClientSession,
) -> None:
    await shown(client, "+254712345002")
    await pay(client)
    while await state(client) == "pending":
        pass
    assert await state(client) == "captured"
    assert await shown(client, "+254712345002") == {"prompts": [], "payments": []}


async def test_what_the_provider_declines_is_not_asked(client: aiohttp.ClientSession) -> None:
    await shown(client, NUMBER)
    await client.post("/script", json={"play": "decline"})
    await pay(client)
    seen = await shown(client, NUMBER)
    assert seen["prompts"] == []
    assert [one["play"] for one in seen["payments"]] == ["decline"]


def test_a_phone_is_held_for_some_seconds_however_its_number_is_written() -> None:
    now = [100.0]
    phones = Phones(lambda: now[0])
    phones.hold("+254 712 345001")
    assert phones.held("254712345001")
    now[0] += LEASE
    assert not phones.held("254712345001")
