"""Polling: ask Telegram for updates, serve them, and confirm a batch only once all of it is in the books.

Telegram serves one poller at a time and answers a second one 409, so a lease decides which process polls. Should two
poll for a moment, an update that both got is answered once: the listener knows it by its id.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta

import structlog
from telegram import Update
from telegram.error import Conflict, RetryAfter, TelegramError

from channels.chat.telegram import wire
from channels.chat.telegram.application import TelegramBot
from channels.chat.telegram.calls import throttled_for

log = structlog.get_logger(__name__)

#: seconds that Telegram keeps a question open when there is nothing new, and updates in one answer (at most 100)
LONG_POLL_SECONDS, BATCH = 25, 100
#: seconds after a failure: first and longest
PAUSE_FIRST, PAUSE_LONGEST = 0.5, 15.0
#: chats served at the same time
CHATS_AT_ONCE = 50


class Poller:
    """Polls for one bot until it is cancelled."""

    def __init__(self, bot: TelegramBot) -> None:
        self._bot = bot
        self._offset: int | None = None
        self._slots = asyncio.Semaphore(CHATS_AT_ONCE)

    async def run(self) -> None:
        """Poll for ever. A webhook set earlier is taken back first, or Telegram would refuse to be polled."""
        pause = PAUSE_FIRST
        webhook_gone = False
        while True:
            try:
                if not webhook_gone:
                    await self._bot.application.bot.delete_webhook()
                    webhook_gone = True
                await self._poll()
                pause = PAUSE_FIRST
                continue
            except RetryAfter as error:
                pause = max(pause, throttled_for(error))
            except Conflict:
                # Another process polls, or a webhook was set: the lease will tell.
                log.warning("polling_conflict", app=wire.APP)
            except TelegramError as error:
                log.warning("polling_failed", app=wire.APP, error=type(error).__name__)
            except Exception as error:
                # A store is away, most likely: nothing is confirmed, so the same updates come again.
                log.exception("updates_not_served", app=wire.APP, error=type(error).__name__)
            await asyncio.sleep(pause)
            pause = min(pause * 2, PAUSE_LONGEST)

    async def _poll(self) -> None:
        updates = await self._bot.application.bot.get_updates(
            offset=self._offset,
            limit=BATCH,
            timeout=timedelta(seconds=LONG_POLL_SECONDS),
            allowed_updates=wire.ALLOWED_UPDATES,
            read_timeout=LONG_POLL_SECONDS + 10.0,
        )
        if not updates:
            return
        chats: dict[int | None, list[Update]] = {}
        for update in updates:
            chat = update.effective_chat
            chats.setdefault(None if chat is None else chat.id, []).append(update)
        outcomes = await asyncio.gather(*(self._serve(of_one) for of_one in chats.values()), return_exceptions=True)
        for outcome in outcomes:
            if isinstance(outcome, BaseException):
                raise outcome
        self._offset = updates[-1].update_id + 1

    async def _serve(self, updates: Sequence[Update]) -> None:
        """The updates of one chat, in order."""
        async with self._slots:
            for update in updates:
                await self._bot.take(update)
