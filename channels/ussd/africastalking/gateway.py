"""Africa's Talking USSD, to the letter.

Hop: POST of a form ``sessionId phoneNumber networkCode serviceCode text``; ``text`` is empty on the first hop and
afterwards all inputs so far joined by ``*``. Answer: 200, ``text/plain``, the body starts with ``CON `` while the
session goes on and ``END `` when it is over; any other start, and any 4xx, ends it. The answer's header
``at-ussd-hop-metadata`` carries a label that comes back in the end event's ``hopsMetadata``.

End of session: POST of a form ``date sessionId serviceCode networkCode phoneNumber status cost durationInMillis
hopsCount hopsMetadata input lastAppResponse errorMessage``. ``input`` and ``lastAppResponse`` may hold secrets.

Timers (help.africastalking.com, article 1284071): a session lasts 180 s, the application has 15 s to answer. Nothing
is signed: the caller is known by address and by a secret path segment, which the routes check.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

from channels.turn import Event, Malformed, Reply, Turn, Unreadable
from channels.ussd.contract import Adapter, Options, Request, Response, SessionEnd
from channels.ussd.fields import SESSION_ID, count, form, number, typed, word
from configuration.options import OptionsModel, read_options

SERVICE_CODE = re.compile(r"\*[0-9*]{1,80}#?")
OUTCOMES = frozenset({"success", "incomplete", "failed", "other"})
PLAIN = "text/plain"


class Gateway(Adapter):
    """The adapter of one configured Africa's Talking account."""

    session_seconds = 180
    outcomes = OUTCOMES

    def __init__(self, name: str, service_code: str, options: Options) -> None:
        """``name``: the instance in the settings. ``service_code``: what people dial, without ``*`` and ``#``."""
        read_options(OptionsModel, options)
        self._name = name
        self._service_code = f"*{service_code}"

    def read(self, request: Request) -> Turn:
        """A hop. Raises ``Malformed``."""
        fields = form(request.body)
        text = typed(fields, "text")
        return self._turn(fields, text, Event.RESUME if text else Event.NEW)

    def write(self, reply: Reply, _turn: Turn) -> Response:
        """``CON`` or ``END`` with the screen; the state's name as hop metadata."""
        return self._screen(reply)

    def write_unreadable(self, _error: Unreadable, notice: Reply) -> Response:
        """A screen: what stands behind ``END`` is shown to the person."""
        return self._screen(notice)

    def _screen(self, reply: Reply) -> Response:
        start = "END " if reply.ends else "CON "
        headers = {"at-ussd-hop-metadata": reply.label} if reply.label else {}
        return Response(200, PLAIN, (start + reply.text).encode(), headers)

    def write_malformed(self, error: Malformed) -> Response:
        """400 with the field and the reason: the one who sees it is an engineer at the other end, not a person."""
        return Response(400, PLAIN, f"END Malformed request: {error.field}: {error.reason}".encode())

    def read_event(self, request: Request) -> SessionEnd:
        """An end-of-session event; what people typed and read is dropped here. Raises ``Malformed``."""
        fields = form(request.body)
        status = fields.get("status", "").lower()
        if not status:
            raise Malformed("status", "missing")
        return SessionEnd(
            turn=replace(self._turn(fields, "", Event.CLOSE), heard_out=status == "success"),
            outcome=status if status in OUTCOMES else "other",
            hops=count(fields.get("hopsCount")),
            milliseconds=count(fields.get("durationInMillis")),
        )

    def _turn(self, fields: Mapping[str, str], text: str, event: Event) -> Turn:
        session_id = word(fields, "sessionId", SESSION_ID)
        msisdn = number(fields, "phoneNumber")
        service_code = fields.get("serviceCode", "")
        if service_code:
            self._check_service_code(service_code)
        return Turn(
            channel="ussd",
            gateway=self._name,
            session_id=session_id,
            msisdn=msisdn,
            text=text,
            event=event,
            cumulative=True,
            service_code=service_code,
        )

    def _check_service_code(self, code: str) -> None:
        """The dialled code must be ours, or ours with a sub-code: ``*123#``, ``*123*7#``; the ``#`` may be missing."""
        if not SERVICE_CODE.fullmatch(code):
            raise Malformed("serviceCode", "not a service code")
        ours = self._service_code
        if code.startswith(ours) and code[len(ours) : len(ours) + 1] in ("", "#", "*"):
            return
        raise Malformed("serviceCode", "not served here")
