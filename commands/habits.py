"""What a recorded line did before, which its screens offer first: kept with its recording, offered again in replays."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from typing import NamedTuple
from uuid import UUID

import msgspec

from engine.favourites.service import Favourites
from engine.words import LineRef, Payment, PaymentMethod, PaymentState, Subscriber

#: numbers that are offered at most (``Favourites.receivers``)
RECEIVERS_MOST = 3


class Habits(msgspec.Struct, frozen=True):
    """What stood first on the screens of a line, with nobody's number."""

    #: codes of the products that it had bought lately, the one bought most first
    bought: tuple[str, ...] = ()
    #: how many numbers it had sent to or paid for
    receivers: int = 0
    #: its last recharge, if that was by mobile money: minor units, or 0; and whether it was for another number
    recharge: int = 0
    for_another: bool = False


async def habits_of(line: Subscriber, favourites: Favourites, tills: Collection[str]) -> Habits:
    """What a line is offered first now. ``tills``: payment gateways that take money within USSD sessions only."""
    last = await favourites.last_recharge(line.line, frozenset({PaymentMethod.MOBILE_MONEY, PaymentMethod.CARD}))
    payment, other = last if last is not None else (None, None)
    if payment is None or payment.method is not PaymentMethod.MOBILE_MONEY or payment.gateway in tills:
        # A recording knows neither cards nor tills, so there is nothing to repeat.
        payment, other = None, None
    return Habits(
        tuple(await favourites.bought(line.line)),
        len(await favourites.receivers(line.line)),
        0 if payment is None else payment.amount,
        other is not None,
    )


class _Before(NamedTuple):
    """The habits of one line, with lines to stand for the numbers."""

    bought: tuple[str, ...]
    receivers: tuple[LineRef, ...]
    recharge: tuple[Payment, LineRef | None] | None


class Remembered(Favourites):
    """The favourites of a scratch installation, whose lines come with what they did before elsewhere."""

    def __init__(self, now: Favourites) -> None:
        """``now``: what is done on the installation itself; it comes after what was there before."""
        self._now = now
        self._before: dict[LineRef, _Before] = {}

    def remember(self, line: Subscriber, habits: Habits, others: Sequence[LineRef]) -> None:
        """Let a line come with ``habits``; ``others`` stand for whom it sent to."""
        receivers = tuple(others[: habits.receivers])
        recharge = None
        if habits.recharge:
            recharge = (_paid(line, habits.recharge), receivers[0] if habits.for_another and receivers else None)
        self._before[line.line] = _Before(habits.bought, receivers, recharge)

    async def bought(self, line: LineRef) -> list[str]:
        """As ``Favourites.bought``: what was bought before stands first."""
        return list(dict.fromkeys((*self._of(line).bought, *await self._now.bought(line))))

    async def receivers(self, line: LineRef, *, most: int = RECEIVERS_MOST) -> list[LineRef]:
        """As ``Favourites.receivers``: those of before stand first, as after ten minutes."""
        return list(dict.fromkeys((*self._of(line).receivers, *await self._now.receivers(line, most=most))))[:most]

    async def last_recharge(
        self, line: LineRef, methods: frozenset[PaymentMethod]
    ) -> tuple[Payment, LineRef | None] | None:
        """As ``Favourites.last_recharge``."""
        before = self._of(line).recharge if PaymentMethod.MOBILE_MONEY in methods else None
        return await self._now.last_recharge(line, methods) or before

    async def has_recharged(self, line: LineRef, payment_id: UUID) -> bool:
        """As ``Favourites.has_recharged``."""
        return await self._now.has_recharged(line, payment_id)

    def _of(self, line: LineRef) -> _Before:
        return self._before.get(line, _Before((), (), None))


def _paid(line: Subscriber, amount: int) -> Payment:
    """A recharge that once went well; ``amount`` in minor units."""
    now = datetime.now(UTC)
    return Payment(
        account=line.account,
        payment_id=UUID(int=0),
        line_id=line.line_id,
        gateway="",
        method=PaymentMethod.MOBILE_MONEY,
        gateway_ref=None,
        amount=amount,
        currency=line.currency,
        state=PaymentState.SETTLED,
        reason=None,
        reference="",
        product=None,
        created_at=now,
        changed_at=now,
    )
