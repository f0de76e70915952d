"""What all HTTP interfaces for other systems share: who may call, how a body is read, how a refusal looks."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeVar

import msgspec
import structlog
from aiohttp import web

from settings import ApiKeySettings, Right

log = structlog.get_logger(__name__)

#: no request of these interfaces is longer, in bytes
BODY_LIMIT = 256 * 1024

Body = TypeVar("Body")
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

#: the name of the client that a request came from, for the audit trail
CLIENT = web.RequestKey("client", str)


class Problem(Exception):
    """A refused request. ``cause`` is the interface's own code, ``invalid`` names fields and reasons."""

    def __init__(self, status: int, cause: str, detail: str, invalid: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status = status
        self.cause = cause
        self.detail = detail
        self.invalid = dict(invalid or {})


def problem_json(problem: Problem) -> web.Response:
    """RFC 9457 problem details with the members that 3GPP adds (TS 29.571 §5.2.4.1)."""
    body: dict[str, object] = {"status": problem.status, "cause": problem.cause, "detail": problem.detail}
    if problem.invalid:
        body["invalidParams"] = [{"param": name, "reason": reason} for name, reason in problem.invalid.items()]
    return web.Response(status=problem.status, body=msgspec.json.encode(body), content_type="application/problem+json")


class Gate:
    """Who may call: clients by the key that they send as ``Authorization: Bearer …`` (RFC 6750 §2.1).

    Only digests of keys are known here, so neither settings nor memory give a key away.
    """

    def __init__(self, keys: Mapping[str, ApiKeySettings]) -> None:
        """``keys`` are the settings': name of the client → digest of its key and what it may do."""
        self._clients = {bytes.fromhex(key.digest): (name, key.rights) for name, key in keys.items()}

    def open(self, right: Right, handler: Handler, refuse: Callable[[Problem], web.Response] = problem_json) -> Handler:
        """``handler`` for clients that have ``right``; every ``Problem`` is answered as ``refuse`` spells it."""

        async def guarded(request: web.Request) -> web.StreamResponse:
            try:
                request[CLIENT] = self._client(request, right)
                return await handler(request)
            except Problem as problem:
                log.info("request_refused", path=_route(request), status=problem.status, cause=problem.cause)
                return refuse(problem)

        return guarded

    def _client(self, request: web.Request, right: Right) -> str:
        scheme, _, key = request.headers.get("Authorization", "").partition(" ")
        known = self._clients.get(hashlib.sha256(key.strip().encode()).digest())
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
    """The body as ``decoder`` reads it. Raises ``Problem`` 400 that names the field, or 413."""
    body = await request.read()
    if len(body) > BODY_LIMIT:
        raise Problem(413, cause, f"longer than {BODY_LIMIT} bytes")
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        reason, _, path = str(error).partition(" - at `$")
        field = path.rstrip("`").lstrip(".") or "body"
        raise Problem(400, cause, f"{field}: {reason}", {field: reason}) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Problem(400, cause, f"not JSON: {error}", {"body": "not JSON"}) from None


def json_response(body: object, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    """``body`` as JSON; fields that are None or unset are left out where its type says so."""
    return web.Response(status=status, body=msgspec.json.encode(body), content_type="application/json", headers=headers)
