"""One dialog, two channels: by USSD and by text the same states with the same effects."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace

import pytest

from channels.text_turn import text_profile
from engine.api import Engine
from tests.channels.phone import MSISDN, OTHER, Phone, Talk
from tests.channels.texter import Texter, TextTalk
from tests.engine.shop import credit

WALKS = {
    "a bundle": ["3", "2", "1"],
    "a voucher": ["2", "VOUCHER", "1"],
    "a voucher at the menu": ["VOUCHER", "1"],
    "a voucher that is none": ["2", "123", "00000000000000", "1", "1", "VOUCHER", "1"],
    "back and forth": ["3", "1", "0", "2", "0", "00", "1", "2", "7", "1"],
    "no such choice": ["9", "3", "44", "3", "5", "1"],
    "too dear": ["3", "3", "1", "1", "VOUCHER", "1"],
    "another language": ["4", "1", "2"],
    "a PIN": ["4", "2", "2580"],
    "quiet hours": ["4", "3", "2", "4"],
    "no news": ["4", "3", "3", "3"],
    "good-bye": ["0"],
}


@pytest.mark.parametrize("walk", list(WALKS))
async def test_the_same_conversation_by_ussd_and_by_text_walks_the_same_states_with_the_same_effects(
    talk: Talk, texting: TextTalk, engine: Engine, walk: str, vouchers: list[str]
) -> None:
    seen: list[tuple[list[str], object]] = []
    for number, (msisdn, voucher) in enumerate(((MSISDN, vouchers[0]), (OTHER, vouchers[1]))):
        subscriber = await engine.create_line(msisdn, language="en")
        await credit(engine, subscriber, 90_000)
        say: Callable
        if number == 0:
            phone = Phone(talk(), msisdn)
            labels = [(await phone.dial()).label]
            say = phone.say
        else:
            texter = Texter(texting(), msisdn)
            labels = [(await texter.text("MENU")).label]
            say = texter.text
        labels += [(await say(voucher if typed == "VOUCHER" else typed)).label for typed in WALKS[walk]]
        after = await engine.subscriber(msisdn)
        buckets = sorted((one.product, one.unit, one.amount, one.initial, str(one.expires_at)) for one in after.buckets)
        wishes = await engine.preferences(after)
        seen.append((labels, (buckets, after.language, after.has_pin, wishes)))
    assert seen[0] == seen[1]
    assert len(set(seen[0][0])) > 1


async def test_wherever_people_wander_ussd_and_text_agree(
    talk: Talk, texting: TextTalk, engine: Engine, vouchers: list[str]
) -> None:
    """Random walks with fixed seeds: the same inputs on two lines, one by USSD, one by text."""
    conversations = talk(), texting(profile=replace(text_profile(), hourly=10_000))
    bought = 0
    for seed in range(12):
        choose = random.Random(seed)
        lines = [f"+2547110000{seed:02}", f"+2547220000{seed:02}"]
        for msisdn in lines:
            await credit(engine, await engine.create_line(msisdn, language="en"), 40_000)
        phone = Phone(conversations[0], lines[0], f"walk-{seed}")
        texter = Texter(conversations[1], lines[1])
        by_ussd, by_text = await phone.dial(), await texter.text("MENU")
        for _ in range(15):
            assert by_ussd.label == by_text.label
            if by_ussd.ends:
                break
            typed = choose.choice(["1", "1", "2", "3", "3", "4", "5", "8", "0", "00", "99"])
            by_ussd, by_text = await phone.say(typed), await texter.text(typed)
        ends = [await engine.subscriber(msisdn) for msisdn in lines]
        held = [sorted((one.product, one.unit, one.amount) for one in end.buckets) for end in ends]
        assert held[0] == held[1]
        bought += len(held[0]) > 1
    assert bought > 2, "the walks must reach money"
