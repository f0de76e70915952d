"""Which of a payer's pushes a receipt is of."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import uuid4

from engine.payments.pushes import paid_by
from engine.payments.stored import Stored
from engine.words import PaymentState

ASKED, RECEIPT = "ws_CO_1", "RCP1"


def push(state: PaymentState, gateway_ref: str, *, captured: int | None = None) -> Stored:
    """A push of 50.00 under the provider's name ``ASKED``."""
    now = datetime.now(UTC)
    given = dict.fromkeys(Stored._fields) | {
        "shard": 1,
        "account_id": uuid4(),
        "payment_id": uuid4(),
        "gateway": "mpesa",
        "gateway_ref": gateway_ref,
        "asked_ref": ASKED,
        "amount": 5_000,
        "currency": "KES",
        "captured": captured,
        "returned": 0,
        "state": state.value,
        "created_at": now,
        "changed_at": now,
    }
    return Stored(**given)


def test_a_receipt_is_of_the_push_that_was_paid_without_one() -> None:
    paid = push(PaymentState.SETTLED, ASKED, captured=5_000)
    assert paid_by([push(PaymentState.DECLINED, ASKED), paid], RECEIPT) is paid


def test_a_receipt_that_a_push_heard_meanwhile_is_of_that_push_and_of_no_older_one() -> None:
    older, heard = (
        push(PaymentState.SETTLED, ASKED, captured=5_000),
        push(PaymentState.SETTLED, RECEIPT, captured=5_000),
    )
    assert paid_by([older, heard], RECEIPT) is heard


def test_another_receipt_than_the_push_s_own_is_other_money() -> None:
    assert paid_by([push(PaymentState.SETTLED, RECEIPT, captured=5_000)], "RCP2") is None
