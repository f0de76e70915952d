"""What all of Stripe's paths share here: who may call, a key that comes again, an answer."""

from __future__ import annotations

import secrets

import msgspec
from aiohttp import web

from sandbox.payments.ledger import Payment
from sandbox.payments.shapes import stripe_error


def check_key(request: web.Request, secret_key: str) -> None:
    """Turn away whoever calls without the account's key."""
    given = request.headers.get("Authorization", "").encode()
    if not secrets.compare_digest(given, f"Bearer {secret_key}".encode()):
        body = stripe_error("invalid_request_error", "invalid_api_key")
        raise web.HTTPUnauthorized(text=body, content_type="application/json")


def written(form: dict[str, str]) -> str:
    """A form as it is remembered with its idempotency key."""
    return msgspec.json.encode(form, order="sorted").decode()


def repeated(known: Payment, form: dict[str, str]) -> web.Response:
    """The same key again: the same answer to the same form, an error to any other."""
    if written(form) != known.details["form"]:
        return answer(400, stripe_error("idempotency_error", "idempotency_key_reused"))
    if not known.answer:
        return answer(409, stripe_error("idempotency_error", "idempotency_key_in_use"))
    status, _, body = known.answer.partition(" ")
    return answer(int(status), body)


def answer(status: int, body: str) -> web.Response:
    """JSON that is written already."""
    return web.Response(status=status, text=body, content_type="application/json")
