"""One dialog, three channels: by USSD, by text and in a chat the same choices have the same effects."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace

import pytest

from channels.chat.contract import ChatAnswer
from channels.text_turn import text_profile
from engine.api import Engine
from tests.channels.chat.conftest import make_chats
from tests.channels.chat.person import AMINA, Person
from tests.channels.phone import MSISDN, OTHER, Phone, Talk
from tests.channels.texter import Texter, TextTalk
from tests.engine.shop import credit

__all__ = ["make_chats"]

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


class Tapper:
    """A person in a chat who taps where there is a button, and writes where there is none."""

    def __init__(self, person: Person) -> None:
        self.person = person

    async def say(self, typed: str) -> ChatAnswer | None:
        rows = self.person.shown[-1].rows if self.person.shown else ()
        data = next((one.data for row in rows for one in row if one.data.endswith(f"|{typed}")), None)
        return await (self.person.write(typed) if data is None else self.person.hear(tapped=data))


async def done_on(engine: Engine, msisdn: str) -> tuple[object, ...]:
    """What a line was charged and given: kinds, outcomes and amounts, without who asked and when."""
    subscriber = await engine.subscriber(msisdn)
    asked = await engine.operations(subscriber.account)
    operations = sorted((one.answer.kind, str(one.answer.code), str(one.answer.details)) for one in asked)
    held = sorted((one.product, one.unit, one.amount, one.initial) for one in subscriber.buckets)
    return operations, held, subscriber.language, subscriber.has_pin, await engine.preferences(subscriber)


@pytest.mark.parametrize("walk", ["a bundle", "a voucher", "back and forth", "no such choice", "too dear", "no news"])
async def test_the_same_choices_by_ussd_and_in_a_chat_come_to_the_same_operations(
    *, talk: Talk, make_chats, engine: Engine, walk: str, vouchers: list[str]
) -> None:
    for msisdn in (MSISDN, OTHER):
        await credit(engine, await engine.create_line(msisdn, language="en"), 90_000)
    subscriber = await engine.subscriber(OTHER)
    assert await engine.link_chat("telegram", str(AMINA), OTHER, await engine.link_code(subscriber))
    phone, tapper = Phone(talk()), Tapper(Person(make_chats()))
    await phone.dial()
    await tapper.say("MENU")
    for typed in WALKS[walk]:
        await phone.say(vouchers[0] if typed == "VOUCHER" else typed)
        await tapper.say(vouchers[1] if typed == "VOUCHER" else typed)
    assert await done_on(engine, MSISDN) == await done_on(engine, OTHER)


async def test_what_a_person_does_most_stands_first_under_the_same_number_by_ussd_and_by_text(
    talk: Talk, texting: TextTalk, engine: Engine
) -> None:
    friend = await engine.create_line("+254733000009", language="en")
    seen = []
    for msisdn in (MSISDN, OTHER):
        await credit(engine, await engine.create_line(msisdn, language="en"), 90_000)
        phone, texter = Phone(talk(), msisdn, "before"), Texter(texting(), msisdn)
        await phone.dial()
        for typed in ("3", "4", "1"):
            await phone.say(typed)
        again = Phone(talk(), msisdn, "gift")
        await again.dial()
        for typed in ("5", "1", friend.msisdn, "10", "1"):
            await again.say(typed)
        shown = []
        for number, choices in enumerate((("3", "4", "1"), ("5", "1", "1", "20", "1"))):
            later = Phone(talk(), msisdn, f"later-{number}")
            await (later.dial() if msisdn == MSISDN else texter.text("MENU"))
            for typed in choices:
                answer = await (later.say(typed) if msisdn == MSISDN else texter.text(typed))
                shown += [line for line in answer.text.split("\n") if "Again:" in line or "To .." in line]
        seen.append((shown, (await done_on(engine, msisdn))[:2]))
    assert seen[0] == seen[1]
    assert seen[0][0] == ["4 Again: Social 150 MB 1 day KES 10.00", "1 To ..0009"]


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
