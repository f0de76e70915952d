"""The inbox of the simulated phone: texts that the simulator's carrier left in Redis, pushed to the page.

A text is an entry of the stream ``sim:inbox:<digest of the number>`` with the fields ``message_id``, ``from``,
``text`` and ``at``; see ``channels/sms/simulator/carrier.py``. The push is server-sent events (WHATWG HTML §9.2).
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Mapping

import phonenumbers
from aiohttp import web
from aiohttp_sse import EventSourceResponse, sse_response
from redis.asyncio import Redis
from redis.exceptions import RedisError

from engine.words import BadNumber
from runtime.keyring import Keyring

#: how often an open inbox looks for new texts, in seconds. A blocking read would hold a connection that turns need.
LOOK_EVERY = 0.25
#: what a browser waits before it connects again, in milliseconds
RECONNECT_AFTER = 1000
#: the id of a stream entry (Redis, "Streams"): milliseconds and a number
ENTRY_ID = re.compile(r"[0-9]{1,20}(-[0-9]{1,20})?")


def e164(number: str, country: str) -> str:
    """``number`` as E.164 with ``+``, read in ``country`` (ISO 3166 alpha-2). Raises ``BadNumber``."""
    try:
        parsed = phonenumbers.parse(number, country)
    except phonenumbers.NumberParseException as error:
        raise BadNumber("malformed") from error
    if not phonenumbers.is_possible_number(parsed):
        raise BadNumber("malformed")
    return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)


def inbox_key(keyring: Keyring, msisdn: str) -> str:
    """The Redis key of the texts sent to one number (E.164 with ``+``); the number cannot be read from it."""
    return "sim:inbox:" + keyring.digest("inbox", msisdn.encode())[:16].hex()


def readable(fields: Mapping[bytes | str, bytes | str]) -> dict[str, str]:
    """A Redis hash or stream entry as text, whatever the client was told to decode."""

    def text(value: bytes | str) -> str:
        return value.decode() if isinstance(value, bytes) else value

    return {text(name): text(value) for name, value in fields.items()}


class Inboxes:
    """The inboxes that browsers hold open. ``close`` ends them all, so that a stopping server waits for none."""

    def __init__(self, redis: Redis, keyring: Keyring, country: str) -> None:
        self._redis = redis
        self._keyring = keyring
        self._country = country
        self._open: set[EventSourceResponse] = set()

    async def stream(self, request: web.Request) -> web.StreamResponse:
        """``GET inbox?msisdn=…``: every text the carrier still keeps for the number, then each new one as it comes.

        A browser that lost the connection names the last text it saw (``Last-Event-ID``) and gets what followed.
        """
        try:
            msisdn = e164(request.query.get("msisdn", ""), self._country)
        except BadNumber as error:
            raise web.HTTPBadRequest(text="not a telephone number") from error
        seen = request.headers.get("Last-Event-ID", "0")
        if not ENTRY_ID.fullmatch(seen):
            raise web.HTTPBadRequest(text="not the id of a text")
        async with sse_response(request) as stream:
            self._open.add(stream)
            push = asyncio.create_task(self._push(stream, inbox_key(self._keyring, msisdn), seen))
            push.add_done_callback(lambda _: stream.stop_streaming())
            try:
                await stream.wait()
            finally:
                push.cancel()
                await asyncio.wait([push])
                self._open.discard(stream)
        return stream

    async def close(self, _: web.Application) -> None:
        """End every open stream now: left open they would hold up the server's stop."""
        for stream in self._open:
            stream.stop_streaming()

    async def _push(self, stream: EventSourceResponse, key: str, seen: str) -> None:
        """Send what lies after ``seen``, for ever; ends when Redis or the browser is gone (the browser comes back)."""
        try:
            # Named, so that a page can tell "connected" from the first text.
            await stream.send("", event="open", retry=RECONNECT_AFTER)
            while True:
                for entry_id, fields in await self._redis.xrange(key, min=f"({seen}", max="+", count=50) or ():
                    if entry_id is None or fields is None:  # the client's types allow it, a stream never has it
                        continue
                    seen = entry_id.decode() if isinstance(entry_id, bytes) else entry_id
                    await stream.send(json.dumps(readable(fields)), id=seen)
                await asyncio.sleep(LOOK_EVERY)
        except (RedisError, ConnectionResetError, TimeoutError):
            return
