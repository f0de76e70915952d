"""Limits that people set: how they are asked for, shown, and read from a form."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from aiohttp import web

from dialogs.values import Text, text
from engine.words import Meter, Period, Unit
from portal.base.amounts import read_amount, typed_amount
from portal.selfcare.person import Desk, Person

#: limits that can be set on a page, and how they are asked for
CAPS: dict[tuple[Unit, Period], Text] = {
    (Unit.OCTETS, Period.DAY): text("Data a day, in MB"),
    (Unit.OCTETS, Period.MONTH): text("Data a month, in MB"),
    (Unit.MONEY, Period.DAY): text("Money a day, in {currency}"),
    (Unit.MONEY, Period.MONTH): text("Money a month, in {currency}"),
}


class Limit(NamedTuple):
    """One limit in a form: its name there, its label, and what it is now; "" where there is none."""

    name: str
    label: str
    now: str


def limits(desk: Desk, person: Person, meters: Iterable[Meter]) -> list[Limit]:
    """Each limit that can be set, as it is now."""
    now = {(one.unit, Period.DAY): one.day_cap for one in meters}
    now |= {(one.unit, Period.MONTH): one.month_cap for one in meters}
    currency, shown = person.subscriber.currency, []
    for (unit, period), label in CAPS.items():
        cap = now.get((unit, period))
        said = desk.say(person, Text(label.message, {"currency": currency}))
        shown.append(Limit(f"{unit}.{period}", said, "" if cap is None else typed_amount(unit, cap, currency)))
    return shown


def wished_limit(person: Person, fields: Mapping[str, str]) -> tuple[Unit, Period, int | None] | None:
    """What a form asks for: nothing typed takes the limit away. None for an amount that is not possible.

    Raises 400 for a limit that no page of ours offers.
    """
    try:
        unit, _, period = fields.get("which", "").partition(".")
        which = (Unit(unit), Period(period))
    except ValueError:
        raise web.HTTPBadRequest(text="which: no such limit") from None
    if which not in CAPS:
        raise web.HTTPBadRequest(text="which: no such limit")
    typed = fields.get("most", "").strip()
    amount = read_amount(which[0], typed, person.subscriber.currency)
    return None if typed and amount is None else (*which, amount)
