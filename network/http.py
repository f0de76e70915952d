"""What all HTTP interfaces for other systems share: who may call, how a body is read, how a refusal looks."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import TypeVar

import msgspec
import structlog
from aiohttp import web

from network.away import AWAY
from settings import ApiKeySettings, Right

log = structlog.get_logger(__name__)

#: no request of these interfaces is longer, in bytes
BODY_LIMIT = 256 * 1024

#: a field that is not there, as msgspec tells it: the object's path follows
_MISSING = re.compile(r"^Object missing required field `(.+)`$")

#: U+0000, escaped: JSON may hold it, a text in Postgres may not
_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")

#: the types of bodies that are read: JSON (RFC 8259), what is built on it (RFC 6839 §3.1), and one that nobody stated
_READ = re.compile(r"application/(\S+\+json|json|octet-stream)$")

#: amounts are exact: a ``Decimal`` is written as the number that it is
_ENCODER = msgspec.json.Encoder(decimal_format="number")

Body = TypeVar("Body")
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

#: the code of what is not the request's fault
SYSTEM_FAILURE = "SYSTEM_FAILURE"

#: the name of the client that a request came from, for the audit trail
CLIENT = web.RequestKey("client", str)
#: what it sent, as it came
BODY = web.RequestKey("body", bytes)


class Problem(Exception):
    """A refused request. ``cause`` is the interface's own code, ``invalid`` names fields and reasons."""

    def __init__(self, status: int, cause: str, detail: str, invalid: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status = status
        self.cause = cause
        self.detail = detail
        self.invalid = dict(invalid or {})


def wrong(cause: str, field: str, reason: str, status: int = 400) -> Problem:
    """The refusal of one field."""
    return Problem(status, cause, f"{field}: {reason}", {field: reason})


def problem_json(problem: Problem) -> web.Response:
    """RFC 9457 problem details with the members that 3GPP adds (TS 29.571 §5.2.4.1)."""
    body: dict[str, object] = {"status": problem.status, "cause": problem.cause, "detail": problem.detail}
    if problem.invalid:
        body["invalidParams"] = [{"param": name, "reason": reason} for name, reason in problem.invalid.items()]
    return web.Response(
        status=problem.status,
        body=msgspec.json.encode(body),
        content_type="application/problem+json",
        headers=challenge(problem),
    )


def challenge(problem: Problem) -> dict[str, str]:
    """The header that goes with 401 (RFC 9110 §11.6.1)."""
    return {"WWW-Authenticate": "Bearer"} if problem.status == 401 else {}


class Gate:
    """Who may call: clients by the key that they send as ``Authorization: Bearer …`` (RFC 6750 §2.1).

    Only digests of keys are known here, so neither settings nor memory give a key away.
    """

    def __init__(self, keys: Mapping[str, ApiKeySettings]) -> None:
        """``keys`` are the settings': name of the client → digest of its key and what it may do."""
        self._clients = {bytes.fromhex(key.digest): (name, key.rights) for name, key in keys.items()}

    def open(self, right: Right, handler: Handler, refuse: Callable[[Problem], web.Response] = problem_json) -> Handler:
        """``handler`` for clients that have ``right``; every ``Problem`` is answered as ``refuse`` spells it.

        Without Postgres the answer is 503: what was asked may have happened, and the same request may be sent again.
        """

        async def guarded(request: web.Request) -> web.StreamResponse:
            """From the header to the answer: whatever goes wrong is answered in the interface's own words."""
            try:
                request[CLIENT] = self._client(request, right)
                return await handler(request)
            except Problem as problem:
                log.info("request_refused", path=_route(request), status=problem.status, cause=problem.cause)
                refused = refuse(problem)
                if request.content.exception() is not None:  # nothing behind such a body can be read
                    refused.force_close()
                return refused
            except AWAY:
                log.warning("request_not_decided", path=_route(request))
                return refuse(Problem(503, SYSTEM_FAILURE, "not decided: send the same request again"))
            except web.HTTPException:
                raise
            except Exception:
                log.exception("request_failed", path=_route(request))
                return refuse(Problem(500, SYSTEM_FAILURE, "this is our fault; the same request may be sent again"))

        return guarded

    def _client(self, request: web.Request, right: Right) -> str:
        scheme, _, key = request.headers.get("Authorization", "").partition(" ")
        known = self._clients.get(hashlib.sha256(key.strip().encode(errors="replace")).digest())
        if scheme.lower() != "bearer" or known is None:
            raise Problem(401, "UNAUTHORIZED", "no key, or none that is known: Authorization: Bearer …")
        name, rights = known
        if right not in rights:
            raise Problem(403, "FORBIDDEN", f"{name} may not do this: it lacks the right {right}")
        return name


def _route(request: web.Request) -> str:
    # The pattern, not the path: paths hold references that open sessions.
    resource = request.match_info.route.resource
    return "" if resource is None else resource.canonical


async def read_json(request: web.Request, decoder: msgspec.json.Decoder[Body], cause: str) -> Body:
    """The body as ``decoder`` reads it. Raises ``Problem`` 400 that names the field, 413, or 415."""
    if _READ.match(request.content_type) is None:
        raise wrong(cause, "Content-Type", "application/json is meant", 415)
    body = request[BODY] = await _body(request, cause)
    if _NUL.search(body):
        raise wrong(cause, "body", "a text holds the character U+0000, which cannot be kept")
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        reason, _, path = str(error).partition(" - at `$")
        path = path.rstrip("`").lstrip(".")
        missing = _MISSING.match(reason)
        if missing is not None:
            path, reason = f"{path}.{missing[1]}".lstrip("."), "missing"
        raise wrong(cause, path or "body", reason) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Problem(400, cause, f"not JSON: {error}", {"body": "not JSON"}) from None


def moment(at: datetime, cause: str, field: str) -> datetime:
    """A time that a request says, in UTC. Raises ``Problem`` for one without a zone, or beyond all calendars."""
    if at.tzinfo is None:
        raise wrong(cause, field, "no time zone")
    try:
        return at.astimezone(UTC)
    except OverflowError:
        raise wrong(cause, field, "no time that a calendar has") from None


async def _body(request: web.Request, cause: str) -> bytes:
    # Not ``request.read``: its limit is the whole server's, and that is one for short forms.
    parts, size = [], 0
    try:
        async for part in request.content.iter_any():
            size += len(part)
            if size > BODY_LIMIT:
                raise Problem(413, cause, f"longer than {BODY_LIMIT} bytes")
            parts.append(part)
    except (web.RequestPayloadError, ConnectionError):
        # Not compressed as its header says, or broken off: nobody may be there to hear it.
        raise wrong(cause, "body", "cannot be read to its end") from None
    return b"".join(parts)


def json_response(body: object, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    """``body`` as JSON; fields that are None or unset are left out where its type says so."""
    return web.Response(status=status, body=_ENCODER.encode(body), content_type="application/json", headers=headers)
