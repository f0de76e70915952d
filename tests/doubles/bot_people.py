"""The people at the other end of the Bot API double: they write, tap, and see what their chat shows."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Chat:
    """One chat as the person sees it: message id → message, in order."""

    id: int
    type: str = "private"
    messages: dict[int, dict[str, Any]] = field(default_factory=dict)
    deleted: list[int] = field(default_factory=list)

    @property
    def last(self) -> dict[str, Any]:
        """The newest message that the bot wrote."""
        return [one for one in self.messages.values() if one["from"]["is_bot"]][-1]

    def labels(self, message: dict[str, Any] | None = None) -> list[str]:
        """The buttons under a message, by default the bot's newest."""
        rows = (message or self.last).get("reply_markup", {}).get("inline_keyboard", [])
        return [button["text"] for row in rows for button in row]

    def texts(self) -> list[str]:
        """Everything the bot has written, as it stands now."""
        return [one["text"] for one in self.messages.values() if one["from"]["is_bot"]]


class People:
    """Chats and the updates that come out of them. The server over it carries both over the wire."""

    def __init__(self) -> None:
        self.chats: dict[int, Chat] = {}
        self.updates: list[dict[str, Any]] = []
        self.updates_seen: list[dict[str, Any]] = []
        self.arrived = asyncio.Event()
        self.open_queries: set[str] = set()
        self._next_update, self._next_message = 1000, 10

    def push_all(self) -> None:
        """Hand waiting updates to the webhook, if there is one."""

    def chat(self, chat_id: int, kind: str = "private") -> Chat:
        return self.chats.setdefault(chat_id, Chat(chat_id, kind))

    def write(self, chat_id: int, text: str, *, kind: str = "private", language: str = "en", **extra: Any) -> int:
        """A person writes. Returns the update's id."""
        chat = self.chat(chat_id, kind)
        message = self.new_message(chat, self._person(chat_id, language), text) | extra
        if text.startswith("/"):
            command = text.split(maxsplit=1)[0]
            message["entities"] = [{"type": "bot_command", "offset": 0, "length": len(command)}]
        chat.messages[message["message_id"]] = message
        return self._enqueue({"message": message})

    def tap(self, chat_id: int, label: str, *, on: int | None = None, language: str = "en") -> int:
        """A person taps the button that says ``label``, under the bot's newest message or under ``on``."""
        chat = self.chat(chat_id)
        message = chat.last if on is None else chat.messages[on]
        rows = message["reply_markup"]["inline_keyboard"]
        data = next(button["callback_data"] for row in rows for button in row if button["text"] == label)
        return self.tap_data(chat_id, message, data, language=language)

    def tap_data(self, chat_id: int, message: dict[str, Any], data: str, *, language: str = "en") -> int:
        """A tap as an old screen of the phone still holds it."""
        query = {
            "id": str(5_000_000 + self._next_update),
            "from": self._person(chat_id, language),
            "message": message,
            "chat_instance": str(-chat_id),
            "data": data,
        }
        self.open_queries.add(query["id"])
        return self._enqueue({"callback_query": query})

    def enqueue_again(self, update_id: int) -> None:
        """The network brings an update a second time."""
        update = next(one for one in self.updates_seen if one["update_id"] == update_id)
        self._arrive(update)

    def _enqueue(self, what: dict[str, Any]) -> int:
        update = {"update_id": self._next_update, **what}
        self._next_update += 1
        # As it was sent: what is edited later does not change what the update said.
        update = json.loads(json.dumps(update))
        self.updates_seen.append(update)
        self._arrive(update)
        return int(update["update_id"])

    def _arrive(self, update: dict[str, Any]) -> None:
        self.updates.append(update)
        self.arrived.set()
        self.push_all()

    def new_message(self, chat: Chat, author: dict[str, Any], text: str) -> dict[str, Any]:
        self._next_message += 1
        return {
            "message_id": self._next_message,
            "date": int(time.time()),
            "chat": {"id": chat.id, "type": chat.type},
            "from": author,
            "text": text,
        }

    @staticmethod
    def _person(chat_id: int, language: str) -> dict[str, Any]:
        return {"id": abs(chat_id), "is_bot": False, "first_name": "Amina", "language_code": language}
