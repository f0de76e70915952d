"""Where a line is signed in, and the chats that are linked to it: each can be let go from here.

Beside each session in Redis stands what its owner recognises it by, in one hash for each line: browser, system and the
time when it began. Neither a number nor an address is in it.
"""

from __future__ import annotations

import re
import time
from collections.abc import Awaitable, Sequence
from datetime import UTC, datetime
from typing import NamedTuple, cast
from uuid import UUID

import msgspec
from aiohttp import web
from redis.asyncio import Redis

from portal.base.sessions import LONGEST_SECONDS, Kept, Sessions, Visit
from portal.selfcare.asking import see
from portal.selfcare.person import Desk, Person

#: what a browser calls itself (RFC 9110 §10.1.5) → what people call it; the first that is found
BROWSERS = (("Edg", "Edge"), ("OPR", "Opera"), ("SamsungBrowser", "Samsung Internet"), ("UCBrowser", "UC Browser"),
            ("Firefox", "Firefox"), ("Chrome", "Chrome"), ("Safari", "Safari"))  # fmt: skip
SYSTEMS = (("Android", "Android"), ("iPhone", "iPhone"), ("iPad", "iPad"), ("KAIOS", "KaiOS"), ("Windows", "Windows"),
           ("Mac OS", "macOS"), ("CrOS", "ChromeOS"), ("Linux", "Linux"))  # fmt: skip
LABEL = re.compile(r"[0-9a-f]{40}")
#: what chats' apps are called
APPS = {"telegram": "Telegram", "whatsapp": "WhatsApp"}


class Known(msgspec.Struct, frozen=True):
    """What a session is recognised by."""

    began_at: float
    device: str


class Device(NamedTuple):
    """One session as it is shown. ``here``: the one that asks."""

    label: str
    name: str
    began_at: datetime
    here: bool


def device_name(agent: str) -> str:
    """Browser and system, as far as they say so; nothing else is kept of what a browser tells of itself."""
    browser = next((name for mark, name in BROWSERS if mark in agent), "")
    system = next((name for mark, name in SYSTEMS if mark in agent), "")
    return " · ".join(one for one in (browser, system) if one)


class Devices:
    """The sessions of lines."""

    def __init__(self, redis: Redis, sessions: Sessions[Kept]) -> None:
        self._redis = redis
        self._sessions = sessions

    async def note(self, visit: Visit[Kept], line_id: UUID, agent: str) -> None:
        """Remember a session that has just begun."""
        known = Known(began_at=time.time(), device=device_name(agent))
        name = self._name(line_id)
        async with self._redis.pipeline(transaction=False) as pipe:
            pipe.hset(name, self._sessions.label(visit), msgspec.msgpack.encode(known))
            pipe.expire(name, LONGEST_SECONDS)
            await pipe.execute()

    async def of_line(self, line_id: UUID, visit: Visit[Kept]) -> list[Device]:
        """The sessions of a line that still last, the latest first; those that are over are forgotten."""
        name, own = self._name(line_id), self._sessions.label(visit)
        kept = await cast(Awaitable[dict[bytes, bytes]], self._redis.hgetall(name))
        found, over = [], []
        for label, known in ((one.decode(), msgspec.msgpack.decode(said, type=Known)) for one, said in kept.items()):
            if not await self._sessions.lasts_labelled(label):
                over.append(label)
                continue
            began = datetime.fromtimestamp(known.began_at, UTC)
            found.append(Device(label, known.device, began, label == own))
        if over:
            await self._redis.hdel(name, *over)
        return sorted(found, key=lambda one: (not one.here, -one.began_at.timestamp()))

    async def end(self, line_id: UUID, label: str) -> None:
        """Sign one session of the line out; one of another line is left alone."""
        name = self._name(line_id)
        if await self._redis.hdel(name, label):
            await self._sessions.end_labelled(label)

    async def end_others(self, line_id: UUID, visit: Visit[Kept]) -> None:
        """Sign every session of the line out but this one."""
        for one in await self.of_line(line_id, visit):
            if not one.here:
                await self.end(line_id, one.label)

    async def end_all(self, line_id: UUID, visit: Visit[Kept]) -> None:
        """Sign the line out everywhere."""
        await self.end_others(line_id, visit)
        await self._sessions.end(visit)

    def _name(self, line_id: UUID) -> str:
        return f"page-of:{self._sessions.mark('line', line_id.hex)}"


class DevicePages:
    """The page of devices and chats."""

    def __init__(self, desk: Desk, devices: Devices) -> None:
        self._desk = desk
        self._devices = devices

    def routes(self) -> Sequence[web.AbstractRouteDef]:
        """What they answer to."""
        inside = self._desk.signed_in
        return [
            web.get("/devices", inside(self._show)),
            web.post("/devices/end", inside(self._end)),
            web.post("/devices/others", inside(self._end_others)),
            web.post("/devices/unlink", inside(self._unlink)),
        ]

    async def _show(self, request: web.Request, person: Person) -> web.Response:
        line = person.subscriber
        return self._desk.page(
            request,
            person,
            "devices.html",
            here="/more",
            devices=await self._devices.of_line(line.line_id, person.visit),
            chats={app: APPS.get(app, app) for app in await self._desk.engine.chats(line)},
        )

    async def _end(self, request: web.Request, person: Person) -> web.Response:
        label = (await self._desk.form(request, person)).get("device", "")
        if not LABEL.fullmatch(label):
            raise web.HTTPBadRequest(text="device: not what the page held")
        await self._devices.end(person.subscriber.line_id, label)
        return see("/portal/devices")

    async def _end_others(self, request: web.Request, person: Person) -> web.Response:
        await self._desk.form(request, person)
        await self._devices.end_others(person.subscriber.line_id, person.visit)
        return see("/portal/devices")

    async def _unlink(self, request: web.Request, person: Person) -> web.Response:
        app = (await self._desk.form(request, person)).get("app", "")
        linked = (await self._desk.engine.chats(person.subscriber)).get(app)
        if linked is not None:
            await self._desk.engine.unlink(app, linked)
        return see("/portal/devices")
