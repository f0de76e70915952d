"""What several dialogs ask for in the same way: a number, an amount, and what every operation says of who asked."""

from __future__ import annotations

import re
from typing import Any
from uuid import UUID

from babel.numbers import get_currency_precision

from dialogs.values import Quantity, Text, text
from dialogs.words import Context, Wrong
from engine.words import AccountRef, BadNumber, LineRef, LineStatus, Subscriber, Unit, UnknownLine

#: a mobile number as people type or paste it, in their country or with the country's code; fewer digits than a voucher
NUMBER, SAMPLE_NUMBER = r"\+?\(?\d(?:[ ()./-]{0,2}\d){6,12}", "0712345678"
NO_NUMBER = text("That is no mobile number.")
#: whole units
AMOUNT, SAMPLE_AMOUNT = r"[1-9]\d{0,6}", "100"
#: how many of its smallest parts one typed whole has; money's are its currency's
_SIZES = {Unit.OCTETS: 1_000_000, Unit.SECONDS: 60, Unit.MESSAGES: 1}
#: how much of a number the other side, the answer and the session see
TAIL = 4


async def line_typed(context: Context, typed: str, nobody: Text) -> Subscriber | Wrong:
    """The line of a number that was typed; ``nobody`` where none can be reached under it.

    What is kept of it is ``kept_line``, never the number.
    """
    try:
        found = await context.engine.subscriber(re.sub(r"[^\d+]", "", typed))
    except (BadNumber, UnknownLine):
        return Wrong(nobody)
    return Wrong(nobody) if found.status is LineStatus.TERMINATED else found


async def number_of(context: Context, line: LineRef) -> str | None:
    """The number of a line, for the screen that shows it; None where it is gone. No session keeps it."""
    contact = (await context.engine.accounts.reveal([line])).get(line.line_id)
    return None if contact is None else contact.msisdn


def kept_line(line: LineRef) -> list[Any]:
    """A line as a session keeps it."""
    return [line.shard, str(line.account_id), str(line.line_id)]


def line_kept(kept: list[Any]) -> LineRef:
    """The line that a session keeps."""
    shard, account_id, line_id = kept
    return LineRef(shard, UUID(account_id), UUID(line_id))


def account_kept(kept: list[Any]) -> AccountRef:
    """The account of a line that a session keeps."""
    return AccountRef(kept[0], UUID(kept[1]))


def masked(number: str) -> str:
    """A number as others may read it: its end."""
    return f"..{number[-TAIL:]}"


def amount_typed(typed: str, unit: Unit, currency: str) -> int:
    """An amount that was typed as a whole number, in the unit's smallest parts."""
    return int(typed) * (10 ** get_currency_precision(currency) if unit is Unit.MONEY else _SIZES[unit])


def outside(amount: int, least: int, most: int, unit: Unit, currency: str) -> Wrong | None:
    """Why an amount cannot be taken, or None."""
    if amount < least:
        return Wrong(text("The least is {limit}.", limit=Quantity(unit, least, currency)))
    if amount > most:
        return Wrong(text("The most is {limit}.", limit=Quantity(unit, most, currency)))
    return None


def asked_by(context: Context, key: UUID) -> dict[str, Any]:
    """What every operation says of who asked for it, when and where."""
    return {
        "account": context.subscriber.account,
        "line_id": context.subscriber.line_id,
        "key": key,
        "asked_at": context.now,
        "source": context.source,
    }
