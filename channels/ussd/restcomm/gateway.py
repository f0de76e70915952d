"""RestComm's gateway calling us: dialogues that people begin.

Hop: POST of a ``<dialog>``. The first one holds ``processUnstructuredSSRequest_Request`` with the dialled string and
the person's number, later ones ``unstructuredSSRequest_Response`` with what was typed and no number. All of them carry
the dialogue's two transaction ids, and the gateway keeps the session cookie of our first answer; the ids count, because
a cookie says nothing where one client speaks for many people. They come round, so neither is the session's id: that is
drawn afresh, and is the cookie. Answer: 200 with ``unstructuredSSRequest_Request`` while the session goes on; at its
end ``processUnstructuredSSRequest_Response`` under the ``invokeId`` of the first message. Any other status is a failed
transport to the gateway.

A dialogue ends before its time with ``mapUserAbortChoice``, ``mapAbortProviderReason``, ``mapRefuseReason``,
``dialogTimedOut``, ``invokeTimedOut`` or ``errComponents``, mostly without a message. Nobody reads our answer to it.

Timers: the gateway's ``dialogtimeout`` for us (25 s in its example) must be below the 60 s of TCAP. Hops have no
number, so the same input within a moment is a retry.
"""

from __future__ import annotations

import re
from typing import Final

from channels.turn import Event, Malformed, Reply, Turn
from channels.ussd.contract import Adapter, Options, Request, Response, SessionEnd
from channels.ussd.fields import dialled
from channels.ussd.restcomm.options import RestcommOptions
from channels.ussd.restcomm.wire import BEGINS, NOTIFIED, OUTCOMES, Dialog, asks, finishes, parse
from channels.ussd.xml import XML
from configuration.options import read_options

COOKIE: Final = "JSESSIONID"
SESSION = re.compile(rf"(?:^|;\s*){COOKIE}=\"?([0-9A-Za-z]{{1,64}})\"?(?:;|$)")


class Gateway(Adapter):
    """The adapter of one configured gateway."""

    session_seconds = 180
    outcomes = OUTCOMES

    def __init__(self, name: str, service_code: str, options: Options) -> None:
        """``name``: the instance in the settings. ``service_code``: what people dial, without ``*`` and ``#``."""
        read_options(RestcommOptions, options)
        self._name = name
        self._service_code = service_code

    def read(self, request: Request) -> Turn | SessionEnd:
        """A hop, or the session's end. Raises ``Malformed``."""
        dialog = parse(request.body)
        if dialog.message == BEGINS:
            if not dialog.msisdn:
                raise Malformed("msisdn", "missing")
            return self._turn(dialog, "", dialled(dialog.text, self._service_code), Event.NEW)
        cookie = SESSION.search(request.headers.get("Cookie", ""))
        session_id = "" if cookie is None else cookie[1]
        if not (session_id or dialog.transaction):
            raise Malformed("localId", "missing, and no cookie either: no session to be known by")
        if dialog.outcome:
            return SessionEnd(self._turn(dialog, session_id, "", Event.CLOSE), dialog.outcome)
        if dialog.message == NOTIFIED:
            raise Malformed("dialog", "a confirmation, and nobody was notified")
        return self._turn(dialog, session_id, dialog.text, Event.RESUME)

    def write(self, reply: Reply, turn: Turn) -> Response:
        """The screen as the next MAP message, or as the last one."""
        body = finishes(reply.text, turn.kept or "0") if reply.ends else asks(reply.text)
        if turn.event is not Event.NEW or not turn.session_id:
            return Response(200, XML, body)
        return Response(200, XML, body, {"Set-Cookie": f"{COOKIE}={turn.session_id}; Path=/; HttpOnly"})

    def write_malformed(self, error: Malformed) -> Response:
        """400 with the field and the reason: the one who sees it is an engineer at the other end, not a person."""
        return Response(400, "text/plain", f"Malformed request: {error.field}: {error.reason}".encode())

    def write_event(self, ended: SessionEnd) -> Response:  # noqa: ARG002 - the same whatever ended
        """200, empty: nobody reads it."""
        return Response(200, XML, b"")

    def _turn(self, dialog: Dialog, session_id: str, text: str, event: Event) -> Turn:
        return Turn(
            channel="ussd",
            gateway=self._name,
            session_id=session_id,
            msisdn=dialog.msisdn,
            text=text,
            event=event,
            service_code=f"*{self._service_code}#",
            pointed=True,
            alias=dialog.transaction,
            kept=dialog.invoke_id if event is Event.NEW else "",
        )
