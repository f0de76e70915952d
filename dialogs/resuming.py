"""Coming back to a dialogue that broke off: what is asked, what is fetched anew, and what was done already.

Keys of money steps count how often a step was entered. Who goes on enters the step that was left once more under the
same count, so under the same key: what they had confirmed without hearing of it is not done twice. Only where the
engine has refused what stands under that key is a fresh one taken.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

from dialogs.screens import screen_text
from dialogs.values import Clock, Text, text
from dialogs.words import Ask, Choose, Confirm, Context, Data, Go, MoneyStep, Pay, Place, Resume, Say, State
from engine.words import PaymentState

#: what a question to go on keeps beside what was chosen: the screen that was left, and whether it takes a fresh key
LEFT, FRESH = "left", "fresh"
#: what the end of a money step keeps of when it was done
DONE_AT = "at"
WHERE_YOU_LEFT = text("Continue where you left off?")


class Return(NamedTuple):
    """How somebody comes back: to a state, with what is known, under a line that tells what was done meanwhile."""

    state: str
    known: Place
    first: Text | None = None


def left_behind(states: Mapping[str, State], place: Place) -> bool:
    """Whether a place is worth coming back to: on the way to money, or where money has just moved."""
    state = states.get(place.state)
    if isinstance(state, Say):
        return DONE_AT in place.data and "reference" in place.data
    if isinstance(state, (MoneyStep, Resume)):
        return True
    if not isinstance(state, (Ask, Choose)) or not place.data:
        return False
    dialog = place.state.partition(".")[0]
    return any(isinstance(one, MoneyStep) and name.partition(".")[0] == dialog for name, one in states.items())


async def coming_back(
    states: Mapping[str, State], home: str, question: str, left: Place, context: Context
) -> Return | None:
    """How to come back to a place that was left; None where it is nothing to come back to.

    ``context`` derives keys as the session did that was left. ``question``: the state that asks whether to go on; with
    an empty one nobody is asked.
    """
    if not left_behind(states, left):
        return None
    if LEFT in left.data:
        kept = {name: value for name, value in left.data.items() if name not in (LEFT, FRESH)}
        left = Place(state=left.data[LEFT], data=kept, trail=left.trail, visits=left.visits)
    state, nothing = states.get(left.state), Place(visits=left.visits)
    if state is None:
        return None
    if isinstance(state, Say):
        at = datetime.fromisoformat(left.data[DONE_AT])
        asked = next((one for one in states.values() if isinstance(one, Pay) and one.done == state.name), None)
        if asked is not None:
            return Return(home, nothing, await _came_of(states, asked, context, at, left.data["reference"]))
        return Return(home, nothing, done_line(at, left.data["reference"]))
    fresh = False
    if isinstance(state, MoneyStep):
        done, fresh = await _became(states, state, left, context)
        if done is not None:
            return Return(home, nothing, done)
    if question:
        data = {**left.data, LEFT: state.name, FRESH: fresh}
        return Return(question, Place(data=data, trail=left.trail, visits=left.visits))
    return await going_on(states, {**left.data, LEFT: state.name, FRESH: fresh}, left, context)


async def question(states: Mapping[str, State], home: str, context: Context, data: Data) -> dict[str, Any] | Go:
    """What the question to go on shows, with prices and fees of now; or where it is said that they are gone."""
    left = states.get(data.get(LEFT, ""))
    if left is None:
        return Go(home, done=True)
    if not isinstance(left, MoneyStep):
        return {"what": WHERE_YOU_LEFT}
    fresh = await _anew(left, context, data)
    if isinstance(fresh, Go):
        return fresh
    known = {**data, **fresh}
    loaded = {} if left.load is None else await left.load(context, known)
    return loaded if isinstance(loaded, Go) else {"what": continued(left, {**known, **loaded})}


def continued(step: MoneyStep, data: Data) -> Text:
    """The question whether to go on with a money step."""
    return text("Continue: {what}", what=screen_text(step, data))


async def going_on(states: Mapping[str, State], data: Data, place: Place, context: Context) -> Return:
    """Back to the screen that was left, a money step by way of its PIN gate."""
    left = states[data[LEFT]]
    kept = {name: value for name, value in data.items() if name not in (LEFT, FRESH)}
    visits = dict(place.visits)
    if not isinstance(left, MoneyStep):
        return Return(left.name, Place(data=kept, trail=place.trail, visits=visits))
    fresh = await _anew(left, context, kept)
    if isinstance(fresh, Go):
        return Return(fresh.to, Place(data=fresh.data, visits=visits))
    if not data[FRESH]:
        # Entering counts it once more.
        visits[left.name] = max(visits.get(left.name, 0) - 1, 0)
    gate = next(one.name for one in states.values() if isinstance(one, Ask) and one.guards and left.name in one.leads())
    return Return(gate, Place(data={**kept, **fresh}, trail=place.trail, visits=visits))


def asked_line(at: datetime, reference: str) -> Text:
    """That a payment was asked for, for who has not heard of it."""
    return text("Asked at {time}, ref {reference}.", time=Clock(at), reference=reference)


def done_line(at: datetime, reference: str) -> Text:
    """That a money step was done, for who has not heard of it."""
    return text("Done at {time}, ref {reference}.", time=Clock(at), reference=reference)


async def _became(
    states: Mapping[str, State], step: MoneyStep, left: Place, context: Context
) -> tuple[Text | None, bool]:
    """What became of a money step that was left: the line where it was done; whether it needs a fresh key."""
    key = context.key(step.name, left.visits.get(step.name, 0))
    if isinstance(step, Confirm):
        answer = await context.engine.answer_under(context.subscriber.account, key)
        if answer is None or not answer.ok:
            return None, answer is not None
        return done_line(answer.booked_at, answer.reference), False
    if isinstance(step, Pay):
        loaded = {} if step.load is None else await step.load(context, left.data)
        before = None if isinstance(loaded, Go) else await step.before(context, {**left.data, **loaded}, key)
        if before is not None and before.taken:
            return await _came_of(states, step, context, before.at, before.reference), False
    return None, False


async def _came_of(states: Mapping[str, State], step: Pay, context: Context, at: datetime, reference: str) -> Text:
    """What has come of a payment that was asked for, in the words of its own screens once it has ended."""
    payment = await context.engine.find_payment(reference)
    if payment is None or payment.state not in (PaymentState.SETTLED, PaymentState.DECLINED):
        return asked_line(at, reference)
    to = step.done if payment.state is PaymentState.SETTLED else step.refused
    return screen_text(states[to], step.result(context, {}, payment))


async def _anew(step: MoneyStep, context: Context, data: Data) -> dict[str, Any] | Go:
    return {} if step.anew is None else await step.anew(context, data)
