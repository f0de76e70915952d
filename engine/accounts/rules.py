"""What holds for lines: how numbers are read, which status may follow which, what a PIN is and when it locks. Pure."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from datetime import timedelta
from functools import lru_cache
from itertools import pairwise

import phonenumbers
from phonenumbers import PhoneNumber, PhoneNumberFormat, PhoneNumberType

from engine.words import BadNumber, BadPin, EngineError, LineStatus
from settings import PinRules

#: ITU-T E.164 §6.2.1 allows 15 digits; with prefix, spaces and brackets nothing longer is a number.
LONGEST_INPUT = 32
SEPARATORS = frozenset(" -./()\u00a0\u2009\u202f\u2010\u2011\u2013\u200e\u200f\u202a\u202b\u202c\u2066\u2067\u2069")
MOBILE = frozenset({PhoneNumberType.MOBILE, PhoneNumberType.FIXED_LINE_OR_MOBILE})
FIXED = frozenset({PhoneNumberType.FIXED_LINE, PhoneNumberType.FIXED_LINE_OR_MOBILE, PhoneNumberType.VOIP})
LONGEST_LOCK = timedelta(days=1)

#: Which status may follow which. A terminated line stays so: its number goes to a new line.
NEXT_STATUS: dict[LineStatus, frozenset[LineStatus]] = {
    LineStatus.PREACTIVE: frozenset({LineStatus.ACTIVE, LineStatus.BARRED, LineStatus.TERMINATED}),
    LineStatus.ACTIVE: frozenset({LineStatus.SUSPENDED, LineStatus.BARRED, LineStatus.TERMINATED}),
    LineStatus.SUSPENDED: frozenset({LineStatus.ACTIVE, LineStatus.BARRED, LineStatus.TERMINATED}),
    LineStatus.BARRED: frozenset({LineStatus.ACTIVE, LineStatus.SUSPENDED, LineStatus.TERMINATED}),
    LineStatus.TERMINATED: frozenset(),
}


class NumberTaken(EngineError):
    """The number already belongs to a line. ``args[0]`` is its kind: ``msisdn`` or ``imsi``."""


class StatusRefused(EngineError):
    """The life cycle of a line does not allow this step. ``args`` are the status now and the one asked for."""


def plain_digits(text: str) -> str:
    """``text`` without separators, the decimal digits of any script as ASCII; other characters stay as they are."""
    return "".join(
        str(unicodedata.decimal(character)) if character.isdecimal() else character
        for character in text
        if character not in SEPARATORS
    )


@lru_cache(maxsize=65_536)
def parse_msisdn(raw: str, country: str, kinds: frozenset[int] = MOBILE) -> str:
    """A mobile number of ``country`` (ISO 3166 alpha-2) in E.164 with ``+``, however it was written.

    ``kinds`` are the kinds of numbers that are meant, where those are not mobile ones.

    Takes it with ``+``, with ``00``, with neither (as gateways send it), or in national form; digits of any script.
    Raises ``BadNumber``: ``malformed``, ``foreign`` (a good number of another country) or ``not_mobile``.
    """
    if len(raw) > LONGEST_INPUT:
        raise BadNumber("malformed")
    return _as_gateways_write(raw, country, kinds) or _however_written(raw, country, kinds)


def _as_gateways_write(raw: str, country: str, kinds: frozenset[int]) -> str | None:
    """A number that is in E.164 already, as nearly all are: it need not be found out how it was written.

    None for any other, and for one that is not right as it stands.
    """
    code = phonenumbers.country_code_for_region(country)
    prefix = f"+{code}"
    national = raw[len(prefix) :]
    # A zero there may be a prefix that was left in, or part of the number (Italy).
    if not raw.startswith(prefix) or national.startswith("0") or not (national.isascii() and national.isdecimal()):
        return None
    number = PhoneNumber(country_code=code, national_number=int(national))
    right = phonenumbers.region_code_for_number(number) == country and phonenumbers.number_type(number) in kinds
    return raw if right else None


def _however_written(raw: str, country: str, kinds: frozenset[int]) -> str:
    digits = plain_digits(raw).replace("\uff0b", "+")
    if digits.startswith("00"):
        digits = "+" + digits.lstrip("0")
    if not digits.removeprefix("+").isdecimal():
        raise BadNumber("malformed")
    number = _parse(digits, country)
    if number is None or not phonenumbers.is_valid_number(number):
        # Without "+" a foreign number has been read as a national one.
        abroad = None if digits.startswith("+") else _parse("+" + digits, None)
        raise BadNumber("foreign" if abroad is not None and phonenumbers.is_valid_number(abroad) else "malformed")
    if phonenumbers.region_code_for_number(number) != country:
        raise BadNumber("foreign")
    # Toll-free and premium-rate numbers are valid numbers too.
    if phonenumbers.number_type(number) not in kinds:
        raise BadNumber("not_mobile")
    return phonenumbers.format_number(number, PhoneNumberFormat.E164)


def _parse(digits: str, country: str | None) -> PhoneNumber | None:
    try:
        return phonenumbers.parse(digits, country)
    except phonenumbers.NumberParseException:
        return None


def parse_imsi(raw: str) -> str:
    """An IMSI: 6 to 15 digits (3GPP TS 23.003 §2.2). Raises ``BadNumber("malformed")``."""
    digits = plain_digits(raw)
    if not (digits.isdecimal() and 6 <= len(digits) <= 15):
        raise BadNumber("malformed")
    return digits


def check_status(now: LineStatus, wanted: LineStatus) -> None:
    """Raise ``StatusRefused`` unless the life cycle leads from one status to the other; the same one is no step."""
    if wanted is not now and wanted not in NEXT_STATUS[now]:
        raise StatusRefused(now.value, wanted.value)


def check_pin(pin: str, rules: PinRules) -> str:
    """A PIN that may be set, as ASCII digits. Raises ``BadPin``: ``digits``, ``length`` or ``guessable``."""
    digits = read_pin(pin)
    if not digits.isdecimal():
        raise BadPin("digits")
    if len(digits) != rules.digits:
        raise BadPin("length")
    if guessable(digits):
        raise BadPin("guessable")
    return digits


def read_pin(pin: str) -> str:
    """A typed PIN as it is compared: separators dropped, digits of any script as ASCII."""
    return plain_digits(pin.strip())


def guessable(digits: str) -> bool:
    """Whether ``digits`` repeat a short group (1111, 1212) or run up or down (1234, 9876, 7890)."""
    size = len(digits)
    repeats = any(digits == digits[:group] * (size // group) for group in range(1, size // 2 + 1) if size % group == 0)
    steps = {(int(after) - int(before)) % 10 for before, after in pairwise(digits)}
    return repeats or steps in ({1}, {9})


def pin_locks(rules: PinRules) -> Sequence[timedelta]:
    """How long the n-th wrong PIN in a row locks the line, n from 1; the last entry holds for all further ones.

    Every ``tries`` wrong ones lock it, each time twice as long, up to a day; from then on each further one does.
    """
    locks: list[timedelta] = []
    lock = min(timedelta(minutes=rules.lock_minutes), LONGEST_LOCK)
    while True:
        locks += [timedelta()] * (rules.tries - 1) + [lock]
        if lock == LONGEST_LOCK:
            return locks
        lock = min(lock * 2, LONGEST_LOCK)
