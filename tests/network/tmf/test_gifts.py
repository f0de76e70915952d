"""TMF654 transferBalance: the fee that was agreed to, numbers masked, taken back while unspent."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from engine.api import Engine, open_engine
from engine.books.invariants import check_all
from engine.words import Unit
from network.http import Gate
from network.interfaces import interfaces
from runtime.keyring import Keyring
from settings import Operator, TransferRules
from tests.engine.shop import open_line
from tests.network.api import API_KEYS, Api
from tests.network.tmf.system import BALANCES, action, of

PATH = f"{BALANCES}/transferBalance"


@pytest.fixture
async def engine(database_url: str, operator: Operator, keyring: Keyring) -> AsyncIterator[Engine]:
    """Gifts of money cost KES 2 and a tenth."""
    rules = TransferRules(unit="money", least=100, most=50_000, most_per_day=100_000, fee=200, fee_percent=10)
    opened = await open_engine(database_url, operator.model_copy(update={"transfers": (rules,)}), keyring)
    yield opened
    await opened.close()


@pytest.fixture
async def api(engine: Engine, keyring: Keyring) -> AsyncIterator[Api]:
    application = web.Application()
    for interface in interfaces(engine, keyring):
        application.add_routes(interface.routes(Gate(API_KEYS)))
    server = TestServer(application)
    await server.start_server()
    async with Api(str(server.make_url(""))) as client:
        yield client
    await server.close()


async def money(engine: Engine, *lines: object) -> list[int]:
    return [(await engine.subscriber(line.msisdn)).total(Unit.MONEY) for line in lines]


async def test_a_gift_moves_once_and_tells_no_number(api: Api, engine: Engine) -> None:
    giver, other = await open_line(engine, money=10_000), await open_line(engine)
    cost = {"value": "12.00", "unit": "KES"}
    asked = action(giver, "monetary", 100, "KES", receiverLogicalResource={"id": other.msisdn}, transferCost=cost)
    for _ in range(2):
        low = await api.post(PATH, asked, headers={"Idempotency-Key": "too much"})
        assert (low.status, low.body["code"]) == (409, "BALANCE_TOO_LOW")
    asked["amount"]["amount"], cost["value"] = 50, 7
    said = [await api.post(PATH, asked, headers={"Idempotency-Key": "gift"}) for _ in range(2)]
    assert said[0].status == 201 and said[0].raw == said[1].raw
    assert said[0].body["transferCost"] == {"value": 7, "unit": "KES"}
    assert other.msisdn not in said[0].raw.decode() and "***" in said[0].body["receiverLogicalResource"]["id"]
    assert await money(engine, giver, other) == [4_300, 5_000]
    (received,) = (await api.get(of("balanceActionHistory", other.msisdn))).body
    assert received["@type"] == "TransferBalance" and giver.msisdn not in str(received)


async def test_what_was_said_of_a_gift_stands_in_its_answer_as_tmf654_asks(api: Api, engine: Engine) -> None:
    line, other = await open_line(engine, money=5_000), await open_line(engine)
    said = {"channel": {"id": "7", "name": "shop"}, "reason": "birthday", "description": "for Amina"}
    cost = {"value": 3, "unit": "KES"}
    asked = action(line, "monetary", 10, "KES", receiverLogicalResource={"id": other.msisdn}, transferCost=cost, **said)
    made = await api.post(PATH, asked, headers={"Idempotency-Key": "g"})
    assert (made.status, {name: made.body[name] for name in said}) == (201, said)
    assert (await api.post(PATH, asked, headers={"Idempotency-Key": "g"})).raw == made.raw


async def test_another_fee_than_the_one_agreed_to_moves_nothing_and_tells_it(api: Api, engine: Engine) -> None:
    giver, other = await open_line(engine, money=10_000), await open_line(engine)
    said = await api.post(PATH, action(giver, "monetary", 50, receiverLogicalResource={"id": other.msisdn}))
    assert (said.status, said.body["code"]) == (409, "FEE_CHANGED")
    assert "fee 7.00 KES" in said.body["message"]
    assert await money(engine, giver, other) == [10_000, 0]


async def test_a_gift_is_taken_back_whole_and_once(api: Api, engine: Engine) -> None:
    giver, other = await open_line(engine, money=10_000), await open_line(engine)
    cost = {"value": 7, "unit": "KES"}
    asked = action(giver, "monetary", 50, receiverLogicalResource={"id": other.msisdn}, transferCost=cost)
    made = (await api.post(PATH, asked)).body
    for _ in range(2):
        undone = await api.ask("PATCH", made["href"], {"status": "cancelled"})
        assert (undone.status, undone.body["status"]) == (200, "cancelled")
    assert await money(engine, giver, other) == [10_000, 0]
    assert (await api.get(made["href"])).body["status"] == "cancelled"
    assert (await api.ask("PATCH", made["href"], {"status": "completed"})).status == 400
    assert await check_all(engine._database) == []


@pytest.mark.parametrize("receiver", ["+254799999999", "SELF"])
async def test_a_gift_to_nobody_or_to_oneself_is_refused(api: Api, engine: Engine, receiver: str) -> None:
    giver = await open_line(engine, money=10_000)
    number = giver.msisdn if receiver == "SELF" else receiver
    said = await api.post(PATH, action(giver, "monetary", 50, receiverLogicalResource={"id": number}))
    assert said.status == (400 if receiver == "SELF" else 404)
    assert await money(engine, giver) == [10_000]


@pytest.mark.parametrize(
    ("cost", "field"),
    [
        ({"value": "0.001", "unit": "KES"}, "transferCost.value"),
        ({"value": "1e999999999", "unit": "KES"}, "transferCost.value"),
        ({"value": 7, "unit": "USD"}, "transferCost.unit"),
    ],
)
async def test_a_fee_that_is_none_is_named_as_it_was_written(
    api: Api, engine: Engine, cost: dict[str, object], field: str
) -> None:
    giver, other = await open_line(engine, money=10_000), await open_line(engine)
    gift = action(giver, "monetary", 50, "KES", receiverLogicalResource={"id": other.msisdn}, transferCost=cost)
    said = await api.post(PATH, gift)
    assert (said.status, said.body["message"].partition(":")[0]) == (400, field)
    assert await money(engine, giver, other) == [10_000, 0]
