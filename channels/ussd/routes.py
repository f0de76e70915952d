"""The HTTP side of USSD: routes per configured gateway, who may call, how large a request may be.

Nothing of a request's path, query or body is ever logged: they carry numbers, PINs and the secret path segment.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import structlog
from aiohttp import web

from channels.callers import Callers, body_of, guarded
from channels.conversation import Conversation
from channels.pointers import Pointers
from channels.turn import Malformed, Turn, Unreadable
from channels.ussd.contract import Adapter, Request, Response, SessionEnd, SessionQuery, Undelivered
from runtime.metrics import Metrics

log = structlog.get_logger(__name__)

#: bytes; the longest dialogue of a cumulative gateway is a tenth of it
BODY_LIMIT = 16_384


@dataclass(frozen=True, slots=True, kw_only=True)
class Door(Callers):
    """One configured gateway: who may call it, and its adapter."""

    adapter: Adapter


def routes(
    doors: Sequence[Door], conversation: Conversation, pointers: Pointers, metrics: Metrics
) -> list[web.RouteDef]:
    """``/ussd/{gateway}`` with the methods and paths of its adapter, and ``POST /ussd/{gateway}/events``.

    The secret segment, if there is one, stands behind ``/ussd/{gateway}`` or ``/events``: what the gateway appends to
    the address that it was given comes after.
    """
    table: list[web.RouteDef] = []
    for door in doors:
        adapter = door.adapter
        desk = _Desk(door, conversation, pointers, metrics)
        table.append(web.post(f"/ussd/{door.name}/events{door.suffix}", guarded(door, desk.event)))
        hops = guarded(door, desk.hop)
        table += [
            web.route(method, f"/ussd/{door.name}{door.suffix}{path}", hops)
            for path in adapter.paths
            for method in sorted(adapter.methods)
        ]
    return table


class _Desk:
    """Serves one gateway's requests."""

    def __init__(self, door: Door, conversation: Conversation, pointers: Pointers, metrics: Metrics) -> None:
        self._door = door
        self._adapter = door.adapter
        self._conversation = conversation
        self._pointers = pointers
        self._metrics = metrics

    async def hop(self, request: web.Request) -> web.StreamResponse:
        """One request: a turn, or whatever else the gateway brings to the same address."""
        try:
            read = self._adapter.read(await _request(request))
        except Unreadable as error:
            self._log(error)
            return _send(self._adapter.write_unreadable(error, self._conversation.unreadable()))
        except Malformed as error:
            return self._malformed(error)
        if isinstance(read, Turn):
            return await self._turn(read)
        return await self._other(read)

    async def event(self, request: web.Request) -> web.StreamResponse:
        """How a session ended, where the gateway tells that at an address of its own."""
        try:
            read = self._adapter.read_event(await _request(request))
        except Malformed as error:
            return self._malformed(error)
        return await self._other(read)

    async def _turn(self, turn: Turn) -> web.Response:
        adapter = self._adapter
        turn = await self._pointers.complete(turn, adapter.session_seconds)
        reply = await self._conversation.turn(turn)
        try:
            await adapter.send(reply, turn)
        except Undelivered as error:
            # The answer is kept: the gateway that comes again gets it again.
            log.warning("answer_undelivered", gateway=self._door.name, reason=error.args[0])
            return web.Response(status=502, text="the answer could not be delivered")
        return _send(adapter.write(reply, turn))

    async def _other(self, read: SessionEnd | SessionQuery | Response) -> web.Response:
        if isinstance(read, Response):
            return _send(read)
        turn = await self._pointers.complete(read.turn, self._adapter.session_seconds)
        if isinstance(read, SessionQuery):
            return _send(self._adapter.write_status(active=bool(turn.session_id and turn.msisdn)))
        await self._pointers.forget(read.turn)
        if turn.session_id and turn.msisdn:
            await self._conversation.turn(turn)
        self._metrics.session_ends.labels(self._door.name, read.outcome).inc()
        if read.outcome != "success":
            log.info("session_end", gateway=self._door.name, outcome=read.outcome, hops=read.hops, ms=read.milliseconds)
        return _send(self._adapter.write_event(read))

    def _malformed(self, error: Malformed) -> web.Response:
        self._log(error)
        return _send(self._adapter.write_malformed(error))

    def _log(self, error: Malformed) -> None:
        log.info("request_malformed", gateway=self._door.name, field=error.field, reason=error.reason)


async def _request(request: web.Request) -> Request:
    return Request(
        body=await body_of(request),
        method=request.method,
        query=request.rel_url.raw_query_string,
        parts=request.match_info,
        headers=request.headers,
    )


def _send(response: Response) -> web.Response:
    return web.Response(
        status=response.status,
        body=response.body,
        headers=response.headers,
        content_type=response.content_type,
        charset="utf-8",
    )
