"""The outcome of late work, told: "We will text you the outcome" is kept, once, also when the server is killed.

The promise is a row of the outbox before the answer with it leaves. Whoever promised settles it when the work is done;
should nobody have for a while, whoever delivers finds out what became of the operation, and tells that.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Coroutine
from datetime import UTC, datetime
from typing import Any, TypeVar
from uuid import UUID

import structlog

from channels.outcome import Outcome
from channels.trace import Trace
from dialogs.refusals import refusal
from dialogs.texts import Texts
from engine.api import Engine
from engine.words import AccountRef, Adjust, Code, Message, Unit

log = structlog.get_logger(__name__)

Done = TypeVar("Done")

#: the topic of a promise that is still to be kept
PROMISE = "promise"
#: seconds that making one may take: what the gateway's deadline leaves beside writing the answer
MAKE_SECONDS = 0.6
#: who asks for an operation that takes a key out of use, as the books name it
SOURCE = "system:promise"


class Ongoing:
    """Work that goes on when whoever asked for it was answered without it, or is gone."""

    def __init__(self) -> None:
        # The loop itself holds tasks only weakly.
        self._tasks: set[asyncio.Task[Any]] = set()

    def start(self, doing: Coroutine[Any, Any, Done]) -> asyncio.Task[Done]:
        """Begin, in a task that lives until it is done."""
        task = asyncio.get_running_loop().create_task(doing)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def drain(self) -> None:
        """Wait until nothing is left to do."""
        while self._tasks:
            await asyncio.wait(self._tasks)


async def make_promise(engine: Engine, trace: Trace) -> bool:
    """Whether the outcome of what was posted last will be told, come what may: only then it may be promised."""
    try:
        async with asyncio.timeout(MAKE_SECONDS):
            return await engine.told.promise(trace.operations[-1])
    except Exception as error:  # noqa: BLE001 - most likely what made the turn late
        log.warning("nothing_promised", reason=type(error).__name__)
        return False


async def keep_promise(engine: Engine, late: Awaitable[Outcome], trace: Trace) -> None:
    """Tell what a late turn comes to. What was done has a receipt of its own; a refusal is told in its own words.

    Where the outcome is not known, or cannot be written now, the promise stands for whoever delivers.
    """
    reply, answer = (await late).reply, trace.answer
    if answer is None:
        return
    try:
        await engine.told.keep_promise(trace.operations[-1], None if answer.ok else reply.text)
    except Exception as error:  # noqa: BLE001 - the promise is durable
        log.warning("promise_waits", reason=type(error).__name__)


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
    answer = await engine.post(nothing)
    said: dict[str, object] = {"code": Code.FAILED, "currency": message.currency}
    if answer.code == Code.KEY_CONFLICT:
        story = await engine.explain(account, key)
        stored = {} if story is None else story["answer"]
        assert isinstance(stored, dict)  # noqa: S101 - as the books keep it
        if stored.get("code") == Code.OK:
            return None
        known = {name: value for name, value in stored.get("details", {}).items() if value is not None}
        said |= known | {"code": stored.get("code", Code.FAILED)}
    log.info("promise_kept_late", message_id=str(message.message_id), code=said["code"])
    return texts.say(texts.language(message.language), refusal(said))
