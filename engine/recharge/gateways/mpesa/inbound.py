"""What Daraja posts to us. Nothing is signed: paths are unguessable, and what is said is asked for before it is used.

Source: developer.safaricom.co.ke/APIs: M-Pesa Express (``stkCallback``), Customer To Business, Reversals and
Transaction Status (``Result``).
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from engine.recharge.gateways.amounts import precision, read_amount, whole
from engine.recharge.gateways.callbacks import table, word
from engine.recharge.gateways.contract import BadCallback, Event, GatewayState, Outcome
from engine.recharge.gateways.mpesa.client import NAIROBI
from engine.recharge.gateways.mpesa.codes import DONE, declined
from engine.recharge.gateways.references import payer_digest

CURRENCY = "KES"
ID = re.compile(r"[A-Za-z0-9_.-]{1,64}")
RECEIPT = re.compile(r"[A-Z0-9]{6,20}")
CODE = re.compile(r"[A-Za-z0-9_.]{1,20}")
PHONE = re.compile(r"[0-9]{10,15}")
#: SHA-256 of the number, which C2B confirmations of version 1 name instead
HASHED = re.compile(r"[0-9A-Fa-f]{64}")
ACCOUNT = re.compile(r"[^\x00-\x1f\x7f]{1,40}")
MOMENT = re.compile(r"[0-9]{14}")
SHORTCODE = re.compile(r"[0-9]{5,8}")
#: what "Transaction Status" calls a payment that stands, and one that was given back
COMPLETED, REVERSED = "completed", "reversed"


def stk_event(content: dict[str, Any]) -> Event:
    """The outcome of a push. ``CallbackMetadata`` is absent where it failed. Raises ``BadCallback``."""
    callback = table(table(content, "Body"), "stkCallback")
    checkout = word(callback, "CheckoutRequestID", ID)
    code = word(callback, "ResultCode", CODE)
    event_id = f"stk:{checkout}:{code}"
    if code != DONE:
        outcome = declined(code)
        return Event(event_id=event_id, outcome=outcome, status_ref=checkout, ask_status=True)
    items = _items(table(callback, "CallbackMetadata").get("Item"), "Name", "CallbackMetadata.Item")
    receipt = word(items, "MpesaReceiptNumber", RECEIPT)
    outcome = Outcome(
        state=GatewayState.CAPTURED,
        gateway_ref=receipt,
        amount=_cents(items, "Amount"),
        currency=CURRENCY,
        provider_code=code,
        at=_moment(items, "TransactionDate"),
    )
    # Whoever was first with another receipt must not take the place of the true one.
    event_id = f"{event_id}:{receipt}"
    payer = _payer(items.get("PhoneNumber"))
    return Event(event_id=event_id, outcome=outcome, payer_msisdn=payer, status_ref=checkout, ask_status=True)


def c2b_event(content: dict[str, Any], shortcodes: frozenset[str], *, paid: bool) -> Event:
    """A payment that the payer began: about to be made (validation), or made (confirmation). Raises ``BadCallback``."""
    if word(content, "BusinessShortCode", SHORTCODE) not in shortcodes:
        raise BadCallback("BusinessShortCode: not ours")
    receipt = word(content, "TransID", RECEIPT)
    outcome = Outcome(
        state=GatewayState.CAPTURED if paid else GatewayState.PENDING,
        gateway_ref=receipt,
        amount=_cents(content, "TransAmount"),
        currency=CURRENCY,
        at=_moment(content, "TransTime"),
    )
    return Event(
        event_id=f"c2b:{receipt}:{'paid' if paid else 'check'}",
        outcome=outcome,
        # A till (Buy Goods) asks for no account: theirs is empty then, or not there.
        account_number=word(content, "BillRefNumber", ACCOUNT).strip() if content.get("BillRefNumber") else "",
        payer_msisdn=_payer(content.get("MSISDN")),
        push_payer=_push_payer(content.get("MSISDN")) if paid else None,
        ask_status=paid,
    )


def reversal_event(content: dict[str, Any], payment_id: UUID, *, returned: int = 0) -> Event:
    """The result of a reversal that we asked for. Raises ``BadCallback``.

    ``returned``: cents that had gone back before. A refusal says what is true of the payment: it stays captured.
    """
    result = table(content, "Result")
    code = word(result, "ResultCode", CODE)
    event_id = f"reversal:{word(result, 'ConversationID', ID)}"
    if code != DONE:
        outcome = Outcome(state=GatewayState.CAPTURED, provider_code=f"reversal_{code}")
        return Event(event_id=event_id, payment_id=payment_id, outcome=outcome)
    items = _result_items(result)
    outcome = Outcome(
        state=GatewayState.REFUNDED,
        gateway_ref=word(items, "OriginalTransactionID", RECEIPT),
        amount=_cents(items, "Amount") + returned,
        currency=CURRENCY,
        provider_code=code,
        at=_moment(items, "TransCompletedTime"),
    )
    return Event(event_id=event_id, payment_id=payment_id, outcome=outcome)


def status_event(content: dict[str, Any], payment_id: UUID) -> Event:
    """The result of a question of ours about a receipt. Raises ``BadCallback``."""
    result = table(content, "Result")
    code = word(result, "ResultCode", CODE)
    event_id = f"status:{word(result, 'ConversationID', ID)}"
    if code != DONE:
        outcome = Outcome(state=GatewayState.UNKNOWN, provider_code=f"status_{code}")
        return Event(event_id=event_id, payment_id=payment_id, outcome=outcome)
    items = _result_items(result)
    said = word(items, "TransactionStatus", ACCOUNT).lower()
    states = {COMPLETED: GatewayState.CAPTURED, REVERSED: GatewayState.REFUNDED}
    outcome = Outcome(
        state=states.get(said, GatewayState.UNKNOWN),
        gateway_ref=word(items, "ReceiptNo", RECEIPT),
        amount=_cents(items, "Amount"),
        currency=CURRENCY,
        provider_code=said[:40],
    )
    return Event(event_id=event_id, payment_id=payment_id, outcome=outcome)


def _result_items(result: dict[str, Any]) -> dict[str, Any]:
    return _items(table(result, "ResultParameters").get("ResultParameter"), "Key", "ResultParameters")


def _items(listed: Any, key: str, where: str) -> dict[str, Any]:
    """``[{Name, Value}]`` as a table; ``Balance`` comes without a value."""
    if not isinstance(listed, list) or not all(isinstance(item, dict) for item in listed):
        raise BadCallback(f"{where}: not a list of items")
    return {item[key]: item.get("Value") for item in listed if isinstance(item.get(key), str)}


def _cents(content: dict[str, Any], name: str) -> int:
    value = content.get(name)
    try:
        if isinstance(value, str):
            cents = read_amount(value, CURRENCY)
        elif isinstance(value, int | Decimal) and not isinstance(value, bool):
            cents = whole(Decimal(value).scaleb(precision(CURRENCY)), CURRENCY)
        else:
            raise ValueError("missing or not a number")  # noqa: TRY004, TRY301 - told like the others
    except (ValueError, ArithmeticError) as error:
        raise BadCallback(f"{name}: {error if isinstance(error, ValueError) else 'larger than any payment'}") from None
    if cents <= 0:
        raise BadCallback(f"{name}: not an amount that can be paid")
    return cents


def _moment(content: dict[str, Any], name: str) -> datetime:
    text = word(content, name, MOMENT)
    try:
        return datetime.strptime(text, "%Y%m%d%H%M%S").replace(tzinfo=NAIROBI).astimezone(UTC)
    except (ValueError, OverflowError):
        raise BadCallback(f"{name}: not a time") from None


def _push_payer(value: Any) -> str | None:
    """The payer's digest, which some shortcodes are told instead of the number; None behind stars."""
    text = str(value)
    if HASHED.fullmatch(text):
        return text.lower()
    return payer_digest(text) if PHONE.fullmatch(text) else None


def _payer(value: Any) -> str | None:
    """Newer callbacks hide the number behind stars or a digest: then nobody is named."""
    return f"+{value}" if PHONE.fullmatch(str(value)) else None
