"""Forms as gateways and carriers post them, read strictly: pure, no I/O."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import parse_qsl

from channels.turn import Malformed


def pairs(body: bytes, most: int) -> list[tuple[str, str]]:
    """The fields of an ``application/x-www-form-urlencoded`` body (WHATWG URL, §5.1) in the order they came.

    Raises ``Malformed``: not UTF-8, more than ``most`` fields.
    """
    try:
        return parse_qsl(body.decode(), keep_blank_values=True, errors="strict", max_num_fields=most)
    except UnicodeDecodeError:
        raise Malformed("body", "not a UTF-8 form") from None
    except ValueError:
        raise Malformed("body", f"more than {most} fields") from None


def single(body: bytes, most: int) -> dict[str, str]:
    """The fields of a form, each at most once.

    Raises ``Malformed`` like ``pairs``, and for a field that comes twice (which of the two was meant?).
    """
    found = pairs(body, most)
    fields = dict(found)
    if len(fields) != len(found):
        raise Malformed("body", "a field comes twice")
    return fields


def required(fields: Mapping[str, str], name: str) -> str:
    """A field that must be there, without the blanks around it. Raises ``Malformed``."""
    value = fields.get(name, "").strip()
    if not value:
        raise Malformed(name, "missing")
    return value


def matching(fields: Mapping[str, str], name: str, pattern: re.Pattern[str]) -> str:
    """A field that must be there and have the shape of ``pattern``. Raises ``Malformed``."""
    value = required(fields, name)
    if not pattern.fullmatch(value):
        raise Malformed(name, "not well-formed")
    return value
