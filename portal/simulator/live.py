"""What the open phones are told without asking: one stream of server-sent events for all of them (WHATWG HTML §9.2).

Unnamed events are texts that the simulator's carrier left in Redis (``channels/sms/simulator/carrier.py``).
``line`` tells what a line holds, whenever that changes; ``payer`` what its payer is asked, and its latest payments.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Mapping, Sequence

import phonenumbers
from aiohttp import web
from aiohttp_sse import EventSourceResponse
from redis.asyncio import Redis

from channels.sms.simulator.carrier import inbox
from engine.api import Engine
from engine.words import EngineError
from portal.base.streams import Streams
from portal.simulator.beside import Neighbours
from portal.simulator.glass import Glass, Json
from runtime.keyring import Keyring

#: how often an open page looks for new texts, in seconds. A blocking read would hold a connection that turns need.
LOOK_EVERY = 0.25
#: every so many looks at the texts there is one at the books and the payers
BOOKS_EVERY = 2
#: what a browser waits before it connects again, in milliseconds
RECONNECT_AFTER = 1000
#: phones that one page may show
MOST_PHONES = 4
#: the ids of the last texts that a page saw, one for each of its phones (Redis, "Streams": milliseconds and a number)
SEEN = re.compile(r"[0-9]{1,20}(-[0-9]{1,20})?(,[0-9]{1,20}(-[0-9]{1,20})?){0,3}")


def e164(number: str, country: str) -> str:
    """``number`` as E.164 with ``+``, read in ``country`` (ISO 3166 alpha-2); "" where it is no telephone number."""
    try:
        parsed = phonenumbers.parse(number, country)
    except phonenumbers.NumberParseException:
        return ""
    possible = phonenumbers.is_possible_number(parsed)
    return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164) if possible else ""


def readable(fields: Mapping[bytes | str, bytes | str]) -> dict[str, str]:
    """A Redis hash or stream entry as text, whatever the client was told to decode."""

    def text(value: bytes | str) -> str:
        """Of bytes or text."""
        return value.decode() if isinstance(value, bytes) else value

    return {text(name): text(value) for name, value in fields.items()}


class Live:
    """The streams that browsers hold open."""

    def __init__(self, engine: Engine, redis: Redis, keyring: Keyring, glass: Glass, neighbours: Neighbours) -> None:
        self._engine = engine
        self._redis = redis
        self._keyring = keyring
        self._glass = glass
        self._neighbours = neighbours
        self._streams = Streams(RECONNECT_AFTER)
        self.close = self._streams.close

    async def stream(self, request: web.Request) -> web.StreamResponse:
        """``GET live?msisdn=…&msisdn=…``: every text the carrier still keeps for these, then what comes and changes.

        Numbers may be typed as people do; one that is none is told as a line that nobody has.
        A browser that lost the connection names the last texts it saw (``Last-Event-ID``) and gets what followed.
        """
        asked = request.query.getall("msisdn", [])
        if not 1 <= len(asked) <= MOST_PHONES:
            raise web.HTTPBadRequest(text=f"1 to {MOST_PHONES} numbers are meant")
        last = request.headers.get("Last-Event-ID", "")
        if last and not SEEN.fullmatch(last):
            raise web.HTTPBadRequest(text="not the id of a text")
        seen = last.split(",") if last.count(",") == len(asked) - 1 and last else ["0"] * len(asked)
        return await self._streams.follow(request, lambda stream: _Push(self, stream, asked, seen).run())

    def number(self, typed: str) -> str:
        """As ``e164``, read in the operator's country."""
        return e164(typed, self._engine.operator.country)

    async def texts(self, msisdn: str, seen: str) -> list[tuple[str, Json]]:
        """The texts to a number after ``seen``, with their ids."""
        found = await self._redis.xrange(inbox(self._keyring, msisdn), min=f"({seen}", max="+", count=50) or ()
        return [
            (entry_id.decode() if isinstance(entry_id, bytes) else entry_id, {**readable(fields), "msisdn": msisdn})
            for entry_id, fields in found
            if entry_id is not None and fields is not None  # the client's types allow it, a stream never has it
        ]

    async def line(self, asked: str, msisdn: str) -> Json:
        """What the line of ``msisdn`` holds, which was ``asked`` for."""
        try:
            return {"asked": asked, **self._glass.line(await self._engine.subscriber(msisdn))}
        except EngineError:
            return {"asked": asked, "msisdn": msisdn, "known": False}

    async def payer(self, numbers: Sequence[str]) -> Json | None:
        """What the payers of these phones are asked; None where nobody plays their provider."""
        return await self._neighbours.ask("payers", "phones", {"numbers": list(numbers)})


class _Push:
    """One stream: what it has sent already."""

    def __init__(self, live: Live, stream: EventSourceResponse, asked: list[str], seen: list[str]) -> None:
        self._live = live
        self._stream = stream
        self._asked = asked
        self._numbers = [live.number(one) for one in asked]
        self._seen = seen
        self._told: dict[str, Json | None] = {}

    async def run(self) -> None:
        """Send for as long as there is somebody to send to."""
        looks = 0
        while True:
            if looks % BOOKS_EVERY == 0:
                for asked, number in zip(self._asked, self._numbers, strict=True):
                    await self._changed("line", asked, await self._live.line(asked, number))
                await self._changed("payer", "", await self._live.payer([one for one in self._numbers if one]))
            for place, number in enumerate(self._numbers):
                for entry_id, text in await self._live.texts(number, self._seen[place]):
                    self._seen[place] = entry_id
                    await self._stream.send(json.dumps(text), id=",".join(self._seen))
            looks += 1
            await asyncio.sleep(LOOK_EVERY)

    async def _changed(self, event: str, whose: str, now: Json | None) -> None:
        if now is not None and self._told.get(event + whose) != now:
            self._told[event + whose] = now
            await self._stream.send(json.dumps(now), event=event)
