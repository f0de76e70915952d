"""Recharges by mobile money, with the sandbox's provider on its socket."""

from __future__ import annotations

import asyncio

import pytest
from playwright.async_api import Page, expect

from engine.words import PaymentState, Unit
from portal.selfcare.paying import STATES
from sandbox.payments.server import PaymentsSandbox
from settings import Settings
from tests.portal.providers import paying_at
from tests.portal.selfcare.conftest import Caller, Running, calling, is_accessible

browsed = pytest.mark.needs("chromium")
looped = pytest.mark.asyncio(loop_scope="session")


@pytest.fixture
def settings(settings: Settings, sandbox: PaymentsSandbox) -> Settings:
    """With a gateway to the sandbox."""
    return paying_at(settings, sandbox)


@browsed
@looped
async def test_a_payment_is_followed_until_it_is_credited(inside: Page, server: Running) -> None:
    await server.engine.payments.start()
    before = (await server.line()).total(Unit.MONEY)
    await inside.goto(f"{server.url}/portal/pay")
    await inside.locator("#amount").fill("75.50")
    await inside.locator("main form button").click()
    await inside.locator("main .notice").wait_for()
    await is_accessible(inside)
    for _ in range(100):
        await server.engine.resume_payments()
        if (await server.line()).total(Unit.MONEY) == before + 7_550:
            break
        await inside.wait_for_timeout(100)
    await expect(inside.locator("main .notice")).to_have_text("Paid and credited.")


@browsed
@looped
async def test_an_amount_that_is_none_asks_nobody(inside: Page, server: Running) -> None:
    await inside.goto(f"{server.url}/portal/pay")
    await inside.locator("#amount").fill("ten")
    await inside.locator("main form button").click()
    await expect(inside.locator(".notice.bad")).to_have_text("This amount is not possible.")
    assert await server.engine.payments_of((await server.line()).account) == []


@looped
async def test_who_pays_for_another_number_sees_that_payment_and_finds_the_number_again(
    server: Running, caller: Caller
) -> None:
    await server.engine.payments.start()
    other, third = (one.msisdn for one in server.services.operator.demo.subscribers[1:3])
    status, path, page = await caller.send("/pay", "/pay", amount="75", way="mobile_money", number=other)
    assert status == 200 and f"For ..{other[-4:]}" in page
    receiver = await server.engine.subscriber(other)
    (payment,) = await server.engine.payments_of(receiver.account)
    assert path == f"/portal/payments/{payment.payment_id}" and payment.amount == 7_500
    assert await server.engine.favourites.receivers((await server.line()).line) == [receiver.line]
    for msisdn, may in ((other, 200), (third, 404)):
        async with calling(server, msisdn) as one:
            assert (await one.get(f"/payments/{payment.payment_id}"))[0] == may
    for _ in range(100):
        await server.engine.resume_payments()
        if (await server.engine.subscriber(other)).total(Unit.MONEY) == receiver.total(Unit.MONEY) + 7_500:
            break
        await asyncio.sleep(0.1)
    assert "Paid and credited." in (await caller.get(f"/payments/{payment.payment_id}"))[1]


@looped
async def test_nobody_is_asked_to_pay_for_a_number_that_is_nobodys(server: Running, caller: Caller) -> None:
    status, _, page = await caller.send("/pay", "/pay", amount="75", way="mobile_money", number="0712999999")
    assert status == 422 and 'value="75"' in page and 'value="0712999999"' in page
    assert await server.engine.payments_of((await server.line()).account) == []


def test_every_state_of_a_payment_has_a_sentence() -> None:
    assert {*PaymentState} - {PaymentState.DECLINED} == STATES.keys()
