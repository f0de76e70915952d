"""One POST to a carrier's HTTP interface, and what its failing means for a text."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, NamedTuple

import aiohttp
import msgspec

from channels.sms.contract import CarrierError, ErrorKind

#: bytes; more is no answer to one text
ANSWER_LIMIT = 65_536
#: connections to one carrier; delivery's own rate limit is what bounds them in practice
CONNECTIONS = 200
#: seconds an idle connection is used again; carriers' balancers close theirs after about a minute
KEEPALIVE_SECONDS = 20.0
#: seconds to get a connection
CONNECT_SECONDS = 5.0


class Answer(NamedTuple):
    """What a carrier said."""

    status: int
    #: the decoded JSON object; empty for anything else
    content: dict[str, Any]
    #: seconds to wait, where the carrier says so
    retry_after: float | None


class HttpPoster:
    """Posts forms to one carrier over connections that are kept. Made anywhere, used in one event loop."""

    def __init__(self, *, timeout_seconds: float, headers: Mapping[str, str]) -> None:
        """``timeout_seconds`` bounds one whole call; ``headers`` go with each and may hold credentials."""
        self._timeout = aiohttp.ClientTimeout(total=timeout_seconds, connect=min(CONNECT_SECONDS, timeout_seconds))
        self._headers = headers
        self._session: aiohttp.ClientSession | None = None

    async def post(self, url: str, fields: Mapping[str, str]) -> Answer:
        """Post one form. Any status is an answer.

        Raises ``CarrierError``: ``retry`` while nothing can have been sent, ``unknown`` once it may have been.
        """
        if self._session is None:
            connector = aiohttp.TCPConnector(limit=CONNECTIONS, keepalive_timeout=KEEPALIVE_SECONDS)
            self._session = aiohttp.ClientSession(connector=connector, timeout=self._timeout, headers=self._headers)
        try:
            # A redirect is not followed: it would carry our credentials to wherever it points.
            async with self._session.post(url, data=fields, allow_redirects=False) as response:
                body = await _read(response)
                return Answer(response.status, body, _retry_after(response.headers.get("Retry-After", "")))
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            raise CarrierError("unreachable", ErrorKind.RETRY) from error
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise CarrierError("no_answer", ErrorKind.UNKNOWN) from error

    async def close(self) -> None:
        """Let the connections go."""
        if self._session is not None:
            await self._session.close()
            self._session = None


async def _read(response: aiohttp.ClientResponse) -> dict[str, Any]:
    body = b""
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > ANSWER_LIMIT:
            return {}
    try:
        content = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return {}
    return content if isinstance(content, dict) else {}


def _retry_after(value: str) -> float | None:
    """Seconds, given as such or as a date (RFC 9110, §10.2.3); None for neither."""
    if value.isascii() and value.isdecimal() and len(value) <= 6:
        return float(value)
    try:
        at = parsedate_to_datetime(value)
    except ValueError:
        return None
    return max((at - datetime.now(UTC)).total_seconds(), 0.0) if at.tzinfo else None


def refusal_of_status(answer: Answer) -> CarrierError:
    """What an HTTP status alone means for a text (RFC 9110, §15), where the body names no better reason."""
    reason = f"http_{answer.status}"
    if answer.status == 429:
        return CarrierError(reason, ErrorKind.THROTTLED, answer.retry_after)
    if answer.status == 503:
        return CarrierError(reason, ErrorKind.RETRY, answer.retry_after)
    if 400 <= answer.status < 500:
        # Our account or our request does not suit this carrier; another may take the text.
        return CarrierError(reason, ErrorKind.REROUTE)
    # A 2xx we cannot read, or a failure on the way back: it may have been sent.
    return CarrierError(reason, ErrorKind.UNKNOWN)
