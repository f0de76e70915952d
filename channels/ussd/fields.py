"""Reads what gateways send: fields, their shapes, dialled strings. Pure; a refusal never repeats what was sent."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from channels.forms import single
from channels.turn import Malformed, Unreadable
from channels.ussd.contract import Request

#: more fields than any gateway sends: a longer form is refused before it is read
FIELD_LIMIT = 40
#: anything that is harmless in a Redis key and a log line is let in
SESSION_ID = re.compile(r"[A-Za-z0-9_.:@+-]{1,64}")
#: what may be a number at all; whether it is one of ours the engine says
PHONE_NUMBER = re.compile(r"\+?[0-9]{1,20}")
#: a gateway's own number or name of a hop
SEQUENCE = re.compile(r"[A-Za-z0-9_.:-]{1,64}")
#: of control characters a line's end may be typed, on phones that have one
CONTROL = re.compile(r"[\x00-\x09\x0b\x0c\x0e-\x1f\x7f]")
SURROGATE = re.compile(r"[\ud800-\udfff]")


def form(body: bytes) -> dict[str, str]:
    """The fields of a posted form, each at most once. Raises ``Malformed``."""
    return single(body, FIELD_LIMIT)


def query(request: Request) -> dict[str, str]:
    """The fields behind the ``?``, each at most once. Raises ``Malformed``."""
    return single(request.query.encode(), FIELD_LIMIT)


def json_object(body: bytes) -> dict[str, Any]:
    """A JSON object (RFC 8259). Raises ``Malformed``."""
    try:
        found = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Malformed("body", "not JSON") from None
    if not isinstance(found, dict):
        raise Malformed("body", "not a JSON object")
    return found


def word(fields: Mapping[str, Any], name: str, pattern: re.Pattern[str]) -> str:
    """A required field that has the shape of ``pattern``; whole numbers are taken for their digits."""
    found = optional(fields, name, pattern)
    if not found:
        raise Malformed(name, "missing")
    return found


def optional(fields: Mapping[str, Any], name: str, pattern: re.Pattern[str]) -> str:
    """A field that has the shape of ``pattern``, or empty where there is none."""
    value = _plain(fields, name).strip()
    if value and not pattern.fullmatch(value):
        raise Malformed(name, "not well-formed")
    return value


def number(fields: Mapping[str, Any], name: str, *, required: bool = True) -> str:
    """A phone number. A plus sign that a caller forgot to write as %2B reads as a blank: it is put back."""
    found = (word if required else optional)(fields, name, PHONE_NUMBER)
    return f"+{found}" if _plain(fields, name).startswith(" ") and not found.startswith("+") else found


def typed(fields: Mapping[str, Any], name: str, *, required: bool = True) -> str:
    """What a person typed; null is nothing typed. Raises ``Malformed`` for a missing field, and ``Unreadable``."""
    if required and name not in fields:
        raise Malformed(name, "missing")
    text = _plain(fields, name)
    if CONTROL.search(text) or SURROGATE.search(text):
        raise Unreadable(name, "control characters")
    return text


def dialled(text: str, service_code: str) -> str:
    """What was dialled behind the code: ``*123*2*50#`` → ``2*50``, ``*123#`` → nothing.

    ``service_code``: with or without ``*`` and ``#``. Another code is a sub-code or an alias of the gateway, which
    sent it to us: nothing is taken from it. What is no dialled string at all are inputs.
    """
    text = text.strip()
    ours = service_code.strip("*#")
    bare = text.removeprefix("*").removesuffix("#")
    if bare == ours:
        return ""
    if bare.startswith(f"{ours}*"):
        return bare[len(ours) + 1 :]
    return "" if text.startswith("*") else text


def count(value: object) -> int:
    """A count that a gateway adds; 0 where it is none."""
    text = str(value) if isinstance(value, int | str) else ""
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= 12 else 0


def _plain(fields: Mapping[str, Any], name: str) -> str:
    """A field as text: whole numbers are taken for their digits, null and none for nothing."""
    value = fields.get(name)
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    raise Malformed(name, "not a text")
