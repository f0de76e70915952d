"""What a person may say about messages: where, when, and which."""

from __future__ import annotations

from datetime import time

from engine.api import Engine
from engine.words import Channel
from tests.dialogs.conftest import Calling


async def test_the_screen_tells_what_holds_for_the_line(calling: Calling) -> None:
    player = await (await calling()).say("4", "3")
    player.stands_in("notifications.home").sees("Messages by SMS.", "No quiet hours.", "Alerts and news.")


async def test_the_channel_chosen_is_kept_and_told(calling: Calling, engine: Engine) -> None:
    player = await (await calling()).say("4", "3", "1", "3")
    player.stands_in("notifications.saved").sees("Saved.", "Messages by Telegram.")
    wishes = await engine.preferences(await engine.subscriber(player.msisdn))
    assert wishes.channel is Channel.TELEGRAM


async def test_quiet_hours_are_kept_and_taken_away_again(calling: Calling, engine: Engine) -> None:
    player = await (await calling()).say("4", "3", "2", "4")
    player.stands_in("notifications.saved").sees("22:00-07:00.")
    subscriber = await engine.subscriber(player.msisdn)
    assert (await engine.preferences(subscriber)).quiet_hours == (time(22), time(7))
    (await (await player.again("s2")).say("4", "3", "2", "1")).sees("No quiet hours.")
    assert (await engine.preferences(subscriber)).quiet_hours is None


async def test_alerts_without_news_mute_campaigns_and_nothing_else(calling: Calling, engine: Engine) -> None:
    player = await calling()
    subscriber = await engine.subscriber(player.msisdn)
    await engine.set_preferences(subscriber, muted=("alert.expired",))
    (await player.say("4", "3", "3", "2")).sees("Alerts, no news.")
    wishes = await engine.preferences(subscriber)
    assert sorted(wishes.muted) == ["alert.expired", "campaign"]
    assert not wishes.opted_out
    await (await player.again("s2")).say("4", "3", "3", "1")
    assert (await engine.preferences(subscriber)).muted == ("alert.expired",)


async def test_none_is_stop_and_all_is_start(calling: Calling, engine: Engine) -> None:
    player = await (await calling()).say("4", "3", "3", "3")
    player.sees("No alerts, no news.")
    subscriber = await engine.subscriber(player.msisdn)
    assert (await engine.preferences(subscriber)).opted_out
    await (await player.again("s2")).say("4", "3", "3", "1")
    assert not (await engine.preferences(subscriber)).opted_out


async def test_a_choice_that_is_none_keeps_what_was(calling: Calling, engine: Engine) -> None:
    player = await (await calling()).say("4", "3", "2", "9")
    player.stands_in("notifications.quiet").sees("No such choice.")
    assert (await engine.preferences(await engine.subscriber(player.msisdn))).quiet_hours is None
