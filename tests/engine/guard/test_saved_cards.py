"""Saved cards: whose they are, where they pay, and when they end."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from engine.words import CARDS_MOST, PaymentMethod, PaymentRefused, PaymentState, Refused
from settings import Operator
from tests.engine.guard.test_guarded_payments import rules
from tests.houses import Houses


async def test_a_saved_card_pays_at_its_own_gateway_until_it_is_forgotten(guarded: Houses, operator: Operator) -> None:
    house = await guarded(rules(operator))
    line = await house.line()
    ends = datetime.now(UTC) + timedelta(days=300)
    card = await house.engine.cards.save(
        line, "stripe", "pm_card_visa", brand="Visa", last_four="4242", expires_at=ends
    )
    assert await house.engine.saved_cards(line) == [card]
    assert await house.rows("SELECT count(*) FROM saved_card WHERE sealed_token LIKE %s", b"%pm_card_visa%") == [(0,)]
    payment = await house.pay(line, 5_000, method=PaymentMethod.CARD, token="", card=card)
    assert payment.gateway == "stripe"
    assert (await house.ended(payment)).state is PaymentState.SETTLED
    assert await house.engine.forget_card(line, card.card_id)
    assert not await house.engine.forget_card(line, card.card_id)
    assert await house.engine.saved_cards(line) == []
    with pytest.raises(PaymentRefused) as refused:
        await house.pay(line, 5_000, method=PaymentMethod.CARD, token="", card=card)
    assert refused.value.args[0] is Refused.CARD_UNKNOWN


async def test_a_card_saved_twice_is_one_card_and_one_that_ended_is_not_offered(
    guarded: Houses, operator: Operator
) -> None:
    house = await guarded(rules(operator))
    line = await house.line()
    ends = datetime.now(UTC) + timedelta(days=300)
    for token in ("pm_old", "pm_new"):
        await house.engine.cards.save(line, "stripe", token, brand="Visa", last_four="4242", expires_at=ends)
    old = await house.engine.cards.save(
        line, "stripe", "pm_gone", brand="Visa", last_four="1881", expires_at=datetime.now(UTC) - timedelta(days=1)
    )
    (kept,) = await house.engine.saved_cards(line)
    assert (kept.last_four, await house.engine.cards.token(kept)) == ("4242", "pm_new")
    with pytest.raises(PaymentRefused) as refused:
        await house.pay(line, 5_000, method=PaymentMethod.CARD, token="", card=old)
    assert refused.value.args[0] is Refused.CARD_EXPIRED


async def test_cards_that_ended_take_no_room(guarded: Houses, operator: Operator) -> None:
    house = await guarded(rules(operator))
    line = await house.line()
    now = datetime.now(UTC)

    async def save(last_four: str, ends: datetime) -> None:
        await house.engine.cards.save(line, "stripe", "pm_x", brand="Visa", last_four=last_four, expires_at=ends)

    for place in range(CARDS_MOST):
        await save(f"000{place}", now + timedelta(days=1))
    with pytest.raises(LookupError):
        await save("9999", now + timedelta(days=1))
    await house.run("UPDATE saved_card SET expires_at = now() - interval '1 day'")
    await save("9999", now + timedelta(days=1))
    assert [card.last_four for card in await house.engine.saved_cards(line)] == ["9999"]


@pytest.mark.parametrize("last_four", ["424", "42424", "abcd", "４２４２"])
async def test_what_is_no_card_is_not_saved(guarded: Houses, operator: Operator, last_four: str) -> None:
    house = await guarded(rules(operator))
    with pytest.raises(ValueError, match="last_four"):
        await house.engine.cards.save(
            await house.line(), "stripe", "pm", brand="Visa", last_four=last_four, expires_at=datetime.now(UTC)
        )
