"""One turn, from the gateway's words to the screen: lock, stored answer, dialogs, layout, deadline.

What it rests on: idempotency keys are derived from gateway, session, state and visit, so playing the same inputs again
asks the engine for the same operations and gets the same answers. That is why a session may be lost, a hop may come
twice, and two processes may work on one hop, and the books see one effect.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Coroutine, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, cast

import msgspec
import structlog

from channels.inputs import bounded, inputs
from channels.keys import derived_keys
from channels.layout import pages
from channels.outcome import Outcome
from channels.playing import Player
from channels.promises import Promises
from channels.push import pushed
from channels.session import Begun, Line, Session
from channels.sessions import SessionsDown, SessionStore, answer_life
from channels.starting import Starts, origin_in, own_origin, place_to_keep
from channels.trace import Listener, TooLate, Trace, TracePublisher, TurnMeters, Watched
from channels.turn import Event, Malformed, Profile, Reply, Turn
from dialogs.machine import Machine
from dialogs.notices import Notices
from dialogs.said import Screen
from dialogs.words import Context, Place
from engine.api import Engine
from engine.words import BadNumber, LineStatus, Subscriber, UnknownLine
from runtime.metrics import Metrics
from runtime.ongoing import Ongoing

log = structlog.get_logger(__name__)

#: seconds kept back from the gateway's deadline for writing and sending the answer
MARGIN_SECONDS = 1.0


class Conversation:
    """Serves turns of all gateways. One per process."""

    #: what answers are stored as
    reply_type: type[Reply] = Reply
    #: an answer stays with the person, so what it says was done is not told again
    lasting = False

    def __init__(
        self,
        *,
        engine: Engine,
        machine: Machine,
        notices: Notices,
        store: SessionStore,
        profiles: Mapping[str, Profile],
        metrics: Metrics,
        publisher: TracePublisher | None = None,
        listeners: Sequence[Listener] = (),
    ) -> None:
        """``profiles`` by the gateway's name in the settings; ``publisher`` only while the simulator is on."""
        self._engine = engine
        self._machine = machine
        self._notices = notices
        self._store = store
        self._profiles = profiles
        self._meters = TurnMeters(metrics, listeners)
        self._publisher = publisher
        self._starts = Starts(engine, machine, store)
        self._play = Player(machine, self._pages)
        self._ongoing = Ongoing()
        self._promises = Promises(engine, machine.texts, self._ongoing)
        self._reply_decoder = msgspec.msgpack.Decoder(self.reply_type)
        self._encoder = msgspec.msgpack.Encoder()

    async def turn(self, turn: Turn) -> Reply:
        """Answer one hop: whatever happens, with a screen."""
        if turn.event is Event.CLOSE:
            return await self._close(turn)
        if not (turn.session_id and turn.msisdn):
            # The gateway told them with an earlier hop, and what was kept of it is gone.
            return self._notice("session_lost", await self._language(turn))
        trace, line = Trace(self._store.hop(turn)), self._store.line(turn)
        profile = self._profiles[turn.gateway]
        try:
            bounded(turn)
        except Malformed as error:
            log.info("turn_refused", gateway=turn.gateway, reason=error.reason)
            trace.outcome = "malformed"
            self._meters.observe(turn, trace)
            return self._notice("bad_input", await self._language(turn))
        try:
            reply = await self._with_session(turn, line, profile, trace)
        except SessionsDown:
            reply = await self._without_session(turn, profile, trace)
        self._meters.observe(turn, trace, line.session, reply)
        if self._publisher is not None:
            await self._publisher.publish(self._traced(turn), trace)
        return reply

    def unreadable(self) -> Reply:
        """What is said to who typed what cannot be read."""
        return self._notice("bad_input")

    async def _language(self, turn: Turn) -> str | None:
        """What the line speaks, where that can be known."""
        try:
            return (await self._reading(turn)).language if turn.msisdn else None
        except Exception:  # noqa: BLE001 - whatever broke, the person is told in some language
            return None

    def _traced(self, turn: Turn) -> str:
        """What a turn's trace is kept under: with a gateway the session, whose hops follow one another."""
        return turn.session_id

    async def drain(self) -> None:
        """Wait for the work of turns that had to be answered before it was done."""
        await self._ongoing.drain()

    async def _close(self, turn: Turn) -> Reply:
        try:
            await self._store.close(self._store.line(turn), heard_out=turn.heard_out)
        except SessionsDown:
            log.info("session_not_closed", gateway=turn.gateway)
        return Reply(text="", ends=True)

    async def _with_session(self, turn: Turn, line: Line, profile: Profile, trace: Trace) -> Reply:
        """The turn between the two scripts. Raises ``SessionsDown`` while nothing has been done yet."""
        loop, hop = asyncio.get_running_loop(), trace.hop
        deadline = loop.time() + profile.deadline_seconds - MARGIN_SECONDS
        while True:
            # The holder itself answers by its own deadline, so a lock that lives longer belongs to a dead process.
            lock_ms = int(profile.deadline_seconds * 1000)
            # Redis and Postgres are asked at once: one wait less, and more turns share each round trip.
            reading = self._reading(turn)
            begun = await self._store.begin_by(deadline, line, hop, lock_ms, answer_us=answer_life(turn))
            trace.mark("begin")
            if begun.answer is not None:
                trace.outcome = "replayed"
                return self._reply_decoder.decode(begun.answer)
            if begun.token is None:
                trace.outcome = "late"
                return self._notice("busy")
            if begun.waited:  # for a turn of this line, which may have changed it after we looked
                reading = self._reading(turn)
            answer = self._answer(turn, begun, reading, profile, trace)
            outcome = await self._in_time(turn, begun, answer, trace, deadline)
            try:
                if not outcome.keeps:
                    await self._store.release(line, hop, begun.token)
                    return outcome.reply
                ended = await self._store.end(
                    line,
                    hop,
                    begun.token,
                    answer=self._encoder.encode(outcome.reply),
                    session=outcome.session,
                    keep_seconds=profile.session_seconds,
                    answer_us=answer_life(turn),
                    **self._starts.leaves(outcome.session, own_origin(turn), lasting=self.lasting),
                )
            except SessionsDown:
                # The effect is in the books; a retry plays it again under the same keys.
                return outcome.reply
            finally:
                trace.mark("end")
            if ended.answer is not None:
                trace.outcome = "replayed"
                return self._reply_decoder.decode(ended.answer)
            if not ended.stale:
                return outcome.reply
            # Someone else holds the line now: their answer is the one that counts, so wait for it.
            log.warning("turn_was_stale", gateway=turn.gateway)

    async def _without_session(self, turn: Turn, profile: Profile, trace: Trace) -> Reply:
        """Redis is down: a cumulative gateway tells the whole session with each hop, others must dial again."""
        if not turn.may_begin:
            return self._notice("session_lost", await self._language(turn))
        deadline = asyncio.get_running_loop().time() + profile.deadline_seconds - MARGIN_SECONDS
        alone = replace(turn, remembered=False)
        answer = self._answer(alone, Begun(), self._reading(turn), profile, trace)
        return (await self._in_time(alone, Begun(), answer, trace, deadline)).reply

    def _reading(self, turn: Turn) -> asyncio.Task[Subscriber]:
        """The line, on its way. What comes of it may be of no use to anybody: a hop that was answered before."""
        reading = self._ongoing.start(self._engine.subscriber(turn.msisdn))
        reading.add_done_callback(lambda done: done.cancelled() or done.exception())
        return reading

    async def _in_time(
        self, turn: Turn, begun: Begun, answer: Coroutine[Any, Any, Outcome], trace: Trace, deadline: float
    ) -> Outcome:
        """The answer, or at the deadline a notice, while the work goes on: it may have money on its way."""
        loop = asyncio.get_running_loop()
        work = self._ongoing.start(answer)
        await asyncio.wait((work,), timeout=max(deadline - loop.time(), 0.0))
        if work.done():
            return work.result()
        trace.outcome = "late"
        log.warning("turn_late", gateway=turn.gateway, posted=len(trace.operations))
        session = begun.session
        if trace.operations:
            place = place_to_keep(self._machine, session, own_origin(turn), trace.operations[-1])
            promise = await self._promises.make(trace, place)
            if promise is not None:
                self._ongoing.start(self._promises.keep(promise, work, trace))
                left = Session(Place()) if session is None else session
                ended = msgspec.structs.replace(left, seen_length=len(turn.text), seen=trace.hop, ended=True)
                return Outcome(self._notice("late", trace.language), ended)
        if not trace.operations and not trace.paying:
            # Nothing was asked of the one door yet, and after this answer nothing may be. What is being read is let
            # end: cut off it would take its connection to Postgres with it, when there are too few of them already.
            trace.closed = True
        # What was asked and could not be promised is found under its key when the hop comes again.
        return self._refusal(_not_now(trace), trace.language)

    async def _answer(
        self, turn: Turn, begun: Begun, reading: Awaitable[Subscriber], profile: Profile, trace: Trace
    ) -> Outcome:
        """Converse with the line that is being read. Never raises: a failure is a screen too."""
        try:
            subscriber = await reading
            trace.go_on()
            trace.language = subscriber.language
            trace.mark("read")
            if subscriber.status is LineStatus.TERMINATED:
                trace.outcome = "refused"
                return self._refusal("terminated", trace.language)
            return await self._converse(turn, begun, subscriber, profile, trace)
        except TooLate:
            return self._refusal("try_again")  # nobody hears it: that is what they were told
        except UnknownLine:
            trace.outcome, reason, notice = "refused", "unknown_line", "unknown_line"
        except BadNumber as error:
            trace.outcome, reason, notice = "refused", f"number_{error.args[0]}", "bad_number"
        except Exception as error:
            # Whatever broke, the person gets a screen, and the hop may be tried again: nothing of it is kept.
            trace.outcome, reason, notice = "failed", type(error).__name__, _not_now(trace)
            log.exception("turn_failed", gateway=turn.gateway)
        log.info("turn_refused", gateway=turn.gateway, reason=reason, msisdn=turn.msisdn)
        return self._refusal(notice, trace.language)

    async def _converse(
        self, turn: Turn, begun: Begun, subscriber: Subscriber, profile: Profile, trace: Trace
    ) -> Outcome:
        """Play the new inputs from where the person stands, and lay out the screen they lead to."""
        session, own = begun.session, own_origin(turn)
        origin, start = origin_in(session, own), None
        fed = inputs(turn, session, lambda length: self._store.hop(turn, length))
        if fed.restart and not turn.may_begin:
            return self._refusal("session_lost", subscriber.language)
        context = Context(
            engine=cast(Engine, Watched(self._engine, trace)),
            subscriber=subscriber,
            language=subscriber.language,
            now=datetime.now(UTC),
            source=f"{turn.channel}:{turn.gateway}",
            key=derived_keys(origin),
            checkout=profile.checkout_in(turn),
        )
        if (push_id := pushed(turn)) is not None and not fed.restart:
            await self._engine.menus.menu_answered((subscriber.account.shard, push_id))
        trace.before, trace.typed = "" if session is None or fed.restart else session.place.state, fed.texts
        if session is None or fed.restart:
            start, texts, origin = await self._starts.start(turn, begun, fed.texts, context)
            fed = fed._replace(texts=list(texts))
        step, page = await self._play(fed, session, context, profile, start=start, shown=turn.remembered)
        trace.mark("dialog")
        trace.state = step.screen.state
        shown = self._pages(step.screen, context, profile)
        page = min(page, len(shown) - 1)
        reply = Reply(text=shown[page], ends=step.screen.ends, label=step.screen.state, checkout=step.checkout)
        trace.mark("layout")
        if session is not None and not fed.keeps:
            return Outcome(reply, session)
        carried = b"" if origin == own else origin.bytes
        return Outcome(reply, Session(step.place, page, len(turn.text), trace.hop, step.screen.ends, carried))

    def _pages(self, screen: Screen, _context: Context, profile: Profile) -> list[str]:
        return pages(screen, profile.budget)

    def _refusal(self, name: str, language: str | None = None) -> Outcome:
        """A screen that is not kept: it holds no effect, and the next try may fare better."""
        return Outcome(self._notice(name, language), Session(Place()), keeps=False)

    def _notice(self, name: str, language: str | None = None) -> Reply:
        screen = self._notices.screen(name, language)
        return Reply(text=screen.text, ends=True, label=screen.state)


def _not_now(trace: Trace) -> str:
    """The notice for a turn that came to nothing that may be kept."""
    return "paying" if trace.paying else "try_again"
