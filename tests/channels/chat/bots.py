"""A bot that repeats what it hears, against a Bot API server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from channels.chat.contract import Button, ChatAnswer, Heard
from channels.chat.telegram.application import TelegramBot
from channels.chat.telegram.polling import Poller
from tests.doubles.bot_api import TOKEN, BotApi

AMINA = 7001
SECRET = "webhook_secret-1"


class Echo:
    """A listener that shows what it heard, and remembers it."""

    def __init__(self) -> None:
        self.heard: list[Heard] = []
        self.fails = 0

    async def __call__(self, heard: Heard) -> ChatAnswer | None:
        if self.fails:
            self.fails -= 1
            raise ConnectionError
        self.heard.append(heard)
        if heard.text == "nothing":
            return None
        button = ((Button("Again", f"again|{len(self.heard)}"),),)
        said = heard.tapped or heard.text or heard.command
        return ChatAnswer(f"{said}!", button, edits=heard.tapped is not None, deletes=heard.text == "1234")


@asynccontextmanager
async def polling(api: BotApi, listener: Callable[[Heard], Awaitable[ChatAnswer | None]]) -> AsyncIterator[TelegramBot]:
    bot = TelegramBot(TOKEN, api.base_url, listener)
    await bot.start()
    task = asyncio.create_task(Poller(bot).run())
    try:
        yield bot
    finally:
        task.cancel()
        await asyncio.wait([task])
        await bot.stop()


def texts(api: BotApi) -> list[str]:
    return api.chat(AMINA).texts()
