"""Random and hostile turns, and what the hammer would say of a dialog that breaks."""

from __future__ import annotations

import asyncio

import pytest

from channels.turn import Budget
from commands.dialog_hammer import faults_of, target_of
from commands.hammer import Hammer, Target, second_effects
from commands.phones import UssdPhone
from commands.scratch import scratch

#: in every run of the tests; a million are a command
TURNS = 20_000


@pytest.mark.timeout(1200)
async def test_twenty_thousand_hostile_turns_break_no_screen_and_move_no_money_twice() -> None:
    async with scratch(paying=True) as made:
        report = await Hammer(await target_of(made), seed=1).run(TURNS)
        assert report.turns >= TURNS
        assert not report.faults
        assert await faults_of(made, report) == []
        shown = {label for label in report.screens if label in made.opened.machine.states}
        for money in ("recharge.done", "bundles.done", "transfer.done", "pay.asked", "usage.saved"):
            assert money in shown, "the turns must reach money"


async def test_a_screen_too_long_and_an_effect_untold_are_found() -> None:
    async with scratch() as made:
        target = await target_of(made)
        narrow = Target(
            ussd=target.ussd,
            texts=target.texts,
            gateways=dict.fromkeys(target.gateways, Budget(septets=20, ucs2=20)),
            apps={},
            msisdns=target.msisdns,
            vouchers=target.vouchers,
        )
        report = await Hammer(narrow, seed=2).run(60, people=4)
        assert any("too long" in fault for fault in report.faults)
        phone = UssdPhone(made.opened.conversation, "africastalking", target.msisdns[1], "by-hand")
        await phone.dial("3*1")
        await asyncio.wait_for(phone.say("1"), 30)
        assert len(await second_effects(made.books.billing, report)) >= 1
