"""A Bot API server for one bot: what Telegram would be, on this machine, with the people who write and tap."""

from sandbox.bot_api.server import BotApi

__all__ = ["BotApi"]
