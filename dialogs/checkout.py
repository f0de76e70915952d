"""A path that ends at a till: the channel itself takes the money, in the session in which the person stands."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from dialogs.words import Data, Say


class Checkout(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """What the channel asks the person to pay, in its last answer."""

    #: what for, as the person reads it
    name: str
    #: minor units of ``currency``
    amount: int
    currency: str
    #: the payment's
    reference: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Till(Say):
    """The end of a path at which the channel may have to take money: ``asks`` says what, or that it has not."""

    asks: Callable[[Data], Checkout | None]
