"""What happened to a line, as a row of its history: names, states and changes in a person's language."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

from dialogs.refusals import SENTENCES
from dialogs.values import Quantity, Text, text
from engine.words import MAY_ASK, Code, Event, RequestKind, Unit
from portal.base.words import LEFT_TO_RIGHT_MARK, RIGHT_TO_LEFT
from portal.console.acts import act as act_of
from portal.console.desk import Attendant, Desk
from portal.console.names import DELIVERIES, PAYMENT_STATES, STEPS
from portal.console.request_names import KINDS, OPERATION_KINDS, STEPS_OF_REQUESTS, TOPICS

#: operations that can be given back, and those that people are told of
GIVEN_BACK = frozenset({"purchase", "charge"})
TOLD = frozenset(
    {"recharge", "purchase", "settle", "refund", "reverse", "transfer", "received", "undo", "advance", "renew"}
)

NOT_DONE = text("Not done")

Write = Callable[[Any], str]


class Row(NamedTuple):
    """One thing that happened, as it is shown."""

    event: Event
    name: str
    #: nothing where there is nothing to say
    state: str = ""
    tone: str = ""
    #: (change with its sign, what was left, product)
    changes: tuple[tuple[str, str, str], ...] = ()
    #: a reason, or what went wrong
    said: str = ""
    may_refund: bool = False
    may_resend: bool = False


def row_of(desk: Desk, person: Attendant, currency: str, event: Event) -> Row:
    """One event in the language of who looks; what they may ask for of it depends on their role."""
    write = partial(desk.texts.write, person.language)
    if event.source in {"operation", "use"}:
        return _booking(write, person, currency, event)
    if event.source == "payment":
        return _with_state(write, event, _named(write, STEPS, event.what), PAYMENT_STATES)
    if event.source == "message":
        told = _with_state(write, event, _named(write, TOPICS, event.what), DELIVERIES)
        return told._replace(said=str(event.detail.get("error") or ""))
    why = str(event.detail.get("why") or "")
    act, _, step = event.what.partition(".")
    if act == "request" and event.detail.get("kind") in KINDS:
        known = STEPS_OF_REQUESTS.get(step, STEPS_OF_REQUESTS["asked"])
        return Row(event, write(KINDS[event.detail["kind"]][0]), write(known[0]), known[1], said=why)
    said, in_vain = act_of(event.what)
    row = Row(event, write(said), said=why)
    return row._replace(state=write(NOT_DONE), tone="bad") if in_vain else row


def _booking(write: Write, person: Attendant, currency: str, event: Event) -> Row:
    ok = event.state == Code.OK
    return Row(
        event,
        _named(write, OPERATION_KINDS, event.what),
        state="" if ok else write(SENTENCES[Code(event.state)]),
        tone="" if ok else "warn",
        changes=tuple(_change(write, person.language, one, currency) for one in event.detail["changes"]),
        may_refund=ok and event.what in GIVEN_BACK and person.staff.role in MAY_ASK[RequestKind.REFUND],
        may_resend=ok and event.what in TOLD and person.staff.role in MAY_ASK[RequestKind.RECEIPT],
    )


def _with_state(write: Write, event: Event, name: str, states: Mapping[str, tuple[Text, str]]) -> Row:
    known = states.get(event.state)
    return Row(event, name, event.state) if known is None else Row(event, name, write(known[0]), known[1])


def _named(write: Write, table: Mapping[str, tuple[Text, str]], code: str) -> str:
    known = table.get(code)
    return code if known is None else write(known[0])


def _change(write: Write, language: str, one: Mapping[str, Any], currency: str) -> tuple[str, str, str]:
    unit, before, after = Unit(one["unit"]), one["before"], one["after"]
    sign = "+" if after > before else "−" if after < before else ""
    moved, left = Quantity(unit, abs(after - before), currency), Quantity(unit, after, currency)
    # Where people write from the right, the sign stays on its number's left (UAX #9).
    mark = LEFT_TO_RIGHT_MARK if language in RIGHT_TO_LEFT else ""
    return mark + sign + write(moved), write(left), one["product"]
