"""One-time codes as an authenticator app shows them. A code is good once, so each next one is of the next step."""

from __future__ import annotations

import time
from collections import defaultdict

import pyotp

from engine.staff.rules import STEP_SECONDS
from engine.staff.service import Credentials

_used: dict[str, int] = defaultdict(int)


def code_of(person: Credentials) -> str:
    """A code that has not been used: that of the step before now, then now's, then the next one's."""
    now = int(time.time()) // STEP_SECONDS
    step = max(now - 1, _used[person.secret] + 1)
    _used[person.secret] = step
    return pyotp.TOTP(person.secret).at(step * STEP_SECONDS)
