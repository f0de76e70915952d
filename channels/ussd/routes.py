"""The HTTP side of USSD: routes per configured gateway, who may call, how large a request may be.

Nothing of a request's path, query or body is ever logged: they carry numbers, PINs and the secret path segment.
"""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address

import structlog
from aiohttp import web

from channels.conversation import Conversation
from channels.turn import Malformed
from channels.ussd.contract import Adapter, Response
from runtime.metrics import Metrics

log = structlog.get_logger(__name__)

#: bytes; the longest dialogue of a cumulative gateway is a tenth of it
BODY_LIMIT = 16_384

Network = IPv4Network | IPv6Network
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


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
    """Only callers from an allowed address who know the secret; others learn nothing but 403 or 404."""
    if not door.allow and not door.secret:
        return handler
    known: dict[str, bool] = {}

    async def guarded(request: web.Request) -> web.StreamResponse:
        if door.allow:
            caller = _caller(request, door.proxies)
            allowed = known.get(caller)
            if allowed is None:
                allowed = _within(caller, door.allow)
                if len(known) < 10_000:  # a flood from many addresses must not fill the memory
                    known[caller] = allowed
            if not allowed:
                log.info("caller_refused", gateway=door.name, reason="address")
                raise web.HTTPForbidden
        if door.secret and not hmac.compare_digest(request.match_info["secret"].encode(), door.secret.encode()):
            log.info("caller_refused", gateway=door.name, reason="secret")
            raise web.HTTPNotFound
        return await handler(request)

    return guarded


def _caller(request: web.Request, proxies: tuple[Network, ...]) -> str:
    """The address that called: the peer, or what the nearest trusted proxy saw, read from the right."""
    caller = request.remote or ""
    if not proxies:
        return caller
    forwarded = [part.strip() for part in ",".join(request.headers.getall("X-Forwarded-For", [])).split(",")]
    while forwarded and forwarded[-1] and _within(caller, proxies):
        caller = forwarded.pop()
    return caller


def _within(address: str, networks: tuple[Network, ...]) -> bool:
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    # An IPv4 caller on a dual-stack socket shows as ::ffff:a.b.c.d (RFC 4291, 2.5.5.2).
    parsed = getattr(parsed, "ipv4_mapped", None) or parsed
    return any(parsed in network for network in networks)


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
