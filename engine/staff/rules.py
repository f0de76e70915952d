"""What holds for people of the operator: names, passwords, one-time codes, how long wrong ones lock. Pure."""

from __future__ import annotations

import re
from datetime import datetime

import pyotp

from engine.accounts.rules import pin_locks
from engine.words import BadStaff
from settings import PinRules

NAME = re.compile(r"[a-z][a-z0-9._-]{1,31}")
#: characters of a password (NIST SP 800-63B §5.1.1.2 asks for eight at least and 64 at most at least)
PASSWORD_FEWEST, PASSWORD_MOST = 12, 128
#: seconds that a one-time code is shown for, and codes before and after now that are taken too (RFC 6238 §5.2)
STEP_SECONDS, DRIFT = 30, 1
#: how long the n-th wrong try in a row locks: every fifth, 15 minutes, then twice as long, up to a day
LOCKS = pin_locks(PinRules(tries=5, lock_minutes=15))


def check_name(name: str) -> str:
    """A name that somebody may sign in with. Raises ``BadStaff``."""
    name = name.strip()
    if not NAME.fullmatch(name):
        raise BadStaff("name: 2 to 32 characters of a-z, 0-9, dot, dash and underscore, a letter first", "name")
    return name


def check_password(password: str, name: str) -> str:
    """A password that may be set. Raises ``BadStaff``."""
    if not PASSWORD_FEWEST <= len(password) <= PASSWORD_MOST:
        raise BadStaff(f"password: {PASSWORD_FEWEST} to {PASSWORD_MOST} characters", "length")
    if name in password.lower() or len(set(password)) < PASSWORD_FEWEST // 2:
        raise BadStaff("password: too easy to guess", "guessable")
    return password


def accepted_step(secret: str, code: str, at: datetime, last_step: int) -> int | None:
    """The time step whose code this is, if it is near now and later than the last one used; else None.

    ``secret`` is in base 32. A code is good once (RFC 6238 §5.2).
    """
    code = code.replace(" ", "")
    if not (code.isascii() and code.isdigit()):
        return None
    totp, now = pyotp.TOTP(secret, interval=STEP_SECONDS), int(at.timestamp()) // STEP_SECONDS
    for step in range(max(now - DRIFT, last_step + 1), now + DRIFT + 1):
        if totp.verify(code, for_time=step * STEP_SECONDS):
            return step
    return None


def provisioning_uri(secret: str, name: str, issuer: str) -> str:
    """What an authenticator app reads a secret from (``otpauth://``, Key Uri Format)."""
    return pyotp.TOTP(secret, interval=STEP_SECONDS).provisioning_uri(name=name, issuer_name=issuer)


def fresh_secret() -> str:
    """A new secret of 160 bits in base 32 (RFC 4226 §4 R6)."""
    return pyotp.random_base32()
