"""The server: Telegram's methods under ``/bot<token>/``, and what people do and see under ``/sandbox/``.

Methods, refusals and updates are those of https://core.telegram.org/bots/api (10.0), for text messages and inline
keyboards. It differs where a tester would otherwise stand before a wall: updates may also be posted at the bot's
webhook by hand, so chats, messages and taps that it has never seen count as known.

* ``GET /sandbox/chats/<chat>``: what the person sees; with ``?seen=<version>`` 204 where nothing is new
* ``POST /sandbox/chats/<chat>/messages`` ``{text, language?}`` and ``/taps`` ``{message_id, data, language?}``
* ``GET /sandbox/calls``: the bot's last calls, oldest first; ``?chat_id=`` and ``?after=<number>`` choose
"""

from __future__ import annotations

import asyncio
import re
import time
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, NamedTuple

import aiohttp
from aiohttp import web
from aiohttp.typedefs import Handler

from sandbox.bot_api.people import Chat, Json, People
from sandbox.bot_api.wire import Refused, markup, number, parameters, text

SECRET = re.compile(r"[A-Za-z0-9_-]{1,256}")
HEADER = "X-Telegram-Bot-Api-Secret-Token"
#: calls of the bot that are remembered
CALLS_MOST = 2000
#: seconds between tries to hand an update to the webhook: first and longest
PUSH_FIRST, PUSH_LONGEST = 0.05, 2.0


class Call(NamedTuple):
    """One call of the bot, and what it was answered."""

    number: int
    method: str
    given: Json
    answer: Json


class BotApi(People):
    """The server. Nothing is kept beyond its life."""

    def __init__(self, token: str, username: str = "rasid_bot") -> None:
        """``token``: whoever calls with another one is not the bot. Call within a running loop."""
        super().__init__()
        self._token = token
        self.bot: Json = {"id": int(token.partition(":")[0]), "is_bot": True, "first_name": "Rasid"}
        self.bot |= {"username": username}
        self.calls: deque[Call] = deque(maxlen=CALLS_MOST)
        self.commands: dict[str, list[dict[str, str]]] = {}
        self.webhook: Json = {}
        #: taps whose clock the bot has stopped
        self.answered: deque[str] = deque(maxlen=CALLS_MOST)
        #: of the server, without a path
        self.base_url = ""
        self._called = 0
        self._polling: asyncio.Event | None = None
        self._runner: web.AppRunner | None = None
        self._pushes: set[asyncio.Task[None]] = set()
        self._turns: defaultdict[object, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._closing = False

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> None:
        """Listen; ``port`` 0 is any free one."""
        self._closing = False
        application = web.Application(middlewares=[_refusals])
        application.router.add_route("*", "/bot{token}/{method}", self._serve)
        application.add_routes(
            [
                web.get("/", self._explain),
                web.get(r"/sandbox/chats/{chat:-?\d{1,18}}", self._see),
                web.post(r"/sandbox/chats/{chat:-?\d{1,18}}/messages", self._write),
                web.post(r"/sandbox/chats/{chat:-?\d{1,18}}/taps", self._tap),
                web.get("/sandbox/calls", self._list_calls),
            ]
        )
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, host, port).start()
        self.base_url = f"http://{host}:{self._runner.addresses[0][1]}"

    async def stop(self) -> None:
        """End every long poll and every try to push, and listen no more."""
        self._closing = True
        self.arrived.set()
        for task in self._pushes:
            task.cancel()
        if self._pushes:
            await asyncio.wait(self._pushes)
        if self._runner is not None:
            await self._runner.cleanup()

    def count(self, method: str) -> int:
        """How often the bot called ``method``."""
        return sum(call.method == method for call in self.calls)

    # -- the bot's side ---------------------------------------------------------------------------------------------

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        method, given, status = request.match_info["method"], {}, 200
        try:
            self._check(request.match_info["token"])
            given = await parameters(request)
            answer: Json = {"ok": True, "result": await self.call(method, given)}
        except Refused as refused:
            answer, status = refused.body, refused.status
        self._called += 1
        self.calls.append(Call(self._called, method, given, answer))
        return web.json_response(answer, status=status)

    def _check(self, token: str) -> None:
        if token != self._token:
            raise Refused(401, "Unauthorized")

    async def call(self, method: str, given: Json) -> Any:
        """Do what the bot asks; the result. Raises ``Refused``."""
        handler: Callable[[Json], Awaitable[Any]] | None = getattr(self, f"_on_{method.lower()}", None)
        if handler is None:
            raise Refused(404, "Not Found")
        return await handler(given)

    async def _on_getme(self, _given: Json) -> Json:
        return self.bot | {"can_join_groups": True, "can_read_all_group_messages": False}

    async def _on_getupdates(self, given: Json) -> list[Json]:
        if self.webhook.get("url"):
            raise Refused(409, "Conflict: can't use getUpdates method while webhook is active; use deleteWebhook")
        if self._polling is not None:
            self._polling.set()
        mine = self._polling = asyncio.Event()
        offset = int(given.get("offset", 0))
        self.updates = [one for one in self.updates if one["update_id"] >= offset]
        until = time.monotonic() + float(given.get("timeout", 0))
        while not self.updates and not self._closing and not mine.is_set() and time.monotonic() < until:
            self.arrived.clear()
            waits = [asyncio.ensure_future(one.wait()) for one in (self.arrived, mine)]
            await asyncio.wait(waits, timeout=until - time.monotonic(), return_when=asyncio.FIRST_COMPLETED)
            for wait in waits:
                wait.cancel()
        if mine.is_set():
            raise Refused(409, "Conflict: terminated by other getUpdates request")
        self._polling = None
        return self.updates[: int(given.get("limit", 100))]

    async def _on_setwebhook(self, given: Json) -> bool:
        if not given.get("url"):
            return await self._on_deletewebhook(given)
        if not SECRET.fullmatch(given.get("secret_token", "x")):
            raise Refused(400, "Bad Request: secret token contains unallowed characters")
        self.webhook = given
        self.push_all()
        return True

    async def _on_deletewebhook(self, _given: Json) -> bool:
        self.webhook = {}
        return True

    async def _on_getwebhookinfo(self, _given: Json) -> Json:
        shown = {"url": self.webhook.get("url", ""), "has_custom_certificate": False}
        return shown | {"pending_update_count": len(self.updates) + len(self._pushes)}

    async def _on_setmycommands(self, given: Json) -> bool:
        self.commands[given.get("language_code", "")] = given["commands"]
        return True

    async def _on_getmycommands(self, given: Json) -> list[dict[str, str]]:
        return self.commands.get(given.get("language_code", ""), [])

    async def _on_sendmessage(self, given: Json) -> Json:
        chat_id = number(given, "chat_id")
        chat = self.chat(chat_id, "private" if chat_id > 0 else "group")
        message = self.new_message(chat, self.bot, text(given)) | markup(given)
        chat.keep(message)
        return message

    async def _on_editmessagetext(self, given: Json) -> Json:
        chat, message = self._message(given)
        wanted = {"text": text(given), **markup(given)}
        if wanted == {name: message[name] for name in ("text", "reply_markup") if name in message}:
            raise Refused(
                400,
                "Bad Request: message is not modified: specified new message content and reply markup are exactly "
                "the same as a current content and reply markup of the message",
            )
        return self._edit(chat, message, wanted)

    async def _on_editmessagereplymarkup(self, given: Json) -> Json:
        chat, message = self._message(given)
        if message.get("reply_markup", {}) == markup(given).get("reply_markup", {}):
            raise Refused(400, "Bad Request: message is not modified")
        return self._edit(chat, message, markup(given))

    async def _on_deletemessage(self, given: Json) -> bool:
        chat, message_id = self.chat(number(given, "chat_id")), number(given, "message_id")
        chat.messages.pop(message_id, None)
        chat.deleted.append(message_id)
        chat.version += 1
        return True

    async def _on_answercallbackquery(self, given: Json) -> bool:
        self.answered.append(str(given.get("callback_query_id", "")))
        return True

    async def _on_sendchataction(self, given: Json) -> bool:
        number(given, "chat_id")
        return True

    def _message(self, given: Json) -> tuple[Chat, Json]:
        """A message of the bot that is to be edited, and its chat. Raises ``Refused``."""
        chat = self.chat(number(given, "chat_id"))
        message = chat.messages.get(number(given, "message_id"))
        if message is None or not message["from"]["is_bot"]:
            raise Refused(400, "Bad Request: message to edit not found")
        return chat, message

    @staticmethod
    def _edit(chat: Chat, message: Json, wanted: Json) -> Json:
        message.pop("reply_markup", None)
        message.update(wanted, edit_date=int(time.time()))
        chat.version += 1
        return message

    # -- the people's side ------------------------------------------------------------------------------------------

    async def _explain(self, _request: web.Request) -> web.Response:
        return web.Response(text=__doc__)

    async def _see(self, request: web.Request) -> web.Response:
        chat = self.chat(int(request.match_info["chat"]))
        if request.query.get("seen") == str(chat.version):
            return web.Response(status=204)
        return web.json_response({"version": chat.version, "messages": list(chat.messages.values())})

    async def _write(self, request: web.Request) -> web.Response:
        given, chat_id = await parameters(request), int(request.match_info["chat"])
        said = text(given)
        kind = "private" if chat_id > 0 else "group"
        return web.json_response({"update_id": self.write(chat_id, said, kind=kind, language=_language(given))})

    async def _tap(self, request: web.Request) -> web.Response:
        given, chat_id = await parameters(request), int(request.match_info["chat"])
        message = self.chat(chat_id).messages.get(number(given, "message_id"))
        if message is None:
            raise Refused(404, "Not Found: no such message in this chat")
        update_id = self.tap_data(chat_id, message, str(given.get("data", "")), language=_language(given))
        return web.json_response({"update_id": update_id})

    async def _list_calls(self, request: web.Request) -> web.Response:
        after, chat_id = number({"after": 0, **request.query}, "after"), request.query.get("chat_id")
        chosen = [call for call in self.calls if call.number > after]
        if chat_id is not None:
            chosen = [call for call in chosen if str(call.given.get("chat_id")) == chat_id]
        return web.json_response([call._asdict() for call in chosen])

    def push_all(self) -> None:
        """Hand waiting updates to the webhook, those of one chat one after the other."""
        if not self.webhook.get("url"):
            return
        waiting, self.updates = self.updates, []
        for update in waiting:
            task = asyncio.ensure_future(self._push(update))
            self._pushes.add(task)
            task.add_done_callback(self._pushes.discard)

    async def _push(self, update: Json) -> None:
        """Until it is taken with a 2xx, as the real one does for a day; a webhook taken back gets it no more."""
        said = update.get("message") or update["callback_query"]["message"]
        pause = PUSH_FIRST
        async with self._turns[said["chat"]["id"]], aiohttp.ClientSession() as http:
            while not self._closing and self.webhook.get("url"):
                headers = {HEADER: self.webhook["secret_token"]} if "secret_token" in self.webhook else {}
                with suppress(aiohttp.ClientError):
                    async with http.post(self.webhook["url"], json=update, headers=headers) as response:
                        if response.ok:
                            return
                await asyncio.sleep(pause)
                pause = min(pause * 2, PUSH_LONGEST)
        self.updates.append(update)


@web.middleware
async def _refusals(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Whoever asks wrongly is told what is wrong, in the same form on both sides."""
    try:
        return await handler(request)
    except Refused as refused:
        return web.json_response(refused.body, status=refused.status)


def _language(given: Json) -> str:
    return str(given.get("language", "en"))[:8]
