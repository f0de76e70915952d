"""The outcome of late work, told: "We will text you the outcome" is kept, once, also when the server is killed.

The promise is a row of the outbox before the answer with it leaves. Whoever promised settles it when the work is done;
should nobody have for a while, whoever delivers finds out what became of the operation, and tells that.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from datetime import UTC, datetime
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
import structlog

from channels.outcome import Outcome
from channels.trace import Trace
from dialogs.refusals import refusal
from dialogs.shortcuts import back_line
from dialogs.texts import Texts
from engine.api import Engine, KeptPlace
from engine.words import AccountRef, Adjust, Answer, Code, Message, Operation, Unit
from runtime.ongoing import Ongoing

log = structlog.get_logger(__name__)

#: the topic of a promise that is still to be kept
PROMISE = "promise"
#: seconds that making one may take: what the gateway's deadline leaves beside writing the answer
MAKE_SECONDS = 0.6
#: what is texted to come back: English words are understood in every language
CONTINUE = "CONTINUE"
#: who asks for an operation that takes a key out of use, as the books name it
SOURCE = "system:promise"


class Promise(NamedTuple):
    """A promise that is durable, and the code that leads back to where it was given; or nothing."""

    operation: Operation
    back: str


class Promises:
    """Makes promises and keeps them. One per process."""

    def __init__(self, engine: Engine, texts: Texts, ongoing: Ongoing) -> None:
        """``ongoing``: where work goes on that nobody waits for."""
        self._engine = engine
        self._texts = texts
        self._ongoing = ongoing

    async def make(self, trace: Trace, place: KeptPlace | None) -> Promise | None:
        """A promise that the outcome of what was posted last will be told, come what may: only then it may be said.

        ``place``: where to come back to, should nothing be done.
        """
        operation, minutes = trace.operations[-1], self._engine.operator.sessions.recovery_minutes
        try:
            making = self._ongoing.start(self._engine.told.promise(operation, place, minutes))
            making.add_done_callback(lambda done: done.cancelled() or done.exception())
            async with asyncio.timeout(MAKE_SECONDS):
                # Cut off it would take its connection to Postgres with it; what is written later is kept all the same.
                back = await asyncio.shield(making)
        except Exception as error:  # noqa: BLE001 - most likely what made the turn late
            log.warning("nothing_promised", reason=type(error).__name__)
            return None
        return None if back is None else Promise(operation, back)

    async def keep(self, promise: Promise, late: Awaitable[Outcome], trace: Trace) -> None:
        """Tell what a late turn comes to. What was done has a receipt of its own; a refusal is told in its own words.

        Where the outcome is not known, or cannot be written now, the promise stands for whoever delivers.
        """
        await late
        answer = trace.answer
        if answer is None:
            return
        said = refused(self._engine, self._texts, trace.language, answer, promise.back)
        text = None if answer.ok else said
        try:
            await self._engine.told.keep_promise(promise.operation, text)
        except Exception as error:  # noqa: BLE001 - the promise is durable
            log.warning("promise_waits", reason=type(error).__name__)


def refused(engine: Engine, texts: Texts, language: str | None, answer: Answer | None, back: str) -> str:
    """That nothing was done and why, with the way ``back`` to where it was asked for, if there is one.

    ``answer``: None where the operation never came about.
    """
    spoken = texts.language(language or texts.default)
    known: dict[str, Any] = {"code": Code.FAILED}
    if answer is not None:
        details = msgspec.to_builtins(answer.details)
        known = {name: value for name, value in details.items() if value is not None} | {"code": answer.code}
    said = texts.say(spoken, refusal({"currency": engine.operator.currency, **known}))
    return f"{said}\n{texts.say(spoken, back_line(engine.operator, back, CONTINUE))}" if back else said


async def outcome(engine: Engine, texts: Texts, message: Message) -> str | None:
    """What to say for a promise that nobody has kept; None where a receipt says it.

    An operation that never happened must not happen after we have said so: its key is taken out of use by an
    adjustment of nothing, which is refused, and stored as any refusal. Raises what says that the books cannot be
    asked now.
    """
    account, key = AccountRef(message.shard, UUID(message.body["account_id"])), UUID(message.body["key"])
    nothing = Adjust(
        account=account, key=key, asked_at=datetime.now(UTC), source=SOURCE, unit=Unit.MONEY, amount=0, reason=PROMISE
    )
    answer: Answer | None = None
    if (await engine.post(nothing)).code == Code.KEY_CONFLICT:
        answer = await engine.answer_under(account, key)
        if answer is not None and answer.ok:
            return None
    log.info("promise_kept_late", message_id=str(message.message_id), code=None if answer is None else answer.code)
    return refused(engine, texts, message.language, answer, message.body.get("back", ""))
