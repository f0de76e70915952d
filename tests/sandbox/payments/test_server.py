"""The sandbox of payment providers as a process of its own, and as those who direct it see it."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path

import aiohttp
import pytest

from sandbox.payments.plays import BY_AMOUNT, Play
from sandbox.payments.server import PaymentsSandbox

ROOT = Path(__file__).resolve().parents[3]
KEY = {"Authorization": "Bearer sandbox-api-key"}
PAYMENT = {
    "payment_id": "0192d6f0-0000-7000-8000-000000000001",
    "amount": 5000,
    "currency": "KES",
    "payer": {"token": "tok_1"},
}


@pytest.fixture
async def server() -> AsyncIterator[PaymentsSandbox]:
    server = PaymentsSandbox()
    await server.start()
    yield server
    await server.stop()


@pytest.fixture
async def client(server: PaymentsSandbox) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(server.base_url) as session:
        yield session


@pytest.mark.parametrize("body", [b"", b"[]", b'{"play": "explode"}', b'{"play": "slow", "speed": 1}'])
async def test_a_script_that_cannot_be_played_is_refused(client: aiohttp.ClientSession, body: bytes) -> None:
    async with client.post("/script", data=body) as answer:
        assert answer.status == 422


async def test_a_script_is_for_as_many_payments_of_its_face_as_it_says(
    client: aiohttp.ClientSession, server: PaymentsSandbox
) -> None:
    await client.post("/script", json={"play": "decline", "face": "stripe"})
    await client.post("/script", json={"play": "decline", "times": 2})
    states = []
    for number in range(3):
        payment = {**PAYMENT, "payment_id": f"0192d6f0-0000-7000-8000-00000000000{number}"}
        async with client.post("/v1/payments", json=payment, headers=KEY) as answer:
            states.append((await answer.json())["state"])
    assert states == ["declined", "declined", "captured"]
    await client.delete("/script")
    assert server.desk.plays.next("stripe", Decimal(1)).play is Play.APPROVE


@pytest.mark.parametrize(
    "change",
    [
        {"payment_id": "1"},
        {"amount": 0},
        {"amount": -1},
        {"amount": 10**16},
        {"amount": 1.5},
        {"amount": True},
        {"currency": "shilling"},
        {"payer": {}},
        {"payer": None},
    ],
    ids=str,
)
async def test_a_payment_that_makes_no_sense_is_refused_by_field(
    client: aiohttp.ClientSession, server: PaymentsSandbox, change: dict[str, object]
) -> None:
    async with client.post("/v1/payments", json=PAYMENT | change, headers=KEY) as answer:
        assert answer.status == 422
        assert (await answer.json())["error"] == next(iter(change))
    assert list(server.desk.ledger.all()) == []


async def test_every_interface_wants_its_own_key(client: aiohttp.ClientSession) -> None:
    calls = [
        client.post("/v1/payments", json=PAYMENT),
        client.get("/v1/settlement.csv"),
        client.post("/stripe/v1/payment_intents", data={"amount": "1"}),
        client.get("/mpesa/oauth/v1/generate"),
        client.post("/mpesa/mpesa/stkpush/v1/processrequest", json={}),
    ]
    for call in calls:
        async with call as answer:
            assert answer.status in {400, 401, 404}


async def test_the_same_payment_with_another_amount_is_refused(client: aiohttp.ClientSession) -> None:
    await client.post("/v1/payments", json=PAYMENT, headers=KEY)
    async with client.post("/v1/payments", json=PAYMENT | {"amount": 1}, headers=KEY) as answer:
        assert (answer.status, await answer.json()) == (422, {"error": "payment_differs"})


def test_every_play_that_an_amount_can_choose_stands_beside_the_script() -> None:
    assert {scripted.play for scripted in BY_AMOUNT.values()} == set(Play) - {Play.APPROVE}


async def test_as_a_process_it_says_when_it_is_ready_and_ends_when_it_is_told_to(tmp_path: Path) -> None:
    accounts = tmp_path / "accounts.json"
    accounts.write_text(json.dumps({"api_key": "another"}))
    arguments = ["--port", "0", "--state", str(tmp_path / "state"), "--accounts", str(accounts)]
    for known in (0, 1):  # what it was told before its restart it still knows
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "sandbox.payments", *arguments, cwd=ROOT, stdout=asyncio.subprocess.PIPE
        )
        assert process.stdout is not None
        async with asyncio.timeout(30):
            ready = json.loads(await process.stdout.readline())
        async with aiohttp.ClientSession(ready["base_url"]) as session:
            async with session.get("/payments") as answer:
                assert len(await answer.json()) == known
            async with session.post(
                "/v1/payments", json=PAYMENT, headers={"Authorization": "Bearer another"}
            ) as answer:
                assert answer.status in {200, 201}
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(30):
            assert await process.wait() == 0
