"""The people at the other end of the bot: their chats as they see them, and the updates that come out of them."""

from __future__ import annotations

import asyncio
import json
import time
from collections import deque
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]

#: messages that one chat keeps, and updates that wait for a bot or can be brought a second time
CHAT_MOST, UPDATES_MOST = 200, 10_000


@dataclass
class Chat:
    """One chat as the person sees it: message id → message, in order."""

    id: int
    type: str = "private"
    messages: dict[int, Json] = field(default_factory=dict)
    #: ids of messages that the bot took out of the chat
    deleted: list[int] = field(default_factory=list)
    #: raised by whatever changes what the person sees
    version: int = 0

    @property
    def last(self) -> Json:
        """The newest message that the bot wrote. Raises ``IndexError`` where it wrote none."""
        return [one for one in self.messages.values() if one["from"]["is_bot"]][-1]

    def labels(self, message: Json | None = None) -> list[str]:
        """The buttons under a message, by default under the bot's newest."""
        rows = (message or self.last).get("reply_markup", {}).get("inline_keyboard", [])
        return [button["text"] for row in rows for button in row]

    def texts(self) -> list[str]:
        """Everything the bot has written, as it stands now."""
        return [one["text"] for one in self.messages.values() if one["from"]["is_bot"]]

    def keep(self, message: Json) -> None:
        """Add a message; the oldest goes when there are too many."""
        self.messages[message["message_id"]] = message
        if len(self.messages) > CHAT_MOST:
            del self.messages[next(iter(self.messages))]
        self.version += 1


class People:
    """Chats, and the updates that come out of them. ``BotApi`` carries both over the wire."""

    def __init__(self) -> None:
        self.chats: dict[int, Chat] = {}
        #: what the bot has not taken yet
        self.updates: list[Json] = []
        self.updates_seen: deque[Json] = deque(maxlen=UPDATES_MOST)
        self.arrived = asyncio.Event()
        # Bots remember the updates they have served, so a server that starts anew must not begin at the same number.
        self._next_update = int(time.time())
        self._next_message = 10

    def push_all(self) -> None:
        """Hand waiting updates to the webhook, if there is one."""

    def chat(self, chat_id: int, kind: str = "private") -> Chat:
        """The chat of that id, made where there was none: below 0 are groups."""
        return self.chats.setdefault(chat_id, Chat(chat_id, kind))

    def write(self, chat_id: int, text: str, *, kind: str = "private", language: str = "en", **extra: Any) -> int:
        """A person writes. ``extra`` goes into the message (``contact`` …). Returns the update's id."""
        chat = self.chat(chat_id, kind)
        message = self.new_message(chat, self._person(chat_id, language), text) | extra
        if text.startswith("/"):
            command = text.split(maxsplit=1)[0]
            message["entities"] = [{"type": "bot_command", "offset": 0, "length": len(command)}]
        chat.keep(message)
        return self._enqueue({"message": message})

    def tap(self, chat_id: int, label: str, *, on: int | None = None, language: str = "en") -> int:
        """A person taps the button that says ``label``, under the bot's newest message or under ``on``."""
        chat = self.chat(chat_id)
        message = chat.last if on is None else chat.messages[on]
        rows = message["reply_markup"]["inline_keyboard"]
        data = next(button["callback_data"] for row in rows for button in row if button["text"] == label)
        return self.tap_data(chat_id, message, data, language=language)

    def tap_data(self, chat_id: int, message: Json, data: str, *, language: str = "en") -> int:
        """A tap on a message as the person's phone holds it, which may be an older screen. Returns the update's id."""
        query = {
            "id": str(5_000_000 + self._next_update),
            "from": self._person(chat_id, language),
            "message": message,
            "chat_instance": str(-chat_id),
            "data": data,
        }
        return self._enqueue({"callback_query": query})

    def enqueue_again(self, update_id: int) -> None:
        """The network brings an update a second time."""
        self._arrive(next(one for one in self.updates_seen if one["update_id"] == update_id))

    def new_message(self, chat: Chat, author: Json, text: str) -> Json:
        """A message that nobody has yet."""
        self._next_message += 1
        return {
            "message_id": self._next_message,
            "date": int(time.time()),
            "chat": {"id": chat.id, "type": chat.type},
            "from": author,
            "text": text,
        }

    def _enqueue(self, what: Json) -> int:
        # As it was sent: what is edited later does not change what the update said.
        update: Json = json.loads(json.dumps({"update_id": self._next_update, **what}))
        self._next_update += 1
        self.updates_seen.append(update)
        self._arrive(update)
        return int(update["update_id"])

    def _arrive(self, update: Json) -> None:
        self.updates.append(update)
        del self.updates[:-UPDATES_MOST]
        self.arrived.set()
        self.push_all()

    @staticmethod
    def _person(chat_id: int, language: str) -> Json:
        return {"id": abs(chat_id), "is_bot": False, "first_name": "Amina", "language_code": language}
