"""Calls of the Bot API: what their failures mean, and how patiently they are made."""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Awaitable, Callable
from datetime import timedelta
from enum import Enum
from typing import TypeVar

import httpx
from telegram.error import BadRequest, ChatMigrated, Forbidden, InvalidToken, NetworkError, RetryAfter, TelegramError
from telegram.request import HTTPXRequest

T = TypeVar("T")

#: tries of one call that Telegram throttles or that never reaches it
TRIES = 5
#: seconds; a longer ban than this is not waited for with an answer in hand
PATIENCE_SECONDS = 60.0
#: connections kept open; Telegram takes about 30 messages a second from one bot
CONNECTIONS = 64
#: seconds for one call
CALL_SECONDS = 10.0
#: seconds before the second try of a call that failed on the way; doubled each time
PAUSE_SECONDS = 0.5


class Lost(Enum):
    """Where on its way a call failed."""

    #: it never left: Telegram has not seen it
    BEFORE = "before"
    #: it may have been carried out
    UNKNOWN = "unknown"


def clients() -> tuple[HTTPXRequest, HTTPXRequest]:
    """Two HTTP clients, for calls and for long polls; whoever made them shuts them down."""
    # Time spans as timedelta: the numbers that the library still gives by default come with a warning each.
    os.environ.setdefault("PTB_TIMEDELTA", "true")
    return (
        HTTPXRequest(connection_pool_size=CONNECTIONS, read_timeout=CALL_SECONDS, pool_timeout=CALL_SECONDS),
        HTTPXRequest(connection_pool_size=1),
    )


def bot_url(base_url: str) -> str:
    """The address that the token follows, from the Bot API server's own."""
    return f"{base_url.rstrip('/')}/bot"


def lost_at(error: TelegramError) -> Lost | None:
    """Where a call was lost; None when Telegram has answered, and refused it.

    A 5xx is an answer that tells nothing: the gateway in front may have lost the real one.
    """
    if not isinstance(error, NetworkError) or isinstance(error, BadRequest):
        return None
    cause = error.__cause__
    never_left = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol)
    return Lost.BEFORE if isinstance(cause, never_left) else Lost.UNKNOWN


def throttled_for(error: RetryAfter) -> float:
    """Seconds that Telegram asks us to wait (``parameters.retry_after``)."""
    asked = error.retry_after
    return asked.total_seconds() if isinstance(asked, timedelta) else float(asked)


async def patiently(call: Callable[[], Awaitable[T]], *, repeatable: bool = True) -> T:
    """Make a call, waiting as long as Telegram asks for, and again when it was lost on the way.

    A call that is not ``repeatable``, because a second one would show, is only made again when it never left. Raises
    ``telegram.error.TelegramError``.
    """
    pause = PAUSE_SECONDS
    for _ in range(TRIES - 1):
        try:
            return await call()
        except RetryAfter as error:
            wait = throttled_for(error)
            if wait > PATIENCE_SECONDS:
                raise
            await asyncio.sleep(wait + random.uniform(0.0, 0.2))
        except TelegramError as error:
            lost = lost_at(error)
            if lost is None or (lost is Lost.UNKNOWN and not repeatable):
                raise
            await asyncio.sleep(pause * random.uniform(0.5, 1.0))
            pause *= 2
    return await call()


def refused_for_good(error: TelegramError) -> bool:
    """Whether this chat will not be reached through the bot: it is blocked, gone, or our token is."""
    return isinstance(error, (Forbidden, InvalidToken, ChatMigrated, BadRequest))
