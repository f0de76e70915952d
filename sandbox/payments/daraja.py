"""Daraja's bodies: results, callbacks, the statement (developer.safaricom.co.ke/APIs)."""

from __future__ import annotations

import csv
import io
import secrets
from collections.abc import Iterable
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from sandbox.payments.ledger import Payment, letters

NAIROBI = ZoneInfo("Africa/Nairobi")
CODES = {
    "funds": (1, "The balance is insufficient for the transaction."),
    "cancelled": (1032, "Request cancelled by user."),
    "timeout": (1037, "DS timeout user cannot be reached."),
    "wrong_pin": (2001, "The initiator information is invalid."),
    "limit": (4, "Daily transfer limit reached."),
    "other": (26, "System busy."),
}


def stk_callback(payment: Payment) -> dict[str, Any]:
    """What became of a push: ``Body.stkCallback``."""
    code, said = result_of(payment)
    callback: dict[str, Any] = {
        "MerchantRequestID": payment.details["merchant"],
        "CheckoutRequestID": payment.id,
        "ResultCode": code,
        "ResultDesc": said,
    }
    if code == 0:
        callback["CallbackMetadata"] = {
            "Item": [
                {"Name": "Amount", "Value": float(payment.major)},
                {"Name": "MpesaReceiptNumber", "Value": payment.details["receipt"]},
                {"Name": "Balance"},
                {"Name": "TransactionDate", "Value": int(local(payment.changed_at))},
                {"Name": "PhoneNumber", "Value": int(payment.details["phone"])},
            ]
        }
    return callback


def c2b_body(payment: Payment, shortcode: str) -> dict[str, str]:
    """A confirmation, and its validation."""
    return {
        "TransactionType": "Pay Bill",
        "TransID": payment.details["receipt"],
        "TransTime": local(payment.changed_at),
        "TransAmount": f"{payment.major:.2f}",
        "BusinessShortCode": shortcode,
        "BillRefNumber": payment.details["account"],
        "InvoiceNumber": "",
        "OrgAccountBalance": "",
        "ThirdPartyTransID": "",
        "MSISDN": payment.details["phone"],
        "FirstName": "WANJIKU",
    }


def statement(payments: Iterable[Payment]) -> str:
    """The organisation's statement as CSV, below its title."""
    out = io.StringIO()
    out.write("Organization Statement\nShort Code,600638\n\n")
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(
        [
            "Receipt No.",
            "Completion Time",
            "Details",
            "Transaction Status",
            "Paid In",
            "Withdrawn",
            "Reason Type",
            "Linked Transaction ID",
            "A/C No.",
        ]
    )
    for payment in payments:
        for moved in payment.movements:
            paid = moved.kind == "charge"
            receipt, amount = payment.details["receipt"], f"{abs(moved.amount) / 100:,.2f}"
            at = moved.at.astimezone(NAIROBI).strftime("%d-%m-%Y %H:%M:%S")
            row = [receipt if paid else letters(10), at, "Pay Bill", "Completed", amount if paid else ""]
            row += ["" if paid else f"-{amount}", "Pay Bill Online" if paid else "Pay Bill Online Reversal"]
            writer.writerow([*row, "" if paid else receipt, payment.details["account"]])
    return out.getvalue()


def taken(payment: Payment) -> dict[str, str]:
    """The answer to a push that was taken on."""
    said = "Success. Request accepted for processing"
    return {
        "MerchantRequestID": payment.details["merchant"],
        "CheckoutRequestID": payment.id,
        "ResponseCode": "0",
        "ResponseDescription": said,
        "CustomerMessage": said,
    }


def result_of(payment: Payment) -> tuple[int, str]:
    """Its result code, and that in words."""
    if payment.state == "declined":
        return CODES.get(payment.reason or "other", CODES["other"])
    return 0, "The service request is processed successfully."


def error_body(code: str, said: str) -> str:
    """A refusal."""
    return msgspec.json.encode({"requestId": secrets.token_hex(8), "errorCode": code, "errorMessage": said}).decode()


def local(at: datetime) -> str:
    """``yyyymmddhhmmss`` in Nairobi."""
    return at.astimezone(NAIROBI).strftime("%Y%m%d%H%M%S")


def read_local(text: str) -> datetime:
    """Nairobi's clock as it was written; long ago for what is no time."""
    try:
        return datetime.strptime(text, "%Y%m%d%H%M%S")  # noqa: DTZ007 - Nairobi's clock, compared with itself
    except ValueError:
        return datetime.min  # noqa: DTZ901 - far from now
