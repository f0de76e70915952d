"""Payments whose payers were asked, laid out as rows, and the signed callback that says that each was made."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg

from bench.people import Person, copy_rows
from engine.payments import names
from engine.payments.tables import payment, payment_locator
from engine.storage.sharding import new_id
from engine.words import PaymentMethod, PaymentState
from runtime.keyring import Keyring

AMOUNT = 5_000
GATEWAY, SECRET = "bench", "whsec_of_the_benchmark"


async def lay_out(url: str, keyring: Keyring, paying: Sequence[Person], currency: str) -> list[bytes]:
    """A payment for each, who may stand there more than once, and its callback as a whole request."""
    asked = [(person, new_id()) for person in paying]
    secrets = [names.path_secret(keyring, payment_id) for _, payment_id in asked]
    async with await psycopg.AsyncConnection.connect(url) as connection:
        await copy_rows(connection, payment, (_row(*one, currency) for one in asked))
        await copy_rows(connection, payment_locator, _locators(asked, secrets))
    return [_request(payment_id, secret, currency) for (_, payment_id), secret in zip(asked, secrets, strict=True)]


def _row(person: Person, payment_id: UUID, currency: str) -> dict[str, Any]:
    now = datetime.now(UTC)
    return {
        **person.account._asdict(),
        "payment_id": payment_id,
        "line_id": person.line_id,
        "gateway": GATEWAY,
        "method": PaymentMethod.MOBILE_MONEY.value,
        "amount": AMOUNT,
        "currency": currency,
        "state": PaymentState.PENDING.value,
        "reference": names.reference(person.account, payment_id),
        "source": "ussd:bench",
        "created_at": now,
        "changed_at": now,
        "requested_at": now,
        "next_check_at": now + timedelta(hours=1),
    }


def _request(payment_id: UUID, secret: str, currency: str) -> bytes:
    reference = f"sb_{payment_id.hex}"
    told = {"id": reference, "payment_id": str(payment_id), "state": "captured", "amount": AMOUNT}
    body = json.dumps({"id": f"evt_{payment_id.hex}", "payment": told | {"currency": currency}}).encode()
    at = str(int(time.time()))
    signature = hmac.new(SECRET.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()
    head = (
        f"POST /payments/{GATEWAY}/callback/{secret} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        f"Content-Type: application/json\r\nSandbox-Signature: t={at},v1={signature}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def _locators(asked: Sequence[tuple[Person, UUID]], secrets: Sequence[str]) -> Iterator[dict[str, Any]]:
    for (person, payment_id), secret in zip(asked, secrets, strict=True):
        reference = names.by_reference(f"{names.reference(person.account, payment_id)}{payment_id.hex}")
        for locator in (names.by_id(payment_id), names.by_path(secret), reference):
            yield {
                "shard": locator.shard,
                "digest": locator.digest,
                "owner_shard": person.account.shard,
                "account_id": person.account.account_id,
                "payment_id": payment_id,
            }
