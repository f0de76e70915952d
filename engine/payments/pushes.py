"""Money that came by itself, and may be what a payer was asked for: told once more, under a name not heard before.

M-Pesa tells a paid push as a payment to the shortcode (C2B), too. That names a receipt, which a push has only once its
own callback came; and a till (Buy Goods) names no account. So who was asked for how much lately is looked at.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy.ext.asyncio import AsyncEngine

from engine.payments import names, opened
from engine.payments.course import is_waiting, receipt_known
from engine.payments.names import Locator
from engine.payments.store import Connection
from engine.payments.stored import Stored
from engine.payments.writer import Writer
from engine.recharge.gateways.contract import Event
from engine.words import PaymentState
from runtime.keyring import Keyring

#: how long before money comes a payer may have been asked for it, and how far clocks may differ
ASKED_WITHIN, SKEW = timedelta(minutes=15), timedelta(minutes=2)


class _Question(NamedTuple):
    payers: tuple[Locator, ...]
    at: datetime


class Pushes:
    """Who was asked for how much lately."""

    def __init__(self, database: AsyncEngine, keyring: Keyring) -> None:
        self._keyring = keyring
        self._asker = Writer[_Question, list[Stored]](database, self._ask)

    async def close(self) -> None:
        """Finish what is under way."""
        await self._asker.close()

    async def of(self, gateway: str, event: Event, received_at: datetime) -> list[Stored]:
        """The payments of a gateway that the payer of an event was asked for, with its amount. The oldest first."""
        outcome = event.outcome
        if event.push_payer is None or outcome.amount is None or outcome.currency is None:
            return []
        payers = [
            names.by_payer(self._keyring, event.push_payer, outcome.amount, outcome.currency, key_id)
            for key_id in self._keyring.ids
        ]
        asked = await self._asker(_Question(tuple(payers), outcome.at or received_at))
        return [one for one in asked if one.gateway == gateway]

    async def _ask(self, connection: Connection, batch: Sequence[_Question]) -> list[list[Stored]]:
        return [await opened.asked_of(connection, one.payers, one.at - ASKED_WITHIN, one.at + SKEW) for one in batch]


def paid_by(pushes: Sequence[Stored], receipt: str | None) -> Stored | None:
    """The push that a receipt is of, among those asked of its payer; None: it is of none of them.

    A payment that was made without our hearing its receipt is what it pays; so is one of which nothing was ever heard.
    """
    for one in pushes:
        # Nobody knew the receipt a moment ago, when it was looked up: meanwhile its push may have heard it.
        if receipt is not None and one.gateway_ref == receipt:
            return one
    for one in pushes:
        never_heard = one.state == PaymentState.UNKNOWN and one.asked_ref is None
        if (one.captured is not None and not receipt_known(one)) or never_heard:
            return one
    return None


def undecided(pushes: Sequence[Stored]) -> list[Stored]:
    """Those that have to be decided before it can be said whether a receipt is theirs."""
    return [one for one in pushes if is_waiting(one)]
