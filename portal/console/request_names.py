"""What requests, operations and states of lines are called on a page."""

from __future__ import annotations

from dialogs.refusals import SENTENCES
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
#: what is written down of a request (``request.…``)
STEPS_OF_REQUESTS: dict[str, tuple[Text, str]] = {
    "asked": (text("Asked for"), "calm"),
    "approve": (text("Approved"), "good"),
    "refuse": (text("Refused"), "bad"),
    "done": (text("Done"), "good"),
    "failed": (text("Could not be done"), "bad"),
    "expired": (text("Nobody decided in time"), ""),
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
    "hands": text("One administrator may know the passwords of both of you. Somebody else has to approve this."),
    "anew": text("Whoever asked was given a new password since. It has to be asked for again."),
}
#: what a request or booking came to: the one door's codes, and what else hinders a request (``engine.staff.doing``)
OUTCOMES: dict[str, tuple[Text, str]] = {
    **{code.value: (said, "") for code, said in SENTENCES.items()},
    "unknown": (PROBLEMS["subject"], ""),
    "status_refused": (PROBLEMS["status"], ""),
    "nothing_to_send": (text("There is nothing that could be sent."), ""),
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
    "use": text("Use"),
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
#: messages by topic (``dialogs.messages``)
TOPICS: dict[str, tuple[Text, str]] = {
    topic: (said, "")
    for topic, said in {
        "recharge.done": text("Receipt of a recharge"),
        "purchase.done": text("Receipt of a purchase"),
        "payment.done": text("Receipt of a payment"),
        "payment.reversed": text("Payment given back"),
        "payment.part_returned": text("Part of a payment given back"),
        "payment.declined": text("Payment not made"),
        "payment.action": text("Payment: something to do"),
        "refund.done": text("Receipt of a refund"),
        "alert.low_balance": text("Low balance"),
        "alert.expired": text("Something expired"),
        "alert.expiring": text("Something expires soon"),
        "alert.cap_reached": text("Limit reached"),
        "alert.used_share": text("Part of a bundle used"),
        "alert.unusual_use": text("Unusual use"),
        "alert.rolled_over": text("Rest rolled over"),
        "gift.sent": text("Gift sent"),
        "gift.received": text("Gift received"),
        "gift.undone": text("Gift taken back"),
        "gift.taken_back": text("Gift returned"),
        "bill.issued": text("Bill"),
        "advance.done": text("Advance given"),
        "advance.recovered": text("Advance paid back"),
        "renewal.notice": text("Renewal comes soon"),
        "renewal.done": text("Renewed"),
        "renewal.failed": text("Not renewed"),
        "security.pin_changed": text("PIN changed"),
        "security.pin_removed": text("PIN taken away"),
        "security.pin_locked": text("PIN locked"),
        "security.chat_linked": text("Chat linked"),
        "security.link_code": text("Code for linking a chat"),
        "security.sign_in_code": text("Code for signing in"),
        "security.erasure_code": text("Code for erasure"),
        "alarm.voucher_guessing": text("Alarm: vouchers guessed"),
        "campaign": text("Campaign"),
        "reply": text("Answer to the person"),
        "promise": text("Outcome that was promised"),
    }.items()
}
