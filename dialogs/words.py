"""The words in which dialogs are declared.

A dialog is a set of states. A state says what it loads, what it shows, what a person may answer and where that leads;
everything a check needs to know stands in the declaration, so a graph that cannot work is refused before start.

State functions work on *data*: what was chosen so far (kept in the session) and what ``load`` fetched for this screen
(not kept), in one mapping.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, NamedTuple, TypeAlias
from uuid import UUID

import msgspec

from dialogs.values import Text
from engine.api import Engine
from engine.words import Answer, CheckoutSession, Operation, Payment, PaymentRefused, Subscriber


class Place(msgspec.Struct, kw_only=True, array_like=True):
    """Where a person stands in the dialogs: all that must survive between two hops. Holds no secret."""

    state: str = ""
    #: what was chosen so far: codes, ids, amounts
    data: dict[str, Any] = {}
    #: the states that 0 leads back through, with their data
    trail: list[tuple[str, dict[str, Any]]] = []
    #: how often each money state was entered: part of the derived idempotency key
    visits: dict[str, int] = {}
    #: the edition of the dialogs that showed the screen: an option's number means nothing in another one
    edition: str = ""


@dataclass(slots=True, kw_only=True)
class Context:
    """Who is asking, on what, in which language: made by the channel for every turn.

    ``subscriber`` is read afresh each turn. ``language`` may change during the turn that changes it. ``source`` goes
    into the audit trail (``ussd:africastalking``). ``key`` derives the idempotency key of a money state from gateway,
    session, state and visit, so that the same inputs always come out with the same key.
    """

    engine: Engine
    subscriber: Subscriber
    language: str
    now: datetime
    source: str
    key: Callable[[str, int], UUID]
    #: in which the channel can take the money itself; None: it cannot
    checkout: CheckoutSession | None = None


Data: TypeAlias = Mapping[str, Any]


class Go(msgspec.Struct, frozen=True):
    """Go on in another state, and keep ``data`` on top of what is already known. ``done`` forgets the way back."""

    to: str
    data: dict[str, Any] = {}
    done: bool = False


class Wrong(msgspec.Struct, frozen=True):
    """Not acceptable: the same screen again under a short first line that says why."""

    why: Text


Words: TypeAlias = Text | Callable[[Data], Text]
Load: TypeAlias = Callable[[Context, Data], Awaitable[dict[str, Any] | Go]]
Accept: TypeAlias = Callable[[Context, Data, str], Awaitable[Go | Wrong]]


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """What all states have in common.

    ``load`` fetches what the text needs, or redirects to one of ``redirects``. ``samples`` are the longest data the
    screen can show: the check before start renders each of them in every language for every gateway.
    """

    name: str
    text: Words
    load: Load | None = None
    redirects: tuple[str, ...] = ()
    samples: tuple[Data, ...] = ({},)

    def leads(self) -> tuple[str, ...]:
        """Every state this one can go on to, navigation keys left out."""
        return self.redirects


@dataclass(frozen=True, slots=True)
class Link:
    """A fixed option of a menu: what it says and where it leads."""

    id: str
    label: Text
    to: str


class Item(msgspec.Struct, frozen=True):
    """An option that comes from data. ``data`` is kept with the choice: a price, as it was shown.

    ``to``: where it leads, if not where the others do.
    """

    id: str
    label: Text
    data: dict[str, Any] = {}
    to: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Typed:
    """Free input: its shape (a regular expression for the whole of it), what takes it and where that can lead.

    ``sample`` is one input of that shape, with which the check looks for ambiguity.
    """

    shape: str
    sample: str
    accept: Accept
    leads: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Menu(State):
    """Fixed options. ``typed``: longer inputs that take a short cut. ``exit``: where 0 leads in the first menu."""

    links: tuple[Link, ...] = ()
    typed: tuple[Typed, ...] = ()
    exit: str | None = None

    def leads(self) -> tuple[str, ...]:
        """Links, short cuts, exit and redirects."""
        typed = tuple(target for one in self.typed for target in one.leads)
        leaving = () if self.exit is None else (self.exit,)
        return (*(link.to for link in self.links), *typed, *leaving, *self.redirects)


@dataclass(frozen=True, slots=True, kw_only=True)
class Choose(State):
    """Options that come from data. The chosen item's id is kept in the data as ``keeps`` and leads to ``to``.

    ``also``: where single items lead instead. ``typed``: longer inputs that take a short cut. ``act`` may do something
    with the choice before the person arrives there. ``first``: the id of the option that this person takes most, or
    nothing: it stands first, but keeps its number, so that what is known by heart or printed goes on to mean the same.
    ``wrong`` answers what is neither option nor short cut, where there is more to say than that.
    """

    items: Callable[[Data], tuple[Item, ...]]
    keeps: str
    to: str
    also: tuple[str, ...] = ()
    typed: tuple[Typed, ...] = ()
    act: Callable[[Context, str], Awaitable[None]] | None = None
    first: Callable[[Data], str] | None = None
    wrong: Text | None = None

    def leads(self) -> tuple[str, ...]:
        """The target of most items, those of the others, short cuts and redirects."""
        typed = tuple(target for one in self.typed for target in one.leads)
        return (self.to, *self.also, *typed, *self.redirects)


#: the money steps that an operator may protect by PIN (``PinRules.required_for``)
Purpose: TypeAlias = Literal["purchase", "recharge", "payment", "transfer", "advance", "setting"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask(State):
    """Free input. ``wrong`` answers what has not even the shape; ``secret`` input is never kept or logged.

    With ``guards`` the state is the PIN gate before a money step of that purpose.
    """

    typed: Typed
    wrong: Text
    secret: bool = False
    guards: Purpose | None = None

    def leads(self) -> tuple[str, ...]:
        """Where the input can lead, and the redirects."""
        return (*self.typed.leads, *self.redirects)


class Before(NamedTuple):
    """The same money step as it was taken before: ``taken`` under this very key, so that these inputs were played.

    A payment that was asked for and has not come yet is not ``done``.
    """

    taken: bool
    at: datetime
    reference: str
    done: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class MoneyStep(State):
    """Option 1 moves money under the derived key. Only PIN gates of the same purpose may lead here.

    When the same was done in the last minutes under another key, the screen shows ``brief`` under a line that says when
    and under which reference, and asks whether to do it again. ``anew`` fetches what of the choices may have changed,
    a price or a fee, for who comes back to the screen later; or it leads to where it is said that they are gone.
    """

    purpose: Purpose
    yes: Text
    done: str
    refused: str
    brief: Words | None = None
    anew: Load | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirm(MoneyStep):
    """The money step that is answered at once: it posts ``operation`` to the engine.

    ``result`` makes the data of the ``done`` or ``refused`` state from the engine's answer. Without ``brief``, because
    it cannot be done twice, one that was done before leads to ``already`` with ``done_at`` and ``reference``.
    """

    operation: Callable[[Context, Data, UUID], Operation]
    result: Callable[[Context, Data, Answer], Awaitable[dict[str, Any]]]
    already: str | None = None

    def leads(self) -> tuple[str, ...]:
        """Done, refused, already done, and the redirects."""
        already = () if self.already is None else (self.already,)
        return (self.done, self.refused, *already, *self.redirects)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pay(MoneyStep):
    """The money step that asks somebody outside: the payer acts on their own phone, and the outcome comes by message.

    ``pay`` asks the engine for the payment and ``before`` for the same one of the last minutes; ``result`` makes the
    data of ``done`` from a payment that was asked for, or of ``refused`` from why it was not.
    """

    pay: Callable[[Context, Data, UUID], Awaitable[Payment]]
    before: Callable[[Context, Data, UUID], Awaitable[Before | None]]
    result: Callable[[Context, Data, Payment | PaymentRefused], dict[str, Any]]

    def leads(self) -> tuple[str, ...]:
        """Asked, refused, and the redirects."""
        return (self.done, self.refused, *self.redirects)


@dataclass(frozen=True, slots=True, kw_only=True)
class Say(State):
    """The end of a path: something is said and the session is over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Resume(State):
    """Asks who comes back whether to go on: option 1 leads to the screen that was left, option 2 to the first one.

    Its place is that of the screen left, whose name the data keeps as ``left``.
    """

    yes: Text
    anew: Text


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialog:
    """States that belong together. Their names begin with the dialog's: ``recharge.confirm``.

    ``entries``: states at which a session may begin, beside the first of all.
    """

    name: str
    states: tuple[State, ...]
    entries: tuple[str, ...] = ()
