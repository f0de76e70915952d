"""How a page's path names a line, and how amounts are typed."""

from __future__ import annotations

from decimal import Decimal
from uuid import UUID

from aiohttp import web
from babel.numbers import get_currency_precision

from engine.words import LineRef, Unit

#: decimal steps, as bundles are sold (1 MB = 1 000 000 octets; IEC 80000-13)
MEGABYTE, MINUTE = 1_000_000, 60
#: what a path holds of a line: ids, never a number, for paths stand in logs and histories
LINE = "{line:[0-9]{1,4}-[0-9a-f]{32}-[0-9a-f]{32}}"


def write_line(line: LineRef) -> str:
    """A line for a path."""
    return f"{line.shard}-{line.account_id.hex}-{line.line_id.hex}"


def read_line(request: web.Request) -> LineRef:
    """The line that a path with ``LINE`` names."""
    shard, account_id, line_id = request.match_info["line"].split("-")
    return LineRef(int(shard), UUID(account_id), UUID(line_id))


def read_quantity(unit: Unit, typed: str, currency: str) -> int | None:
    """What a person typed of a unit, in its smallest parts, exactly; None if it is no such amount above 0.

    Money is typed in its main unit, octets in megabytes, seconds in minutes.
    """
    size = {Unit.MONEY: 10 ** get_currency_precision(currency), Unit.OCTETS: MEGABYTE, Unit.SECONDS: MINUTE}
    try:
        amount = Decimal(typed.strip()) * size.get(unit, 1)
    except ArithmeticError:  # no number, or one beyond all others
        return None
    if not amount.is_finite() or amount != amount.to_integral_value():
        return None
    return int(amount) if 0 < amount < 10**15 else None
