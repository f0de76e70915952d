"""Reading what a provider posts: bounded, exact, and refused as a whole where anything in it makes no sense."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec

from engine.recharge.gateways.amounts import LARGEST
from engine.recharge.gateways.contract import BadCallback, CallbackRequest

#: bytes; no provider's callback is longer
BODY_LIMIT = 65_536
#: a signature header carries one signature for each secret in force, not hundreds
SIGNATURES_LIMIT = 20
#: RFC 3339 seconds since 1970, as far as anybody signs today
SECONDS = re.compile(r"[0-9]{1,12}")

_EXACT = msgspec.json.Decoder(float_hook=Decimal)


def read_json(request: CallbackRequest) -> dict[str, Any]:
    """The body as an object, numbers exact (``int``, ``Decimal``). Raises ``BadCallback``."""
    check_size(request)
    try:
        content = _EXACT.decode(request.body)
    except (ValueError, ArithmeticError, RecursionError):
        raise BadCallback("body: not JSON") from None
    if not isinstance(content, dict):
        raise BadCallback("body: not an object")
    return content


def check_size(request: CallbackRequest) -> None:
    """Raises ``BadCallback`` (413) for a body that is too long to be read."""
    if len(request.body) > BODY_LIMIT:
        raise BadCallback(f"body: longer than {BODY_LIMIT} bytes", 413)


def table(content: Mapping[str, Any], name: str) -> dict[str, Any]:
    """An object within an object. Raises ``BadCallback``."""
    value = content.get(name)
    if not isinstance(value, dict):
        raise BadCallback(f"{name}: {'missing' if value is None else 'not an object'}")
    return value


def word(content: Mapping[str, Any], name: str, pattern: re.Pattern[str]) -> str:
    """A text or whole number that matches as a whole. Raises ``BadCallback``."""
    value = content.get(name)
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    if text is None:
        raise BadCallback(f"{name}: missing")
    if not isinstance(text, str) or not pattern.fullmatch(text):
        raise BadCallback(f"{name}: not well-formed")
    return text


def minor_units(content: Mapping[str, Any], name: str, *, least: int = 1) -> int:
    """An amount that is already in minor units. Raises ``BadCallback``."""
    value = content.get(name)
    if not isinstance(value, int) or isinstance(value, bool):
        raise BadCallback(f"{name}: not a whole number")
    if not least <= value <= LARGEST:
        raise BadCallback(f"{name}: not an amount that can be paid")
    return value


def payment_id_of(value: object) -> UUID | None:
    """Our own id, as a provider gives it back; None where it is none."""
    try:
        return UUID(value) if isinstance(value, str) else None
    except ValueError:
        return None


def verify_signature(
    header: str, body: bytes, secrets: Sequence[str], *, now: datetime, tolerance_seconds: float
) -> None:
    """``t=<seconds>,v1=<hex>[,v1=…]`` over ``<t>.<body>`` with HMAC-SHA-256, as Stripe signs.

    Source: docs.stripe.com/webhooks, "Verify webhook signatures manually". Any of ``secrets`` will do, so that they can
    rotate. Raises ``BadCallback`` (401): missing, malformed, stale or from the future by more than
    ``tolerance_seconds``, or by nobody who knows a secret.
    """
    parts = [part.strip().partition("=") for part in header.split(",", SIGNATURES_LIMIT)]
    times = [value for name, _, value in parts if name == "t"]
    given = [value for name, _, value in parts if name == "v1"]
    if len(times) != 1 or not SECONDS.fullmatch(times[0]) or not given:
        raise BadCallback("signature: missing or malformed", 401)
    signed = times[0].encode() + b"." + body
    expected = [hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest().encode() for secret in secrets]
    # Every pair is compared, whichever fits: how long it takes must not tell.
    fits = [hmac.compare_digest(one, value.encode(errors="replace")) for one in expected for value in given]
    if not any(fits):
        raise BadCallback("signature: wrong", 401)
    if abs(now.timestamp() - int(times[0])) > tolerance_seconds:
        raise BadCallback("signature: stale", 401)
