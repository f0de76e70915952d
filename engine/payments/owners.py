"""Whose an event is: what its payment may be found by, and which of what was found is believed. Pure decisions."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

from engine.payments import names
from engine.payments.course import could_be, receipt_known
from engine.payments.names import Locator
from engine.payments.stored import Stored
from engine.recharge.gateways.contract import Event, GatewayState
from engine.recharge.gateways.references import is_account_number

#: Which locator found a payment, in the order in which they are believed.
PATH, ID, REF, STATUS_REF, REFERENCE = range(5)

#: the payments that an event's locators found, by which one did
Found = Mapping[int, Stored]


class Taken(NamedTuple):
    """An event that is in the inbox."""

    gateway: str
    event: Event
    #: shard and digest
    place: tuple[int, bytes]
    received_at: datetime
    #: it came on a path with a segment of its own
    on_path: bool


def owner_of(taken: Taken, found: Found) -> Stored | str | None:
    """The payment that an event is about, or why there is none; None where its payer has begun it."""
    name, event = taken.gateway, taken.event
    began_here = event.account_number is None
    stored = next((found[rank] for rank in (PATH, ID, REF, STATUS_REF) if rank in found), None)
    if taken.on_path and began_here and event.payment_id is None and PATH not in found:
        return "path"
    if PATH in found and ID in found and found[PATH].payment_id != found[ID].payment_id:
        return "path"
    if stored is not None and stored.gateway == name:
        return "reference" if _names_another(stored, event, found) else stored
    named = found.get(REFERENCE)
    if stored is None and named is not None and named.gateway == name and could_be(named, event.outcome):  # noqa: SIM102
        # Only what we gave the provider is a payment's own name; whoever quotes the short one pays for its line.
        if is_account_number(event.account_number or "", named.reference, named.payment_id):
            return named
    if event.outcome.state is not GatewayState.CAPTURED or (stored is None and began_here):
        return "payment_unknown" if stored is None else "gateway"
    return None


def _names_another(stored: Stored, event: Event, found: Found) -> bool:
    """Whether an event that nobody signed names a reference that is another payment's, or not this one's.

    Whoever got hold of a payment's callback path could have it paid by a push of somebody else: that one's provider
    does confirm it, and names no amount.
    """
    if not event.ask_status:
        return False
    receipt, asked_by = found.get(REF, stored), found.get(STATUS_REF, stored)
    if asked_by.payment_id != stored.payment_id:
        return True
    if receipt.payment_id != stored.payment_id:
        # Money of this push that was counted as having come by itself: that is heard, and this one is a duplicate.
        name = event.outcome.gateway_ref or ""
        came = receipt.payment_id == names.incoming_id(stored.gateway, name) and receipt.money == stored.money
        return not (came and event.status_ref is not None and stored.asked_ref == event.status_ref)
    if PATH in found and receipt_known(stored) and event.outcome.gateway_ref not in (None, stored.gateway_ref):
        return True  # what was pushed is paid once: whoever told of it before, or does now, made a receipt up
    asked = stored.asked_ref in (None, event.status_ref)
    return event.status_ref is not None and not asked and STATUS_REF not in found


def locators_of(name: str, event: Event) -> dict[int, Locator]:
    """What its payment may be found by, beside the path that it came on."""
    locators: dict[int, Locator] = {}
    if event.payment_id is not None:
        locators[ID] = names.by_id(event.payment_id)
    if event.outcome.gateway_ref is not None:
        locators[REF] = names.by_gateway_ref(name, event.outcome.gateway_ref)
    if event.status_ref is not None:
        locators[STATUS_REF] = names.by_gateway_ref(name, event.status_ref)
    if event.account_number is not None:
        locators[REFERENCE] = names.by_reference(event.account_number)
    return locators
