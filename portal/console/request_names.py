"""What requests, operations and states of lines are called on a page."""

from __future__ import annotations

from dialogs.values import Text, text
from engine.words import RequestKind, RequestState, Unit
from portal.selfcare.shown import KINDS as OPERATIONS

#: code → (what it is called, tone of its tag)
KINDS: dict[str, tuple[Text, str]] = {
    RequestKind.REFUND: (text("Give back a purchase"), ""),
    RequestKind.PAYMENT: (text("Give back a payment"), ""),
    RequestKind.ADJUST: (text("Correct the balance"), ""),
    RequestKind.STATUS: (text("Change the line's status"), ""),
    RequestKind.UNLOCK: (text("End locks"), ""),
    RequestKind.PIN: (text("Take the PIN away"), ""),
    RequestKind.RECEIPT: (text("Send a receipt again"), ""),
}
STATES: dict[str, tuple[Text, str]] = {
    RequestState.PENDING: (text("Waits for approval"), "warn"),
    RequestState.APPROVED: (text("Being done"), "calm"),
    RequestState.DONE: (text("Done"), "good"),
    RequestState.FAILED: (text("Could not be done"), "bad"),
    RequestState.REFUSED: (text("Refused"), "bad"),
    RequestState.EXPIRED: (text("Nobody decided in time"), ""),
}
#: why a request was not taken (``BadRequest``)
PROBLEMS: dict[str, Text] = {
    "role": text("This is not for your role."),
    "why": text("A reason must be given, of 3 to 500 characters."),
    "amount": text("This amount is not possible."),
    "status": text("A line cannot be taken to this status here."),
    "subject": text("There is no such thing on this line."),
    "decided": text("Somebody else decided on this, or it is too late."),
    "own": text("Whoever asks for something does not decide on it."),
}
LINE_STATES: dict[str, tuple[Text, str]] = {
    "preactive": (text("Not used yet"), "calm"),
    "active": (text("Active"), "good"),
    "suspended": (text("Paused"), "warn"),
    "barred": (text("Barred"), "bad"),
    "terminated": (text("Ended"), ""),
}
VOUCHER_STATES: dict[str, tuple[Text, str]] = {
    "unused": (text("Unused"), "good"),
    "redeemed": (text("Redeemed"), ""),
    "blocked": (text("Blocked"), "bad"),
}
SOURCES: dict[str, Text] = {
    "operation": text("Bookings"),
    "payment": text("Payments"),
    "message": text("Messages"),
    "staff": text("Staff"),
}
#: how each unit is typed
UNITS: dict[Unit, Text] = {
    Unit.MONEY: text("Money, in {currency}"),
    Unit.OCTETS: text("Data, in MB"),
    Unit.SECONDS: text("Calls, in minutes"),
    Unit.MESSAGES: text("Texts"),
}
OPERATION_KINDS: dict[str, tuple[Text, str]] = {kind: (said, "") for kind, said in OPERATIONS.items()}
