"""RestComm's gateway called by us: dialogues that we begin.

A dialogue of ours is a row of POSTs to the gateway's push address. Each response holds what the person answered, so it
comes when they have; the first one sets the cookie ``JSESSIONID``, which all later requests carry. The number stands in
the first message only. ``unstructuredSSNotify_Request`` tells, ``unstructuredSSRequest_Request`` asks, and a dialog
without a message ends it.
"""

from __future__ import annotations

import asyncio
from typing import Final

import structlog
from aiohttp import ClientConnectorError, ClientError, ClientSession, ClientTimeout, ConnectionTimeoutError, CookieJar

from channels.turn import Event, Malformed, Reply, Turn
from channels.ussd.outbound import NotPushed, Opening, Tools
from channels.ussd.restcomm.options import RestcommOptions
from channels.ussd.restcomm.wire import ANSWERS, CLOSED, NOTIFIED, OUTCOMES, Dialog, asks, notifies, parse, releases
from configuration.options import Options, read_options

log = structlog.get_logger(__name__)

#: octets; a dialog of the gateway's is a tenth of it
BODY_LIMIT: Final = 16_384
#: screens of one dialogue; nobody answers so many
SCREENS_MOST: Final = 100
HEADERS: Final = {"Content-Type": "text/xml; charset=utf-8"}


class Outbound:
    """One gateway's push address."""

    session_seconds = 180
    outcomes = OUTCOMES
    #: nothing is kept open
    connected = True

    def __init__(self, name: str, options: Options, tools: Tools) -> None:
        """Opens nothing. Raises ``WrongOptions``."""
        self._name = name
        self._tools = tools
        self._options = read_options(RestcommOptions, options)
        self._under_way: set[asyncio.Task[None]] = set()

    @property
    def pushes(self) -> bool:
        """Whether a push address is set."""
        return bool(self._options.push_url)

    async def start(self) -> None:
        """Nothing is kept open."""

    async def close(self) -> None:
        """Let go: dialogues under way are over for us, and the gateway ends them by its own timer."""
        for task in self._under_way:
            task.cancel()
        await asyncio.gather(*self._under_way, return_exceptions=True)

    async def push(self, opening: Opening) -> None:
        """One dialogue, from its first screen to its end. Raises ``NotPushed`` while nobody has seen anything."""
        if not self.pushes:
            raise NotPushed("no_push_url")
        # As a task of its own, so that closing ends it whoever waits.
        task = asyncio.create_task(self._dialogue(opening))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError:
            task.cancel()
            raise
        if task.cancelled():
            raise NotPushed("closing", unknown=True)
        task.result()

    async def _dialogue(self, opening: Opening) -> None:
        # A jar for each dialogue: the cookie is the dialogue.
        timeout = ClientTimeout(total=self._options.answer_seconds, connect=self._tools.deadline_seconds)
        async with ClientSession(cookie_jar=CookieJar(unsafe=True), timeout=timeout) as client:
            reply, number = opening.reply, opening.msisdn
            for hop in range(1, SCREENS_MOST):
                said = await self._exchange(client, _next(reply, number), first=hop == 1, told=reply.ends)
                if said is None or not said.message:
                    await self._over(opening, said)
                    if hop == 1 and said is not None:
                        raise NotPushed(said.outcome)
                    return
                if reply.ends or said.message == NOTIFIED:
                    await self._exchange(client, releases())
                    return
                if said.message != ANSWERS:
                    await self._over(opening, said)
                    return
                reply, number = await self._tools.turn(self._turn(opening, said.text, str(hop))), ""

    async def _exchange(
        self, client: ClientSession, body: bytes, *, first: bool = False, told: bool = False
    ) -> Dialog | None:
        """Send one dialog and read the one that comes back; None where none came, and it was not the first."""
        try:
            async with client.post(
                self._options.push_url, data=body, headers=HEADERS, allow_redirects=False
            ) as response:
                content = await response.content.read(BODY_LIMIT)
                reason = "" if response.status == 200 else f"http_{response.status}"
            if not reason:
                return parse(content, told=told) if content.strip() else Dialog("", CLOSED)
            unknown = False
        except (ClientConnectorError, ConnectionTimeoutError) as error:
            reason, unknown = type(error).__name__, False
        except (ClientError, TimeoutError) as error:
            # It had the request: what became of it nobody says.
            reason, unknown = type(error).__name__, True
        except Malformed as error:
            reason, unknown = f"malformed_{error.field}", True
        log.info("ussd_push_broken", gateway=self._name, reason=reason)
        if first:
            raise NotPushed(reason, unknown=unknown)
        return None

    async def _over(self, opening: Opening, said: Dialog | None) -> None:
        """The dialogue ended before its last screen."""
        await self._tools.turn(self._turn(opening, "", "", Event.CLOSE))
        self._tools.ended(said.outcome if said is not None and said.outcome else CLOSED)

    def _turn(self, opening: Opening, text: str, sequence: str, event: Event = Event.RESUME) -> Turn:
        return Turn(
            channel="ussd",
            gateway=self._name,
            session_id=opening.session_id,
            msisdn=opening.msisdn,
            text=text,
            event=event,
            service_code=f"*{self._tools.service_code}#",
            sequence=sequence,
        )


def _next(reply: Reply, number: str) -> bytes:
    return notifies(reply.text, number) if reply.ends else asks(reply.text, number)
