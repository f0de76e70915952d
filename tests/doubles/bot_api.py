"""A Bot API server of our own: the wire format of https://core.telegram.org/bots/api, with people to write and tap.

It keeps what each chat shows, refuses what the real one refuses, and can be told to fail. Over it: ``write`` and
``tap`` are what people do; ``chat(…)`` is what they see.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import aiohttp
from aiohttp import web

from tests.doubles.bot_people import People

TOKEN = "987654:double"
SECRET = re.compile(r"[A-Za-z0-9_-]{1,256}")
BOT = {"id": 987654, "is_bot": True, "first_name": "Rasid", "username": "rasid_bot"}


class Refused(Exception):
    """An answer of the server that is not ok."""

    def __init__(self, status: int, description: str, parameters: dict[str, Any] | None = None) -> None:
        self.status = status
        self.body: dict[str, Any] = {"ok": False, "error_code": status, "description": description}
        if parameters:
            self.body["parameters"] = parameters


@dataclass
class Fault:
    """What happens to the next calls of a method: a refusal, or its answer lost after the work was done."""

    refused: Refused | None
    times: int


class BotApi(People):
    """The server. ``base_url`` is what a bot is given, the token follows it directly."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.commands: dict[str, list[dict[str, str]]] = {}
        self.webhook: dict[str, Any] = {}
        self.answered: list[str] = []
        self.pushed: list[int] = []
        self.base_url = ""
        self._faults: dict[str, deque[Fault]] = defaultdict(deque)
        self._polling: asyncio.Event | None = None
        self._runner: web.AppRunner | None = None
        self._pushes: set[asyncio.Task[None]] = set()
        self.closing = False

    async def start(self) -> None:
        application = web.Application()
        application.router.add_route("*", "/bot{token}/{method}", self._serve)
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.base_url = f"http://127.0.0.1:{self._runner.addresses[0][1]}/bot"

    async def stop(self) -> None:
        self.closing = True
        self.arrived.set()
        for task in self._pushes:
            task.cancel()
        assert self._runner is not None
        await self._runner.cleanup()

    # -- what goes wrong --------------------------------------------------------------------------------------------

    def refuse(self, method: str, status: int, description: str, *, retry_after: int = 0, times: int = 1) -> None:
        """The next calls of ``method`` are refused before anything is done."""
        parameters = {"retry_after": retry_after} if retry_after else None
        self._faults[method].append(Fault(Refused(status, description, parameters), times))

    def lose_answer(self, method: str, times: int = 1) -> None:
        """The next calls of ``method`` take effect, and their answer never arrives."""
        self._faults[method].append(Fault(None, times))

    def count(self, method: str) -> int:
        return sum(1 for name, _ in self.calls if name == method)

    # -- the wire ---------------------------------------------------------------------------------------------------

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        method = request.match_info["method"]
        try:
            handler = self._handler(request.match_info["token"], method)
            given = await _parameters(request)
            self.calls.append((method, given))
            fault = self._fault(method)  # raises what the test wants refused
            result = await handler(given)
        except Refused as refused:
            return web.json_response(refused.body, status=refused.status)
        if fault is not None:
            assert request.transport is not None
            request.transport.close()
        return web.json_response({"ok": True, "result": result})

    def _handler(self, token: str, method: str) -> Callable[[dict[str, Any]], Awaitable[Any]]:
        if token != TOKEN:
            raise Refused(401, "Unauthorized")
        handler: Callable[..., Any] | None = getattr(self, f"_on_{method.lower()}", None)
        if handler is None:
            raise Refused(404, "Not Found")
        return handler

    def _fault(self, method: str) -> Fault | None:
        faults = self._faults[method]
        if not faults:
            return None
        fault = faults[0]
        fault.times -= 1
        if fault.times <= 0:
            faults.popleft()
        if fault.refused is not None:
            raise fault.refused
        return fault

    async def _on_getme(self, _given: dict[str, Any]) -> dict[str, Any]:
        return BOT | {"can_join_groups": True, "can_read_all_group_messages": False, "supports_inline_queries": False}

    async def _on_getupdates(self, given: dict[str, Any]) -> list[dict[str, Any]]:
        if self.webhook.get("url"):
            raise Refused(409, "Conflict: can't use getUpdates method while webhook is active; use deleteWebhook")
        if self._polling is not None:
            self._polling.set()
        mine = self._polling = asyncio.Event()
        offset = int(given.get("offset", 0))
        self.updates = [one for one in self.updates if one["update_id"] >= offset]
        until = time.monotonic() + float(given.get("timeout", 0))
        while not self.updates and not self.closing and not mine.is_set() and time.monotonic() < until:
            self.arrived.clear()
            waits = [asyncio.ensure_future(one.wait()) for one in (self.arrived, mine)]
            await asyncio.wait(waits, timeout=until - time.monotonic(), return_when=asyncio.FIRST_COMPLETED)
            for wait in waits:
                wait.cancel()
        if mine.is_set():
            raise Refused(409, "Conflict: terminated by other getUpdates request")
        self._polling = None
        return self.updates[: int(given.get("limit", 100))]

    async def _on_setwebhook(self, given: dict[str, Any]) -> bool:
        if not SECRET.fullmatch(given.get("secret_token", "x")):
            raise Refused(400, "Bad Request: secret token contains unallowed characters")
        self.webhook = given
        self.push_all()
        return True

    async def _on_deletewebhook(self, _given: dict[str, Any]) -> bool:
        self.webhook = {}
        return True

    async def _on_setmycommands(self, given: dict[str, Any]) -> bool:
        self.commands[given.get("language_code", "")] = given["commands"]
        return True

    async def _on_sendmessage(self, given: dict[str, Any]) -> dict[str, Any]:
        chat = self.chats.get(int(given["chat_id"]))
        if chat is None:
            raise Refused(400, "Bad Request: chat not found")
        message = self.new_message(chat, BOT, _text(given)) | _markup(given)
        chat.messages[message["message_id"]] = message
        return message

    async def _on_editmessagetext(self, given: dict[str, Any]) -> dict[str, Any]:
        chat = self.chats[int(given["chat_id"])]
        message = chat.messages.get(int(given["message_id"]))
        if message is None or not message["from"]["is_bot"]:
            raise Refused(400, "Bad Request: message to edit not found")
        wanted = {"text": _text(given), **_markup(given)}
        if wanted == {name: message[name] for name in ("text", "reply_markup") if name in message}:
            raise Refused(
                400,
                "Bad Request: message is not modified: specified new message content and reply markup are exactly "
                "the same as a current content and reply markup of the message",
            )
        message.pop("reply_markup", None)
        message.update(wanted, edit_date=int(time.time()))
        return message

    async def _on_editmessagereplymarkup(self, given: dict[str, Any]) -> dict[str, Any]:
        message = self.chats[int(given["chat_id"])].messages[int(given["message_id"])]
        if message.get("reply_markup", {}) == _markup(given).get("reply_markup", {}):
            raise Refused(400, "Bad Request: message is not modified")
        message.pop("reply_markup", None)
        message.update(_markup(given))
        return message

    async def _on_deletemessage(self, given: dict[str, Any]) -> bool:
        chat = self.chats[int(given["chat_id"])]
        if chat.messages.pop(int(given["message_id"]), None) is None:
            raise Refused(400, "Bad Request: message to delete not found")
        chat.deleted.append(int(given["message_id"]))
        return True

    async def _on_answercallbackquery(self, given: dict[str, Any]) -> bool:
        if given["callback_query_id"] not in self.open_queries:
            raise Refused(400, "Bad Request: query is too old and response timeout expired or query ID is invalid")
        self.answered.append(given["callback_query_id"])
        return True

    # -- updates ----------------------------------------------------------------------------------------------------

    def push_all(self) -> None:
        if not self.webhook.get("url"):
            return
        waiting, self.updates = self.updates, []
        for update in waiting:
            task = asyncio.ensure_future(self._push(update))
            self._pushes.add(task)
            task.add_done_callback(self._pushes.discard)

    async def _push(self, update: dict[str, Any]) -> None:
        """Until it is taken with a 2xx, as the real one does for a while."""
        headers = {"X-Telegram-Bot-Api-Secret-Token": self.webhook["secret_token"]}
        async with aiohttp.ClientSession() as http:
            while not self.closing:
                async with http.post(self.webhook["url"], json=update, headers=headers) as response:
                    self.pushed.append(response.status)
                    if response.ok:
                        return
                await asyncio.sleep(0.05)


async def _parameters(request: web.Request) -> dict[str, Any]:
    """Query, form or JSON, as the real server takes them; nested values arrive as JSON text in a form."""
    given: dict[str, Any] = dict(request.query)
    if request.content_type == "application/json":
        return given | await request.json()
    for name, value in (await request.post()).items():
        try:
            given[name] = json.loads(value) if name in {"reply_markup", "commands", "allowed_updates"} else value
        except ValueError:
            raise Refused(400, f"Bad Request: can't parse {name}") from None
    return given


def _text(given: dict[str, Any]) -> str:
    text: str = given.get("text", "")
    if not text.strip():
        raise Refused(400, "Bad Request: message text is empty")
    if len(text) > 4096:
        raise Refused(400, "Bad Request: MESSAGE_TOO_LONG")
    return text.strip()


def _markup(given: dict[str, Any]) -> dict[str, Any]:
    markup = given.get("reply_markup")
    if not markup or not markup.get("inline_keyboard"):
        return {}
    for row in markup["inline_keyboard"]:
        for button in row:
            if not 1 <= len(button["callback_data"].encode()) <= 64:
                raise Refused(400, "Bad Request: BUTTON_DATA_INVALID")
    return {"reply_markup": markup}
