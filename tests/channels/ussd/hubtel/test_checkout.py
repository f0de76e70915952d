"""Recharging by Hubtel's own checkout: a cart handed over in the session, money believed once Hubtel's status says so.

Hubtel is played on sockets: its USSD side by its voice, its checkout by the sandbox.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from redis.asyncio import Redis

from channels.pointers import Pointers
from channels.turn import Profile, Turn
from channels.ussd.contract import Request
from channels.ussd.hubtel.gateway import Gateway
from channels.ussd.hubtel.voice import Voice
from channels.ussd.routes import Door, routes
from channels.ussd.voice import Call, Heard
from engine.words import Payment, PaymentState, Subscriber
from runtime.keyring import Keyring
from runtime.metrics import Metrics
from sandbox.payments.ledger import Payment as Order
from sandbox.payments.server import PaymentsSandbox
from tests.channels.phone import Talk
from tests.engine.payments.house import PATH_SECRET, House
from tests.houses import Houses
from tests.waiting import until

Client = TestClient[web.Request, web.Application]
PRICE = 5_000


class Person:
    """A subscriber on Hubtel's USSD."""

    def __init__(self, shop: Shop, line: Subscriber, session: str) -> None:
        self.shop, self.line = shop, line
        self.voice = Voice(session, line.msisdn, "123")
        #: the last hop and the bytes of its answer
        self.call: Call
        self.answer = b""

    async def hop(self, call: Call) -> Heard:
        self.call = call
        headers = {"Content-Type": call.content_type}
        async with self.shop.client.post("/ussd/hubtel", data=call.body, headers=headers) as reply:
            assert reply.status == 200
            self.answer = await reply.read()
            return self.voice.hear(dict(reply.headers), self.answer)

    async def confirmed(self) -> Heard:
        """Recharge, Hubtel, the first amount, yes."""
        await self.hop(self.voice.dial())
        for typed in ("2", "2", "1"):
            await self.hop(self.voice.say(typed))
        return await self.hop(self.voice.say("1"))

    async def checks_out(self) -> Order:
        """Hubtel takes the cart over, and asks the person."""
        cart = {"SessionId": self.voice.session_id, "Mobile": self.voice.digits, "Item": self.voice.item}
        url = f"{self.shop.house.sandbox.base_url}/hubtel/checkout"
        async with self.shop.house.http.post(url, json=cart) as reply:
            assert reply.status == 200
        return next(one for one in self.shop.house.sandbox.desk.ledger.all("hubtel") if one.key == cart["SessionId"])

    async def payment(self) -> Payment:
        (found,) = await self.shop.house.engine.payments_of(self.line.account)
        return found


class Shop:
    """A server of ours, and Hubtel on its other side."""

    def __init__(self, house: House, client: Client) -> None:
        self.house, self.client = house, client

    async def person(self, session: str = "8d44") -> Person:
        return Person(self, await self.house.line(), session)

    async def fulfils(self, content: dict[str, Any], secret: str = PATH_SECRET) -> int:
        """Somebody posts to our fulfilment address."""
        url = f"{self.house.base_url}/payments/hubtel/callback/{secret}"
        async with self.house.http.post(url, json=content) as reply:
            return reply.status

    async def concluded(self) -> list[dict[str, Any]]:
        """What Hubtel was told became of its orders, once our side has answered its fulfilment."""
        await until(lambda: any(one.status for one in self.house.sandbox.desk.posted))
        return self.house.sandbox.hubtel.concluded


@pytest.fixture
async def house(houses: Houses, sandbox: PaymentsSandbox) -> House:
    """A house that takes money in sessions of Hubtel, which tells it there."""
    one = await houses(only=("hubtel",))
    url = f"{one.base_url}/payments/hubtel/callback/{PATH_SECRET}"
    sandbox.desk.accounts = msgspec.structs.replace(sandbox.desk.accounts, hubtel_fulfilment_url=url)
    return one


@pytest.fixture
async def shop(house: House, talk: Talk, redis_client: Redis, keyring: Keyring) -> AsyncIterator[Shop]:
    application = web.Application()
    conversation = talk(engine=house.engine, profile=Profile(checkout="hubtel"))
    door = Door(name="hubtel", adapter=Gateway("hubtel", "123", {}))
    application.add_routes(routes([door], conversation, Pointers(redis_client, keyring), Metrics()))
    async with TestClient(TestServer(application)) as client:
        yield Shop(house, client)
        await conversation.drain()


async def test_what_is_paid_at_the_checkout_is_credited_and_hubtel_is_told(shop: Shop) -> None:
    person = await shop.person()
    heard = await person.confirmed()
    payment = await person.payment()
    assert heard.ends
    assert payment.reference in heard.text
    assert person.voice.item == {
        "ItemName": f"{shop.house.engine.operator.name} {payment.reference}",
        "Qty": 1,
        "Price": 50.0,
        "ItemId": payment.reference,
    }
    order = await person.checks_out()
    settled = await shop.house.until(payment, PaymentState.SETTLED)
    assert (settled.gateway_ref, await shop.house.money(person.line)) == (order.id, PRICE)
    told = {"SessionId": "8d44", "OrderId": order.id, "ServiceStatus": "success", "MetaData": None}
    assert await shop.concluded() == [told]
    await shop.house.right()


async def test_a_hop_that_comes_again_is_the_same_cart_and_one_payment(shop: Shop) -> None:
    person = await shop.person()
    await person.confirmed()
    first = person.answer
    await asyncio.gather(*(person.hop(person.call) for _ in range(3)))
    assert person.answer == first
    await person.checks_out()
    await person.checks_out()
    await shop.house.until(await person.payment(), PaymentState.SETTLED)
    await person.hop(person.call)
    assert person.answer == first
    assert await shop.house.money(person.line) == await shop.house.taken() == PRICE


async def test_a_fulfilment_that_is_lost_is_found_by_asking_and_may_come_later(shop: Shop) -> None:
    await shop.house.plays("lost")
    person = await shop.person()
    await person.confirmed()
    order = await person.checks_out()
    await until(lambda: order.state == "captured")
    await shop.house.hurry()
    payment = await shop.house.ended(await person.payment())
    assert (payment.state, payment.gateway_ref) == (PaymentState.SETTLED, "8d44")
    assert await shop.fulfils({"SessionId": "8d44", "OrderId": order.id, "ExtraData": {}, "OrderInfo": None}) == 200
    assert [one["ServiceStatus"] for one in shop.house.sandbox.hubtel.concluded] == ["success"]
    assert await shop.house.money(person.line) == PRICE


async def test_the_outcome_is_told_again_until_hubtel_has_taken_it(shop: Shop) -> None:
    hubtel = shop.house.sandbox.hubtel
    hubtel.deaf = 2
    person = await shop.person()
    await person.confirmed()
    await person.checks_out()
    assert await shop.concluded() == []
    assert (await person.payment()).state is PaymentState.SETTLED
    # What was believed once is not asked about again: nobody answers that now.
    desk = shop.house.sandbox.desk
    desk.accounts = msgspec.structs.replace(desk.accounts, hubtel_pos="another")
    for told in (0, 1, 1):
        await shop.house.hurry()
        await shop.house.engine.resume_payments()
        assert len(hubtel.concluded) == told
    assert await shop.house.money(person.line) == PRICE


async def test_a_fulfilment_that_somebody_makes_up_credits_nothing(shop: Shop) -> None:
    shop.house.sandbox.desk.pace = 30.0
    person = await shop.person()
    await person.confirmed()
    order = await person.checks_out()
    forged = {"SessionId": "8d44", "OrderId": "forged", "OrderInfo": {"Payment": {"IsSuccessful": True}}}
    assert await shop.fulfils(forged, secret="a_secret_of_somebody_else") == 404
    assert await shop.fulfils(forged) == 200
    assert await shop.fulfils({"SessionId": "nobody", "OrderId": "forged"}) == 200
    assert await shop.fulfils({"SessionId": "8d44"}) == 400
    assert not (await person.payment()).state.final
    assert await shop.house.money(person.line) == 0
    order.become("captured")
    shop.house.sandbox.desk.told(order)
    await shop.house.until(await person.payment(), PaymentState.SETTLED)
    assert (await person.payment()).gateway_ref == order.id


async def test_who_does_not_pay_is_told_so_and_is_still_credited_for_what_comes_after(shop: Shop) -> None:
    await shop.house.plays("decline", reason="cancelled")
    person = await shop.person()
    await person.confirmed()
    order = await person.checks_out()
    await shop.house.run("UPDATE payment SET requested_at = requested_at - interval '6 minutes'")
    await shop.house.hurry()
    payment = await shop.house.ended(await person.payment())
    assert (payment.state, payment.reason) == (PaymentState.DECLINED, "timeout")
    order.become("captured")
    shop.house.sandbox.desk.told(order)
    await shop.house.until(payment, PaymentState.SETTLED)
    assert await shop.house.money(person.line) == PRICE


async def test_a_checkout_that_was_never_begun_ends_as_declined(shop: Shop) -> None:
    person = await shop.person()
    await person.confirmed()
    await shop.house.hurry()
    await shop.house.engine.resume_payments()
    assert (await person.payment()).state is PaymentState.PENDING
    await shop.house.run("UPDATE payment SET requested_at = requested_at - interval '6 minutes'")
    await shop.house.hurry()
    assert (await shop.house.ended(await person.payment())).state is PaymentState.DECLINED


@pytest.mark.parametrize(
    ("paid", "charges", "credited"),
    [("50.5", "0.5", PRICE), ("50", "0.5", PRICE), ("40", "0", 0), ("60", "0", 0)],
)
async def test_only_the_price_with_or_without_charges_is_credited(
    shop: Shop, paid: str, charges: str, credited: int
) -> None:
    shop.house.sandbox.desk.pace = 30.0
    person = await shop.person()
    await person.confirmed()
    order = await person.checks_out()
    order.details |= {"paid": paid, "charges": charges}
    order.become("captured")
    shop.house.sandbox.desk.told(order)
    (told,) = await shop.concluded()
    assert told["ServiceStatus"] == ("success" if credited else "failed")
    assert await shop.house.money(person.line) == credited
    state = PaymentState.SETTLED if credited else PaymentState.REFUNDING
    assert (await person.payment()).state is state
    await shop.house.right()


async def test_a_session_pays_for_one_cart(shop: Shop) -> None:
    person = await shop.person()
    await person.confirmed()
    for typed in ("1", "2", "2", "2"):
        await person.hop(person.voice.say(typed))
    assert not (await person.hop(person.voice.say("1"))).text.startswith("Approve")
    assert b"AddToCart" not in person.answer
    assert len(await shop.house.engine.payments_of(person.line.account)) == 1


async def test_a_channel_that_cannot_take_money_does_not_offer_it(shop: Shop, talk: Talk) -> None:
    assert shop.house.engine.payment_methods() == frozenset()
    person = await shop.person()
    turn = Gateway("hubtel", "123", {}).read(Request(person.voice.dial("2").body))
    assert isinstance(turn, Turn)
    assert (await talk(engine=shop.house.engine).turn(turn)).label == "recharge.number"
    person.voice = Voice("9e55", person.line.msisdn, "123")
    await person.hop(person.voice.dial())
    assert "Hubtel" in (await person.hop(person.voice.say("2"))).text
