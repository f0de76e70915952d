"""One call to a provider's HTTP interface, and what its failing means for a payment."""

from __future__ import annotations

import asyncio
import io
import tempfile
from collections.abc import Mapping
from typing import IO, Any, NamedTuple

import aiohttp
import msgspec

from engine.recharge.gateways.contract import GatewayState, Outcome

#: bytes; more is no answer about one payment
ANSWER_LIMIT = 262_144
#: connections to one provider
CONNECTIONS = 200
#: seconds an idle connection is used again; balancers close theirs after about a minute
KEEPALIVE_SECONDS = 20.0
#: seconds to get a connection
CONNECT_SECONDS = 5.0


class Reply(NamedTuple):
    """What a provider said."""

    status: int
    #: the decoded JSON object; empty for anything else
    content: dict[str, Any]

    def word(self, name: str) -> str:
        """A field as text, where it is text or a number; else empty."""
        value = self.content.get(name)
        return str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""


class NotSent(Exception):
    """The call has not left us, or was turned away before it was read. ``args[0]`` is the reason, a code."""


class NoAnswer(Exception):
    """The call has left us and nobody knows what became of it. ``args[0]`` is the reason, a code."""


def nothing_sent(error: NotSent) -> Outcome:
    """Of a charge that has not left us."""
    return Outcome(state=GatewayState.NOT_FOUND, provider_code=str(error))


def unknown(code: object) -> Outcome:
    """Of anything that nobody knows the outcome of. ``code`` for the evidence."""
    return Outcome(state=GatewayState.UNKNOWN, provider_code=str(code))


class Caller:
    """Calls one provider over connections that are kept. Made anywhere, used in one event loop."""

    def __init__(self, base_url: str, *, timeout_seconds: float, headers: Mapping[str, str] | None = None) -> None:
        """``timeout_seconds`` bounds one whole call; ``headers`` go with each and may hold credentials."""
        self._base_url = base_url.rstrip("/")
        self._timeout = aiohttp.ClientTimeout(total=timeout_seconds, connect=min(CONNECT_SECONDS, timeout_seconds))
        self._headers = dict(headers or {})
        self._session: aiohttp.ClientSession | None = None

    async def get(
        self, path: str, *, params: Mapping[str, str] | None = None, headers: Mapping[str, str] | None = None
    ) -> Reply:
        """Ask for something. Any status is a reply. Raises ``NotSent`` and ``NoAnswer``."""
        return await self._call("GET", path, params=params, headers=headers)

    async def post(
        self,
        path: str,
        *,
        json: Mapping[str, Any] | None = None,
        form: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        """Post JSON or a form. Any status is a reply. Raises ``NotSent`` and ``NoAnswer``."""
        if json is None:
            return await self._call("POST", path, data=dict(form or {}), headers=headers)
        headers = {**(headers or {}), "Content-Type": "application/json"}
        return await self._call("POST", path, data=msgspec.json.encode(json), headers=headers)

    async def _call(self, method: str, path: str, **sent: Any) -> Reply:
        if self._session is None:
            connector = aiohttp.TCPConnector(limit=CONNECTIONS, keepalive_timeout=KEEPALIVE_SECONDS)
            self._session = aiohttp.ClientSession(connector=connector, timeout=self._timeout, headers=self._headers)
        try:
            # A redirect is not followed: it would carry our credentials to wherever it points.
            async with self._session.request(method, self._base_url + path, allow_redirects=False, **sent) as response:
                return Reply(response.status, await _read(response))
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            raise NotSent("unreachable") from error
        except (aiohttp.ClientError, TimeoutError, asyncio.IncompleteReadError, OSError) as error:
            raise NoAnswer("no_answer") from error

    async def download(self, path: str, *, params: Mapping[str, str]) -> IO[str] | None:
        """A file of any size, as lines, in a temporary file that is gone once it is closed; None where there is none.

        Each part of it must come within the time-out of a call; the whole may take longer.
        """
        limits = aiohttp.ClientTimeout(
            total=None, connect=self._timeout.connect, sock_read=self._timeout.total, sock_connect=self._timeout.connect
        )
        # Whoever asked closes it.
        raw = tempfile.TemporaryFile("w+b")  # noqa: SIM115
        file = io.TextIOWrapper(raw, encoding="utf-8", errors="replace", newline="")
        whole = False
        try:
            async with (
                aiohttp.ClientSession(timeout=limits, headers=self._headers) as session,
                session.get(self._base_url + path, params=params, allow_redirects=False) as response,
            ):
                async for chunk in response.content.iter_any():
                    raw.write(chunk)
                whole = response.status == 200
        except (aiohttp.ClientError, TimeoutError, asyncio.IncompleteReadError, OSError):
            whole = False
        if not whole:
            file.close()
            return None
        file.seek(0)
        return file

    async def close(self) -> None:
        """Let the connections go."""
        if self._session is not None:
            await self._session.close()
            self._session = None


async def _read(response: aiohttp.ClientResponse) -> dict[str, Any]:
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > ANSWER_LIMIT:
            return {}
    try:
        content = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}
