"""Conversations by text: keywords and answers that people type into an SMS or a chat, over the dialogs of USSD.

A text knows no session, so one is made: it begins with a keyword and lasts until nothing was heard for a while. Its
id is the id of the message that began it, and every idempotency key is derived from that: a message that comes twice
is answered with the stored answer, and with Redis emptied it asks the engine for the same operation again.

Nothing is ever answered to senders that are no telephone numbers, and only so often to those that are: the other end
may be a machine that answers every text.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from typing import Literal, cast
from uuid import UUID

import msgspec
import structlog

from channels.conversation import Conversation
from channels.inputs import Inputs
from channels.layout import pages
from channels.outcome import Outcome
from channels.quota import Quota, QuotaDown
from channels.session import Begun, Session, Thread
from channels.sessions import SessionStore
from channels.text_exchange import Exchange, fresh, live, over
from channels.text_turn import SILENCE, Shown, TextProfile, TextTurn, choices
from channels.trace import Listener, Trace, TracePublisher
from channels.turn import Event, Profile, Turn
from dialogs.keywords import (
    ANSWER_DIGITS_MOST,
    CHOOSE_LINE,
    CONFIRM_LINE,
    Beginning,
    Intent,
    Keyword,
    Keywords,
    bare_number,
    text_notices,
)
from dialogs.machine import YES, Machine
from dialogs.notices import Notices
from dialogs.said import Screen
from dialogs.steps import Step
from dialogs.typed import fits_shape
from dialogs.words import Ask, Choose, Confirm, Context, MoneyStep
from engine.api import Engine
from engine.words import Subscriber
from runtime.keyring import Keyring
from runtime.metrics import Metrics
from settings import Operator

log = structlog.get_logger(__name__)

#: a telephone number, not a name or short code: who sends from those is a machine
DIALABLE = re.compile(r"\+?[0-9]{7,15}")
HOUR = 3600
#: notices for people that have no line here: one clear answer, then silence
STRANGERS = ("notice.unknown_line", "notice.bad_number", "notice.terminated")


class TextConversation(Conversation):
    """Serves texts of all carriers and apps. One per process."""

    reply_type = Shown
    lasting = True

    def __init__(
        self,
        *,
        engine: Engine,
        machine: Machine,
        notices: Notices,
        store: SessionStore,
        profiles: Mapping[str, TextProfile],
        metrics: Metrics,
        operator: Operator,
        quota: Quota,
        keyring: Keyring,
        publisher: TracePublisher | None = None,
        listeners: Sequence[Listener] = (),
    ) -> None:
        """``profiles`` by the name of the carrier or app; ``publisher`` only while the simulator is on."""
        super().__init__(
            engine=engine,
            machine=machine,
            notices=notices,
            store=store,
            profiles=profiles,
            metrics=metrics,
            publisher=publisher,
            listeners=listeners,
        )
        self._keyring, self._quota = keyring, quota
        self.adopt(operator)

    def adopt(self, operator: Operator) -> None:
        """Understand and say from now on what this operator's file says; its texts are the machine's."""
        self._keywords = Keywords(self._machine.texts, operator)
        self._said = text_notices(operator, self._keywords)

    async def receive(
        self,
        app: str,
        conversation: str,
        message_id: str,
        msisdn: str,
        text: str,
        *,
        channel: str = "sms",
        on: str | None = None,
        opt: Literal["stop", "start"] | None = None,
    ) -> Shown:
        """Answer one text, whatever happens; an answer that is ``silent`` is not sent.

        ``app``: the carrier's or chat app's name in the settings. ``conversation``: whom we talk with there, a number
        or a chat; each has a session of its own. ``message_id``: the same each time the message comes, and no number.
        ``on``: the screen whose button was pressed, with ``text`` as its key; pressed on an older screen it means
        nothing any more, and the current screen is the answer. ``opt``: the carrier itself took the text for STOP or
        START, and has answered it.
        """
        if not DIALABLE.fullmatch(re.sub(r"[\s()-]", "", msisdn)):
            log.info("text_ignored", gateway=app, reason="sender")
            return SILENCE
        # A session's name lies in Redis in clear, and what names a conversation may be a number.
        name = self._keyring.digest("conversation", f"{app}|{conversation}".encode())[:8].hex()
        turn = TextTurn(
            channel=channel,
            gateway=app,
            session_id=name,
            msisdn=msisdn,
            text=text,
            event=Event.NEW,
            sequence=message_id,
            on=on,
            opt=opt,
        )
        shown = cast(Shown, await self.turn(turn))
        if shown.label in STRANGERS and await self._over("stranger", turn, 1, unknown=True):
            return SILENCE
        return shown

    def _traced(self, turn: Turn) -> str:
        """A text knows no session: whoever sent it finds its trace under the message's own id."""
        return f"{turn.gateway}:{turn.sequence}"

    async def _converse(
        self, turn: Turn, begun: Begun, subscriber: Subscriber, profile: Profile, trace: Trace
    ) -> Outcome:
        """One text from a line of ours: a word aside, the beginning of a conversation, or an answer within one."""
        turn, profile, session = cast(TextTurn, turn), cast(TextProfile, profile), begun.session
        trace.before, trace.typed = "" if session is None else session.place.state, [turn.text]
        keyword = None if turn.on is not None else self._keywords.read(turn.text)
        intent = None if keyword is None else keyword.intent
        stop = turn.opt == "stop" or intent is Intent.STOP
        start = turn.opt == "start" or intent is Intent.START
        if stop or start:  # obeyed even where it is not answered
            await self._engine.opt_out(subscriber.msisdn, stop)
        if await self._over("texts", turn, profile.hourly):
            # One word of warning, then silence: nobody reads so many answers.
            told = SILENCE if await self._over("warned", turn, 1) else self._notice("too_many", subscriber.language)
            return Outcome(told, over(), keeps=False)
        exchange = Exchange(turn, subscriber, profile, trace, live(session, profile))
        if turn.opt is not None:
            return self._aside(exchange, None)
        if stop or start or intent is Intent.HELP:
            return self._aside(exchange, "stopped" if stop else "started" if start else "help")
        if intent is Intent.CONTINUE:
            return await self._continued(exchange)
        beginning = self._beginning(keyword, exchange)
        if beginning is not None:
            whole = intent is Intent.RECHARGE and bool(beginning.typed)
            return await self._begun(exchange, beginning, direct=whole)
        # A button may be tapped twice, and the first tap have ended it all: then the end is the current screen.
        standing = session if turn.on is not None and fresh(session, profile) else exchange.live
        if standing is not None:
            return await self._answered(exchange, standing)
        if turn.on is not None or bare_number(turn.text) is not None:
            return self._aside(exchange, "text_ended")
        return self._aside(exchange, None if await self._over("help", turn, profile.hourly_helps) else "not_understood")

    def _beginning(self, keyword: Keyword | None, exchange: Exchange) -> Beginning | None:
        """Where a text begins a conversation: a keyword, or a voucher number that nobody has asked for."""
        if keyword is not None:
            return self._keywords.beginning(keyword)
        number = None if exchange.turn.on is not None else bare_number(exchange.turn.text)
        if number is None or len(number) <= ANSWER_DIGITS_MOST:
            return None
        state = None if exchange.live is None else self._machine.states.get(exchange.live.place.state)
        # Beside options a number is one that is asked for only if it looks like one.
        listed = isinstance(state, Choose) and any(fits_shape(one, number) for one in state.typed)
        return None if listed or isinstance(state, Ask) else Beginning(self._machine.home, (number,))

    async def _begun(self, exchange: Exchange, beginning: Beginning, *, direct: bool) -> Outcome:
        """A conversation begins with this message: its keys are derived from it."""
        origin = exchange.own_origin()
        context = exchange.context(self._engine, origin)
        step, page = await self._machine.begin(beginning.state, context), 0
        if beginning.typed:
            typed = Inputs(list(beginning.typed), restart=False)
            step, page = await self._play(typed, Session(step.place), context, exchange.profile)
        return await self._shown(exchange, context, origin, (step, page), direct=direct)

    async def _continued(self, exchange: Exchange) -> Outcome:
        """Go on where the line has left off, in this conversation or wherever else: same place, same keys."""
        line, live = self._store.line(exchange.turn), exchange.live
        if live is not None and not self._machine.left_behind(live.place):
            live = None
        left = await self._store.left(line)
        if live is None or (left is not None and left.name != line.name):
            context = exchange.context(self._engine, exchange.own_origin())
            back = await self._starts.come_back(left, context, ask=False)
            if back is not None:
                return await self._shown(exchange, context, back.origin, (back.step, 0))
        if live is None:
            return self._aside(exchange, "nothing_left")
        return await self._answered(exchange, live, again=True)

    async def _answered(self, exchange: Exchange, live: Session, *, again: bool = False) -> Outcome:
        """An answer in a conversation; on a screen that has gone by, or ``again``, the current one is shown again."""
        thread, origin = cast(Thread, live.thread), UUID(bytes=live.origin)
        context = exchange.context(self._engine, origin)
        if again or (exchange.turn.on is not None and exchange.turn.on != thread.shown):
            step = await self._machine.show(live.place, context)
            return await self._shown(exchange, context, origin, (step, live.page), name=thread.shown)
        played = await self._play(Inputs([exchange.turn.text], restart=False), live, context, exchange.profile)
        return await self._shown(exchange, context, origin, played, direct=thread.direct)

    async def _shown(
        self,
        exchange: Exchange,
        context: Context,
        origin: UUID,
        played: tuple[Step, int],
        *,
        direct: bool = False,
        name: str | None = None,
    ) -> Outcome:
        """The answer and the session after it. ``direct``: a recharge that was asked for whole is not asked again."""
        step, page = played
        state = self._machine.states[step.screen.state]
        if direct and isinstance(state, Confirm) and state.purpose == "recharge":
            step, page = await self._machine.say(step.place, YES, context), 0
            state = self._machine.states[step.screen.state]
        exchange.trace.mark("dialog")
        exchange.trace.state = state.name
        sheets = self._pages(step.screen, context, exchange.profile)
        page = min(page, len(sheets) - 1)
        name = name or exchange.trace.hop.hex()[:8]
        shown = Shown(
            text=sheets[page],
            ends=step.screen.ends,
            label=state.name,
            body=step.screen.text,
            options=choices(step.screen, more=page < len(sheets) - 1),
            secret=step.screen.secret,
            screen=name,
            receipt=self._receipt(exchange.trace),
        )
        exchange.trace.mark("layout")
        # Who has left the way to the confirmation is asked again, whatever comes.
        thread = Thread(time.time(), name, direct and isinstance(state, Ask))
        session = Session(step.place, page, ended=shown.ends, origin=origin.bytes, thread=thread)
        return Outcome(shown, session)

    def _receipt(self, trace: Trace) -> tuple[int, UUID] | None:
        """The receipt of what this text has done, which the answer tells of."""
        return self._engine.told.receipt(trace.operations[-1]) if trace.answer and trace.answer.ok else None

    def _aside(self, exchange: Exchange, name: str | None) -> Outcome:
        """A word that leaves a conversation where it is; None for silence."""
        session, texts = exchange.live or over(), self._machine.texts
        if name is None:
            return Outcome(SILENCE, session)
        said = texts.say(texts.language(exchange.subscriber.language), self._said[name])
        screen = Screen(state=f"notice.{name}", text=said, ends=exchange.live is None)
        text = pages(screen, exchange.profile.budget)[0]
        return Outcome(Shown(text=text, ends=screen.ends, label=screen.state, body=said), session)

    def _pages(self, screen: Screen, context: Context, profile: Profile) -> list[str]:
        """Who types numbers into a text is told to; buttons tell it themselves."""
        if screen.options and not cast(TextProfile, profile).buttons:
            texts, confirms = self._machine.texts, isinstance(self._machine.states[screen.state], MoneyStep)
            line = texts.say(texts.language(context.language), CONFIRM_LINE if confirms else CHOOSE_LINE)
            screen = msgspec.structs.replace(screen, text=f"{screen.text}\n{line}")
        return pages(screen, profile.budget)

    def _notice(self, name: str, language: str | None = None) -> Shown:
        screen = self._notices.screen(name, language)
        return Shown(text=screen.text, ends=True, label=screen.state, body=screen.text)

    async def _over(self, what: str, turn: Turn, most: int, *, unknown: bool = False) -> bool:
        """Count one more of ``what`` in this hour: is that too many? ``unknown``: the answer while Redis is down."""
        try:
            return await self._quota.count(what, f"{turn.gateway}|{turn.session_id}", HOUR) > most
        except QuotaDown:
            return unknown
