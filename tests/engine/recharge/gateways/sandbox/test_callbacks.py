"""What the sandbox posts to us, and its settlement file."""

from __future__ import annotations

import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from engine.recharge.gateways.contract import (
    BadCallback,
    BadRow,
    CallbackRequest,
    GatewayState,
    SettlementRow,
)
from engine.recharge.gateways.sandbox.gateway import Gateway
from tests.engine.recharge.gateways.peers import (
    ACCOUNTS,
    callback,
)
from tests.engine.recharge.gateways.sandbox.account import made

# --- callbacks ---


def signed(body: bytes, secret: str = ACCOUNTS.webhook_secret, at: datetime | None = None) -> str:
    seconds = int((at or datetime.now(UTC)).timestamp())
    digest = hmac.new(secret.encode(), f"{seconds}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={seconds},v1={digest}"


def paid(**given: Any) -> bytes:
    payment = {
        "id": "sb_1",
        "payment_id": str(uuid4()),
        "state": "captured",
        "amount": 5000,
        "currency": "KES",
        **given,
    }
    return json.dumps({"id": "evt_1", "payment": payment}).encode()


def offline() -> Gateway:
    return made("http://127.0.0.1:9", webhook_secrets=(ACCOUNTS.webhook_secret, "another-secret"))


def test_any_of_the_secrets_in_force_will_do() -> None:
    body = paid()
    for secret in (ACCOUNTS.webhook_secret, "another-secret"):
        assert offline().read_callback(callback(body, sandbox_signature=signed(body, secret))).events


def refused(request: CallbackRequest) -> BadCallback:
    with pytest.raises(BadCallback) as error:
        offline().read_callback(request)
    return error.value


def test_a_forged_callback_is_refused() -> None:
    body = paid()
    for header in (
        signed(body, "guessed-secret"),
        signed(paid(amount=1)),
        "",
        "t=1",
        "v1=00",
        "t=x,v1=00",
        f"t={'9' * 400},v1=00",
        signed(body) + ",t=1",
        "t=1,v1=\udcff",
        "," * 5000,
    ):
        assert refused(callback(body, sandbox_signature=header)).status == 401


@pytest.mark.parametrize("minutes", [-6, 6, -100_000])
def test_a_stale_callback_and_one_from_the_future_are_refused(minutes: int) -> None:
    body, at = paid(), datetime.now(UTC) + timedelta(minutes=minutes)
    assert refused(callback(body, sandbox_signature=signed(body, at=at))).status == 401


def test_an_oversized_callback_is_refused_before_it_is_read() -> None:
    body = paid() + b" " * 65_536
    assert refused(callback(body, sandbox_signature=signed(body))).status == 413


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff\xfe",
        b"[" * 60_000,
        b'{"id": ' + b"9" * 20_000 + b"}",
        paid()[:-20],
        paid(amount=0),
        paid(amount=-5000),
        paid(amount=10**15 + 1),
        paid(amount=10**400),
        paid(amount=1.5),
        paid(amount=True),
        paid(amount="5000"),
        paid(amount=None),
        paid(currency="kes"),
        paid(currency=404),
        paid(state="paid"),
        paid(state=None),
        paid(payment_id="x"),
        paid(payment_id=7),
        b'{"id": "evt_1", "payment": []}',
        b'{"id": "evt_1", "payment": {"amount": NaN}}',
    ],
    ids=range(24),
)
def test_a_signed_callback_that_makes_no_sense_is_refused_all_the_same(body: bytes) -> None:
    assert refused(callback(body, sandbox_signature=signed(body))).status == 400


@pytest.mark.parametrize("moment", ["yesterday", "2026-11-21T10:42:11", "0001-01-01T00:00:00+03:00", 7])
def test_a_time_that_makes_no_sense_is_left_out(moment: Any) -> None:
    body = paid(changed_at=moment)
    (event,) = offline().read_callback(callback(body, sandbox_signature=signed(body))).events
    assert (event.outcome.state, event.outcome.at) == (GatewayState.CAPTURED, None)


# --- settlement file ---


def test_broken_rows_are_named_by_line_and_the_rest_is_done() -> None:
    good = f"sb_1,{uuid4()},captured,5000,KES,50,2026-11-21T10:42:11+00:00"
    lines = [
        "id,payment_id,state,amount,currency,fee,at",
        good,
        "sb_2,,captured,-5,KES,0,2026-11-21T10:42:11",
        "sb_3,,captured,9999999999999999,KES,0,2026-11-21T10:42:11",
        "sb_4,,captured,5,KES,0",
        '"sb_5,,captured,5,KES,0,2026-11-21T10:42:11',
        "sb 6,,captured,5,KES,0,2026-11-21T10:42:11",
        "sb_7,,captured,5,KES,0,yesterday",
        "sb_8,,paid,5,KES,0,2026-11-21T10:42:11",
        "sb_9,,captured,5,K€S,0,2026-11-21T10:42:11",
        "x" * 30_000,
        "",
        "sb_10,,refunded,-5,KES,0,2026-11-21T10:42:11Z",
        "sb_11,,captured,5,KES,0,0001-01-01T00:00:00+03:00",
    ]
    rows = list(offline().read_settlement(line + "\n" for line in lines))
    assert [row.line for row in rows if isinstance(row, BadRow)] == [3, 4, 5, 6, 7, 8, 9, 10, 11, 14]
    done = [row for row in rows if isinstance(row, SettlementRow)]
    assert [(row.line, row.amount, row.state) for row in done] == [
        (2, 5000, GatewayState.CAPTURED),
        (13, -5, GatewayState.REFUNDED),
    ]
    assert all(row.at.tzinfo is UTC for row in done)


@pytest.mark.parametrize("text", ["", "a,b,c\n1,2,3\n", "\ufeff\n\n"])
def test_a_file_that_is_not_theirs_is_refused_as_a_whole(text: str) -> None:
    [row] = list(offline().read_settlement(text.splitlines(keepends=True)))
    assert isinstance(row, BadRow) and "no header" in row.reason
