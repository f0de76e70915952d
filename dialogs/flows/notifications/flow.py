"""Messages: where they are sent, the hours in which they wait, and which of them are wanted at all."""

from __future__ import annotations

from datetime import time
from typing import Any

from dialogs.values import Text, lines, text
from dialogs.words import Choose, Context, Data, Dialog, Item, Link, Menu, Say
from engine.words import Channel, Preferences
from settings import Operator

#: what the channels call themselves: the same in every language
CHANNELS = {Channel.SMS: "SMS", Channel.WHATSAPP: "WhatsApp", Channel.TELEGRAM: "Telegram"}
#: the hours on offer, local; typing times on a keypad is more trouble than choosing
QUIET = ("", "20:00-07:00", "21:00-06:00", "22:00-07:00", "23:00-08:00")
#: the topic that "alerts only" leaves out
NEWS = "campaign"
ALL, ALERTS, NONE = "all", "alerts", "none"
WANTED: dict[str, Text] = {
    ALL: text("Alerts and news"),
    ALERTS: text("Alerts, no news"),
    NONE: text("No alerts, no news"),
}
NO_QUIET = text("No quiet hours")


def notifications(_operator: Operator) -> Dialog:
    """Answers, receipts and security notices come whatever is chosen here."""
    home = Menu(
        name="notifications.home",
        text=_told,
        load=_wishes,
        links=(
            Link("channel", text("Sent by"), "notifications.channel"),
            Link("quiet", text("Quiet hours"), "notifications.quiet"),
            Link("wanted", text("Alerts and news"), "notifications.wanted"),
        ),
        samples=_samples(),
    )
    channel = Choose(
        name="notifications.channel",
        text=text("Send messages by:"),
        items=lambda _data: tuple(Item(one.value, text("{name}", name=name)) for one, name in CHANNELS.items()),
        keeps="channel",
        to="notifications.saved",
        act=_keep_channel,
    )
    quiet = Choose(
        name="notifications.quiet",
        text=text("Alerts and news wait during these hours:"),
        items=lambda _data: tuple(Item(hours or "none", _hours(hours)) for hours in QUIET),
        keeps="quiet",
        to="notifications.saved",
        act=_keep_quiet,
    )
    wanted = Choose(
        name="notifications.wanted",
        text=text("What do you want to get?"),
        items=lambda _data: tuple(Item(one, label) for one, label in WANTED.items()),
        keeps="wanted",
        to="notifications.saved",
        act=_keep_wanted,
    )
    saved = Say(
        name="notifications.saved",
        text=lambda data: lines(text("Saved."), _told(data)),
        load=_wishes,
        samples=_samples(),
    )
    return Dialog(name="notifications", states=(home, channel, quiet, wanted, saved))


async def _wishes(context: Context, _data: Data) -> dict[str, Any]:
    return _shown(await context.engine.preferences(context.subscriber))


def _shown(wishes: Preferences) -> dict[str, Any]:
    hours = "" if wishes.quiet_hours is None else "-".join(f"{one:%H:%M}" for one in wishes.quiet_hours)
    wanted = NONE if wishes.opted_out else ALERTS if NEWS in wishes.muted else ALL
    return {"by": CHANNELS[wishes.channel], "hours": hours, "kinds": wanted}


def _told(data: Data) -> Text:
    return lines(
        text("Messages by {channel}.", channel=data["by"]),
        text("{hours}.", hours=_hours(data["hours"])),
        text("{kinds}.", kinds=WANTED[data["kinds"]]),
    )


def _hours(hours: str) -> Text:
    return text("{hours}", hours=hours) if hours else NO_QUIET


async def _keep_channel(context: Context, chosen: str) -> None:
    await context.engine.set_preferences(context.subscriber, channel=Channel(chosen))


async def _keep_quiet(context: Context, chosen: str) -> None:
    start, _, end = chosen.partition("-")
    hours = (time.fromisoformat(start), time.fromisoformat(end)) if end else None
    await context.engine.set_preferences(context.subscriber, quiet_hours=hours)


async def _keep_wanted(context: Context, chosen: str) -> None:
    wishes = await context.engine.preferences(context.subscriber)
    muted = {*wishes.muted} - {NEWS} if chosen != ALERTS else {*wishes.muted, NEWS}
    await context.engine.set_preferences(context.subscriber, muted=muted)
    await context.engine.opt_out(context.subscriber.msisdn, chosen == NONE)


def _samples() -> tuple[dict[str, Any], ...]:
    """Every wish, with the longest name and hours."""
    return tuple(
        {"by": "WhatsApp", "hours": hours, "kinds": kinds} for hours in ("", "22:00-07:00") for kinds in WANTED
    )
