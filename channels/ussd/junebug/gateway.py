"""Junebug, the HTTP API of Vumi: every hop is answered by a call of ours.

Inbound: POST of JSON ``to from group message_id channel_id timestamp reply_to content channel_data``; ``content`` is
null when someone dials, ``channel_data.session_event`` is ``new``, ``resume`` or ``close``. Where the channel has a
``mo_url_auth_token`` the header ``Authorization: Token …`` carries it. There is no session id: the session is the
number's, and a hop is known by its ``message_id``.

Answer: ``POST {url}/channels/{channel_id}/messages/`` of JSON ``reply_to content channel_data.continue_session``, for
up to ten minutes after the hop; 201 when it is taken. It leaves before the inbound call is answered, so that a hop
whose answer did not get through is answered with 502 and comes again. The inbound call's own answer repeats the
message: nobody but a test reads it, and without ``options.url`` it is all there is.

Events (``submitted``, ``delivery_failed`` …) and the channel's status come to ``/events`` and are acknowledged.

Source: junebug/docs/http_api.rst.
"""

from __future__ import annotations

import asyncio
import hmac
import re
from typing import Any

import aiohttp
import msgspec
from pydantic import Field

from channels.turn import Event, Malformed, Reply, Turn
from channels.ussd.contract import Adapter, Options, Request, Response, SessionEnd, Undelivered
from channels.ussd.fields import SEQUENCE, dialled, json_object, number, optional, typed, word
from configuration.options import OptionsModel, read_options

EVENTS = {"new": Event.NEW, "resume": Event.RESUME, "close": Event.CLOSE}
CHANNEL_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
TO = re.compile(r"[0-9*#+]{1,80}")
JSON = "application/json"


class JunebugOptions(OptionsModel):
    """``gateways.<name>.options``."""

    #: Junebug's own address; empty: nobody is called
    url: str = Field(default="", pattern=r"^(https?://[^\s?#]+)?$")
    #: what the header Authorization of our calls says, where something in front of Junebug asks for it
    authorization: str = Field(default="", repr=False)
    #: the channel's ``mo_url_auth_token``; empty: hops are let in without one
    token: str = Field(default="", repr=False)
    #: where Junebug may send the events of our answers; empty: nowhere
    event_url: str = Field(default="", pattern=r"^(https?://[^\s]+)?$")
    timeout_seconds: float = Field(default=5.0, gt=0, le=60)


class Gateway(Adapter):
    """The adapter of one configured Junebug channel."""

    session_seconds = 180
    outcomes = frozenset({"close"})

    def __init__(self, name: str, service_code: str, options: Options) -> None:
        """``name``: the instance in the settings. ``service_code``: what people dial, without ``*`` and ``#``."""
        self._name = name
        self._service_code = service_code
        self._options = read_options(JunebugOptions, options)
        self._client: aiohttp.ClientSession | None = None

    def read(self, request: Request) -> Turn | SessionEnd | Response:
        """A hop, or the session's end; 401 where the token is wrong. Raises ``Malformed``."""
        if not self._knows_us(request):
            return _json(401, {"error": "Authorization: not the channel's token"})
        fields = json_object(request.body)
        data = fields.get("channel_data")
        if not isinstance(data, dict):
            raise Malformed("channel_data", "missing" if data is None else "not an object")
        said = word(data, "session_event", re.compile(r"[a-z]{1,20}"))
        event = EVENTS.get(said)
        if event is None:
            raise Malformed("channel_data.session_event", "not known")
        text = typed(fields, "content", required=event is Event.RESUME)
        turn = self._turn(fields, event, text)
        return SessionEnd(turn=turn, outcome="close") if event is Event.CLOSE else turn

    def write(self, reply: Reply, turn: Turn) -> Response:
        """The message, as it was sent."""
        return _json(200, self._message(reply, turn))

    def write_malformed(self, error: Malformed) -> Response:
        """400 with the field and the reason."""
        return _json(400, {"error": f"{error.field}: {error.reason}"})

    def read_event(self, request: Request) -> Response:
        """What became of an answer, or how the channel is: read, so that it can be seen to be JSON, and let go."""
        if not self._knows_us(request):
            return _json(401, {"error": "Authorization: not the channel's token"})
        json_object(request.body)
        return _json(200, {})

    def write_event(self, _ended: SessionEnd) -> Response:
        """The end is taken."""
        return _json(200, {})

    async def send(self, reply: Reply, turn: Turn) -> None:
        """Hand the answer to Junebug. Raises ``Undelivered``."""
        if not self._options.url:
            return
        url = f"{self._options.url.rstrip('/')}/channels/{turn.echo['channel_id']}/messages/"
        headers = {"Authorization": self._options.authorization} if self._options.authorization else {}
        try:
            async with self._session().post(url, json=self._message(reply, turn), headers=headers) as answer:
                status = answer.status
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise Undelivered(type(error).__name__) from None
        if not 200 <= status < 300:
            raise Undelivered(f"http_{status}")

    async def close(self) -> None:
        """Let the connections to Junebug go."""
        if self._client is not None:
            await self._client.close()
            await asyncio.sleep(0)

    def _session(self) -> aiohttp.ClientSession:
        if self._client is None:
            timeout = aiohttp.ClientTimeout(total=self._options.timeout_seconds)
            self._client = aiohttp.ClientSession(timeout=timeout)
        return self._client

    def _knows_us(self, request: Request) -> bool:
        if not self._options.token:
            return True
        said = request.headers.get("Authorization", "")
        return hmac.compare_digest(said.encode(errors="replace"), f"Token {self._options.token}".encode())

    def _message(self, reply: Reply, turn: Turn) -> dict[str, Any]:
        message: dict[str, Any] = {
            "reply_to": turn.sequence,
            "content": reply.text,
            "channel_data": {"continue_session": not reply.ends},
        }
        return message | {"event_url": self._options.event_url} if self._options.event_url else message

    def _turn(self, fields: dict[str, Any], event: Event, text: str) -> Turn:
        return Turn(
            channel="ussd",
            gateway=self._name,
            session_id="",
            msisdn=number(fields, "from"),
            text=dialled(text, self._code(fields)) if event is Event.NEW else text,
            event=event,
            sequence=word(fields, "message_id", SEQUENCE),
            service_code=f"*{self._code(fields)}#",
            echo={"channel_id": word(fields, "channel_id", CHANNEL_ID)},
        )

    def _code(self, fields: dict[str, Any]) -> str:
        return optional(fields, "to", TO).strip("*#") or self._service_code


def _json(status: int, content: dict[str, Any]) -> Response:
    return Response(status, JSON, msgspec.json.encode(content))
