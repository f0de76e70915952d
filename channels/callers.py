"""Who may call a gateway's or a carrier's path, by address and a path segment that only they know; what they post."""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address

import structlog
from aiohttp import web

log = structlog.get_logger(__name__)

Network = IPv4Network | IPv6Network
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Callers:
    """Those who may call the paths of one gateway or carrier."""

    #: the gateway's or carrier's, as in the settings
    name: str
    #: the path segment that only they know; empty: none
    secret: str = ""
    #: their networks; empty lets everyone in
    allow: tuple[Network, ...] = ()
    #: proxies whose ``X-Forwarded-For`` is believed
    proxies: tuple[Network, ...] = ()

    @property
    def suffix(self) -> str:
        """What a path has for the secret, if there is one, in the words of aiohttp's routes."""
        return "/{secret}" if self.secret else ""


def guarded(callers: Callers, handler: Handler) -> Handler:
    """``handler`` for ``callers`` from an allowed address who know the secret; others learn nothing but 403 or 404."""
    name, secret, allow, proxies = callers.name, callers.secret, callers.allow, callers.proxies
    if not allow and not secret:
        return handler
    known: dict[str, bool] = {}

    async def guard(request: web.Request) -> web.StreamResponse:
        """Refused by its address first: from elsewhere a right secret is a wrong one."""
        if allow:
            caller = caller_of(request, proxies)
            allowed = known.get(caller)
            if allowed is None:
                allowed = _within(caller, allow)
                if len(known) < 10_000:  # a flood from many addresses must not fill the memory
                    known[caller] = allowed
            if not allowed:
                log.info("caller_refused", gateway=name, reason="address")
                raise web.HTTPForbidden
        if secret and not hmac.compare_digest(request.match_info["secret"].encode(errors="replace"), secret.encode()):
            log.info("caller_refused", gateway=name, reason="secret")
            raise web.HTTPNotFound
        return await handler(request)

    return guard


def caller_of(request: web.Request, proxies: tuple[Network, ...]) -> str:
    """The address that called: the peer, or what the nearest trusted proxy saw, read from the right."""
    caller = request.remote or ""
    if not proxies:
        return caller
    forwarded = [part.strip() for part in ",".join(request.headers.getall("X-Forwarded-For", [])).split(",")]
    while forwarded and forwarded[-1] and _within(caller, proxies):
        caller = forwarded.pop()
    return caller


async def body_of(request: web.Request, most: int | None = None) -> bytes:
    """What was posted, cut at ``most`` octets; None refuses what is above the server's own limit (413).

    Raises 400 where it is broken off, or not compressed as its header says.
    """
    try:
        if most is None:
            return await request.read()
        body = b""
        async for chunk in request.content.iter_any():
            body = (body + chunk)[:most]
        return body  # noqa: TRY300 - what may fail is the reading
    except (web.RequestPayloadError, ConnectionError):
        refused = web.HTTPBadRequest(text="body: cannot be read to its end")
        refused.force_close()
        raise refused from None


def _within(address: str, networks: tuple[Network, ...]) -> bool:
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    # An IPv4 caller on a dual-stack socket shows as ::ffff:a.b.c.d (RFC 4291, 2.5.5.2).
    parsed = getattr(parsed, "ipv4_mapped", None) or parsed
    return any(parsed in network for network in networks)
