"""Linking a chat to a line: the person writes the number, and proves by a code sent as a text that it is theirs.

Nobody learns here whether a number is a customer's: the answer is the same either way. How often a chat may ask for a
code is counted here, how often a line may be sent one, and how often a code may be tried, by the engine.

Where a chat stands is kept like any session, under a keyed digest of the chat; the number in it is sealed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import NamedTuple
from uuid import uuid4

import msgspec
import structlog
from cryptography.exceptions import InvalidTag

from channels.chat.contract import ChatAnswer, Heard
from channels.quota import Quota, QuotaDown
from channels.session import Line, Session
from channels.sessions import SessionsDown, SessionStore
from channels.turn import Turn
from dialogs.keywords import bare_number
from dialogs.typed import typed_text
from dialogs.words import Place
from engine.api import Engine
from engine.words import BadNumber, LineStatus, TooManyCodes, UnknownLine
from runtime.keyring import Keyring

log = structlog.get_logger(__name__)

NUMBER, CODE = "link.number", "link.code"
#: where the text with a code is told
TOPIC = "security.link_code"
#: seconds that a half-made link is kept: as long as its code lives
KEEP_SECONDS = 600
#: milliseconds that one step may take before another process may take it up, and seconds between looks
LOCK_MS, LOOK_SECONDS = 10_000, 0.05
#: codes that a chat may ask for in an hour, whatever the numbers
CODES_AN_HOUR, HOUR = 5, 3600
#: wrong codes in a row before the number is asked for again
WRONG_MOST = 5
#: a number is longer, a code is not
CODE_DIGITS = 6


class Said(NamedTuple):
    """A sentence of ``dialogs.chats`` above another, by name."""

    name: str
    then: str = ""


class Step(NamedTuple):
    """What one message came to."""

    answer: ChatAnswer
    session: Session


#: the first screen for a chat that was linked just now: (what was heard, number, what the person had wished for)
Welcome = Callable[[Heard, str, str], Awaitable[ChatAnswer]]
#: a sentence for a chat that belongs to nobody yet: (what was heard, what to say)
Say = Callable[[Heard, Said], str]


class Linking:
    """Serves chats that belong to no line."""

    def __init__(
        self, *, engine: Engine, store: SessionStore, keyring: Keyring, quota: Quota, say: Say, welcome: Welcome
    ) -> None:
        self._engine = engine
        self._store = store
        self._keyring = keyring
        self._quota = quota
        self._say = say
        self._welcome = welcome
        self._encoder = msgspec.msgpack.Encoder()
        self._decoder = msgspec.msgpack.Decoder(ChatAnswer)

    async def hear(self, heard: Heard, wish: str) -> ChatAnswer:
        """Answer one message; the same message gets the same answer. Raises ``SessionsDown``: nothing was done.

        ``wish``: the text that a command or link stands for, which is done once the chat is linked; or nothing.
        """
        turn = Turn(
            channel="chat",
            gateway=heard.app,
            session_id="link",
            msisdn=f"chat:{heard.chat}",
            text="",
            sequence=heard.update_id,
        )
        line, hop = self._store.line(turn), self._store.hop(turn)
        while True:
            begun = await self._store.begin(line, hop, LOCK_MS)
            if begun.answer is not None:
                return self._decoder.decode(begun.answer)
            if begun.token is None:
                await asyncio.sleep(LOOK_SECONDS)
                continue
            answer = await self._locked(heard, wish, line, hop, (begun.token, begun.session))
            if answer is not None:
                return answer

    async def _locked(
        self, heard: Heard, wish: str, line: Line, hop: bytes, held: tuple[bytes, Session | None]
    ) -> ChatAnswer | None:
        """One message under the chat's lock; None when another process took the lock meanwhile."""
        token, session = held
        try:
            step = await self._step(heard, wish, session)
        except BaseException:
            await self._store.release(line, hop, token)
            raise
        stored = self._encoder.encode(step.answer)
        ended = await self._store.end(line, hop, token, answer=stored, session=step.session, keep_seconds=KEEP_SECONDS)
        if ended.answer is not None:
            return self._decoder.decode(ended.answer)
        return None if ended.stale else step.answer

    async def _step(self, heard: Heard, wish: str, session: Session | None) -> Step:
        place = Place() if session is None or session.ended else session.place
        wish = wish or str(place.data.get("wish", ""))
        number, code = _deep_link(heard)
        if number:
            step = await self._number(heard, number, wish)
            # A link that holds a code is as good as typing it: the text with it may have come by another way.
            return await self._code(heard, step.session.place, code, wish) if code else step
        if heard.command or heard.tapped is not None:
            return self._ask(heard, place, wish)
        digits = bare_number(heard.text) or ""
        if place.state == CODE and 0 < len(digits) <= CODE_DIGITS:
            return await self._code(heard, place, digits, wish)
        if len(digits) > CODE_DIGITS:
            return await self._number(heard, typed_text(heard.text), wish)
        return self._ask(heard, place, wish)

    def _ask(self, heard: Heard, place: Place, wish: str) -> Step:
        """Say once more what is wanted."""
        if place.state == CODE and heard.command != "start":
            return self._stay(heard, CODE, Said("ask_code"), {**place.data, "wish": wish})
        return self._stay(heard, NUMBER, Said("ask_number"), {"wish": wish})

    async def _number(self, heard: Heard, number: str, wish: str) -> Step:
        """A number was given: send it a code, if it is one of ours."""
        try:
            asked = await self._quota.count("link_code", f"{heard.app}|{heard.chat}", HOUR)
        except QuotaDown:
            raise SessionsDown from None
        if asked > CODES_AN_HOUR:
            return self._stay(heard, NUMBER, Said("too_many"), {"wish": wish})
        try:
            subscriber = await self._engine.subscriber(number)
            if subscriber.status is not LineStatus.TERMINATED:
                code = await self._engine.link_code(subscriber)
                await self._engine.tell(subscriber.account, subscriber.line_id, uuid4(), TOPIC, {"code": code})
        except BadNumber:
            return self._stay(heard, NUMBER, Said("wrong_number", "ask_number"), {"wish": wish})
        except UnknownLine:
            log.info("link_refused", app=heard.app, reason="unknown_line")
        except TooManyCodes:
            log.warning("link_refused", app=heard.app, reason="too_many_codes")
        sealed = self._seal(number, heard)
        return self._stay(heard, CODE, Said("ask_code"), {"wish": wish, "number": sealed, "wrong": 0})

    async def _code(self, heard: Heard, place: Place, code: str, wish: str) -> Step:
        """A code was given: the engine says whether it is the right one."""
        number = self._unseal(place.data.get("number", b""), heard)
        if number is not None and await self._engine.link_chat(heard.app, heard.chat, number, code):
            log.info("chat_linked", app=heard.app)
            answer = await self._welcome(heard, number, wish)
            above = self._say(heard, Said("linked"))
            answer = msgspec.structs.replace(answer, text=f"{above}\n\n{answer.text}", edits=False, deletes=True)
            return Step(answer, Session(Place(), ended=True))
        wrong = int(place.data.get("wrong", 0)) + 1
        if number is None or wrong >= WRONG_MOST:
            return self._stay(heard, NUMBER, Said("wrong_code", "ask_number"), {"wish": wish}, deletes=True)
        kept = {**place.data, "wish": wish, "wrong": wrong}
        return self._stay(heard, CODE, Said("wrong_code", "ask_code"), kept, deletes=True)

    def _stay(self, heard: Heard, state: str, said: Said, data: dict[str, object], *, deletes: bool = False) -> Step:
        answer = ChatAnswer(self._say(heard, said), deletes=deletes)
        return Step(answer, Session(Place(state=state, data=data)))

    # The number must outlive two messages, and Redis must not know it.

    def _seal(self, number: str, heard: Heard) -> bytes:
        sealed = self._keyring.seal("linking", number.encode(), heard.chat.encode())
        return self._keyring.current.to_bytes(2) + sealed

    def _unseal(self, sealed: bytes, heard: Heard) -> str | None:
        key_id = int.from_bytes(sealed[:2])
        try:
            return self._keyring.unseal("linking", sealed[2:], heard.chat.encode(), key_id).decode()
        except (InvalidTag, KeyError):
            return None


def _deep_link(heard: Heard) -> tuple[str, str]:
    """``/start link_254712345678`` or ``link_254712345678_123456`` → number and code, or nothing."""
    if heard.command != "start" or not heard.text.startswith("link_"):
        return "", ""
    number, _, code = heard.text.removeprefix("link_").partition("_")
    return (number, code) if number.isascii() and number.isdigit() else ("", "")
