"""What a text may hold: messages to translate and typed values, which become words only in the person's language.

``text("Balance: {balance}", balance=Money(5000, "KES"))`` says nothing yet; ``dialogs.texts.Texts.say`` does.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec

from engine.words import Unit


class Text(msgspec.Struct, frozen=True):
    """A message of the catalogue with the values of its ``{placeholders}``.

    With ``plural`` the form is chosen by ``count``. A message of ``""`` puts its ``parts`` on lines of their own.
    """

    message: str
    values: dict[str, Any] = {}
    plural: str | None = None
    count: int = 0
    parts: tuple[Text, ...] = ()


def text(message: str, /, **values: Any) -> Text:
    """A message to translate, in English, with the values of its placeholders."""
    return Text(message, values)


def counted(one: str, many: str, count: int, /, **values: Any) -> Text:
    """A message whose wording depends on a number, which is its placeholder ``{count}``."""
    return Text(one, {"count": count, **values}, many, count)


def lines(*parts: Text | None) -> Text:
    """Texts under each other; None leaves no gap."""
    return Text("", parts=tuple(part for part in parts if part is not None))


class Money(msgspec.Struct, frozen=True):
    """An amount in minor units of an ISO 4217 currency."""

    amount: int
    currency: str


class Quantity(msgspec.Struct, frozen=True):
    """An amount of any unit; the currency is only looked at for money."""

    unit: Unit
    amount: int
    currency: str


class LastDay(msgspec.Struct, frozen=True):
    """The last day something may be used that ends at ``at``: ending at local midnight means the day before."""

    at: datetime


class Clock(msgspec.Struct, frozen=True):
    """A time of day in the operator's zone."""

    at: datetime


class Names(msgspec.Struct, frozen=True):
    """A name given per language by the operator: a product's."""

    by_language: Mapping[str, str]


class Together(msgspec.Struct, frozen=True):
    """Several values in a row, with the language's comma between them."""

    values: tuple[Any, ...]
