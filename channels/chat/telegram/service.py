"""The bot in a process: opened in the background, so that nothing else waits for Telegram, and let go at the end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from functools import partial

import structlog
from aiohttp import web
from telegram.error import InvalidToken, TelegramError

from channels.chat.telegram import webhook, wire
from channels.chat.telegram.application import TelegramBot
from channels.chat.telegram.polling import Poller
from channels.lease import Lease
from settings import Settings

log = structlog.get_logger(__name__)

Commands = Mapping[str, Sequence[tuple[str, str]]]


async def listen(settings: Settings, bot: TelegramBot, lease: Lease, commands: Commands, stop: asyncio.Event) -> None:
    """Poll for as long as this process holds the lease, or tell Telegram where the server's webhook is."""
    telegram = settings.telegram
    if telegram is not None and telegram.mode == "webhook":
        work = partial(webhook.register, bot, settings.telegram_url, telegram.secret_token)
    else:
        work = partial(lease.run, Poller(bot).run, stop)
    await _serve(bot, commands, stop, work)


def mount(application: web.Application, bot: TelegramBot, secret_token: str) -> None:
    """Serve the webhook in an HTTP server. Until Telegram has been reached, updates are asked for again later."""
    application.add_routes(webhook.routes(bot, secret_token))

    async def opened(_application: web.Application) -> AsyncIterator[None]:
        """The server does not wait for Telegram: gateways are served while it cannot be reached."""
        opening = asyncio.create_task(_open(bot))
        yield
        opening.cancel()
        await asyncio.wait([opening])
        await bot.stop()

    application.cleanup_ctx.append(opened)


async def _serve(
    bot: TelegramBot, commands: Commands, stop: asyncio.Event, work: Callable[[], Awaitable[None]]
) -> None:
    opening = asyncio.create_task(_open(bot, commands))
    stopped = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait([opening, stopped], return_when=asyncio.FIRST_COMPLETED)
        if opening.done() and opening.result():
            await work()
    except TelegramError as error:
        log.error("telegram_refused", app=wire.APP, error=type(error).__name__)  # noqa: TRY400 - it may hold the token
    finally:
        for task in (opening, stopped):
            task.cancel()
        await asyncio.wait([opening, stopped])
        await bot.stop()


async def _open(bot: TelegramBot, commands: Commands | None = None) -> bool:
    """Whether the bot is open. Where Telegram refuses it, that is told: texts and USSD go on without the bot."""
    try:
        await bot.start()
    except InvalidToken:
        log.error("telegram_token_refused", app=wire.APP)  # noqa: TRY400 - the library's text repeats the token
        return False
    except TelegramError as error:
        log.error("telegram_refused", app=wire.APP, error=type(error).__name__)  # noqa: TRY400 - it may hold the token
        return False
    if commands is not None:
        try:
            await bot.introduce(commands)
        except TelegramError as error:
            log.warning("commands_not_told", app=wire.APP, error=type(error).__name__)
    return True
