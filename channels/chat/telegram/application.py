"""The bot itself: python-telegram-bot's ``Application``, driven by hand inside our own loop.

Updates are handed in (by the poller or the webhook) and go through the application to the listener; what it says goes
out from a queue of its chat, so that one chat that Telegram throttles keeps nobody else waiting, and answers of one
chat keep their order. ``take`` returns once the effect is in the books: only then may an update be called done.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import structlog
from telegram import BotCommand, Update
from telegram.error import BadRequest, Forbidden, TelegramError
from telegram.ext import Application, ContextTypes, TypeHandler

from channels.chat.contract import ChatAnswer, Heard, Listener, Shown
from channels.chat.telegram import wire
from channels.chat.telegram.calls import bot_url, clients, lost_at, patiently

log = structlog.get_logger(__name__)

#: answers waiting in one chat; who taps faster than we may answer loses the oldest
WAITING_MOST = 20
#: seconds between tries to reach Telegram at start: first and longest
START_FIRST, START_LONGEST = 1.0, 30.0
#: seconds that answers under way may take once told to stop
DRAIN_SECONDS = 5.0

App = Application[Any, Any, Any, Any, Any, Any]


class TelegramBot:
    """One bot. ``start`` opens it, ``take`` serves an update, ``stop`` lets go."""

    def __init__(self, token: str, base_url: str, listener: Listener, shown: Shown | None = None) -> None:
        """``base_url``: of the Bot API server, without ``/bot``; ``shown`` hears what arrived. Opens nothing."""
        # Ours, so that they are closed also when the bot never came so far as to be opened.
        self._requests = clients()
        calls, polls = self._requests
        builder = Application.builder().token(token).base_url(bot_url(base_url)).request(calls)
        self.application: App = builder.get_updates_request(polls).updater(None).job_queue(None).build()
        self.application.add_handler(TypeHandler(Update, self._on_update))
        self.application.add_error_handler(self._on_error)
        self._listener = listener
        self._shown = shown
        self._failures: dict[int, Exception] = {}
        self._waiting: dict[str, deque[tuple[Update, Heard, ChatAnswer | None]]] = {}
        self._answering: set[asyncio.Task[None]] = set()

    @property
    def running(self) -> bool:
        """Whether updates can be taken."""
        return self.application.running

    async def start(self) -> None:
        """Open the bot, trying until Telegram answers. Raises ``telegram.error.InvalidToken``."""
        wait = START_FIRST
        while True:
            try:
                await self.application.initialize()
                break
            except TelegramError as error:
                if lost_at(error) is None:
                    raise
                log.warning("telegram_unreachable", error=type(error).__name__)
            await asyncio.sleep(wait)
            wait = min(wait * 2, START_LONGEST)
        await self.application.start()

    async def stop(self) -> None:
        """Send the answers that are under way, then let the connections go."""
        if self._answering:
            await asyncio.wait(self._answering, timeout=DRAIN_SECONDS)
        for task in self._answering:
            task.cancel()
        if self.application.running:
            await self.application.stop()
        await self.application.shutdown()
        for client in self._requests:
            await client.shutdown()

    async def introduce(self, commands: Mapping[str, Sequence[tuple[str, str]]]) -> None:
        """Tell Telegram the commands: language → (command, what it does). ``""`` is for all other languages."""
        for language, known in commands.items():
            said = [BotCommand(command, what) for command, what in known]
            await patiently(partial(self.application.bot.set_my_commands, said, language_code=language))

    async def take(self, update: Update) -> None:
        """Serve one update. Raises what the listener raises: nothing was done, it should come again."""
        await self.application.process_update(update)
        failure = self._failures.pop(update.update_id, None)
        if failure is not None:
            raise failure

    async def _on_update(self, update: Update, _context: ContextTypes.DEFAULT_TYPE) -> None:
        heard = wire.read(update)
        if heard is None:
            return
        self._answer_later(update, heard, await self._listener(heard))

    async def _on_error(self, update: object, context: ContextTypes.DEFAULT_TYPE) -> None:
        if isinstance(update, Update) and isinstance(context.error, Exception):
            self._failures[update.update_id] = context.error

    # -- answers ----------------------------------------------------------------------------------------------------

    def _answer_later(self, update: Update, heard: Heard, answer: ChatAnswer | None) -> None:
        waiting = self._waiting.get(heard.chat)
        if waiting is not None:
            waiting.append((update, heard, answer))
            return
        self._waiting[heard.chat] = deque([(update, heard, answer)], WAITING_MOST)
        task = asyncio.get_running_loop().create_task(self._answer_chat(heard.chat))
        self._answering.add(task)
        task.add_done_callback(self._answering.discard)

    async def _answer_chat(self, chat: str) -> None:
        waiting = self._waiting[chat]
        try:
            while waiting:
                update, heard, answer = waiting.popleft()
                try:
                    await self._answer(update, heard, answer)
                except Forbidden:
                    log.info("chat_closed_to_us", app=wire.APP)
                except TelegramError as error:
                    log.warning("answer_lost", app=wire.APP, error=type(error).__name__)
        finally:
            del self._waiting[chat]

    async def _answer(self, update: Update, heard: Heard, answer: ChatAnswer | None) -> None:
        """Stop the button's clock, show the answer, take the secret out of the chat: whatever became of the others."""
        query = update.callback_query
        if query is not None:
            await self._aside(patiently(query.answer), "query_unanswered")
        try:
            if answer is not None:
                await self._show(update, heard, answer)
                if self._shown is not None:
                    await self._shown(answer)
        finally:
            if answer is not None and answer.deletes and update.message is not None:
                await self._aside(patiently(update.message.delete), "secret_not_deleted")

    async def _show(self, update: Update, heard: Heard, answer: ChatAnswer) -> None:
        bot, keyboard, text = self.application.bot, wire.markup(answer), answer.text[: wire.TEXT_LIMIT]
        tapped = update.callback_query.message if update.callback_query is not None else None
        if answer.edits and tapped is not None:
            try:
                await patiently(
                    lambda: bot.edit_message_text(
                        text, chat_id=tapped.chat.id, message_id=tapped.message_id, reply_markup=keyboard
                    )
                )
            except BadRequest as error:
                if "not modified" in error.message.lower():
                    return
                # Too old to be edited, or deleted by the person: say it anew.
                log.info("message_not_edited", app=wire.APP)
            else:
                return
        await patiently(lambda: bot.send_message(heard.chat, text, reply_markup=keyboard), repeatable=False)

    @staticmethod
    async def _aside(call: Any, event: str) -> None:
        try:
            await call
        except TelegramError as error:
            log.info(event, app=wire.APP, error=type(error).__name__)
