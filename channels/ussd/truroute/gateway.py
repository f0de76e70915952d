"""TruRoute USSD, to the letter.

Hop: POST of ``<ussd><msisdn/><sessionid/><type/><msg/></ussd>``. ``type`` 1: a new session, whose ``msg`` is the
dialled string; 2: ``msg`` is what was typed; 3 and 4: the session was released or ran out of time. Answer: 200,
``<ussd><type/><msg/></ussd>``, ``type`` 2 while the session goes on and 3 when it is over. Hops have no number, so the
same input within a moment is a retry.

Timers: none is published; a session of 180 s is usual. Nothing is signed.
"""

from __future__ import annotations

import re
from typing import Final

from channels.turn import Event, Malformed, Reply, Turn
from channels.ussd.contract import Adapter, Options, Request, Response, SessionEnd
from channels.ussd.fields import SESSION_ID, dialled, number, typed, word
from channels.ussd.xml import DECLARATION, XML, content, read, text
from configuration.options import OptionsModel, read_options

NEW, CONTINUES, RELEASED, TIMED_OUT = "1", "2", "3", "4"
EVENTS: Final = {NEW: Event.NEW, CONTINUES: Event.RESUME, RELEASED: Event.CLOSE, TIMED_OUT: Event.CLOSE}
OUTCOMES: Final = {RELEASED: "released", TIMED_OUT: "timeout"}
TYPE = re.compile(r"[0-9]{1,2}")
FIELDS = ("msisdn", "sessionid", "type", "msg")


class Gateway(Adapter):
    """The adapter of one configured TruRoute account."""

    session_seconds = 180
    outcomes = frozenset(OUTCOMES.values())

    def __init__(self, name: str, service_code: str, options: Options) -> None:
        """``name``: the instance in the settings. ``service_code``: what people dial, without ``*`` and ``#``."""
        read_options(OptionsModel, options)
        self._name = name
        self._service_code = service_code

    def read(self, request: Request) -> Turn | SessionEnd:
        """A hop, or the session's end. Raises ``Malformed``."""
        document = read(request.body, "ussd")
        fields = {name: found for name in FIELDS if (found := text(document, name)) is not None}
        kind = word(fields, "type", TYPE)
        event = EVENTS.get(kind)
        if event is None:
            raise Malformed("type", "not one of 1, 2, 3, 4")
        said = "" if event is Event.CLOSE else typed(fields, "msg")
        turn = Turn(
            channel="ussd",
            gateway=self._name,
            session_id=word(fields, "sessionid", SESSION_ID),
            msisdn=number(fields, "msisdn"),
            text=dialled(said, self._service_code) if event is Event.NEW else said,
            event=event,
            service_code=f"*{self._service_code}#",
        )
        return turn if event is not Event.CLOSE else SessionEnd(turn, OUTCOMES[kind])

    def write(self, reply: Reply, turn: Turn) -> Response:  # noqa: ARG002 - the same whoever is answered
        """The screen, and whether the session goes on."""
        return _answer(RELEASED if reply.ends else CONTINUES, reply.text)

    def write_malformed(self, error: Malformed) -> Response:
        """400 with the field and the reason: the one who sees it is an engineer at the other end, not a person."""
        return Response(400, XML, _answer(RELEASED, f"Malformed request: {error.field}: {error.reason}").body)

    def write_event(self, ended: SessionEnd) -> Response:  # noqa: ARG002 - the same whatever ended
        """Nobody reads it."""
        return _answer(RELEASED, "")


def _answer(kind: str, words: str) -> Response:
    body = f"{DECLARATION}<ussd><type>{kind}</type><msg>{content(words)}</msg></ussd>"
    return Response(200, XML, body.encode())
