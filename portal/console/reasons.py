"""Why something that staff asked for was not done: the engine's codes in words."""

from __future__ import annotations

from collections.abc import Mapping

from dialogs.refusals import SENTENCES
from dialogs.values import Text, text
from engine.words import Code, Coded
from portal.console import names

#: the engine's codes (``Coded.code``); what stands in braces is one of its values
REASONS: dict[str, Text] = {
    "case_unknown": text("There is no such case."),
    "case_resolved": text("This case was decided before: {outcome}."),
    "case_resolving": text("This case is being decided so: {outcome}. That has to be finished first."),
    "case_not_payment": text("Only a payment can be charged back."),
    "case_nothing": text("This case names nothing that could be given back."),
    "nothing_done": text("Nothing here has this reference."),
    "several_done": text("More than one has this reference."),
    "not_as_sealed": text("This booking is not as it was sealed: the audit trail has to be verified."),
    "owner": text("Somebody must be named."),
    "discrepancy_unknown": text("There is no such discrepancy."),
    "discrepancy_resolved": text("This discrepancy was resolved before: {resolution}."),
    "discrepancy_not_missing": text("Only what is missing here, and nothing but its booking, can be booked."),
    "discrepancy_not_credited": text("It could not be credited. The payment: {payment}."),
    "discrepancy_no_payment": text("It could not be booked: its payment is not known."),
    "discrepancy_not_booked": text("It could not be booked: the gateway does not confirm it."),
    "discrepancy_key_gone": text("What the payer typed cannot be read any more: its key is gone."),
    "batch_unknown": text("There is no such batch."),
    "batch_step": text("From “{state}” a batch cannot be taken to “{to}”."),
    "batch_own": text("You made this batch: somebody else has to put it on sale."),
    "serial_unknown": text("This batch has no voucher {serial}."),
    "list_who": text("This is none of the kind that was chosen."),
    "review_unknown": text("No payment of this reference waits for review."),
    "review_two": text("Two payments have this reference."),
    "review_decided": text("Somebody else decided on this payment meanwhile."),
}
#: what the one door says of money that is to be given back
_BOOKS: dict[str, Text] = {
    Code.BALANCE_TOO_LOW: text("The line has less than that left."),
    Code.PAYMENT_NOT_SETTLED: text("The payment was not credited."),
    Code.PAYMENT_CLOSED: text("The payment was given back before."),
}
#: a form that was changed on its way
NOT_OFFERED = text("This is not among what can be chosen here.")
#: what codes among the values are called
_TABLES: Mapping[str, Mapping[str, tuple[Text, str]]] = {
    "outcome": names.OUTCOMES,
    "resolution": names.RESOLUTIONS,
    "state": names.BATCH_STATES,
    "to": names.BATCH_STATES,
    "payment": names.PAYMENT_STATES,
}


class NotDone(Exception):
    """What a form asks for is not possible, in words of ours."""

    def __init__(self, said: Text) -> None:
        super().__init__(said.message)
        self.said = said


def reason_of(error: Exception) -> Text | None:
    """Why something was not done; None where only the engine's own words say it."""
    if isinstance(error, NotDone):
        return error.said
    told = REASONS.get(error.code) if isinstance(error, Coded) else None
    if told is None or not isinstance(error, Coded):
        return None
    return text(told.message, **{name: _value(name, value) for name, value in error.values.items()})


def refused_by_books(code: str) -> Text:
    """Why the one door does not give money back."""
    return _BOOKS.get(code) or SENTENCES[Code(code)]


def _value(name: str, value: object) -> Text | str:
    known = _TABLES.get(name, {}).get(str(value))
    return known[0] if known is not None else "–" if value is None else str(value)
