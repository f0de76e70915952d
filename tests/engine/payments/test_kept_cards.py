"""Cards that were entered on a gateway's page and are kept: for whom, how many, and for how long."""

from __future__ import annotations

from uuid import uuid4

import pytest

from engine.words import CARDS_MOST, PaymentMethod, PaymentState
from tests.engine.payments.house import House
from tests.engine.payments.stripe import made, post, state
from tests.engine.payments.test_card_pages import END_OF_2034, asked, choose, intent_event, session_event

S = PaymentState


@pytest.mark.parametrize("keep", [False, True])
async def test_a_card_is_kept_only_for_who_asked_and_pays_again(cards: House, *, keep: bool) -> None:
    line = await cards.line()
    payment = await asked(cards, line, keep=keep)
    await choose(cards, payment, "mastercard")
    assert await post(cards, intent_event(cards)) == 200
    assert await post(cards, session_event(cards, "completed")) == 200
    assert await state(cards, payment) is S.SETTLED
    kept = await cards.engine.saved_cards(line)
    assert [(one.brand, one.last_four, one.expires_at) for one in kept] == (
        [("Mastercard", "4444", END_OF_2034)] if keep else []
    )
    # Its token is nowhere but in the saved card, sealed.
    secret = made(cards).details.get("customer", "cus_")
    for table in ("payment_event", "gateway_event"):
        ((written,),) = await cards.rows(f"SELECT coalesce(string_agg(body::text, ' '), '') FROM {table}")
        assert secret not in written
    for one in kept:
        again = await cards.engine.pay(line, PaymentMethod.CARD, 6_000, key=uuid4(), card=one, source="test")
        assert again.state is S.SETTLED
    await cards.right()


async def test_a_card_that_pays_for_another_line_is_kept_for_its_holder_alone(cards: House) -> None:
    line, other = await cards.line(), await cards.line()
    payment = await asked(cards, other, keep=True, asked_by=line.line)
    await choose(cards, payment, "mastercard", line)
    assert await post(cards, session_event(cards, "completed")) == 200
    assert await state(cards, payment) is S.SETTLED
    assert await cards.money(other) == 5_000
    assert [one.last_four for one in await cards.engine.saved_cards(line)] == ["4444"]
    assert await cards.engine.saved_cards(other) == []


async def test_a_card_that_was_forgotten_is_not_kept_again_by_an_event_that_comes_late(cards: House) -> None:
    line = await cards.line()
    payment = await asked(cards, line, keep=True)
    await choose(cards, payment)
    assert await post(cards, session_event(cards, "completed")) == 200
    (card,) = await cards.engine.saved_cards(line)
    assert await cards.engine.forget_card(line, card.card_id)
    assert await post(cards, intent_event(cards)) == 200
    assert await cards.engine.saved_cards(line) == []


async def test_who_keeps_as_many_cards_as_they_may_is_credited_all_the_same(cards: House) -> None:
    line = await cards.line()
    for digits in range(CARDS_MOST):
        await cards.engine.cards.save(
            line, "stripe", f"pm_{digits}", brand="Visa", last_four=f"000{digits}", expires_at=END_OF_2034
        )
    payment = await asked(cards, line, keep=True)
    await choose(cards, payment)
    assert await post(cards, session_event(cards, "completed")) == 200
    assert await state(cards, payment) is S.SETTLED
    assert len(await cards.engine.saved_cards(line)) == CARDS_MOST
