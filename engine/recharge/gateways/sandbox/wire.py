"""How the sandbox writes things."""

from __future__ import annotations

import re

ID = re.compile(r"[A-Za-z0-9_-]{3,80}")
STATE = re.compile(r"pending|held|captured|declined|refunded|chargeback")
CURRENCY = re.compile(r"[A-Z]{3}")
