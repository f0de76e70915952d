"""The HTTP side of SMS: what carriers post to us, verified, committed, then acknowledged.

Nothing of a request's path, query or body is ever logged: they carry numbers, PINs and the secret path segment.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import structlog
from aiohttp import web

from channels.callers import Callers, Handler, body_of, guarded
from channels.inbound import Inbound
from channels.sms.contract import Posted, Response, Unverified, Webhook
from channels.text_turn import SILENCE, Shown
from channels.turn import Malformed
from runtime.metrics import Metrics

log = structlog.get_logger(__name__)

#: bytes; a message with ten media is a third of it
BODY_LIMIT = 16_384
FORM = "application/x-www-form-urlencoded"


class Taken(NamedTuple):
    """What one call came to: what to answer, the outcome for the metrics, and what the person reads in the answer."""

    response: Response
    outcome: str = "taken"
    shown: Shown = SILENCE


#: reads one kind of call and does what it asks
Taker = Callable[[Posted], Awaitable[Taken]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Door(Callers):
    """One configured carrier that calls us: who may, and its webhook."""

    webhook: Webhook


def routes(doors: Sequence[Door], inbound: Inbound, metrics: Metrics, public_url: str = "") -> list[web.RouteDef]:
    """``POST /sms/{carrier}``, ``…/status`` and ``…/optout``, each followed by the secret segment if there is one.

    ``public_url`` is how carriers reach us, where something in front ends TLS: signatures are over that address.
    """
    table: list[web.RouteDef] = []
    for door in doors:
        for path, kind, taker in (
            ("/status", "report", _reports(door, inbound)),
            ("/optout", "optout", _optouts(door, inbound)),
            ("", "text", _texts(door, inbound)),
        ):
            handler = guarded(door, _handler(door, kind, taker, inbound, metrics, public_url=public_url))
            table.append(web.post(f"/sms/{door.name}{path}{door.suffix}", handler))
    return table


def _texts(door: Door, inbound: Inbound) -> Taker:
    webhook = door.webhook

    async def text(posted: Posted) -> Taken:
        """A text, answered in the reply where the carrier sends what stands there."""
        incoming = webhook.read_incoming(posted)
        if webhook.replies:
            shown = await inbound.answer(incoming)
            return Taken(webhook.reply(shown.text or None), shown=shown)
        await inbound.take(incoming)
        return Taken(webhook.reply(None))

    return text


def _reports(door: Door, inbound: Inbound) -> Taker:
    webhook = door.webhook

    async def report(posted: Posted) -> Taken:
        """A report on one of our texts; others tell nothing that is kept."""
        read = webhook.read_report(posted)
        if read is None:
            return Taken(webhook.reply(None), "ignored")
        await inbound.report(read)
        return Taken(webhook.reply(None))

    return report


def _optouts(door: Door, inbound: Inbound) -> Taker:
    webhook = door.webhook

    async def opt_out(posted: Posted) -> Taken:
        """A wish to hear nothing more, told by the carrier instead of the person."""
        await inbound.opt_out(door.name, webhook.read_optout(posted))
        return Taken(webhook.reply(None))

    return opt_out


def _handler(door: Door, kind: str, taker: Taker, inbound: Inbound, metrics: Metrics, *, public_url: str) -> Handler:
    """From request to answer: what cannot be committed is answered with 503, so that the carrier repeats."""

    def count(outcome: str, reason: str = "", field: str = "") -> None:
        """Into the metrics; what was refused into the log too."""
        metrics.carrier_calls.labels(door.name, kind, outcome).inc()
        if reason:
            log.info("carrier_call_refused", carrier=door.name, kind=kind, outcome=outcome, reason=reason, field=field)

    async def handle(request: web.Request) -> web.StreamResponse:
        """Signed first, read then, committed before it is answered."""
        if request.content_type != FORM:
            count("malformed", "not a form", "Content-Type")
            raise web.HTTPUnsupportedMediaType
        posted = Posted(_url(request, public_url), request.headers, await body_of(request))
        try:
            door.webhook.verify(posted)
            taken = await taker(posted)
        except Unverified as error:
            count("unverified", error.args[0])
            raise web.HTTPForbidden from None
        except Malformed as error:
            count("malformed", error.reason, error.field)
            return web.Response(status=400, text=f"{error.field}: {error.reason}")
        except Exception as error:
            count("failed")
            log.exception("carrier_call_failed", carrier=door.name, kind=kind)
            raise web.HTTPServiceUnavailable from error
        count(taken.outcome)
        said = taken.response
        response = web.Response(status=said.status, body=said.body, content_type=said.content_type, charset="utf-8")
        if taken.shown.receipt is not None:
            # Only what has left makes a receipt needless: a carrier that hung up, or a kill here, leaves it due.
            await response.prepare(request)
            await response.write_eof()
            await inbound.told(taken.shown)
        return response

    return handle


def _url(request: web.Request, public_url: str) -> str:
    """The address that the carrier called, with path and query as they came over the wire."""
    base = public_url.rstrip("/") or f"{request.scheme}://{request.host}"
    return base + request.raw_path
