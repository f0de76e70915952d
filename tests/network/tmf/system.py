"""What an operator's own systems say."""

from __future__ import annotations

from decimal import Decimal
from typing import Any
from urllib.parse import quote

from engine.words import Subscriber

BALANCES, USAGES = "/tmf-api/prepayBalanceManagement/v4", "/tmf-api/usageManagement/v4"


def of(path: str, number: str, name: str = "logicalResource.id", **more: str) -> str:
    """A list of a line's: ``of("bucket", "+2547…")``."""
    query = "".join(f"&{key}={quote(value)}" for key, value in more.items())
    return f"{BALANCES}/{path}?{name}={quote(number)}{query}"


def action(line: Subscriber | str, usage_type: str, amount: Any = None, units: str | None = None, **more: Any) -> dict:
    """The request of an action on a line."""
    number = line if isinstance(line, str) else line.msisdn
    asked: dict[str, Any] = {"usageType": usage_type, "logicalResource": [{"id": number}], **more}
    if amount is not None:
        asked["amount"] = {"amount": amount} | ({} if units is None else {"units": units})
    return asked


def exact(raw: bytes, name: str) -> Decimal:
    """The first ``amount`` after ``name`` in an answer, as it was written."""
    return Decimal(raw.decode().partition(f'"{name}":')[2].partition('"amount":')[2].partition(",")[0].rstrip("}"))
