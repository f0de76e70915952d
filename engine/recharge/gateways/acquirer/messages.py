"""ISO 8583 messages: how they are packed, and what ours say.

Source: ISO 8583:1987 (message types, processing codes, data elements), ASCII, each message behind its length in two
bytes. Never a card number: field 2 is refused, the bank's token goes in the private field 48.
"""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import iso8583
from iso8583.specs import default_ascii

from engine.recharge.gateways.acquirer.options import AcquirerOptions
from engine.recharge.gateways.contract import ChargeRequest, PaymentRef, RefundRequest

Message = dict[str, str]

#: bytes; no message about one payment is longer
MESSAGE_LIMIT = 4096
LENGTH_BYTES = 2
SIGN_ON, SIGN_OFF, ECHO = "001", "002", "301"
#: processing codes (field 3): goods and services, refund, inquiry
PURCHASE, REFUND, INQUIRY = "000000", "200000", "380000"
#: field 22: credential on file, no PIN; field 25: electronic commerce
ON_FILE, REMOTE = "100", "59"
ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
TOKEN = re.compile(r"[\x21-\x7e]{1,100}")
#: without field 2: a message that carries a card number cannot be read either
SPEC: dict[str, dict[str, Any]] = {field: dict(rule) for field, rule in default_ascii.items() if field != "2"}


class Unreadable(Exception):
    """Not a message of ISO 8583 as it is spoken here."""


def pack(message: Message) -> bytes:
    """A message behind its length. Raises ``ValueError`` for one that carries a card number."""
    if "2" in message:
        raise ValueError("field 2: a card number is never sent")
    raw, _ = iso8583.encode(message, SPEC)
    return len(raw).to_bytes(LENGTH_BYTES) + bytes(raw)


def unpack(raw: bytes) -> Message:
    """A message without its length. Raises ``Unreadable``."""
    try:
        message, _ = iso8583.decode(raw, SPEC)
    except (ValueError, KeyError) as error:
        raise Unreadable(str(error)[:100]) from None
    return {field: value for field, value in message.items() if field not in {"h", "p", "1", "bm"}}


def answer_type(message_type: str) -> str:
    """The type that answers a request: 0200 and its repeat 0201 are answered by 0210."""
    return f"{message_type[:2]}{int(message_type[2]) + 1}0"


def stan(key: UUID, what: str) -> str:
    """Field 11: six digits that follow from the payment and the step, so that a repeat bears the same."""
    return f"{_digest(key, what) % 999_999 + 1:06d}"


def rrn(key: UUID) -> str:
    """Field 37: twelve characters that follow from the payment, one in 4.7 · 10¹⁸."""
    number, text = _digest(key, "rrn"), ""
    while len(text) < 12:
        number, digit = divmod(number, len(ALPHABET))
        text += ALPHABET[digit]
    return text


def _digest(key: UUID, what: str) -> int:
    return int.from_bytes(hashlib.blake2b(key.bytes, digest_size=16, person=what.encode()[:16]).digest())


class Speaker:
    """Makes the messages of one contract."""

    def __init__(self, options: AcquirerOptions) -> None:
        self._options = options

    def network(self, what: str, number: int) -> Message:
        """Sign-on, sign-off, echo: 0800."""
        now = datetime.now(UTC)
        return {"t": "0800", "7": _transmitted(now), "11": f"{number % 999_999 + 1:06d}", "70": what}

    def charge(self, request: ChargeRequest) -> Message:
        """0200, or 0100 where the amount is only reserved."""
        private = _private(TK=request.payer.token, RF=request.reference)
        message = self._financial(request.payment_id, "charge", request.amount)
        return {"t": self.charge_type} | message | {"3": PURCHASE, "48": private}

    @property
    def charge_type(self) -> str:
        """The type of the message that asks for money."""
        return "0100" if self._options.hold else "0200"

    def confirm(self, payment: PaymentRef) -> Message:
        """0220: the reserved amount is taken."""
        message = self._financial(payment.payment_id, "confirm", payment.amount)
        return {"t": "0220"} | message | {"3": PURCHASE, "90": self._original(payment.payment_id)}

    def reversal(self, payment_id: UUID, amount: int, *, repeat: bool) -> Message:
        """0400, and 0401 when it is said again."""
        message = self._financial(payment_id, "reverse", amount)
        return {"t": "0401" if repeat else "0400"} | message | {"3": PURCHASE, "90": self._original(payment_id)}

    def refund(self, request: RefundRequest) -> Message:
        """0200 with the processing code of a refund, naming the payment."""
        payment_id = request.payment.payment_id
        message = self._financial(request.refund_id, "refund", request.amount)
        private = _private(OR=rrn(payment_id))
        return {"t": "0200"} | message | {"3": REFUND, "48": private, "90": self._original(payment_id)}

    def inquiry(self, payment: PaymentRef) -> Message:
        """0600: what became of a payment."""
        message = self._financial(payment.payment_id, "inquire", payment.amount)
        return {"t": "0600"} | message | {"3": INQUIRY, "90": self._original(payment.payment_id)}

    def _financial(self, key: UUID, step: str, amount: int) -> Message:
        options, now = self._options, datetime.now(UTC)
        return {
            "4": f"{amount:012d}",
            "7": _transmitted(now),
            "11": stan(key, step),
            "18": options.category,
            "22": ON_FILE,
            "25": REMOTE,
            "32": options.acquirer_id,
            "37": rrn(key),
            "41": options.terminal_id.ljust(8),
            "42": options.merchant_id.ljust(15),
            "49": options.currency_number,
        }

    def _original(self, payment_id: UUID) -> str:
        """Field 90. The time of the original is not known after a crash and stays 0: field 37 names it."""
        acquirer = self._options.acquirer_id.rjust(11, "0")
        return f"{self.charge_type}{stan(payment_id, 'charge')}{'0' * 10}{acquirer}{'0' * 11}"


def _transmitted(now: datetime) -> str:
    return now.strftime("%m%d%H%M%S")


def _private(**parts: str) -> str:
    """Field 48: for each part a name of two letters, its length in three digits, its text in ASCII."""
    texts = {name: value.encode("ascii", "replace").decode()[:200] for name, value in parts.items()}
    return "".join(f"{name}{len(text):03d}{text}" for name, text in texts.items())


def read_private(text: str) -> dict[str, str]:
    """The parts of field 48. Raises ``Unreadable``."""
    parts: dict[str, str] = {}
    while text:
        name, length, rest = text[:2], text[2:5], text[5:]
        if not (length.isascii() and length.isdecimal()) or len(length) != 3 or len(rest) < int(length):
            raise Unreadable("field 48")
        parts[name], text = rest[: int(length)], rest[int(length) :]
    return parts
