"""Where a session begins: at home, on the screen that its line has left, or where a dialled code leads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple
from uuid import UUID

import msgspec

from channels.keys import derived_keys, origin_of
from channels.session import Begun, Left, Session
from channels.sessions import SessionStore
from channels.turn import Turn
from dialogs.machine import Machine
from dialogs.shortcuts import CODE_GONE, dialled, followed
from dialogs.steps import Step
from dialogs.words import Context, MoneyStep, Place, Say
from engine.api import Engine, KeptPlace
from engine.words import Operation


class Started(NamedTuple):
    """The first screen of a session, what is still to be typed there, and what its keys derive from."""

    step: Step
    texts: Sequence[str]
    origin: UUID


def own_origin(turn: Turn) -> UUID:
    """What keys derive from in a session that continues no other."""
    return origin_of(turn.gateway, turn.session_id)


def origin_in(session: Session | None, own: UUID) -> UUID:
    """What keys derive from in a session; ``own`` where it continues no other."""
    return UUID(bytes=session.origin) if session is not None and session.origin else own


class Starts:
    """Begins sessions of all gateways. One per process."""

    def __init__(self, engine: Engine, machine: Machine, store: SessionStore) -> None:
        self._engine = engine
        self._machine = machine
        self._store = store

    async def start(self, turn: Turn, begun: Begun, texts: Sequence[str], context: Context) -> Started:
        """Where a session begins with these inputs. Sets what the context derives keys from."""
        own = own_origin(turn)
        context.key = derived_keys(own)
        if turn.begins:
            return Started(await self._machine.begin(turn.begins, context), texts, own)
        if not texts and begun.left:
            back = await self.come_back(await self._store.left(self._store.line(turn)), context, ask=True)
            if back is not None:
                return back
            context.key = derived_keys(own)
        code = dialled(texts, self._engine.operator)
        if code.recovery:
            return await self._recovered(code.recovery, code.typed, own, context)
        if code.way:
            step, ended = await followed(self._machine, code.way, context)
            # What was dialled for the screen at the end of the way means nothing on another one.
            return Started(step, code.typed if ended else (), own)
        return Started(await self._machine.open(context), code.typed, own)

    async def come_back(self, left: Left | None, context: Context, *, ask: bool) -> Started | None:
        """The screen that a line has left in whatever session; None where there is none.

        With ``ask`` the person is asked first whether to go on.
        """
        return None if left is None else await self._at(left.session.place, left.origin, context, ask=ask)

    def leaves(self, session: Session, own: UUID, *, lasting: bool) -> dict[str, Any]:
        """What a session leaves for who comes back to it, in the words of ``SessionStore.end``.

        ``own`` as in ``origin_in``. ``lasting``: its answers stay with the person, so none has to be told again.
        """
        done = isinstance(self._machine.states.get(session.place.state), Say)
        if self._machine.left_behind(session.place) and not (lasting and done):
            seconds = self._engine.operator.sessions.resume_minutes * 60
            return {"origin": origin_in(session, own), "resume_seconds": seconds}
        # Who came back to a dialled session, and stands at the menu now, has begun anew or has heard what was done.
        return {"forgets": not lasting and bool(session.origin) and session.place.state == self._machine.home}

    async def _at(self, place: Place, origin: UUID, context: Context, *, ask: bool) -> Started | None:
        context.key = derived_keys(origin)
        step = await self._machine.come_back(place, context, ask=ask)
        return None if step is None else Started(step, (), origin)

    async def _recovered(self, code: str, typed: Sequence[str], own: UUID, context: Context) -> Started:
        """The very screen that a code leads back to, once; or why nobody can go on there now."""
        line = context.subscriber.line
        kept = await self._engine.places.place_of(line, code, own)
        back = None
        if kept is not None:
            place = msgspec.convert(kept.place, Place)
            back = await self._at(place, kept.origin, context, ask=False)
        if back is not None:
            if self._machine.left_behind(back.step.place):
                return back._replace(texts=typed)
            # The balance is too low, say: what was dialled behind the code means nothing here, and the code stays good.
            await self._engine.places.leave_place(line, code, own)
            return back._replace(texts=())
        context.key = derived_keys(own)
        return Started(await self._machine.begin(self._machine.home, context, first=CODE_GONE), (), own)


def place_to_keep(machine: Machine, session: Session | None, own: UUID, operation: Operation) -> KeptPlace | None:
    """The confirm screen that an operation was posted from, to come back to; None where it is not known."""
    if session is None:
        return None
    place, origin = session.place, origin_in(session, own)
    key = derived_keys(origin)(place.state, place.visits.get(place.state, 0))
    if not isinstance(machine.states.get(place.state), MoneyStep) or key != operation.key:
        return None
    plain: Any = msgspec.to_builtins(place)
    return KeptPlace(plain, origin)
