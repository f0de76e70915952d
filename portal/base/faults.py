"""What could not be done, told as a page to people and as problem details to programs (RFC 9457)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import structlog
from aiohttp import web
from aiohttp.typedefs import Middleware
from psycopg import OperationalError as PostgresDown
from redis.exceptions import RedisError
from sqlalchemy.exc import InterfaceError, OperationalError, TimeoutError as PoolEmpty

from channels.quota import QuotaDown
from dialogs.values import Text, text
from engine.words import EngineUnavailable
from portal.base.guard import Handler

log = structlog.get_logger(__name__)

#: what a person is told; other refusals are told as the first of their hundred
FAULTS: dict[int, tuple[Text, Text]] = {
    400: (text("That did not work"), text("This page did not understand what was sent. Please begin again.")),
    403: (text("Not allowed"), text("This page is too old, or it is not yours to use. Please open it again.")),
    404: (text("Not found"), text("This page does not exist, or it is not yours.")),
    429: (text("Too many tries"), text("Please wait a little and try again.")),
    500: (text("Something went wrong"), text("It is our fault. We have been told. Please try again later.")),
    503: (text("Not possible right now"), text("Nothing is lost. Please try again in a minute.")),
}
#: seconds after which a part of us that is away is asked again
RETRY_AFTER = "60"

#: how reads tell that Redis or Postgres is away; the one door says ``EngineUnavailable``
AWAY = (RedisError, QuotaDown, EngineUnavailable, PostgresDown, OperationalError, InterfaceError, PoolEmpty)

#: makes the page of a status, its heading and its sentence
Shown = Callable[[web.Request, int, Text, Text], Awaitable[web.StreamResponse]]


def fault_of(status: int) -> tuple[Text, Text]:
    """Heading and sentence of a refusal."""
    return FAULTS.get(status) or FAULTS[status // 100 * 100]


def wants_page(request: web.Request) -> bool:
    """Whether who asks reads HTML: browsers say so, programs do not (RFC 9110 §12.5.1)."""
    return "text/html" in request.headers.get("Accept", "")


def faults(show: Shown) -> Middleware:
    """The middleware that turns every refusal and fault of the pages below into an answer that says what to do.

    503 when Postgres or Redis is away: nothing was done, or what was done is found again under its key.
    """

    @web.middleware
    async def tell(request: web.Request, handler: Handler) -> web.StreamResponse:
        """Redirects pass. An answer that has begun breaks off, so that nobody takes a part of it for the whole."""
        try:
            return await handler(request)
        except Exception as error:
            if request.writer.output_size > 0:
                if not isinstance(error, ConnectionError):  # the browser has gone
                    _told(error)
                raise ConnectionResetError("the answer had begun") from error
            if isinstance(error, web.HTTPException) and error.status < 400:
                raise
            if isinstance(error, web.RequestPayloadError):
                # Or the server reads on to the same fault, and tells of it as its own.
                request.content.feed_eof()
            status, detail, headers = _told(error)
        return await _answer(request, show, status, detail, headers)

    return tell


def _told(error: Exception) -> tuple[int, str, dict[str, str]]:
    """Status, detail and headers of the answer to what was raised; what is our fault is logged."""
    if isinstance(error, web.HTTPException):
        kept = {name: error.headers[name] for name in ("Allow", "Retry-After") if name in error.headers}
        return error.status, error.text or "", kept
    if isinstance(error, web.RequestPayloadError):  # broken off, or not compressed as its header says
        return 400, "", {"Connection": "close"}
    if isinstance(error, AWAY):
        log.warning("page_unavailable", error=type(error).__name__)
        return 503, "", {"Retry-After": RETRY_AFTER}
    log.error("page_failed", exc_info=error)
    return 500, "", {}


async def _answer(
    request: web.Request, show: Shown, status: int, detail: str, headers: dict[str, str]
) -> web.StreamResponse:
    heading, sentence = fault_of(status)
    if wants_page(request):
        answer = await show(request, status, heading, sentence)
        answer.headers.update(headers)
        return answer
    default = f"{status}: "
    said = heading.message if not detail or detail.startswith(default) else detail
    problem = {"title": heading.message, "status": status, "detail": said}
    return web.json_response(problem, status=status, headers=headers, content_type="application/problem+json")
