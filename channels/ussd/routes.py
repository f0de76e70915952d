"""The HTTP side of USSD: routes per configured gateway, who may call, how large a request may be.

Nothing of a request's path, query or body is ever logged: they carry numbers, PINs and the secret path segment.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import structlog
from aiohttp import web

from channels.callers import Handler, Network, guarded
from channels.conversation import Conversation
from channels.turn import Malformed
from channels.ussd.contract import Adapter, Response
from runtime.metrics import Metrics

log = structlog.get_logger(__name__)

#: bytes; the longest dialogue of a cumulative gateway is a tenth of it
BODY_LIMIT = 16_384


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """One configured gateway: its adapter and who may call it."""

    name: str
    adapter: Adapter
    #: the secret path segment, or empty for none
    secret: str = ""
    #: callers' networks; empty lets everyone in
    allow: tuple[Network, ...] = ()
    #: proxies whose ``X-Forwarded-For`` is believed
    proxies: tuple[Network, ...] = ()


def routes(doors: Sequence[Door], conversation: Conversation, metrics: Metrics) -> list[web.RouteDef]:
    """``POST /ussd/{gateway}`` and ``/ussd/{gateway}/events``, each followed by the secret segment if there is one."""
    table: list[web.RouteDef] = []
    for door in doors:
        suffix = "/{secret}" if door.secret else ""
        table.append(
            web.post(f"/ussd/{door.name}/events{suffix}", _guarded(door, _events(door, conversation, metrics)))
        )
        table.append(web.post(f"/ussd/{door.name}{suffix}", _guarded(door, _hops(door, conversation))))
    return table


def _hops(door: Door, conversation: Conversation) -> Handler:
    adapter = door.adapter

    async def hop(request: web.Request) -> web.StreamResponse:
        try:
            turn = adapter.read(await request.read())
        except Malformed as error:
            return _malformed(door, error)
        return _send(adapter.write(await conversation.turn(turn)))

    return hop


def _events(door: Door, conversation: Conversation, metrics: Metrics) -> Handler:
    adapter = door.adapter

    async def event(request: web.Request) -> web.StreamResponse:
        try:
            ended = adapter.read_event(await request.read())
        except Malformed as error:
            return _malformed(door, error)
        await conversation.turn(ended.turn)
        metrics.session_ends.labels(door.name, ended.outcome).inc()
        if ended.outcome != "success":
            log.info("session_end", gateway=door.name, outcome=ended.outcome, hops=ended.hops, ms=ended.milliseconds)
        return _send(adapter.write_event())

    return event


def _guarded(door: Door, handler: Handler) -> Handler:
    return guarded(door.name, handler, secret=door.secret, allow=door.allow, proxies=door.proxies)


def _malformed(door: Door, error: Malformed) -> web.Response:
    log.info("request_malformed", gateway=door.name, field=error.field, reason=error.reason)
    return _send(door.adapter.write_malformed(error))


def _send(response: Response) -> web.Response:
    return web.Response(
        status=response.status,
        body=response.body,
        headers=response.headers,
        content_type=response.content_type,
        charset="utf-8",
    )
