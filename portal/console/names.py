"""What states, kinds and reasons of the engine are called on a page, and how loud they are."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import NamedTuple

from dialogs.values import Text, text

#: code → (what it is called, tone of its tag: good, warn, bad, calm or none)
PAYMENT_STATES: dict[str, tuple[Text, str]] = {
    "created": (text("To be asked"), "calm"),
    "review": (text("Held for review"), "warn"),
    "requested": (text("Being asked"), "calm"),
    "pending": (text("Waits for the payer"), "calm"),
    "unknown": (text("Nobody knows yet"), "warn"),
    "held": (text("Reserved"), "calm"),
    "captured": (text("Captured"), "calm"),
    "settled": (text("Settled"), "good"),
    "declined": (text("Declined"), ""),
    "refunding": (text("Being given back"), "warn"),
    "refunded": (text("Given back"), ""),
    "charged_back": (text("Charged back"), "bad"),
}
METHODS: dict[str, tuple[Text, str]] = {
    "mobile_money": (text("Mobile money"), ""),
    "card": (text("Card"), ""),
    "bank": (text("Bank"), ""),
}
#: what happened to a payment (``RecoveryPoint.what``)
STEPS: dict[str, tuple[Text, str]] = {
    "began": (text("Begun"), ""),
    "came": (text("Came by itself"), ""),
    "asked": (text("Gateway asked"), ""),
    "asked_again": (text("Gateway asked again"), ""),
    "answered": (text("Gateway answered"), ""),
    "not_sent": (text("Gateway not reached"), "warn"),
    "rerouted": (text("Another gateway"), ""),
    "callback": (text("Gateway called back"), ""),
    "status": (text("Gateway asked what became of it"), ""),
    "statement": (text("Stated by the settlement file"), ""),
    "confirmed": (text("Reservation taken"), ""),
    "cancelled": (text("Called off"), ""),
    "called_off": (text("Called off by the payer"), ""),
    "never_asked": (text("Never asked for"), ""),
    "not_asked": (text("Not asked for"), ""),
    "given_up": (text("Given up"), "bad"),
    "settled": (text("Credited"), "good"),
    "restored": (text("Credited again"), "good"),
    "set_aside": (text("Set aside"), "warn"),
    "reversed": (text("Credit taken back"), "warn"),
    "returned": (text("Returned to the payer"), ""),
    "part_returned": (text("Part given back by the gateway"), "warn"),
    "refund": (text("Gateway asked to give back"), ""),
    "looked_again": (text("Taken up again by staff"), ""),
    "review_approve": (text("Released by staff"), "good"),
    "review_refuse": (text("Refused by staff"), "bad"),
    "review_ended": (text("Held for too long"), "bad"),
    "postponed": (text("Looked at later"), ""),
    "charged_back": (text("Charged back"), "bad"),
}
#: why a payment is where it is (``DeclineReason``, ``engine.payments.course``)
PAYMENT_REASONS: dict[str, tuple[Text, str]] = {
    "funds": (text("Too little money"), ""),
    "cancelled": (text("Called off by the payer"), ""),
    "timeout": (text("No answer in time"), ""),
    "wrong_pin": (text("Wrong PIN"), ""),
    "limit": (text("Over a limit"), ""),
    "method": (text("Card or account not taken"), ""),
    "fraud": (text("Suspicion of fraud"), ""),
    "other": (text("No reason given"), ""),
    "chargeback": (text("Charged back"), ""),
    "returned": (text("Given back"), ""),
    "won_back": (text("Dispute won"), ""),
    "not_settled": (text("Not taken by the books"), ""),
    "duplicate": (text("Counted under another payment"), ""),
    "unreachable": (text("Gateway not reached"), ""),
    "unresolved": (text("Nobody found out"), ""),
    "refund_refused": (text("The gateway does not give it back"), ""),
    "return_failed": (text("The gateway does not give it back"), ""),
    "line_closed": (text("The line was closed"), ""),
    "line_unknown": (text("There is no such line."), ""),
}
#: what made a payment suspicious, but how often it was tried (``risk``)
RISKS: dict[str, Text] = {
    "trusted": text("Trusted"),
    "amount_unusual": text("Amount far above the usual"),
    "line_new": text("New line"),
    "sim_changed": text("SIM changed lately"),
    "other_payer": text("Not paid from the own number"),
}
_VELOCITY = re.compile(r"velocity_(subscriber|payer|device)_([0-9]+)min")
VERDICTS: dict[str, tuple[Text, str]] = {
    "allow": (text("Allowed"), "good"),
    "review": (text("Held"), "warn"),
    "refuse": (text("Refused"), "bad"),
}
DIFFERENCES: dict[str, tuple[Text, str]] = {
    "missing_at_gateway": (text("Missing at the gateway"), "bad"),
    "missing_here": (text("Missing here"), "bad"),
    "amount": (text("Amount"), "warn"),
    "currency": (text("Currency"), "warn"),
    "status": (text("Status"), "warn"),
    "duplicate": (text("Duplicate"), "warn"),
    "timing": (text("Timing"), "calm"),
}
#: what is known here of what differs: the payment's state, or why there is none (``engine.reconciliation.rules``)
DIFFERENCE_REASONS: dict[str, tuple[Text, str]] = {
    **PAYMENT_STATES,
    "payment_unknown": (text("No such payment here"), ""),
    "told_twice": (text("Stated twice"), ""),
    "not_stated": (text("Not stated by the gateway"), ""),
}
DIFFERENCE_STATES: dict[str, tuple[Text, str]] = {
    "open": (text("Open"), "warn"),
    "assigned": (text("Assigned"), "calm"),
    "resolved": (text("Resolved"), "good"),
}
RESOLUTIONS: dict[str, tuple[Text, str]] = {
    "cleared": (text("Agrees by now"), "good"),
    "credited": (text("Booked"), "good"),
    "returned": (text("Returned to the payer"), ""),
    "corrected": (text("Corrected by the gateway"), "good"),
    "explained": (text("Explained"), "good"),
    "written_off": (text("Written off"), "warn"),
}
#: what was done with a discrepancy, before a colon (``Change.what``); behind it stands to whom, or how it was resolved
CHANGES: dict[str, tuple[Text, str]] = {
    **DIFFERENCE_STATES,
    "found": (text("Found"), ""),
    "cleared": RESOLUTIONS["cleared"],
}
BATCH_STATES: dict[str, tuple[Text, str]] = {
    "created": (text("Created"), ""),
    "printed": (text("Printed"), "calm"),
    "shipped": (text("Shipped"), "calm"),
    "active": (text("On sale"), "good"),
    "blocked": (text("Blocked"), "warn"),
    "recalled": (text("Recalled"), "bad"),
}
CASE_STATES: dict[str, tuple[Text, str]] = {
    "open": (text("Open"), "warn"),
    "resolving": (text("Being decided"), "calm"),
    "resolved": (text("Decided"), "good"),
}
OUTCOMES: dict[str, tuple[Text, str]] = {
    "refund": (text("Refund"), ""),
    "chargeback_accepted": (text("Chargeback accepted"), "warn"),
    "refused": (text("Refused"), ""),
}
LAYERS: dict[str, tuple[Text, str]] = {
    "hop": (text("What the person did"), ""),
    "operation": (text("Operation"), ""),
    "transfer": (text("Bookings"), ""),
    "payment": (text("Payment"), ""),
    "gateway": (text("Gateway"), ""),
    "callback": (text("Callback"), ""),
    "history": (text("Payment history"), ""),
    "receivable": (text("Receivables"), ""),
    "receipt": (text("Receipt"), ""),
    "message": (text("Message"), ""),
    "delivery": (text("Delivery"), ""),
    "staff": (text("Staff"), ""),
}
#: messages of a campaign (``Campaigns.outcome``), and states of one message
DELIVERIES: dict[str, tuple[Text, str]] = {
    "queued": (text("Waiting"), "calm"),
    "due": (text("Waiting"), "calm"),
    "sent": (text("With the carrier"), ""),
    "delivered": (text("Delivered"), "good"),
    "undelivered": (text("Not delivered"), "bad"),
    "failed": (text("Refused by the carrier"), "bad"),
    "expired": (text("Too late"), "bad"),
    "parked": (text("Given up"), "bad"),
    "dropped": (text("Not sent"), ""),
}
LIST_KINDS: dict[str, tuple[Text, str]] = {
    "subscriber": (text("Line"), ""),
    "payer": (text("Payer"), ""),
    "device": (text("Device"), ""),
}
LISTED: dict[str, tuple[Text, str]] = {
    "block": (text("Blocked"), "bad"),
    "allow": (text("Trusted"), "good"),
}
QUEUES: dict[str, Text] = {
    "messages_due": text("Messages due"),
    "messages_parked": text("Messages given up"),
    "payments_due": text("Payments due"),
    "payments_unknown": text("Payments nobody knows of"),
    "payments_refunding": text("Payments being given back"),
    "payments_held": text("Payments to review"),
    "callbacks_open": text("Callbacks to be done"),
    "events_due": text("Events due"),
    "events_parked": text("Events given up"),
    "discrepancies_open": text("Discrepancies open"),
    "disputes_open": text("Disputes open"),
    "disputes_overdue": text("Disputes overdue"),
}
#: units of the ledgers beside currencies
COUNTED: dict[str, Text] = {"octets": text("Octets"), "seconds": text("Seconds"), "messages": text("Texts")}
#: accounts of both ledgers
LEDGERS: dict[str, Text] = {
    "balance": text("Subscribers' balances"),
    "vouchers": text("Vouchers sold"),
    "usage": text("Earned from use"),
    "sales": text("Earned from products"),
    "grants": text("Granted by products"),
    "consumed": text("Used"),
    "breakage": text("Expired unused"),
    "adjustments": text("Corrections"),
    "gateway": text("Held by gateways"),
    "losses": text("Losses"),
    "clearing": text("Between subscribers"),
    "fees": text("Fees"),
    "advances": text("Advances"),
    "overrun": text("Used beyond grants"),
    "credit": text("Credit given"),
    "advance": text("Owed as service"),
    "billed": text("Billed"),
    "revenue": text("Revenue"),
    "unapplied": text("Owed back to payers"),
    "bank": text("Paid out to our bank"),
}


def risk(code: str) -> Text:
    """What a reason of the fraud layer is called; one that is new tells itself."""
    often = _VELOCITY.fullmatch(code)
    if often is not None:
        return text("{of}: many payments in {minutes} min", of=LIST_KINDS[often[1]][0], minutes=often[2])
    return RISKS.get(code) or text("{code}", code=code)


class Tag(NamedTuple):
    """A code as people read it. ``tone`` is the class of its colour."""

    name: str
    tone: str


def tagger(say: Callable[[Text], str]) -> Callable[[Mapping[str, tuple[Text, str]], str], Tag]:
    """What tells a code of one of the tables above in the language of ``say``; a code that is new tells itself."""

    def tag(table: Mapping[str, tuple[Text, str]], code: str) -> Tag:
        """The words and the colour of one code."""
        known = table.get(str(code))
        return Tag(str(code), "") if known is None else Tag(say(known[0]), known[1])

    return tag
