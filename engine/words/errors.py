"""What the engine raises."""

from __future__ import annotations


class EngineError(Exception):
    """Root of what the engine raises. Refusals are answers; these are inputs it cannot even look at."""


class UnknownLine(EngineError):
    """No line of this operator has that number."""


class BadNumber(EngineError):
    """Not a number this operator serves. ``args[0]`` is the reason: ``malformed``, ``foreign`` or ``not_mobile``."""


class BadVoucherNumber(EngineError):
    """Not even the shape of a voucher number. ``args[0]`` is the reason: ``digits`` or ``length``."""


class BadPin(EngineError):
    """Not acceptable as a PIN. ``args[0]`` is the reason: ``digits``, ``length`` or ``guessable``."""


class TooManyCodes(EngineError):
    """This line was given as many codes as it may have in a day."""


class PaymentRefused(EngineError):
    """Not a payment that could be asked for: nothing was stored, and nobody was asked.

    ``args[0]`` is the reason: ``amount``, ``line`` (there is none, or it is closed), ``product`` (not on sale), ``method``
    (no gateway takes it) or ``conflict`` (the same key stands for another payment).
    """


class EngineUnavailable(EngineError):
    """Postgres did not answer in time. What was asked may have happened: ask again with the same key."""
