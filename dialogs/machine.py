"""The machine that walks the declared dialogs: place and input in, place and screen out.

It touches nothing but its arguments. The same inputs from the start walk the same states and count the same visits,
so a session that was lost is rebuilt by playing its inputs again and money steps come out with the same keys.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from typing import Any
from uuid import UUID

from dialogs.resuming import DONE_AT, Return, coming_back, going_on, left_behind, question
from dialogs.said import Option, Screen
from dialogs.screens import screen_text, told_before
from dialogs.steps import Shown, Step
from dialogs.texts import Texts
from dialogs.typed import fits_shape, option_typed, typed_text
from dialogs.values import Text, lines, text
from dialogs.words import (
    Ask,
    Before,
    Choose,
    Confirm,
    Context,
    Data,
    Dialog,
    Go,
    Menu,
    MoneyStep,
    Pay,
    Place,
    Resume,
    Say,
    State,
    Wrong,
)
from engine.words import PaymentRefused, PaymentState

BACK_KEY, HOME_KEY, MORE_KEY = "0", "00", "98"
#: the first two options, where they are always the same
YES, AGAIN = "1", "2"
BACK, HOME, MORE, EXIT = text("Back"), text("Home"), text("More"), text("Exit")
NO_SUCH_CHOICE = text("No such choice.")
CHANGED = text("This menu has changed:")
#: a redirect leads to a redirect only by mistake; more than this in a row is a circle
REDIRECTS_MOST = 10


class CircleError(Exception):
    """Redirects lead round in a circle: ``args[0]`` names the state."""


class Machine:
    """The dialogs of one operator, ready to be walked."""

    def __init__(
        self, dialogs: Iterable[Dialog], texts: Texts, home: str = "main_menu.home", edition: str = ""
    ) -> None:
        """``home`` is where a session begins and 00 leads. Raises ``KeyError`` when it is not declared.

        ``edition`` names these dialogs: in a session that another edition has begun, the screen is shown once more
        before an input is understood.
        """
        self.edition = edition
        self.states = {state.name: state for dialog in dialogs for state in dialog.states}
        self.home = self.states[home].name
        self.texts = texts
        self._question = next((name for name, state in self.states.items() if isinstance(state, Resume)), "")
        if self._question:
            asked = partial(question, self.states, self.home)
            self.states[self._question] = replace(self.states[self._question], load=asked)
        self._fixed_options: dict[tuple[str, str], tuple[Option, ...]] = {}

    def adopt(self, newer: Machine) -> None:
        """Be ``newer`` from now on; sessions under way go on in it from the screen on which they stand."""
        self.__dict__.update(newer.__dict__)

    async def open(self, context: Context) -> Step:
        """The first screen of a new session."""
        return await self.begin(self.home, context)

    async def begin(self, state: str, context: Context, known: Place | None = None, first: Text | None = None) -> Step:
        """The first screen of a session that begins elsewhere than at home. Raises ``KeyError`` for no such state.

        ``known``: choices, way back and visits that it begins with. ``first``: a line above the screen.
        """
        return await self._enter(known or Place(), Go(state), context, first)

    def left_behind(self, place: Place) -> bool:
        """Whether a place is worth coming back to."""
        return left_behind(self.states, place)

    async def come_back(self, left: Place, context: Context, *, ask: bool) -> Step | None:
        """The screen for who comes back to a place that was left; None where it is nothing to come back to.

        ``context`` derives keys as the session did that was left. With ``ask`` they are asked first whether to go on;
        why it cannot be gone on with is said above the menu, so that nobody is held up by what they once looked at.
        """
        back = await coming_back(self.states, self.home, self._question if ask else "", left, context)
        if back is None:
            return None
        step = await self._return(back, context)
        state = step.shown.state
        if back.state != self._question or state.name in (self._question, self.home):
            return step
        return await self.begin(
            self.home, context, Place(visits=step.place.visits), screen_text(state, step.shown.data)
        )

    async def _return(self, back: Return, context: Context) -> Step:
        return await self.begin(back.state, context, back.known, back.first)

    async def show(self, place: Place, context: Context) -> Step:
        """The screen of the place once more: no visit is counted."""
        state = self.states.get(place.state)
        if state is None:  # declared no longer: the software changed under the session
            return await self._enter(Place(visits=place.visits), Go(self.home), context)
        return self._step(await self._load(state, place, context), context)

    async def say(self, place: Place, typed: str, context: Context) -> Step:
        """One input from a person: navigation keys first, then what the state takes."""
        state = self.states.get(place.state)
        if state is None or isinstance(state, Say):
            # Visits go on counting, so that a chat which never ends does not reuse the key of an earlier purchase.
            return await self._enter(Place(visits=place.visits), Go(self.home), context)
        given = typed_text(typed)
        if given == HOME_KEY or (isinstance(state, Resume) and given in (BACK_KEY, AGAIN)):
            return await self._enter(Place(visits=place.visits), Go(self.home), context)
        if given == BACK_KEY:
            return await self._back(state, place, context)
        shown = await self._load(state, place, context)
        # What the screen stood on is gone, or the same was done since the person saw it: the input means nothing yet.
        if shown.state is not state or shown.place.data.get("again") != place.data.get("again"):
            return self._step(shown, context)
        # Another edition has other options under these numbers; what is typed freely means the same in all.
        if place.edition != self.edition and not isinstance(state, Ask):
            return self._step(shown, context, first=CHANGED)
        if isinstance(state, Resume) and given == YES:
            return await self._return(await going_on(self.states, place.data, place, context), context)
        outcome = await self._take(shown, given, context)
        if isinstance(outcome, Wrong):
            return self._step(shown, context, first=outcome.why)
        return await self._enter(shown.place, outcome, context)

    def render(self, state: State, data: Data, language: str, first: Text | None = None) -> Screen:
        """The screen of a state for its data: pure. ``first`` is a line above it."""
        texts = self.texts
        body = screen_text(state, data)
        if first is not None:
            body = lines(first, body)
        if isinstance(state, Say):
            return Screen(state=state.name, text=texts.say(language, body), ends=True)
        deep = state.name != self.home and not isinstance(state, Resume)
        back = BACK if deep else EXIT if isinstance(state, Menu) and state.exit is not None else None
        home = HOME if deep and not isinstance(state, MoneyStep) else None
        return Screen(
            state=state.name,
            text=texts.say(language, body),
            options=self._options(state, data, language),
            first=state.first(data) if isinstance(state, Choose) and state.first is not None else "",
            back=None if back is None else texts.say(language, back),
            home=None if home is None else texts.say(language, home),
            more=texts.say(language, MORE),
            secret=isinstance(state, Ask) and state.secret,
        )

    def _options(self, state: State, data: Data, language: str) -> tuple[Option, ...]:
        if isinstance(state, Choose):
            return tuple([Option(item.id, self.texts.say(language, item.label)) for item in state.items(data)])
        known = self._fixed_options.get((state.name, language))
        if known is None:
            fixed: list[tuple[str, Text]] = []
            if isinstance(state, Menu):
                fixed = [(link.id, link.label) for link in state.links]
            elif isinstance(state, MoneyStep):
                fixed = [("yes", state.yes)]
            elif isinstance(state, Resume):
                fixed = [("yes", state.yes), ("anew", state.anew)]
            known = tuple(Option(name, self.texts.say(language, label)) for name, label in fixed)
            self._fixed_options[state.name, language] = known
        return known

    def _step(self, shown: Shown, context: Context, first: Text | None = None) -> Step:
        language = self.texts.language(context.language)
        shown.place.edition = self.edition
        return Step(shown, partial(self.render, shown.state, shown.data, language, first))

    async def _back(self, state: State, place: Place, context: Context) -> Step:
        if state.name == self.home and isinstance(state, Menu) and state.exit is not None:
            return await self._enter(place, Go(state.exit, done=True), context)
        # A screen that is declared no longer is no way back.
        known = [passed for passed in place.trail if passed[0] in self.states]
        if not known:
            return await self._enter(Place(visits=place.visits), Go(self.home), context)
        *trail, (name, data) = known
        return await self._enter(Place(data=data, trail=trail, visits=place.visits), Go(name), context)

    async def _take(self, shown: Shown, given: str, context: Context) -> Go | Wrong:
        state, data = shown.state, shown.data
        if isinstance(state, Ask):
            fits = fits_shape(state.typed, given)
            return await state.typed.accept(context, data, given) if fits else Wrong(state.wrong)
        if isinstance(state, Menu):
            number = option_typed(given, len(state.links))
            if number is not None:
                return Go(state.links[number].to)
        if isinstance(state, Choose):
            items = state.items(data)
            number = option_typed(given, len(items))
            if number is not None:
                if state.act is not None:
                    await state.act(context, items[number].id)
                return Go(items[number].to or state.to, {**items[number].data, state.keeps: items[number].id})
        if isinstance(state, (Menu, Choose)):
            for short_cut in state.typed:
                if fits_shape(short_cut, given):
                    return await short_cut.accept(context, data, given)
        if isinstance(state, Confirm) and given == YES:
            return await self._post(state, shown, context)
        if isinstance(state, Pay) and given == YES:
            return await self._pay(state, shown, context)
        return Wrong((isinstance(state, Choose) and state.wrong) or NO_SUCH_CHOICE)

    async def _post(self, state: Confirm, shown: Shown, context: Context) -> Go:
        """The one place where dialogs move money: shown, confirmed, posted under the derived key."""
        answer = await context.engine.post(state.operation(context, shown.data, _key(shown.place, context)))
        result = await state.result(context, shown.data, answer)
        result |= {DONE_AT: answer.booked_at.isoformat()} if answer.ok else {}
        return Go(state.done if answer.ok else state.refused, result, done=True)

    async def _pay(self, state: Pay, shown: Shown, context: Context) -> Go:
        """The one place where dialogs ask for money from outside: under the derived key, like what is posted."""
        try:
            payment = await state.pay(context, shown.data, _key(shown.place, context))
        except PaymentRefused as error:
            return Go(state.refused, state.result(context, shown.data, error), done=True)
        result = state.result(context, shown.data, payment)
        if payment.state is PaymentState.DECLINED:
            return Go(state.refused, result, done=True)
        return Go(state.done, result | {DONE_AT: payment.created_at.isoformat()}, done=True)

    async def _enter(self, place: Place, go: Go, context: Context, first: Text | None = None) -> Step:
        """Go on to a state: the one left is remembered for 0, unless the way is done."""
        state = self.states[go.to]
        left = self.states.get(place.state)
        if go.done:
            entered = Place(state=state.name, data=go.data, trail=[], visits=place.visits)
        else:
            # PIN gates are passed through: 0 behind one leads to the screen before it.
            gate = left is None or (isinstance(left, Ask) and left.guards is not None)
            trail = place.trail if gate else [*place.trail, (place.state, place.data)]
            entered = Place(state=state.name, data={**place.data, **go.data}, trail=trail, visits=place.visits)
        return self._step(await self._load(state, entered, context, entered=True), context, first)

    async def _load(self, state: State, place: Place, context: Context, *, entered: bool = False) -> Shown:
        """Fetch what a state needs, following redirects; states passed on the way are not remembered."""
        for _ in range(REDIRECTS_MOST):
            if entered and isinstance(state, MoneyStep):
                visits = {**place.visits, state.name: place.visits.get(state.name, 0) + 1}
                place = Place(state=place.state, data=place.data, trail=place.trail, visits=visits)
            loaded: dict[str, Any] | Go = {} if state.load is None else await state.load(context, place.data)
            taken = False
            if isinstance(state, MoneyStep) and not isinstance(loaded, Go):
                before = await self._done_before(state, place, loaded, context)
                taken = before is not None and before.taken
                if before is not None and not taken:
                    place, loaded = told_before(state, place, loaded, before)
            if not isinstance(loaded, Go):
                return Shown(state, place, {**place.data, **loaded}, taken)
            state, entered = self.states[loaded.to], True
            kept, trail = ({}, []) if loaded.done else (place.data, place.trail)
            place = Place(state=state.name, data={**kept, **loaded.data}, trail=trail, visits=place.visits)
        raise CircleError(state.name)

    async def _done_before(
        self, state: MoneyStep, place: Place, loaded: dict[str, Any], context: Context
    ) -> Before | None:
        """The same money step as it was taken in the last minutes, under whatever key."""
        key, data = _key(place, context), {**place.data, **loaded}
        if isinstance(state, Pay):
            return await state.before(context, data, key)
        if not isinstance(state, Confirm):
            return None
        answer = await context.engine.done_before(state.operation(context, data, key))
        return None if answer is None else Before(answer.key == key, answer.booked_at, answer.reference)


def _key(place: Place, context: Context) -> UUID:
    """The derived idempotency key of the money step that a person stands in."""
    return context.key(place.state, place.visits.get(place.state, 0))
