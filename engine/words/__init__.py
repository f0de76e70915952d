"""The words the engine shares with its callers: what may be asked for, and what is answered.

Money is an integer in minor units of the account's currency; data is octets; time is seconds; times are
timezone-aware UTC. Everything here is plain data: no I/O, nothing that knows a database.
"""

from __future__ import annotations

from engine.words.accounts import (
    AccountRef,
    Bucket,
    LineStatus,
    PinVerdict,
    Subscriber,
    Unit,
    VoucherToken,
)
from engine.words.errors import (
    BadNumber,
    BadPin,
    BadVoucherNumber,
    EngineError,
    EngineUnavailable,
    TooManyCodes,
    UnknownLine,
)
from engine.words.messages import (
    Channel,
    DeliveryEvent,
    DeliveryState,
    Message,
    ParkedMessage,
    Preferences,
)
from engine.words.operations import (
    Adjust,
    Answer,
    Charge,
    Code,
    Effect,
    Expire,
    Operation,
    Purchase,
    Recharge,
    Refund,
)
from engine.words.payments import (
    Payment,
    PaymentMethod,
    PaymentState,
    Reverse,
    Settle,
)

__all__ = [
    "AccountRef",
    "Adjust",
    "Answer",
    "BadNumber",
    "BadPin",
    "BadVoucherNumber",
    "Bucket",
    "Channel",
    "Charge",
    "Code",
    "DeliveryEvent",
    "DeliveryState",
    "Effect",
    "EngineError",
    "EngineUnavailable",
    "Expire",
    "LineStatus",
    "Message",
    "Operation",
    "ParkedMessage",
    "Payment",
    "PaymentMethod",
    "PaymentState",
    "PinVerdict",
    "Preferences",
    "Purchase",
    "Recharge",
    "Refund",
    "Reverse",
    "Settle",
    "Subscriber",
    "TooManyCodes",
    "Unit",
    "UnknownLine",
    "VoucherToken",
]
