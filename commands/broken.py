"""Requests that no gateway sends: what a server must refuse, and what it must survive."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import parse_qsl

import msgspec

from channels.ussd.routes import BODY_LIMIT
from channels.ussd.voice import FORM, JSON, Call

#: noise of each request, the same in every run
RANDOM_BODIES = 20
SEED = 7
#: values of other kinds than gateways send
ODD: tuple[Any, ...] = (None, [], {"a": [1]}, -1, 1.5, True)


def broken(call: Call) -> Iterator[tuple[str, Call]]:
    """Requests that no gateway sends, and what is wrong with them."""
    if call.query:
        yield "an empty query", call._replace(query={})
        return
    yield "an empty body", call._replace(body=b"")
    yield "half a body", call._replace(body=call.body[: len(call.body) // 2])
    yield "another format", call._replace(body=b"\x00\x01 no format at all")
    yield "a body too large", call._replace(body=call.body + b" " * (BODY_LIMIT + 1))


def fuzzed(calls: Sequence[Call]) -> Iterator[tuple[str, Call]]:
    """The golden request with each field gone, doubled in length, or of another kind; and noise."""
    noise = random.Random(SEED)
    for call in calls:
        fields = fields_of(call) or {}
        for name in fields:
            yield f"without {name}", with_fields(call, {key: fields[key] for key in fields if key != name})
            for label, value in (("long", "9" * 3000), ("blank", ""), ("control characters", "\x00\x1b\r\n")):
                yield f"{name}: {label}", with_fields(call, fields | {name: value})
            if call.content_type == JSON:
                for odd in ODD:
                    yield f"{name}: {odd!r}", with_fields(call, fields | {name: odd})
        for number in range(RANDOM_BODIES):
            yield f"noise {number}", call._replace(body=noise.randbytes(noise.randrange(200)))
            cut = bytearray(call.body or b" ")
            cut[noise.randrange(len(cut))] = noise.randrange(256)
            yield f"a changed octet {number}", call._replace(body=bytes(cut))


def fields_of(call: Call) -> dict[str, Any] | None:
    """A request's fields; None where it has none that could be told apart."""
    if call.query:
        return dict(call.query)
    if call.content_type == JSON:
        content: dict[str, Any] = msgspec.json.decode(call.body)
        return content
    if call.content_type == FORM:
        return dict(parse_qsl(call.body.decode(), keep_blank_values=True))
    return None


def with_fields(call: Call, fields: dict[str, Any]) -> Call:
    """The request with these fields instead."""
    if call.query:
        return call._replace(query=fields)
    made = Call.json(fields) if call.content_type == JSON else Call.form(fields)
    return call._replace(body=made.body)
