"""The webhook: ``POST /telegram/webhook``, open only to who knows the secret token (Bot API, setWebhook).

An update that could not be served is answered 503, so that Telegram brings it again; one that was served, or that no
release of ours will ever read, is answered 200.
"""

from __future__ import annotations

import hmac
import json

import structlog
from aiohttp import web
from telegram import Update

from channels.callers import body_of
from channels.chat.telegram import wire
from channels.chat.telegram.application import TelegramBot
from channels.chat.telegram.calls import patiently

log = structlog.get_logger(__name__)

PATH = "/telegram/webhook"
HEADER = "X-Telegram-Bot-Api-Secret-Token"
#: bytes; a message of 4096 characters, each escaped in JSON, with all its entities, is well below
BODY_LIMIT = 262_144
#: updates that Telegram brings at the same time (setWebhook, max_connections: 1 to 100)
CONNECTIONS = 40


def routes(bot: TelegramBot, secret_token: str) -> list[web.RouteDef]:
    """The route that Telegram calls. Raises ``ValueError`` without a secret: anybody could call it."""
    if not secret_token:
        raise ValueError("a webhook needs a secret token")

    async def take(request: web.Request) -> web.Response:
        """Anything but a 2xx and Telegram brings the update again: what is broken for good is answered with one."""
        said = request.headers.get(HEADER, "").encode(errors="replace")
        if not hmac.compare_digest(said, secret_token.encode()):
            log.info("caller_refused", gateway=wire.APP, reason="secret")
            raise web.HTTPForbidden
        if not bot.running:
            raise web.HTTPServiceUnavailable
        # Cut where no update is so long, and then it is none: refused, Telegram would bring the same for a day.
        update = _read(await body_of(request, BODY_LIMIT), bot)
        if update is None:
            log.info("request_malformed", gateway=wire.APP, field="body", reason="not an update")
            return web.Response()
        try:
            await bot.take(update)
        except Exception as error:
            log.exception("updates_not_served", app=wire.APP, error=type(error).__name__)
            raise web.HTTPServiceUnavailable from None
        return web.Response()

    return [web.post(PATH, take)]


def _read(body: bytes, bot: TelegramBot) -> Update | None:
    try:
        return Update.de_json(json.loads(body), bot.application.bot)
    except Exception:  # noqa: BLE001 - the library raises whatever a missing or strange field leads to
        return None


async def register(bot: TelegramBot, public_url: str, secret_token: str) -> None:
    """Tell Telegram where updates go. The same again changes nothing. Raises ``telegram.error.TelegramError``."""
    await patiently(
        lambda: bot.application.bot.set_webhook(
            public_url.rstrip("/") + PATH,
            secret_token=secret_token,
            max_connections=CONNECTIONS,
            allowed_updates=wire.ALLOWED_UPDATES,
        )
    )
