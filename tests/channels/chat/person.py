"""A person in a chat, without an app between: every event under an id of its own, and any of them once more."""

from __future__ import annotations

from redis.asyncio import Redis

from channels.chat.contract import ChatAnswer, Heard
from channels.chats import Chats

#: chat ids
AMINA, BARAKA = 7700112233, 7700445566
#: a bundle and its price, and what AMINA's line has, minor units
BUNDLE, PRICE, MONEY = "100 MB 1 day", 2_000, 100_000


class Person:
    """Writes and taps, and sees what the chat shows."""

    def __init__(self, chats: Chats, chat: int = AMINA, language: str = "en") -> None:
        self.chats = chats
        self.chat = chat
        self.language = language
        self.events: list[Heard] = []
        self.shown: list[ChatAnswer] = []

    async def write(self, text: str, *, command: str = "", private: bool = True) -> ChatAnswer | None:
        return await self.hear(text=text, command=command, private=private)

    async def command(self, command: str, rest: str = "") -> ChatAnswer | None:
        return await self.hear(text=rest, command=command)

    async def tap(self, label: str, on: ChatAnswer | None = None) -> ChatAnswer | None:
        """Tap the button under what is shown now, or under an older screen."""
        return await self.hear(tapped=button(on or self.shown[-1], label))

    async def hear(self, **what) -> ChatAnswer | None:
        heard = Heard(
            app="telegram",
            update_id=f"{self.chat % 1000}{len(self.events):03}",
            chat=str(self.chat),
            language=self.language,
            **what,
        )
        self.events.append(heard)
        return await self.again()

    async def again(self, chats: Chats | None = None) -> ChatAnswer | None:
        """The app delivers the last event once more, through another process if need be."""
        answer = await (chats or self.chats).hear(self.events[-1])
        if answer is not None:
            self.shown.append(answer)
        return answer


def labels(answer: ChatAnswer) -> list[str]:
    return [button.label for row in answer.rows for button in row]


def button(answer: ChatAnswer, label: str) -> str:
    return next(one.data for row in answer.rows for one in row if one.label.startswith(label))


async def everything_in(redis: Redis) -> bytes:
    """All names and values that Redis holds."""
    held = b""
    async for name in redis.scan_iter():
        value = await redis.hgetall(name) if await redis.type(name) == b"hash" else await redis.get(name)
        held += name + (value if isinstance(value, bytes) else b"".join([*value, *value.values()]))
    return held


async def to_confirm(person: Person) -> None:
    """Go as far as the confirm screen of ``BUNDLE``."""
    await person.command("menu")
    await person.tap("Bundles")
    await person.tap(BUNDLE)
