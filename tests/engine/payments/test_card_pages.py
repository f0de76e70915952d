"""A card that nobody has saved: entered on the provider's page, settled by the same course as every payment."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from itertools import permutations
from typing import Any
from uuid import UUID, uuid4

import pytest

from engine.words import (
    CardPage,
    LineRef,
    Payment,
    PaymentMethod,
    PaymentRefused,
    PaymentState,
    Refused,
    Subscriber,
)
from sandbox.payments.shapes import intent_of, session_of
from tests.engine.payments.house import House
from tests.engine.payments.stripe import event, made, post, state
from tests.houses import Houses

S = PaymentState
END_OF_2034 = datetime(2035, 1, 1, tzinfo=UTC)


async def asked(house: House, line: Subscriber, *, keep: bool = False, key: UUID | None = None, **more: Any) -> Payment:
    """Somebody wants to pay 50.00 with a card that nobody knows."""
    return await house.engine.pay(
        line, PaymentMethod.CARD, 5_000, key=key or uuid4(), page=CardPage(keep=keep), source="test", **more
    )


async def link_of(house: House, payment: Payment, line: Subscriber | None = None) -> str | None:
    """Where a line pays what it has asked for: the one that is paid for, unless another is named."""
    assert payment.line_id is not None
    asks = LineRef(*payment.account, payment.line_id) if line is None else line.line
    return await house.engine.payment_link(payment, asks)


async def choose(house: House, payment: Payment, card: str = "visa", line: Subscriber | None = None) -> str:
    """The payer chooses a card on the page. Returns where that leads them, or what it says."""
    link = await link_of(house, payment, line)
    assert link is not None
    async with house.http.post(link, data={"card": card}, allow_redirects=False) as answer:
        return answer.headers.get("Location") or await answer.text()


def session_event(house: House, kind: str) -> bytes:
    return event(f"evt_{kind}", f"checkout.session.{kind}", session_of(made(house), house.sandbox.base_url))


def intent_event(house: House, kind: str = "succeeded") -> bytes:
    return event(f"evt_pi_{kind}", f"payment_intent.{kind}", intent_of(made(house), ""))


async def test_a_payer_is_sent_to_the_page_and_credited_once_they_have_paid_there(cards: House) -> None:
    line = await cards.line()
    payment = await asked(cards, line)
    assert payment.state is S.PENDING
    link = await link_of(cards, payment)
    assert link is not None and link.startswith(f"{cards.sandbox.base_url}/checkout/cs_")
    # Who follows the link pays: it is in no evidence.
    ((kept,),) = await cards.rows("SELECT string_agg(body::text, ' ') FROM payment_event")
    assert "/checkout/" not in kept
    assert await choose(cards, payment) == f"https://rasid.example/portal?payment={payment.payment_id}"
    assert await post(cards, session_event(cards, "completed"), secret="whsec_nobody") == 401
    assert await state(cards, payment) is S.PENDING
    assert set(await asyncio.gather(*(post(cards, session_event(cards, "completed")) for _ in range(5)))) == {200}
    assert await state(cards, payment) is S.SETTLED
    assert await cards.money(line) == await cards.taken() == 5_000
    assert await cards.engine.saved_cards(line) == []
    await cards.right()


@pytest.mark.parametrize("order", list(permutations(range(3))))
async def test_the_events_of_a_page_in_any_order_credit_once(cards: House, order: tuple[int, ...]) -> None:
    line = await cards.line()
    payment = await asked(cards, line)
    assert "refused" in await choose(cards, payment, "refused")
    failed = intent_event(cards, "payment_failed")
    await choose(cards, payment)
    bodies = (failed, intent_event(cards), session_event(cards, "completed"))
    for place in order:
        assert await post(cards, bodies[place]) == 200
    assert await state(cards, payment) is S.SETTLED
    assert await cards.money(line) == 5_000
    assert await cards.rows("SELECT 1 FROM outbox WHERE topic = 'payment.declined'") == []
    await cards.right()


async def test_a_card_that_is_refused_ends_nothing_while_the_page_is_open(cards: House) -> None:
    payment = await asked(cards, await cards.line())
    await choose(cards, payment, "refused")
    assert await post(cards, intent_event(cards, "payment_failed")) == 200
    await cards.hurry()
    await cards.engine.resume_payments()
    assert await state(cards, payment) is S.PENDING


async def test_without_any_event_the_page_is_asked_about(cards: House) -> None:
    line = await cards.line()
    payment = await asked(cards, line)
    await choose(cards, payment)
    await cards.hurry()
    assert (await cards.ended(payment)).state is S.SETTLED
    assert await cards.money(line) == 5_000
    await cards.right()


async def test_a_page_whose_address_was_lost_is_asked_for_again_and_is_the_same_page(cards: House) -> None:
    line = await cards.line()
    await cards.plays("drop")
    payment = await asked(cards, line)
    assert payment.state is S.UNKNOWN
    await cards.hurry()
    await cards.engine.resume_payments()
    assert await state(cards, payment) is S.PENDING
    await choose(cards, payment)
    assert await post(cards, session_event(cards, "completed")) == 200
    assert await cards.money(line) == await cards.taken() == 5_000
    await cards.right()


async def test_a_page_whose_address_nobody_ever_got_ends_without_money(cards: House) -> None:
    line = await cards.line()
    await cards.plays("error")
    payment = await asked(cards, line)
    assert payment.state is S.UNKNOWN
    await cards.run("UPDATE payment SET requested_at = requested_at - interval '1 hour', next_check_at = now()")
    ended = await cards.ended(payment)
    assert (ended.state, ended.reason) == (S.DECLINED, "timeout")
    assert await cards.taken() == 0
    await cards.right()


async def test_a_page_that_is_over_ends_the_payment_and_money_that_comes_all_the_same_is_credited(
    cards: House,
) -> None:
    line = await cards.line()
    payment = await asked(cards, line)
    one = made(cards)
    one.become("declined")
    assert await post(cards, session_event(cards, "expired")) == 200
    ended = await cards.engine.payment(payment.payment_id)
    assert ended is not None and (ended.state, ended.reason) == (S.DECLINED, "timeout")
    one.become("captured")
    assert await post(cards, intent_event(cards)) == 200
    assert await state(cards, payment) is S.SETTLED
    assert await cards.money(line) == 5_000
    await cards.right()


async def test_an_expiry_that_a_payment_has_overtaken_is_asked_about(cards: House) -> None:
    payment = await asked(cards, await cards.line())
    expired = session_of(made(cards), "") | {"status": "expired"}
    await choose(cards, payment)
    assert await post(cards, event("evt_1", "checkout.session.expired", expired)) == 200
    assert await state(cards, payment) is S.SETTLED


async def test_who_does_not_want_to_pay_any_more_cannot_pay_on_the_page_either(cards: House) -> None:
    payment = await asked(cards, await cards.line())
    link = await link_of(cards, payment)
    called_off = await cards.engine.call_off_payment(payment)
    assert (called_off.state, called_off.reason) == (S.DECLINED, "cancelled")
    async with cards.http.post(str(link), data={"card": "visa"}) as answer:
        assert answer.status == 410
    # They did it themselves: nobody texts them so.
    assert await cards.rows("SELECT 1 FROM outbox WHERE topic = 'payment.declined'") == []
    assert await cards.taken() == 0


async def test_calling_off_what_was_paid_meanwhile_credits_it(cards: House) -> None:
    line = await cards.line()
    payment = await asked(cards, line)
    await choose(cards, payment)
    assert (await cards.engine.call_off_payment(payment)).state in (S.CAPTURED, S.SETTLED)
    assert await state(cards, payment) is S.SETTLED
    assert await cards.money(line) == 5_000


async def test_what_was_paid_on_a_page_is_given_back_by_its_intent(cards: House) -> None:
    line = await cards.line()
    payment = await asked(cards, line)
    await choose(cards, payment)
    assert await post(cards, session_event(cards, "completed")) == 200
    answer = await cards.engine.payments.refund(payment.payment_id, "test", "console:test")
    assert answer is not None and answer.ok
    assert (await cards.ended(payment)).state is S.REFUNDED
    assert await cards.money(line) == await cards.taken() == 0
    await cards.right()


async def test_a_link_that_a_page_has_shown_is_not_texted_and_any_other_is_after_a_while(cards: House) -> None:
    line = await cards.line()
    shown, other = await asked(cards, line), await asked(cards, line)
    await cards.engine.payment_link_shown(shown, line.line)
    rows = await cards.rows("SELECT state, due_at > created_at, body->>'reference' FROM outbox")
    assert sorted(rows) == sorted([("dropped", True, shown.reference), ("due", True, other.reference)])
    assert await link_of(cards, shown) is not None


async def test_the_link_is_for_who_asks_and_hidden_from_whoever_is_paid_for(cards: House) -> None:
    line, other = await cards.line(), await cards.line()
    payment = await asked(cards, other, asked_by=line.line)
    assert await cards.rows("SELECT shard, account_id, line_id FROM outbox WHERE topic = 'payment.action'") == [
        tuple(line.line)
    ]
    assert await link_of(cards, payment, line) is not None
    assert await link_of(cards, payment) is None
    await cards.engine.payment_link_shown(payment, line.line)
    assert await cards.rows("SELECT state FROM outbox") == [("dropped",)]


async def test_the_same_key_is_one_page(cards: House) -> None:
    line, key = await cards.line(), uuid4()
    first, second = await asked(cards, line, key=key), await asked(cards, line, key=key)
    assert first.payment_id == second.payment_id
    assert made(cards).amount == 5_000


async def test_without_a_gateway_that_has_a_page_no_new_card_is_taken(houses: Houses) -> None:
    house = await houses(only=("sandbox",))
    assert not house.engine.takes_new_cards()
    with pytest.raises(PaymentRefused) as refused:
        await asked(house, await house.line())
    assert refused.value.args[0] is Refused.METHOD


async def test_money_that_is_only_reserved_on_the_page_is_taken_once_and_credited(cards: House) -> None:
    gateway: Any = cards.engine.payments._gateways.get("stripe")
    gateway.holds = True
    line = await cards.line()
    payment = await asked(cards, line, keep=True)
    await choose(cards, payment)
    assert made(cards).state == "held"
    assert await post(cards, session_event(cards, "completed")) == 200
    assert await state(cards, payment) is S.HELD
    await cards.hurry()
    assert (await cards.ended(payment)).state is S.SETTLED
    assert await cards.money(line) == await cards.taken() == 5_000
    assert len(await cards.engine.saved_cards(line)) == 1
    await cards.right()
