"""The HTTP side of payments: one route for all gateways' callbacks. No path, header or body is ever logged."""

from __future__ import annotations

from datetime import UTC, datetime

from aiohttp import web

from engine.payments.service import Payments
from engine.recharge.gateways.callbacks import BODY_LIMIT
from engine.recharge.gateways.contract import CallbackRequest

#: of one gateway; the segment is a payment's own secret, or the provider's
PATHS = ("/payments/{name}/callback", "/payments/{name}/callback/{{secret}}")


async def callback(payments: Payments, name: str, request: web.Request) -> web.Response:
    """``POST /payments/{gateway}/callback[/{secret}]`` of the gateway ``name``.

    A body above ``BODY_LIMIT`` bytes is read no further than that, and refused by the gateway's own reading; so is one
    that is broken off, or not compressed as its header says: nothing of it is read.
    """
    body, broken = bytearray(), False
    try:
        async for chunk in request.content.iter_any():
            body += chunk
            if len(body) > BODY_LIMIT:
                break
    except (web.RequestPayloadError, ConnectionError):
        body.clear()
        broken = True
        # Or the server reads on to the same fault, and tells of it as its own.
        request.content.feed_eof()
    reply = await payments.take_callback(
        name,
        CallbackRequest(
            path_secret=request.match_info.get("secret", ""),
            headers={header.lower(): value for header, value in request.headers.items()},
            body=bytes(body),
            remote=request.remote or "",
            received_at=datetime.now(UTC),
        ),
    )
    response = web.Response(status=reply.status, body=reply.body, content_type=reply.content_type)
    if broken:
        response.force_close()
    return response
