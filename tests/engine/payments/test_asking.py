"""Who is asked, and who never is: routes, holds, refused intents, and gateways that cannot be reached."""

from __future__ import annotations

import asyncio
from uuid import uuid4

import pytest

from engine.api import open_engine
from engine.words import LineStatus, PaymentMethod, PaymentRefused, PaymentState
from runtime.embedded.process import free_port
from runtime.keyring import Keyring
from settings import Operator
from tests.engine.payments.house import House
from tests.engine.payments.test_callbacks import event, post, signed
from tests.houses import Houses


@pytest.fixture
async def house(houses: Houses) -> House:
    """A house whose gateways soon give an answer up."""
    return await houses(patience=1.0)


@pytest.fixture
async def unreachable(houses: Houses) -> House:
    """A house whose cheapest gateway is not there."""
    return await houses(base_url=f"http://127.0.0.1:{free_port()}")


@pytest.fixture
async def holding(houses: Houses) -> House:
    """A house whose gateway only holds, until it is confirmed."""
    return await houses(only=("sandbox",), hold=True)


async def test_what_has_not_left_us_goes_to_the_next_gateway(unreachable: House) -> None:
    line = await unreachable.line()
    payment = await unreachable.pay(line, 5_000, wait_seconds=5.0)
    assert payment.gateway == "mpesa"
    assert (await unreachable.ended(payment)).state is PaymentState.SETTLED
    assert await unreachable.money(line) == 5_000
    await unreachable.right()


async def test_an_unknown_payment_stays_where_it_is(house: House) -> None:
    line = await house.line()
    await house.plays("hang")
    payment = await house.pay(line, 5_000, wait_seconds=5.0)
    assert (payment.state, payment.gateway) == (PaymentState.UNKNOWN, "sandbox")
    assert (await house.ended(payment)).gateway == "sandbox"


async def test_where_nobody_can_be_reached_it_ends_at_once(unreachable: House) -> None:
    line = await unreachable.line()
    payment = await unreachable.pay(line, 5_000, method=PaymentMethod.BANK, token="card", wait_seconds=5.0)
    assert (payment.state, payment.reason) == (PaymentState.DECLINED, "unreachable")
    await unreachable.right()


@pytest.mark.parametrize("token", [{}, {"token": "card"}])
async def test_what_is_held_is_confirmed_and_then_credited(holding: House, token: dict[str, str]) -> None:
    line = await holding.line()
    ended = await holding.ended(await holding.pay(line, 5_000, **token))
    assert ended.state is PaymentState.SETTLED
    assert await holding.money(line) == await holding.taken() == 5_000
    await holding.right()


async def test_a_hold_for_a_line_that_closed_is_let_go_not_taken(holding: House) -> None:
    line = await holding.line()
    payment = await holding.pay(line, 5_000)
    await holding.until(payment, PaymentState.HELD)
    await holding.engine.accounts.set_status(line, LineStatus.TERMINATED, reason="test", by="test")
    ended = await holding.ended(payment)
    assert (ended.state, ended.reason) == (PaymentState.DECLINED, "line_closed")
    assert await holding.taken() == 0
    await holding.right()


@pytest.mark.parametrize("reachable", [True, False])
async def test_a_hold_that_nobody_ends_is_given_up_to_staff(holding: House, *, reachable: bool) -> None:
    line = await holding.line()
    payment = await holding.pay(line, 5_000)
    await holding.until(payment, PaymentState.HELD)
    await holding.run("UPDATE payment SET requested_at = requested_at - interval '3 days', next_check_at = now()")
    if reachable:
        # Its provider has forgotten it.
        (made,) = holding.sandbox.desk.ledger.all()
        holding.sandbox.desk.ledger._by_key.pop((made.face, made.key))
    else:
        await holding.sandbox.stop()
    ended = await holding.ended(payment)
    assert (ended.state, ended.reason) == (PaymentState.DECLINED, "line_closed" if reachable else "unresolved")
    assert await holding.money(line) == 0
    if not reachable:
        await holding.sandbox.start()


async def test_a_hold_that_its_provider_does_not_know_ends(holding: House) -> None:
    line = await holding.line()
    payment = await holding.pay(line, 5_000)
    await holding.until(payment, PaymentState.HELD)
    (made,) = holding.sandbox.desk.ledger.all()
    holding.sandbox.desk.ledger._by_key.pop((made.face, made.key))
    assert (await holding.ended(payment)).state is PaymentState.DECLINED
    assert await holding.money(line) == 0


async def test_what_could_not_be_a_payment_is_refused_before_anything_is_stored(house: House) -> None:
    line = await house.line()
    closed = await house.line()
    await house.engine.accounts.set_status(closed, LineStatus.TERMINATED, reason="test", by="test")
    for who, amount, more, reason in (
        (line, 0, {}, "amount"),
        (line, -5, {}, "amount"),
        (line, 10**16, {}, "amount"),
        (line, 100, {"product": "nothing"}, "product"),
        (closed, 100, {}, "line"),
    ):
        with pytest.raises(PaymentRefused, match=reason):
            await house.pay(who, amount, **more)
    assert await house.rows("SELECT FROM payment") == []


async def test_an_engine_without_gateways_says_so(
    database_url: str, operator: Operator, keyring: Keyring, house: House
) -> None:
    line = await house.line()
    engine = await open_engine(database_url, operator, keyring)
    try:
        assert engine.payment_methods() == frozenset()
        with pytest.raises(PaymentRefused, match="method"):
            await engine.pay(line, PaymentMethod.CARD, 100, key=uuid4(), source="test", token="card")
    finally:
        await engine.close()


async def test_two_processes_that_recover_at_once_credit_once(house: House, houses: Houses) -> None:
    lines = [await house.line() for _ in range(12)]
    await house.plays("lost", times=12)
    payments = await asyncio.gather(*(house.pay(line, 5_000) for line in lines))
    other = await houses()
    for _ in range(4):
        await house.hurry()
        await asyncio.gather(house.engine.resume_payments(), other.engine.resume_payments())
    for payment in payments:
        assert (await house.ended(payment)).state is PaymentState.SETTLED
    assert [await house.money(line) for line in lines] == [5_000] * 12
    await house.right()


async def test_a_payment_that_nobody_ever_resolves_ends_and_can_still_be_credited(house: House) -> None:
    line = await house.line()
    await house.plays("lost")
    payment = await house.pay(line, 5_000)
    await house.sandbox.stop()
    await house.run(
        "UPDATE payment SET requested_at = requested_at - interval '30 hours', state = 'unknown', next_check_at = now()"
    )
    ended = await house.ended(payment)
    assert (ended.state, ended.reason) == (PaymentState.DECLINED, "unresolved")
    late = event(payment.payment_id)
    assert await post(house, late, signed(late)) == 200
    await house.until(payment, PaymentState.SETTLED)
    assert await house.money(line) == 5_000
    await house.right()
    await house.sandbox.start()


async def test_a_payment_that_was_held_back_is_asked_for_once_it_is_let_go(house: House) -> None:
    line = await house.line()
    await house.plays("hang")
    payment = await house.pay(line, 5_000, wait_seconds=5.0)
    # As staff leaves it that has looked for a day: nobody was asked yet.
    await house.run(
        "UPDATE payment SET state = 'created', requested_at = NULL, created_at = created_at - interval '1 day',"
        " next_check_at = now() WHERE payment_id = %s",
        payment.payment_id,
    )
    assert (await house.ended(payment)).state is PaymentState.SETTLED
    assert await house.money(line) == await house.taken() == 5_000
    await house.right()


@pytest.mark.parametrize("seconds", [5.0, 0.0])
async def test_a_refusal_is_texted_unless_whoever_asked_was_answered_with_it(house: House, seconds: float) -> None:
    line = await house.line()
    await house.plays("decline", reason="funds")
    payment = await house.pay(line, 5_000, method=PaymentMethod.CARD, token="card", wait_seconds=seconds)
    # Who does not wait may be answered with it all the same, where the gateway is quick.
    answered = payment.state is PaymentState.DECLINED
    assert answered or not seconds
    await house.until(payment, PaymentState.DECLINED)
    assert await house.rows("SELECT state, due_at > created_at FROM outbox WHERE topic = 'payment.declined'") == [
        ("dropped" if answered else "due", True)
    ]


async def test_a_payer_who_has_to_act_is_sent_the_link_and_a_late_refusal_is_told(house: House) -> None:
    line = await house.line()
    await house.plays("action")
    payment = await house.pay(line, 5_000, wait_seconds=5.0)
    assert payment.state is PaymentState.PENDING
    ((url, owner),) = await house.rows("SELECT body->>'url', line_id FROM outbox WHERE topic = 'payment.action'")
    assert owner == line.line_id
    async with house.http.post(url, data={"yes": "0"}) as answer:
        assert answer.status == 200
    await house.until(payment, PaymentState.DECLINED)
    assert await house.rows("SELECT body->>'reference' FROM outbox WHERE topic = 'payment.declined'") == [
        (payment.reference,)
    ]
    assert await house.rows("SELECT FROM payment_event WHERE body::text LIKE '%%http%%'") == []
