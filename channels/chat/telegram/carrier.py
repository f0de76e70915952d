"""Telegram as a carrier: notices to chats that people have linked to their line.

The Bot API has no idempotency of its own: a message whose answer was lost may have been shown, so it is ``unknown``.
There are no delivery reports; what Telegram has taken is in the chat.
"""

from __future__ import annotations

from pydantic import Field
from telegram import Bot
from telegram.error import RetryAfter, TelegramError

from channels.chat.telegram.calls import Lost, bot_url, clients, lost_at, refused_for_good, throttled_for
from channels.chat.telegram.wire import TEXT_LIMIT
from channels.sms.contract import CarrierError, ErrorKind, Options, OptionsModel, Outgoing, Sent, Tools, read_options


class TelegramOptions(OptionsModel):
    """What the carrier wants to know."""

    token: str = Field(min_length=1, repr=False)
    base_url: str = "https://api.telegram.org"


class Carrier:
    """Sends to chats: ``Outgoing.to`` is the chat's id."""

    def __init__(self, name: str, options: Options, tools: Tools) -> None:  # noqa: ARG002 - as all carriers are made
        given = read_options(TelegramOptions, options)
        self._requests = clients()
        calls, polls = self._requests
        self._bot = Bot(given.token, base_url=bot_url(given.base_url), request=calls, get_updates_request=polls)

    async def start(self) -> None:
        """Nothing to open: connections come with the first messages."""

    async def close(self) -> None:
        """Let the connections go."""
        for client in self._requests:
            await client.shutdown()

    async def send(self, outgoing: Outgoing) -> Sent:
        """Send one message. Raises ``CarrierError``; ``reroute`` where the person has closed the chat to us."""
        try:
            message = await self._bot.send_message(outgoing.to, outgoing.text[:TEXT_LIMIT])
        except RetryAfter as error:
            raise CarrierError("throttled", ErrorKind.THROTTLED, throttled_for(error)) from None
        except TelegramError as error:
            raise _carrier_error(error) from None
        # Message ids are counted per chat: with the chat they would be a name, but a chat is as personal as a number.
        return Sent(str(message.message_id))


def _carrier_error(error: TelegramError) -> CarrierError:
    """By class only: the library's texts may repeat the token."""
    reason = type(error).__name__
    lost = lost_at(error)
    if lost is Lost.BEFORE:
        return CarrierError(reason, ErrorKind.RETRY)
    if lost is Lost.UNKNOWN:
        return CarrierError(reason, ErrorKind.UNKNOWN)
    return CarrierError(reason, ErrorKind.REROUTE if refused_for_good(error) else ErrorKind.RETRY)
