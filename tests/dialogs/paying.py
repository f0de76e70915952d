"""The recharge menu of a line over gateways of the sandbox, and what came of its payments."""

from __future__ import annotations

from dialogs.machine import Machine
from engine.words import Subscriber, Unit
from tests.dialogs.player import Player
from tests.engine.payments.house import House


async def dialling(house: House, machine: Machine, line: Subscriber, session: str = "s1") -> Player:
    """The recharge menu of a line."""
    return await (await Player(house.engine, machine, line.msisdn, session).dial()).say("2")


async def credited(house: House, line: Subscriber) -> int:
    """What the line holds once all its payments have ended."""
    for payment in await house.engine.payments_of(line.account):
        await house.ended(payment)
    return (await house.engine.subscriber(line.msisdn)).total(Unit.MONEY)
