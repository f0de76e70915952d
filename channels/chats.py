"""Chats of messaging apps: what is heard there becomes a text of the line that the chat is linked to.

The dialogs, their sessions and the keys of money steps are those of conversations by text; what is added here is what
chats have beyond texts: buttons, commands, links that open the bot, messages that can be taken back, and a chat that
must first be linked to a line.

An update is called done only after its effect is in the books and before it is answered: one that comes again, to
whichever process, finds the effect done under the same keys, and is answered by one of them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from channels.chat.contract import Button, ChatAnswer, Heard
from channels.linking import Linking, Said
from channels.quota import Quota
from channels.sessions import SessionsDown, SessionStore
from channels.text_turn import Shown, TextProfile
from channels.texts import TextConversation
from channels.turn import Budget
from dialogs.chats import COMMANDS, KEEP, MENU, UNLINK, chat_texts
from dialogs.notices import Notices
from dialogs.texts import Texts
from dialogs.values import Text
from engine.api import Engine
from runtime.keyring import Keyring
from settings import Operator

log = structlog.get_logger(__name__)

#: bytes that a button may carry; the least of all apps (Bot API, InlineKeyboardButton.callback_data)
DATA_LIMIT = 64
#: characters of one message, less what is said above a screen; the least of all apps
TEXT_LIMIT = 3800
#: taps and texts of one chat that are answered in an hour
HOURLY = 1000
#: what a command stands for, in words that are understood in every language
WORDS = {
    "start": "MENU",
    "menu": "MENU",
    "balance": "BAL",
    "recharge": "RCH",
    "buy": "BUY",
    "continue": "CONTINUE",
    "language": "LANG",
}
#: what a button stands for: a key on a screen, or a command
KEY, COMMAND = "k", "c"
#: the tap that takes the number out of the chat, and the one that thinks better of it
CONFIRM_UNLINK, KEEP_LINK = "unlink_now", "keep"
#: the whole message looks like a PIN or voucher number, or there is a voucher number in it
SECRET = re.compile(r"\s*\d(?:[ -]?\d){3,}\s*|.*\d(?:[ -]?\d){9,}.*", re.DOTALL)
#: the answer to what belongs to a conversation that is over
PAST = "notice.text_ended"


class Tap(NamedTuple):
    """What a button carries: a key on a screen, or a command."""

    screen: str = ""
    key: str = ""
    command: str = ""


def key_data(screen: str, key: str) -> str:
    """What a button carries that types ``key`` on a screen. Raises ``ValueError`` where that is too long."""
    return _bounded(f"{KEY}|{screen}|{key}")


def command_data(command: str) -> str:
    """What a button carries that stands for a command, whatever the screen."""
    return _bounded(f"{COMMAND}|{command}")


def read_tap(data: str) -> Tap:
    """What a tapped button carried; the menu for what this release does not write."""
    kind, _, rest = data.partition("|")
    if kind == KEY:
        screen, _, key = rest.partition("|")
        if screen and key:
            return Tap(screen=screen, key=key)
    return Tap(command=rest if kind == COMMAND and rest else "menu")


def _bounded(data: str) -> str:
    if len(data.encode()) > DATA_LIMIT:
        raise ValueError(f"a button carries at most {DATA_LIMIT} bytes")
    return data


def chat_profile(operator: Operator) -> TextProfile:
    """What the conversation must know of a chat app: long messages, buttons, nobody waiting at a gateway."""
    return TextProfile(
        budget=Budget(septets=TEXT_LIMIT, ucs2=TEXT_LIMIT),
        deadline_seconds=30.0,
        session_seconds=operator.texts.session_minutes * 60,
        hourly=HOURLY,
        buttons=True,
    )


def commands(texts: Texts) -> dict[str, list[tuple[str, str]]]:
    """The commands with what they do, by language; ``""`` for people whose language we do not speak."""
    spoken = {
        language: [(command, texts.say(language, what)) for command, what in COMMANDS.items()]
        for language in texts.languages
    }
    return {"": spoken[texts.default], **spoken}


class Chats:
    """Serves the chats of all apps. One per process."""

    def __init__(
        self,
        *,
        engine: Engine,
        conversation: TextConversation,
        store: SessionStore,
        quota: Quota,
        redis: Redis,
        keyring: Keyring,
        texts: Texts,
        notices: Notices,
        operator: Operator,
    ) -> None:
        """``conversation`` must know a profile of each app: see ``chat_profile``."""
        self._engine = engine
        self._conversation = conversation
        self._redis = redis
        self._keyring = keyring
        self._texts = texts
        self._notices = notices
        self._said: Mapping[str, Text] = chat_texts(operator)
        self._linking = Linking(
            engine=engine, store=store, keyring=keyring, quota=quota, say=self._stranger, welcome=self._welcome
        )

    async def hear(self, heard: Heard) -> ChatAnswer | None:
        """Answer what was heard; None where nothing is to be said, or another process has said it.

        Raises what says that nothing was done and the update should come again: ``SessionsDown``, Postgres away.
        """
        if not heard.private:
            return await self._group(heard)
        try:
            answer = await self._answer(heard)
        except SessionsDown:
            raise
        except Exception as error:
            # Whatever broke, the person hears something; should Postgres be away, the next line says so.
            log.exception("chat_failed", app=heard.app, error=type(error).__name__)
            answer = ChatAnswer(self._notices.screen("try_again", self._spoken(heard)).text)
        first = await self._engine.first_time(heard.app, heard.update_id)
        return answer if first else None

    async def _answer(self, heard: Heard) -> ChatAnswer | None:
        tap = None if heard.tapped is None else read_tap(heard.tapped)
        command = heard.command if tap is None else tap.command
        msisdn = await self._engine.linked(heard.app, heard.chat)
        if msisdn is None:
            return await self._linking.hear(heard, _words(command, heard.text) if command != "start" else _wish(heard))
        if command in ("unlink", CONFIRM_UNLINK, KEEP_LINK):
            return await self._unlink(heard, command, msisdn)
        if command == "help":
            return ChatAnswer(await self._say(msisdn, self._said["help"]), await self._menu(msisdn))
        if tap is not None and tap.key:
            return await self._converse(heard, msisdn, tap.key, on=tap.screen)
        text = _wish(heard) or WORDS["start"] if command == "start" else _words(command, heard.text)
        return await self._converse(heard, msisdn, text or heard.text)

    async def _converse(self, heard: Heard, msisdn: str, text: str, on: str | None = None) -> ChatAnswer | None:
        """One text, or the key of a button, through the dialogs."""
        awaited = await self._awaited_secret(heard)
        secret = heard.tapped is None and (awaited or SECRET.fullmatch(heard.text) is not None)
        shown = await self._receive(heard, msisdn, text, on)
        if shown.label == PAST and on is not None:
            # A button of a conversation long past: nothing was done, and where to begin again is the current screen.
            shown = await self._receive(heard, msisdn, WORDS["start"])
        if shown.silent:
            return None
        if shown.secret:
            await self._await_secret(heard)
        return ChatAnswer(
            shown.body or shown.text,
            await self._rows(shown, msisdn),
            edits=on is not None,
            deletes=secret,
            receipt=shown.receipt,
        )

    async def _receive(self, heard: Heard, msisdn: str, text: str, on: str | None = None) -> Shown:
        return await self._conversation.receive(
            heard.app, heard.chat, heard.update_id, msisdn, text, channel="chat", on=on
        )

    async def _rows(self, shown: Shown, msisdn: str) -> tuple[tuple[Button, ...], ...]:
        """An option a row, the navigation keys in the last one; where a path ends, the way back to the menu."""
        buttons = [(one, Button(one.label, key_data(shown.screen, one.key))) for one in shown.options]
        if not buttons:
            return await self._menu(msisdn) if shown.ends else ()
        options = [(button,) for one, button in buttons if not one.key.startswith("0")]
        keys = tuple(button for one, button in buttons if one.key.startswith("0"))
        return (*options, keys) if keys else tuple(options)

    async def _menu(self, msisdn: str) -> tuple[tuple[Button, ...], ...]:
        return ((Button(await self._say(msisdn, MENU), command_data("menu")),),)

    async def _unlink(self, heard: Heard, command: str, msisdn: str) -> ChatAnswer | None:
        if command == CONFIRM_UNLINK:
            said = await self._say(msisdn, self._said["unlinked"])
            await self._engine.unlink(heard.app, heard.chat)
            log.info("chat_unlinked", app=heard.app)
            return ChatAnswer(said, edits=True)
        if command == KEEP_LINK:
            return await self._converse(heard, msisdn, WORDS["start"])
        rows = (
            (Button(await self._say(msisdn, UNLINK), command_data(CONFIRM_UNLINK)),),
            (Button(await self._say(msisdn, KEEP), command_data(KEEP_LINK)),),
        )
        return ChatAnswer(await self._say(msisdn, self._said["ask_unlink"]), rows)

    async def _group(self, heard: Heard) -> ChatAnswer | None:
        """A group or channel is told once where to write, and then left alone."""
        digest = self._keyring.digest("chat", f"{heard.app}|{heard.chat}".encode())[:16].hex()
        if not await self._engine.first_time(heard.app, f"group:{digest}"):
            return None
        return ChatAnswer(self._texts.say(self._spoken(heard), self._said["group"]))

    async def _welcome(self, heard: Heard, msisdn: str, wish: str) -> ChatAnswer:
        shown = await self._receive(heard, msisdn, wish or WORDS["start"])
        return ChatAnswer(shown.body or shown.text, await self._rows(shown, msisdn), receipt=shown.receipt)

    # -- words ------------------------------------------------------------------------------------------------------

    def _spoken(self, heard: Heard) -> str:
        """The language of who is not known yet: the app's, where we speak it."""
        return self._texts.language(heard.language.partition("-")[0].lower())

    def _stranger(self, heard: Heard, said: Said) -> str:
        language = self._spoken(heard)
        return "\n".join([self._texts.say(language, self._said[name]) for name in said if name])

    async def _say(self, msisdn: str, said: Text) -> str:
        """In the line's own language, read afresh: this very update may have changed it."""
        subscriber = await self._engine.subscriber(msisdn)
        return self._texts.say(self._texts.language(subscriber.language), said)

    # -- secrets ----------------------------------------------------------------------------------------------------

    def _secret_key(self, heard: Heard) -> str:
        digest = self._keyring.digest("secret", f"{heard.app}|{heard.chat}".encode())[:16].hex()
        return f"secret:{{{digest}}}"

    async def _await_secret(self, heard: Heard) -> None:
        """Remember that the screen asks for a secret: what is written next is deleted, whatever it looks like."""
        try:
            await self._redis.set(self._secret_key(heard), 1, ex=3600)
        except (RedisError, OSError):
            log.info("secret_not_awaited", app=heard.app)

    async def _awaited_secret(self, heard: Heard) -> bool:
        try:
            return bool(await self._redis.getdel(self._secret_key(heard)))
        except (RedisError, OSError):
            return True  # rather delete too much than leave a PIN in the chat


def _words(command: str, rest: str) -> str:
    """What a command stands for as a text; nothing for one that is none."""
    return f"{WORDS[command]} {rest}".strip() if command in WORDS else ""


def _wish(heard: Heard) -> str:
    """What the link that opened the bot asks for: ``/start buy_2`` → ``BUY 2``."""
    if heard.command != "start":
        return ""
    wish, _, rest = heard.text.partition("_")
    return _words(wish, rest) if wish != "start" else ""
