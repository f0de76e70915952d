"""The outcome of late work, texted: "We will text you the outcome" is kept, and once."""

from __future__ import annotations

import asyncio
from uuid import uuid5

import structlog

from channels.trace import Trace
from channels.turn import Reply
from engine.api import Engine

log = structlog.get_logger(__name__)

#: seconds between tries to write the message
PAUSES = (0.5, 1.0, 2.0, 4.0)


async def keep_promise(engine: Engine, reply: Reply, trace: Trace) -> None:
    """Text what a late turn came to, unless the engine does so itself: what was done has its own message.

    The id comes from the operation's key, so whoever plays the same inputs late tells the same outcome once.
    """
    asked, answer = trace.operations[-1], trace.answer
    if (answer is not None and answer.ok) or asked.line_id is None:
        return
    message_id = uuid5(asked.key, "late")
    for pause in PAUSES:
        try:
            await engine.tell(asked.account, asked.line_id, message_id, "reply", {"text": reply.text})
        except Exception as error:  # noqa: BLE001 - most likely what made the turn late, and it may pass
            log.warning("promise_waits", reason=type(error).__name__)
            await asyncio.sleep(pause)
        else:
            return
    log.error("promise_broken", message_id=str(message_id), code=None if answer is None else answer.code)
