"""Phones without a person: one session each, on whatever channel, in this process or against a running server."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import NamedTuple

import aiohttp

from channels.conversation import Conversation
from channels.texts import TextConversation
from channels.turn import Event, Reply, Turn
from channels.ussd.voice import Call, Voice

#: what begins a conversation by text
FIRST_WORD = "MENU"


class Seen(NamedTuple):
    """What a phone shows. ``label`` names the screen where that is known: not over a gateway."""

    text: str
    ends: bool
    label: str = ""


class Phone(ABC):
    """One session of one person."""

    @abstractmethod
    async def dial(self, beyond: str = "") -> Seen:
        """Begin; ``beyond`` is what is dialled behind the code: ``2*50``."""

    @abstractmethod
    async def say(self, typed: str) -> Seen:
        """Type an answer."""

    @abstractmethod
    async def again(self) -> Seen:
        """The network sends the last hop once more."""

    async def hang_up(self) -> None:  # noqa: B027 - texts have nothing to hang up
        """The person is gone."""


class UssdPhone(Phone):
    """A session in this process: of a cumulative gateway, or of a terminal, whose hops have numbers.

    What a screen holds is the gateway's rule, whoever looks at it.
    """

    def __init__(
        self, conversation: Conversation, gateway: str, msisdn: str, session_id: str, *, cumulative: bool = True
    ) -> None:
        """``gateway``: a name of the conversation's profiles. ``msisdn``: E.164."""
        self._conversation = conversation
        self._gateway, self._msisdn, self._session_id = gateway, msisdn, session_id
        self._cumulative = cumulative
        self._text = ""
        self._hops = 0

    async def dial(self, beyond: str = "") -> Seen:
        """As ``Phone.dial``."""
        self._text, self._hops = beyond, 0
        return await self.again()

    async def say(self, typed: str) -> Seen:
        """As ``Phone.say``."""
        joined = f"{self._text}*{typed}" if self._text else typed
        self._text = joined if self._cumulative else typed
        self._hops += 1
        return await self.again()

    async def again(self) -> Seen:
        """As ``Phone.again``."""
        return _seen(await self._conversation.turn(self._turn(Event.RESUME if self._hops else Event.NEW)))

    async def hang_up(self) -> None:
        """As ``Phone.hang_up``."""
        await self._conversation.turn(self._turn(Event.CLOSE))

    def _turn(self, event: Event) -> Turn:
        return Turn(
            channel="ussd" if self._cumulative else "terminal",
            gateway=self._gateway,
            session_id=self._session_id,
            msisdn=self._msisdn,
            text=self._text,
            event=event,
            cumulative=self._cumulative,
            sequence="" if self._cumulative else str(self._hops),
        )


class TextPhone(Phone):
    """A thread of texts with one carrier or app in this process, as if from a phone that nobody had before.

    ``name`` must be new for each.
    """

    def __init__(self, conversation: TextConversation, app: str, msisdn: str, name: str) -> None:
        self._conversation = conversation
        self._app, self._msisdn, self._name = app, msisdn, name
        self._sent = 0
        self._text = FIRST_WORD

    async def dial(self, beyond: str = "") -> Seen:
        """The first word; ``beyond`` is texted after it."""
        seen = await self.say(FIRST_WORD)
        for typed in beyond.split("*") if beyond else ():
            seen = await self.say(typed)
        return seen

    async def say(self, typed: str) -> Seen:
        """As ``Phone.say``."""
        self._sent += 1
        self._text = typed
        return await self.again()

    async def again(self) -> Seen:
        """As ``Phone.again``."""
        message_id = f"{self._name}-{self._sent}"
        return _seen(await self._conversation.receive(self._app, self._name, message_id, self._msisdn, self._text))


class ServedPhone(Phone):
    """A session with a running server, in the words of one of its gateways."""

    def __init__(self, http: aiohttp.ClientSession, url: str, voice: Voice) -> None:
        """``url``: the gateway's path at the server, secret segment and all."""
        self._http, self._url, self._voice = http, url, voice
        self._last = Call()

    async def dial(self, beyond: str = "") -> Seen:
        """As ``Phone.dial``."""
        return await self._call(self._voice.dial(beyond))

    async def say(self, typed: str) -> Seen:
        """As ``Phone.say``."""
        return await self._call(self._voice.say(typed))

    async def again(self) -> Seen:
        """As ``Phone.again``."""
        return await self._call(self._last)

    async def hang_up(self) -> None:
        """As ``Phone.hang_up``."""
        call = self._voice.hang_up()
        if call is not None:
            await self._send(call)

    async def _call(self, call: Call) -> Seen:
        self._last = call
        heard = self._voice.hear(*await self._send(call))
        return Seen(heard.text, heard.ends)

    async def _send(self, call: Call) -> tuple[dict[str, str], bytes]:
        headers = {"Content-Type": call.content_type} if call.content_type else {}
        sent = self._http.request(
            call.method, f"{self._url}{call.path}", params=call.query, data=call.body, headers=headers
        )
        async with sent as answer:
            answer.raise_for_status()
            return dict(answer.headers), await answer.read()


def _seen(reply: Reply) -> Seen:
    return Seen(reply.text, reply.ends, reply.label)
