"""What the engine raises."""

from __future__ import annotations


class EngineError(Exception):
    """Root of what the engine raises. Refusals are answers; these are inputs it cannot even look at."""


class Coded(EngineError):
    """What cannot be done, said twice: nothing was done.

    ``args[0]`` is for whoever runs the machine; ``code`` and what it speaks of, ``values``, for pages that say it in
    the language of who reads them.
    """

    def __init__(self, said: str, code: str, **values: str | int | None) -> None:
        super().__init__(said)
        self.code = code
        self.values = values


class NotPossible(Coded, ValueError):
    """As things stand this cannot be done."""


class NotThere(Coded, LookupError):
    """There is no such thing."""


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
    """Not a payment that could be asked for: nobody was asked. ``args[0]`` is the reason, see ``engine.words.Refused``.

    ``limit``: what a limit allows, minor units, where one was the reason.
    """

    def __init__(self, reason: str, limit: int | None = None) -> None:
        super().__init__(reason)
        self.limit = limit


class EngineUnavailable(EngineError):
    """Postgres did not answer in time. What was asked may have happened: ask again with the same key."""
