"""The channels by text, SMS and chats: the parts that serve them, made once for each process."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from redis.asyncio import Redis

from channels.chat.telegram.application import TelegramBot
from channels.chat.telegram.carrier import Carrier as TelegramCarrier
from channels.chat.telegram.wire import APP
from channels.chats import Chats, chat_profile
from channels.inbound import Inbound
from channels.quota import Quota
from channels.sessions import SessionStore
from channels.sms.configured import text_profiles
from channels.sms.contract import Carrier, Tools
from channels.texts import TextConversation
from channels.trace import Listener, TracePublisher
from dialogs.machine import Machine
from dialogs.notices import Notices
from engine.api import Engine
from runtime.keyring import Keyring
from runtime.metrics import Metrics
from settings import Settings, TelegramSettings


@dataclass(frozen=True, slots=True)
class TextChannels:
    """Conversations by text, what carriers hand in, and chats."""

    texts: TextConversation
    inbound: Inbound
    chats: Chats

    def bot(self, telegram: TelegramSettings) -> TelegramBot:
        """The bot that serves the chats, not yet open."""
        return TelegramBot(telegram.token, telegram.base_url, self.chats.hear, self.inbound.told)


def chat_carriers(settings: Settings, tools: Tools) -> dict[str, Carrier]:
    """App → who sends notices to its chats, not yet started."""
    telegram = settings.telegram
    if telegram is None:
        return {}
    return {APP: TelegramCarrier(APP, {"token": telegram.token, "base_url": telegram.base_url}, tools)}


def text_channels(
    settings: Settings,
    *,
    engine: Engine,
    machine: Machine,
    notices: Notices,
    store: SessionStore,
    redis: Redis,
    keyring: Keyring,
    metrics: Metrics,
    listeners: Sequence[Listener] = (),
) -> TextChannels:
    """The parts over one engine. Opens nothing."""
    operator, quota = engine.operator, Quota(redis, keyring)
    texts = TextConversation(
        engine=engine,
        machine=machine,
        notices=notices,
        store=store,
        profiles={**text_profiles(settings, operator), APP: chat_profile(operator)},
        metrics=metrics,
        operator=operator,
        quota=quota,
        keyring=keyring,
        publisher=TracePublisher(redis) if settings.simulator else None,
        listeners=listeners,
    )
    chats = Chats(
        engine=engine,
        conversation=texts,
        store=store,
        quota=quota,
        redis=redis,
        keyring=keyring,
        texts=machine.texts,
        notices=notices,
        operator=operator,
    )
    return TextChannels(texts, Inbound(engine, texts), chats)
